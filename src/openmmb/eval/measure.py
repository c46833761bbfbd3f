"""What is measured of a model, data set by data set."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from openmmb.data.batcher import Batcher, Row
from openmmb.data.controls import with_gender
from openmmb.data.example import Example
from openmmb.engine.open import Engine
from openmmb.eval.captions import CaptionReport, evaluate_captions
from openmmb.eval.perplexity import loss_of, perplexity_of
from openmmb.eval.replies import Measures, ReplyReport, measure_replies, settings_for
from openmmb.eval.saved import SavedReplies
from openmmb.model.network import Network
from openmmb.text.tokenizer import Tokenizer

Progress = Callable[[int, int], None]
"""Called with how many replies are done so far and how many there are to be."""


@dataclass(frozen=True)
class TaskReport:
    """The numbers of one data set.

    Attributes:
        task: Its name.
        examples: How many were looked at.
        perplexity: Of the replies, each token given all before it and the example's controls.
        nats_per_character: The same in nats a character of the replies, each with one more for its
            end: it compares models whose tokens differ.
        perplexity_uncontrolled: Perplexity without a gender control; None where the checkpoint
            chats without one.
        perplexity_controlled: The same with the control that the checkpoint chats with, whatever
            words a reply has.
        bleu4: Corpus BLEU-4 of captions written without a gender control, 0 to 1; None where there
            are none.
        bleu4_controlled: The same with the control that the checkpoint chats with.
        cider: CIDEr-D of the same captions, 0 to 10.
        cider_controlled: CIDEr-D with the control.
        replies: The model's own replies, by setting; empty where none were asked for.
        styles: What styles perplexity and replies were measured with; None where there are none.
    """

    task: str
    examples: int
    perplexity: float
    nats_per_character: float
    perplexity_uncontrolled: float | None = None
    perplexity_controlled: float | None = None
    bleu4: float | None = None
    bleu4_controlled: float | None = None
    cider: float | None = None
    cider_controlled: float | None = None
    replies: tuple[ReplyReport, ...] = ()
    styles: str | None = None


def measure_tasks(
    engine: Engine,
    tasks: Mapping[str, Sequence[Example]],
    batcher: Batcher,
    *,
    measures: Measures | None = None,
    ban: bool = False,
    saved: SavedReplies | None = None,
    batch_size: int = 32,
    progress: Progress | None = None,
) -> Iterator[TaskReport]:
    """Measure a model on data sets, one after the other.

    Args:
        engine: The model.
        tasks: Examples by task, at least one each; where pictures have several
            captions, some are written and compared.
        batcher: Makes batches of them; its first view gives image vectors.
        measures: What the model's own replies are measured with; None: it gives none.
        ban: Also let it reply with gendered words banned from the search.
        saved: Takes the replies, and gives those that it has.
        batch_size: Examples side by side.
        progress: Called while replies and captions are searched for.
    """
    gender = engine.config.gender
    tasks = {task: [batcher.recognise(one) for one in listed] for task, listed in tasks.items()}
    settings = {
        task: () if measures is None else settings_for(engine.config, examples, ban=ban)
        for task, examples in tasks.items()
    }
    per_caption = 1 if gender is None else 2
    total = sum(
        len(examples) * len(settings[task]) + len(_with_captions(examples)) * per_caption
        for task, examples in tasks.items()
    )
    count = _Count(total, progress)
    vectors = batcher.views[0] if batcher.views else None
    for task, examples in tasks.items():
        free, controlled = _captions(engine, examples, batcher, batch_size, count)
        rows = [batcher.row(one, 0) for one in examples]
        perplexity = _perplexity(engine, batcher, rows, batch_size)
        asked = [_with_style(one, batcher) for one in examples]
        yield TaskReport(
            task=task,
            examples=len(examples),
            perplexity=perplexity,
            nats_per_character=math.log(perplexity) * tokens_per_character(rows, batcher.tokenizer),
            perplexity_uncontrolled=None
            if gender is None
            else steered_perplexity(engine, examples, batcher, None, batch_size=batch_size),
            perplexity_controlled=None
            if gender is None
            else steered_perplexity(engine, examples, batcher, gender, batch_size=batch_size),
            bleu4=None if free is None else free.bleu4,
            bleu4_controlled=None if controlled is None else controlled.bleu4,
            cider=None if free is None else free.cider,
            cider_controlled=None if controlled is None else controlled.cider,
            replies=tuple(
                measure_replies(
                    engine,
                    asked,
                    vectors,
                    setting,
                    measures,
                    saved=saved,
                    batch_size=batch_size,
                    progress=count.add,
                )
                for setting in settings[task]
                if measures is not None
            ),
            styles=_describe_styles(examples, asked),
        )


def tokens_per_character(rows: Sequence[Row], tokenizer: Tokenizer) -> float:
    """Return how many tokens replies have for each character, where an end counts as both."""
    tokens = characters = 0
    for row in rows:
        encoded = row.encoded
        targets = encoded.targets or (True,) * len(encoded.reply)
        learnt = [
            token for token, is_target in zip(encoded.reply, targets, strict=True) if is_target
        ]
        ends = learnt.count(tokenizer.end_id)
        words = [token for token in learnt if token != tokenizer.end_id]
        tokens += len(learnt)
        characters += len(tokenizer.decode(words)) + ends
    return tokens / max(1, characters)


def steered_perplexity(
    network: Network,
    examples: Sequence[Example],
    batcher: Batcher,
    gender: str | None,
    *,
    batch_size: int,
) -> float:
    """Return the perplexity of replies with one gender control for all, their styles as they are.

    Args:
        network: In evaluation mode.
        examples: At least one.
        batcher: Makes batches of them.
        gender: The control, or None.
        batch_size: Examples side by side.
    """
    steered = (with_gender(batcher.controls.apply(one, 0), gender) for one in examples)
    rows = [Row(batcher.encode(one), 0) for one in steered]
    return _perplexity(network, batcher, rows, batch_size)


def _perplexity(network: Network, batcher: Batcher, rows: Sequence[Row], batch_size: int) -> float:
    tokenizer = batcher.tokenizer
    loss = loss_of(network, start_id=tokenizer.start_id, banned_ids=tokenizer.unsaid_ids())
    shards = batcher.batches(rows, batch_size=batch_size)
    return perplexity_of(loss, shards, network.device)


def _with_style(example: Example, batcher: Batcher) -> Example:
    """Return the example with the style that its perplexity is measured with, for its reply."""
    return replace(example, style=batcher.controls.apply(example, 0).style)


def _describe_styles(examples: Sequence[Example], asked: Sequence[Example]) -> str | None:
    """Say how many styles stand as the data set has them; None where there are none."""
    styled = [(one.style, other.style) for one, other in zip(examples, asked, strict=True)]
    there = [pair for pair in styled if pair != (None, None)]
    if not there:
        return None
    changed = sum(before != after for before, after in there) / len(there)
    return f"{changed:.0%} by controls, others as they are" if changed else "as they are"


def _with_captions(examples: Sequence[Example]) -> list[Example]:
    """Return the examples in which a picture has several captions."""
    return [one for one in examples if one.references and one.image_id is not None]


class _Count:
    """How much is done of all that is to be searched for."""

    def __init__(self, total: int, progress: Progress | None) -> None:
        self.total = total
        self.progress = progress
        self.done = 0

    def add(self, number: int) -> None:
        self.done += number
        if self.progress is not None:
            self.progress(self.done, self.total)


def _captions(
    engine: Engine,
    examples: Sequence[Example],
    batcher: Batcher,
    batch_size: int,
    count: _Count,
) -> tuple[CaptionReport | None, CaptionReport | None]:
    """Measure captions without and with the gender control."""
    captioned = _with_captions(examples)
    if not captioned:
        return None, None
    reports: list[CaptionReport] = []
    for gender in dict.fromkeys((None, engine.config.gender)):
        before = count.done

        def show(done: int, _: int, before: int = before) -> None:
            count.add(done - (count.done - before))

        report = evaluate_captions(
            engine,
            captioned,
            batcher.views[0],
            gender=gender,
            batch_size=batch_size,
            progress=show,
        )
        reports.append(report)
    return reports[0], reports[1] if len(reports) > 1 else None
