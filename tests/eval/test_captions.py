"""A model's captions are measured against every caption of their picture."""

from dataclasses import replace

import pytest
import torch

from openmmb.data.example import Example
from openmmb.eval.captions import evaluate_captions
from openmmb.eval.cider import cider
from openmmb.eval.metrics import bleu
from openmmb.search.config import SearchConfig
from tests.build import TINY_F, TINY_I, plain_engine, tiny_checkpoint, tiny_example

SEARCH = SearchConfig(beam_size=3, min_length=4, max_length=10, block_context_ngram=0)


def vectors(image_id: str) -> torch.Tensor:
    return torch.randn(TINY_I, TINY_F, generator=torch.Generator().manual_seed(len(image_id)))


def examples() -> list[Example]:
    return [
        tiny_example(context=(), image_id="p" * number, references=("Dogs run.", "A boat sails."))
        for number in range(1, 6)
    ]


def test_the_report_is_bleu_of_what_was_written() -> None:
    engine = plain_engine(tiny_checkpoint(image_vectors=TINY_I, image_dim=TINY_F))
    report = evaluate_captions(engine, examples(), vectors, config=SEARCH)
    assert len(report.captions) == 5
    references = [(e.reply, *e.references) for e in examples()]
    assert report.bleu4 == bleu(report.captions, references)
    assert report.cider == cider(report.captions, references)
    assert report.bleu1 == bleu(report.captions, references, max_n=1)


def test_batches_do_not_change_captions() -> None:
    engine = plain_engine(tiny_checkpoint(image_vectors=TINY_I, image_dim=TINY_F))
    seen: list[tuple[int, int]] = []
    small = evaluate_captions(
        engine,
        examples(),
        vectors,
        config=SEARCH,
        batch_size=2,
        progress=lambda done, total: seen.append((done, total)),
    )
    assert seen == [(2, 5), (4, 5), (5, 5)]
    whole = evaluate_captions(engine, examples(), vectors, config=SEARCH, batch_size=5)
    assert small.captions == whole.captions


def test_nothing_but_the_picture_is_shown() -> None:
    engine = plain_engine(tiny_checkpoint(image_vectors=TINY_I, image_dim=TINY_F))
    asked = [replace(example, context=("What?",), style="Sweet") for example in examples()]
    plain = evaluate_captions(engine, examples(), vectors, config=SEARCH)
    assert evaluate_captions(engine, asked, vectors, config=SEARCH) == plain


def test_an_example_without_a_picture_is_refused() -> None:
    engine = plain_engine(tiny_checkpoint(image_vectors=TINY_I, image_dim=TINY_F))
    with pytest.raises(ValueError, match="has no picture"):
        evaluate_captions(engine, [tiny_example()], vectors, config=SEARCH)
