"""A model's numbers on data sets: perplexity of every one, BLEU-4 of those with captions."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from openmmb.checkpoint import Checkpoint
from openmmb.data.example import Example
from openmmb.data.loader import Encoder
from openmmb.eval.captions import evaluate_captions
from openmmb.eval.perplexity import perplexity_of


@dataclass(frozen=True)
class TaskReport:
    """The numbers of one data set.

    Attributes:
        task: Its name.
        examples: How many were looked at.
        perplexity: Of the replies, each token given all before it and the example's controls.
        bleu4: Of captions written without a gender control, 0 to 1; None where there are none.
        bleu4_controlled: The same with the control that the checkpoint chats with.
    """

    task: str
    examples: int
    perplexity: float
    bleu4: float | None = None
    bleu4_controlled: float | None = None


def evaluate(
    checkpoint: Checkpoint,
    tasks: Mapping[str, Sequence[Example]],
    encoder: Encoder,
    *,
    batch_size: int = 32,
    progress: Callable[[int, int], None] | None = None,
) -> Iterator[TaskReport]:
    """Measure a model on data sets, one after the other.

    Args:
        checkpoint: The model.
        tasks: Examples by task, at least one each; where they have references, captions are
            written and compared.
        encoder: Makes batches of them; its first view gives image vectors.
        batch_size: Examples side by side.
        progress: Called while captions are written, with those done so far and all there are.
    """
    for task, examples in tasks.items():
        bleu4 = controlled = None
        if examples[0].references:
            gender = checkpoint.config.gender
            vectors = encoder.views[0]
            bleu4 = evaluate_captions(
                checkpoint, examples, vectors, batch_size=batch_size, progress=progress
            ).bleu4
            if gender is not None:
                controlled = evaluate_captions(
                    checkpoint,
                    examples,
                    vectors,
                    gender=gender,
                    batch_size=batch_size,
                    progress=progress,
                ).bleu4
        yield TaskReport(
            task=task,
            examples=len(examples),
            perplexity=perplexity_of(checkpoint.model, examples, encoder, batch_size=batch_size),
            bleu4=bleu4,
            bleu4_controlled=controlled,
        )
