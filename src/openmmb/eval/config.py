"""What an evaluation looks at, and how."""

from openmmb.config import config, require
from openmmb.data.controls import ControlsConfig
from openmmb.data.example import Split
from openmmb.safety.guard import GuardConfig


@config
class EvaluationConfig:
    """What an evaluation looks at, and how."""

    root: str = "data"
    """Folder of the data sets, one sub-folder each."""
    split: Split | None = None
    """Published split to measure on; None: what each data set keeps for validation."""
    features: str | None = None
    """Folder of image vectors, from `openmmb features`; only those of the pictures that are
    measured need be there."""
    max_examples: int = 1000
    """Most examples of each data set."""
    controls: ControlsConfig | None = None
    """Controls that examples get; None: the gender control where the model chats with one."""
    seed: int = 0
    """Seed of every draw of a control."""
    replies: bool = True
    """Whether the model's own replies are measured too, which takes most of the time."""
    saved_replies: str | None = None
    """JSON lines file that keeps the replies; a later evaluation takes them from there."""
    gender_words: str | None = None
    """Folder of lists of gendered words that are counted beside those of the package."""
    ban_gendered_words: bool = False
    """Whether replies with gendered words banned from the search are measured too."""
    guard: GuardConfig = GuardConfig()
    """What counts as offensive."""
    batch_size: int = 16
    """Examples side by side."""
    device: str = "auto"
    """Where the model runs; `auto` takes a graphics card where there is one."""
    engine: str = "auto"
    """Kind of engine, see `openmmb.engine.open.ENGINES`."""

    def __post_init__(self) -> None:
        for name in ("max_examples", "batch_size"):
            require(name, getattr(self, name), "at least 1", holds=getattr(self, name) >= 1)
        require("seed", self.seed, "from 0 to 2**63 - 1", holds=0 <= self.seed < 2**63)
