"""From step numbers to batches of texts, ready for the classifier.

Sizes: B texts, L tokens, C labels.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Self

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from openmmb.data.sampler import Sampler, Window
from openmmb.safety.reading import ReadConfig, Vocabulary, collate, read
from openmmb.tasks.labelled import LABELS, Labelled
from openmmb.training.classifier.noise import NoiseConfig, add_noise
from openmmb.training.classifier.texts import Source, with_context


@dataclass(frozen=True, slots=True)
class TextBatch:
    """Texts side by side.

    Attributes:
        ids: (B, L) int64, padded on the right.
        mask: (B, L) bool, True at real tokens.
        judged: (B, L) bool, True at the tokens of the text, without its context.
        labels: (B, C) bool, True at the labels that the text has.
        known: (B, C) bool, True at those of which that is known.
    """

    ids: Tensor
    mask: Tensor
    judged: Tensor
    labels: Tensor
    known: Tensor

    def __len__(self) -> int:
        return len(self.ids)

    def to(self, device: torch.device) -> Self:
        """Copy every tensor to ``device``."""
        moved = {f.name: getattr(self, f.name).to(device, non_blocking=True) for f in fields(self)}
        return type(self)(**moved)


@dataclass(frozen=True)
class TextLoader:
    """The batches of a classifier's run, each a pure function of its step.

    Attributes:
        sources: The texts.
        sampler: Draws them.
        tokenizer: Turns words into ids.
        read: How a text and its context are read.
        noise: What is done to a text before it is learnt from.
    """

    sources: tuple[Source, ...]
    sampler: Sampler
    tokenizer: Vocabulary
    read: ReadConfig
    noise: NoiseConfig

    def batch(self, step: int) -> TextBatch:
        """Return the batch of ``step``, counted from 0."""
        seed, talk = self.sampler.seed, self._ordinary()
        window = self.sampler.window_of(step)
        order = np.random.default_rng([seed, window.number]).permutation(window.size)
        size = self.sampler.batch_size
        start = int(order[step - window.start]) * size
        texts = []
        for draw in self._sorted(window)[start : start + size]:
            source, index, epoch = (int(number) for number in draw)
            key = (seed, epoch, source, index)
            text = with_context(self.sources[source].train[index], talk, *key)
            texts.append(replace(text, text=add_noise(text.text, self.noise, *key)))
        return self.collate(texts)

    def collate(self, texts: Sequence[Labelled]) -> TextBatch:
        """Put texts side by side as they are."""
        rows = [read(text.text, text.context, self.tokenizer, self.read)[0] for text in texts]
        has = torch.tensor([[label in text.labels for label in LABELS] for text in texts])
        known = torch.tensor([[label in text.known for label in LABELS] for text in texts])
        return TextBatch(*collate(rows, pad_id=self.tokenizer.pad_id), has, known)

    def _sorted(self, window: Window) -> npt.NDArray[np.int64]:
        """Return a window's draws by the length of their texts, so that a batch pads little."""
        draws = self.sampler.draws(window)
        lengths = [len(self.sources[source].train[index].text) for source, index, _ in draws]
        return draws[np.argsort(lengths, kind="stable")]

    def _ordinary(self) -> Sequence[Labelled]:
        """Return ordinary talk, whose contexts are lent to texts that have none."""
        return next(source.train for source in self.sources if source.ordinary)
