"""A report has the numbers that the metrics alone would give, task by task."""

from dataclasses import replace

import torch

from openmmb.data.controls import Controls, ControlsConfig
from openmmb.data.encode import EncodeConfig
from openmmb.data.loader import Encoder
from openmmb.eval.captions import evaluate_captions
from openmmb.eval.evaluate import evaluate
from openmmb.eval.perplexity import perplexity_of
from tests.build import TINY_F, TINY_I, tiny_checkpoint, tiny_example, tiny_tokenizer

TALK = [tiny_example(conversation=f"train:{number}") for number in range(3)]
CAPTIONS = [
    tiny_example(context=(), image_id=f"p{number}", references=("Dogs run.",))
    for number in range(4)
]


def vectors(image_id: str) -> torch.Tensor:
    return torch.full((TINY_I, TINY_F), float(image_id[1:]))


ENCODER = Encoder(
    tokenizer=tiny_tokenizer(),
    config=EncodeConfig(max_context=48, max_pinned=8, max_reply=24),
    controls=Controls(config=ControlsConfig(), polarities={}, seed=0),
    views=(vectors,),
    image_shape=(TINY_I, TINY_F),
)


def test_each_task_has_its_perplexity_and_captions_their_bleu() -> None:
    checkpoint = tiny_checkpoint(image_vectors=TINY_I, image_dim=TINY_F, gender="f0m0")
    talk, captions = evaluate(
        checkpoint, {"talk": TALK, "captions": CAPTIONS}, ENCODER, batch_size=2
    )
    assert (talk.task, talk.examples, talk.bleu4, talk.bleu4_controlled) == ("talk", 3, None, None)
    assert talk.perplexity == perplexity_of(checkpoint.model, TALK, ENCODER, batch_size=2)
    free = evaluate_captions(checkpoint, CAPTIONS, vectors)
    controlled = evaluate_captions(checkpoint, CAPTIONS, vectors, gender="f0m0")
    assert (captions.bleu4, captions.bleu4_controlled) == (free.bleu4, controlled.bleu4)
    assert free.captions != controlled.captions


def test_without_a_control_there_is_one_bleu() -> None:
    checkpoint = tiny_checkpoint(image_vectors=TINY_I, image_dim=TINY_F)
    assert checkpoint.config == replace(checkpoint.config, gender=None)
    (report,) = evaluate(checkpoint, {"captions": CAPTIONS}, ENCODER)
    assert report.bleu4 is not None
    assert report.bleu4_controlled is None
