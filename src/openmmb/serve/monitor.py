"""What a server counts, for Prometheus."""

from functools import partial

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
        counter = partial(Counter, registry=self._registry)
        gauge = partial(Gauge, registry=self._registry)
        histogram = partial(Histogram, registry=self._registry)
        self.requests = counter(
            "openmmb_requests", "Requests by address and status.", ["path", "status"]
        )
        self.seconds = histogram(
            "openmmb_request_seconds",
            "From a request to the end of its response.",
            ["path"],
            buckets=SECONDS,
        )
        self.reply_seconds = histogram(
            "openmmb_reply_seconds", "The search that a reply is from.", buckets=SECONDS
        )
        self.at_hand = gauge("openmmb_requests_at_hand", "Requests without a reply yet.")
        self.waiting = gauge("openmmb_requests_waiting", "Those that no search has yet.")
        self.batch = histogram(
            "openmmb_batch_size", "Requests that a search answers.", buckets=SIZES
        )
        self.busy = counter("openmmb_rejected", "Requests that found the queue full.")
        self.abandoned = counter("openmmb_abandoned", "Requests whose client left.")
        self.late = counter("openmmb_timeouts", "Replies that came too late.")
        self.replies = counter("openmmb_replies", "Replies by where they are from.", ["origin"])
        self.refusals = counter(
            "openmmb_refusals",
            "What the guard refused, by side, check and category.",
            ["side", "check", "category"],
        )
        self.tokens = counter("openmmb_tokens", "Tokens that were read and written.", ["side"])
        self.loaded = gauge("openmmb_loaded", "Whether the model is there.")

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
