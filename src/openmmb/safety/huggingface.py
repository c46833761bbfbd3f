"""Any Hugging Face model for text classification, from a folder on this machine.

Sizes: B texts, C labels.
"""

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from openmmb.errors import CheckpointError, ConfigError
from openmmb.safety.verdict import Utterance


@dataclass(frozen=True)
class HuggingFace:
    """A model of ``transformers`` in memory.

    Attributes:
        model: Its network, in evaluation mode.
        tokenizer: Its vocabulary.
        labels: C names, in the order of its outputs.
        exclusive: Whether a text has one label; otherwise it has any number of them.
        max_tokens: Most tokens that it reads; the end of a longer text is cut off.
        context_turns: How many turns before a text are read, as the first of two segments.
        lock: Held while the tokenizer is used, which threads cannot share otherwise.
    """

    model: Any
    tokenizer: Any
    labels: tuple[str, ...]
    exclusive: bool
    max_tokens: int
    context_turns: int
    lock: threading.Lock = field(default_factory=threading.Lock, repr=False, compare=False)

    @torch.inference_mode()
    def judge(self, utterances: Sequence[Utterance]) -> Tensor:
        """Texts, each in its context -> probability of each label, (B, C)."""
        texts = [text for text, _ in utterances]
        segments: tuple[list[str], ...] = (texts,)
        if self.context_turns:
            before = [" ".join(context[-self.context_turns :]) for _, context in utterances]
            segments = (before, texts)
        with self.lock:  # padding and truncation are set in the tokenizer itself
            encoded = self.tokenizer(
                *segments,
                padding=True,
                truncation=True,
                max_length=self.max_tokens,
                return_tensors="pt",
            )
        logits: Tensor = self.model(**encoded).logits.float()
        return logits.softmax(-1) if self.exclusive else logits.sigmoid()


def open_huggingface(folder: Path, *, context_turns: int) -> HuggingFace:
    """Load a model from its folder; nothing is downloaded and no code of the folder is run.

    Raises:
        CheckpointError: A file is missing or damaged, or the model has fewer than two labels.
        ConfigError: ``transformers`` is not installed.
    """
    try:
        import transformers  # slow to import, and an extra
    except ImportError as error:
        raise ConfigError(
            f"{folder}: a Hugging Face model needs transformers; use: pip install transformers"
        ) from error

    try:
        model = transformers.AutoModelForSequenceClassification.from_pretrained(
            folder, local_files_only=True
        )
        tokenizer = transformers.AutoTokenizer.from_pretrained(folder, local_files_only=True)
    except Exception as error:  # damaged files raise whatever the library's parts raise
        reason = str(error).strip().partition("\n")[0]
        raise CheckpointError(f"{folder}: expected a text classifier: {reason}") from error
    config = model.config
    if config.num_labels < 2:
        raise CheckpointError(f"{folder}: expected at least 2 labels, got {config.num_labels}")
    return HuggingFace(
        model=model.eval(),
        tokenizer=tokenizer,
        labels=tuple(config.id2label[at] for at in range(config.num_labels)),
        exclusive=config.problem_type != "multi_label_classification",
        max_tokens=min(tokenizer.model_max_length, _positions(config.to_dict())),
        context_turns=context_turns,
    )


def _positions(config: dict[str, Any]) -> int:
    """Return how long a text may be; some networks keep two positions for themselves."""
    return int(config.get("max_position_embeddings", 514)) - 2
