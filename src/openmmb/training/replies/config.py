"""A recipe: everything that decides what a training run does."""

from dataclasses import field

from openmmb.config import config, require
from openmmb.data.controls import ControlsConfig
from openmmb.data.encode import EncodeConfig
from openmmb.model.config import ModelConfig
from openmmb.search.config import SearchConfig
from openmmb.tasks.mixture import TaskConfig
from openmmb.text.gender import GENDER_TOKENS
from openmmb.training.replies.align import AlignConfig
from openmmb.training.run.config import MAY_CHANGE, RunConfig

NONE = "none"
"""Says in a recipe that the checkpoint shall have no such control, where that of `start` has."""


@config
class DataConfig:
    """Where data lies and how it is batched."""

    root: str = field(default="data", metadata=MAY_CHANGE)
    """Folder of the data sets, one sub-folder each."""
    features: str | None = field(default=None, metadata=MAY_CHANGE)
    """Folder of image vectors by image id, as `openmmb features` writes it."""
    mirrored_features: str | None = field(default=None, metadata=MAY_CHANGE)
    """Folder of image vectors of the mirrored pictures; each picture is then seen either way."""
    encoder: str | None = None
    """Picture encoder that computed the image vectors; by default that of `start`, and without one
    `efficientnet_lite0`."""
    batch_size: int = 64
    """Examples in a batch."""
    accumulate: int = 1
    """Batches in one update (ParlAI's `--update-freq`)."""
    workers: int = field(default=0, metadata=MAY_CHANGE)
    """Processes that make batches ahead of time; 0: a thread does. It changes no batch."""

    def __post_init__(self) -> None:
        for name in ("batch_size", "accumulate"):
            require(name, getattr(self, name), "at least 1", holds=getattr(self, name) >= 1)
        require("workers", self.workers, "at least 0", holds=self.workers >= 0)


@config
class Recipe(RunConfig):
    """A training run.

    What is left out is as the checkpoint of `start` has it, and without a start as the defaults of
    each section say; ``training.replies.settle`` fills it in. In a file, and by flags, that holds
    key by key; from Python a section is given whole or left out.

    Raises:
        ValueError: A value is out of its range, or two do not fit each other.
    """

    tasks: tuple[TaskConfig, ...]
    """Data sets of the mixture."""
    start: str | None = None
    """Checkpoint to start from: a folder, the name of a bundled one, or org/name of one on the
    Hugging Face hub. The run takes its network and vocabulary, and keeps its controls, lengths
    and search where the recipe names no others; of `model` only the dropouts count, and nothing
    may contradict the checkpoint."""
    start_command: str | None = field(default=None, metadata=MAY_CHANGE)
    """Command that makes `start`, told to whoever does not have it yet."""
    fresh_controls: bool = False
    """Draw the vectors of the control tokens anew, for a `start` that has never seen a
    control."""
    vocab_size: int = 8000
    """Size of the vocabulary that is learnt where there is no `start`."""
    vocab_tasks: tuple[TaskConfig, ...] = ()
    """More data sets whose words the vocabulary is learnt from."""
    gender: str | None = None
    """Gender control that the checkpoint's replies get in a chat, or `none`; by default that of
    `start`."""
    image_style: str | None = None
    """Style that the checkpoint's replies about a picture get in a chat, or `none`; by default
    that of `start`."""
    data: DataConfig = DataConfig()
    align: AlignConfig = AlignConfig()
    model: ModelConfig | None = None
    """Shape of a network that begins anew; with a start, its dropouts."""
    encode: EncodeConfig | None = None
    """How words become ids; by default as in `start`."""
    controls: ControlsConfig | None = None
    """Controls that examples get; by default the gender control where replies have one."""
    search: SearchConfig | None = None
    """How the checkpoint searches for replies in a chat; by default as `start` does."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.tasks:
            raise ValueError("tasks: a recipe needs at least one [[tasks]]")
        names = [task.name for task in self.tasks]
        for task in self.tasks:
            if names.count(task.name) > 1:
                raise ValueError(f"tasks: {task.name!r} is listed twice; list each data set once")
            if task.split == "valid" and not task.holdout:
                raise ValueError(
                    f"tasks: {task.name!r} learns from split 'valid'; set its holdout above 0, so "
                    "that there is something to validate on"
                )
        require("vocab_size", self.vocab_size, "at least 1", holds=self.vocab_size >= 1)
        if self.gender not in (None, NONE, *GENDER_TOKENS):
            raise ValueError(
                f"gender must be one of {', '.join(GENDER_TOKENS)} or {NONE}, got {self.gender!r}"
            )
        if self.start_command is not None and self.start is None:
            raise ValueError("start_command says what makes 'start', which is missing")
