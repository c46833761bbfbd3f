"""From step numbers to batches, ready for the network.

Sizes: I image vectors, F features in each.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from torch import Tensor

from openmmb.data.batch import Batch, collate
from openmmb.data.controls import Controls
from openmmb.data.draw import pick
from openmmb.data.encode import EncodeConfig, encode
from openmmb.data.example import Example
from openmmb.data.mixture import Mixture
from openmmb.text.tokenizer import Tokenizer

ImageVectors = Callable[[str], Tensor]
"""Image id -> (I, F)."""

CHARACTERS_A_TOKEN = 4  # about; only decides which examples are padded together


@dataclass(frozen=True)
class Encoder:
    """Make batches out of examples.

    Attributes:
        tokenizer: Words to ids.
        config: Lengths.
        controls: What is added to each example.
        views: Ways to look up a picture's image vectors, the picture itself and, if there is
            one, its mirror image; each epoch of an example draws one.
        image_shape: (I, F).
    """

    tokenizer: Tokenizer
    config: EncodeConfig
    controls: Controls
    views: tuple[ImageVectors, ...]
    image_shape: tuple[int, int]

    def batch(self, examples: Sequence[tuple[Example, int]]) -> Batch:
        """Encode examples, each with its epoch, side by side."""
        rows = [
            encode(self.controls.apply(example, epoch), self.tokenizer, self.config)
            for example, epoch in examples
        ]
        images = [self._image(example, epoch) for example, epoch in examples]
        return collate(rows, images, pad_id=self.tokenizer.pad_id, image_shape=self.image_shape)

    def _image(self, example: Example, epoch: int) -> Tensor | None:
        if example.image_id is None:
            return None
        key = (self.controls.seed, epoch, example.task, example.conversation)
        return self.views[pick(len(self.views), "view", *key)](example.image_id)


@dataclass(frozen=True)
class Loader:
    """The batches of a training run, each a pure function of its step.

    Attributes:
        tasks: The examples of each task.
        mixture: Which of them make which batch.
        encoder: How they become one.
    """

    tasks: tuple[Sequence[Example], ...]
    mixture: Mixture
    encoder: Encoder

    def batch(self, step: int) -> Batch:
        """Return the batch of ``step``, counted from 0."""
        return self.encoder.batch(
            [
                (one_caption(self.tasks[task][index], epoch), epoch)
                for task, index, epoch in self.mixture.draws(step)
            ]
        )


def one_caption(example: Example, epoch: int) -> Example:
    """Where several replies are as good, take another one each epoch."""
    if not example.references:
        return example
    replies = (example.reply, *example.references)
    offset = pick(len(replies), "caption", example.task, example.conversation)
    return replace(example, reply=replies[(epoch + offset) % len(replies)])


def in_order(examples: Sequence[Example], encoder: Encoder, *, batch_size: int) -> Iterator[Batch]:
    """Batch examples for evaluation, similar lengths together; controls are those of epoch 0."""
    order = sorted(range(len(examples)), key=lambda at: example_length(examples[at]))
    for start in range(0, len(order), batch_size):
        yield encoder.batch([(examples[at], 0) for at in order[start : start + batch_size]])


def lengths_of(examples: Iterable[Example]) -> npt.NDArray[np.int64]:
    """Return how long each example is, by its number of characters."""
    return np.array([example_length(example) for example in examples], dtype=np.int64)


def example_length(example: Example) -> int:
    """Sort key: pictures apart from text, then long replies and contexts together."""
    context = min(sum(map(len, (*example.persona, *example.context))), 128 * CHARACTERS_A_TOKEN)
    reply = len(example.reply) + sum(map(len, example.following))
    picture = 0 if example.image_id is None else 10**6
    return picture + context + min(reply, 128 * CHARACTERS_A_TOKEN)


def with_following(examples: Iterable[Example]) -> Iterator[Example]:
    """Let every example write on to the end of its conversation.

    Examples of a conversation must come together, in its order, each one turn on from the last.
    """
    conversation: list[Example] = []
    for example in examples:
        if conversation and conversation[0].conversation != example.conversation:
            yield from _followed(conversation)
            conversation = []
        conversation.append(example)
    yield from _followed(conversation)


def _followed(conversation: Sequence[Example]) -> Iterator[Example]:
    if not conversation:
        return
    turns = (*conversation[-1].context, conversation[-1].reply)
    for example in conversation:
        yield replace(example, following=turns[len(example.context) + 1 :])
