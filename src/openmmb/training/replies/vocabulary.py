"""The vocabulary of a run that starts anew, learnt from the words it will train on."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from openmmb.data.controls import NEGATIVE, POSITIVE, picture_questions
from openmmb.data.example import Example
from openmmb.tasks.mixture import TaskExamples, read_train
from openmmb.text.tokenizer import Tokenizer, train_tokenizer
from openmmb.training.replies.config import Recipe
from openmmb.training.start import learn_once


def learn_vocabulary(recipe: Recipe, tasks: Sequence[TaskExamples]) -> Tokenizer:
    """Learn the vocabulary, once a run.

    Raises:
        ConfigError: One of ``recipe.vocab_tasks`` is not a task.
        DataError: Its files are missing or malformed.
        CheckpointError: The kept vocabulary is damaged.
    """

    def learn() -> Tokenizer:
        root = Path(recipe.data.root)
        more = (read_train(task, root) for task in recipe.vocab_tasks)
        sources = [*(task.train for task in tasks), *more]
        return train_tokenizer(_texts(sources), vocab_size=recipe.vocab_size)

    return learn_once(Path(recipe.out), learn)


def _texts(tasks: Sequence[Sequence[Example]]) -> Iterator[str]:
    """Yield replies, other captions, what the first reply answers, personas, styles.

    Where every turn but the first is a reply, that is every text, once. A style, or a line of a
    persona, is yielded once a task.
    """
    yield from (POSITIVE, NEGATIVE, *picture_questions())
    for examples in tasks:
        seen: set[str] = set()
        for example in examples:
            yield from (example.reply, *example.references)
            yield from example.context[:1] if len(example.context) == 1 else ()
            once = {*example.persona, *([example.style] if example.style else [])} - seen
            yield from sorted(once)
            seen |= once
