"""What a server counts, for Prometheus."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4

from openmmb.chat.request import Reply
from openmmb.safety.verdict import Verdict

SECONDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
SIZES = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32)

CONTENT_TYPE = CONTENT_TYPE_PLAIN_0_0_4


class Monitor:
    """The numbers of one server."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        registry = self._registry
        self.requests = Counter(
            "openmmb_requests",
            "Requests by address and status.",
            ["path", "status"],
            registry=registry,
        )
        self.seconds = Histogram(
            "openmmb_request_seconds",
            "From a request to the end of its response.",
            ["path"],
            buckets=SECONDS,
            registry=registry,
        )
        self.reply_seconds = Histogram(
            "openmmb_reply_seconds",
            "The search that a reply is from.",
            buckets=SECONDS,
            registry=registry,
        )
        self.at_hand = Gauge(
            "openmmb_requests_at_hand", "Requests without a reply yet.", registry=registry
        )
        self.waiting = Gauge(
            "openmmb_requests_waiting", "Those that no search has yet.", registry=registry
        )
        self.batch = Histogram(
            "openmmb_batch_size",
            "Requests that a search answers.",
            buckets=SIZES,
            registry=registry,
        )
        self.busy = Counter(
            "openmmb_rejected", "Requests that found the queue full.", registry=registry
        )
        self.abandoned = Counter(
            "openmmb_abandoned", "Requests whose client left.", registry=registry
        )
        self.late = Counter("openmmb_timeouts", "Replies that came too late.", registry=registry)
        self.replies = Counter(
            "openmmb_replies", "Replies by where they are from.", ["origin"], registry=registry
        )
        self.refusals = Counter(
            "openmmb_refusals",
            "What the guard refused, by side, check and category.",
            ["side", "check", "category"],
            registry=registry,
        )
        self.tokens = Counter(
            "openmmb_tokens", "Tokens that were read and written.", ["side"], registry=registry
        )
        self.loaded = Gauge("openmmb_loaded", "Whether the model is there.", registry=registry)

    def count_reply(self, reply: Reply) -> None:
        """Count a reply, and what the guard refused on the way to it."""
        self.replies.labels(reply.origin).inc()
        self.reply_seconds.observe(reply.seconds)
        self.tokens.labels("read").inc(reply.context_tokens)
        self.tokens.labels("written").inc(reply.tokens)
        for side, verdict in (("message", reply.message_verdict), ("reply", reply.reply_verdict)):
            self.count_verdict(side, verdict)

    def count_verdict(self, side: str, verdict: Verdict | None) -> None:
        """Count a verdict that refuses."""
        if verdict is not None and not verdict.safe:
            self.refusals.labels(side, verdict.check, verdict.category or "other").inc()

    def write(self) -> bytes:
        """Return all of it as Prometheus reads it."""
        return generate_latest(self._registry)
