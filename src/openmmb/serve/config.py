"""What a server allows those who talk to it."""

from dataclasses import dataclass
from typing import Annotated

from tyro.conf import UseAppendAction, arg

from openmmb.chat.batcher import MAX_ROWS
from openmmb.errors import ConfigError

MIB = 2**20

# Once a value: a flag that takes several would take the checkpoint behind them too.
Names = Annotated[tuple[str, ...], UseAppendAction, arg(metavar="NAME", help_behavior_hint="")]
Origins = Annotated[tuple[str, ...], UseAppendAction, arg(metavar="ORIGIN", help_behavior_hint="")]
Keys = Annotated[tuple[str, ...], UseAppendAction, arg(metavar="KEY", help_behavior_hint="")]


@dataclass(frozen=True, kw_only=True)
class ServeConfig:
    """What a server allows those who talk to it.

    Raises:
        ConfigError: A value is out of its range.
    """

    api_key: Keys = ()
    """Key that requests must bring as Authorization: Bearer KEY; once for each key."""
    origin: Origins = ()
    """Origin of another server's page that may call this one; once for each origin."""
    allow_host: Names = ()
    """Further name that requests may give as their host; once for each name."""
    max_waiting: int = 64
    """Most requests at hand; more are told to come later."""
    max_rows: int = MAX_ROWS
    """Most hypotheses of one search: requests answered together, times their beams."""
    time_limit: float = 60.0
    """Seconds in which a reply must be there."""
    read_limit: float = 20.0
    """Seconds in which the whole of a request must have come in."""
    ping_every: float = 10.0
    """Seconds between signs of life in a stream that waits for its reply."""
    max_bytes: int = 17 * MIB
    """Most bytes of a request; a picture takes a third more than its file."""
    max_image_bytes: int = 12 * MIB
    """Most bytes of a picture's file."""
    max_image_pixels: int = 25 * 10**6
    """Most pixels of a picture, width times height."""
    max_turns: int = 256
    """Most messages of a conversation."""
    max_characters: int = 8000
    """Most characters of one text."""
    max_replies: int = 10
    """Most replies to one message, n."""
    max_beams: int = 20
    """Most hypotheses of one search for one message."""

    def __post_init__(self) -> None:
        for name in COUNTS:
            _require(name, getattr(self, name), "at least 1", holds=getattr(self, name) >= 1)
        for name in SECONDS:
            value = getattr(self, name)
            _require(name, value, "above 0 and at most 86400", holds=0 < value <= 86400)
        for key in self.api_key:
            if not key or not key.isascii() or not key.isprintable() or " " in key:
                # The key itself is not shown: what is printed may be kept by others.
                raise ConfigError("api_key: expected visible ASCII characters without spaces")
        for origin in self.origin:
            holds = origin == "*" or origin.startswith(("http://", "https://"))
            _require("origin", origin, "the form https://example.org", holds=holds)


COUNTS = (
    "max_waiting",
    "max_rows",
    "max_bytes",
    "max_image_bytes",
    "max_image_pixels",
    "max_turns",
    "max_characters",
    "max_replies",
    "max_beams",
)
SECONDS = ("time_limit", "read_limit", "ping_every")


def _require(name: str, value: object, expected: str, *, holds: bool) -> None:
    if not holds:
        raise ConfigError(f"{name}: expected {expected}, got {value}")
