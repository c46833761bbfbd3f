"""What a search found comes in the order of what its context adds, with the model's own numbers."""

from dataclasses import replace

import pytest
import torch

from openmmb.checkpoint import Checkpoint
from openmmb.data.batch import pad
from openmmb.data.encode import encode_prompt
from openmmb.data.example import Example
from openmmb.engine.generate import generate
from openmmb.engine.open import Engine
from openmmb.engine.rerank import rerank
from openmmb.model.causal import CausalLM
from openmmb.search.config import SearchConfig
from openmmb.search.hypothesis import Hypothesis, length_divisor
from tests.build import (
    TINY_F,
    TINY_I,
    plain_engine,
    tiny_chat_tokenizer,
    tiny_checkpoint,
    tiny_example,
)
from tests.model.causal import SMOL

SEARCH = SearchConfig(beam_size=4, min_length=2, max_length=10, prior_weight=0.4)
PICTURE = torch.arange(TINY_I * TINY_F).view(TINY_I, TINY_F) / 10
EXAMPLES = (
    tiny_example(context=("Have you been on a boat?",), persona=("I like bread.",)),
    replace(tiny_example(context=("And cheese, I hope?",), style="Curious"), gender="f0m0"),
    replace(tiny_example(context=()), gender="f1m0"),
)


@pytest.fixture(scope="module", params=["seq2seq", "causal"])
def engine(request: pytest.FixtureRequest) -> Engine:
    made = tiny_checkpoint(encoder="tiny", image_vectors=TINY_I, image_dim=TINY_F)
    if request.param == "causal":
        made = _causal(made)
    with torch.no_grad():
        made.model.embeddings.weight[made.tokenizer.end_id] *= 3
    return plain_engine(made)


def _causal(made: Checkpoint) -> Checkpoint:
    tokenizer = tiny_chat_tokenizer()
    shape = replace(SMOL, vocab_size=tokenizer.vocab_size, image_vectors=TINY_I, image_dim=TINY_F)
    config = replace(made.config, model=shape, encode=replace(made.config.encode, layout="turns"))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = CausalLM(shape).eval()
        model.initialise()
    return Checkpoint(config=config, model=model, tokenizer=tokenizer)


def bare(example: Example) -> Example:
    return replace(example, context=(), persona=())


def prior(engine: Engine, example: Example, tokens: tuple[int, ...]) -> float:
    """The plain twin: what a search would add up, token by token, had it chosen these."""
    tokenizer = engine.tokenizer
    prompt = encode_prompt(bare(example), tokenizer, engine.config.encode)
    context, mask = pad([prompt.context], tokenizer.pad_id)
    step = engine.stepper(engine.read(context, mask), num_beams=1, max_tokens=len(tokens) + 1)
    total, before = 0.0, prompt.start_id
    for token in (*tokens, tokenizer.end_id):
        logits = step(torch.tensor([[before]]), torch.tensor([[0]]))[0, 0].clone()
        logits[tokenizer.unsaid_ids()] = -torch.inf
        total += logits.log_softmax(-1)[token].item()
        before = token
    return total


@torch.inference_mode()
def test_what_is_taken_off_is_a_share_of_the_prior(engine: Engine) -> None:
    hypotheses = [Hypothesis((60, 61, 62, 63), -1.0), Hypothesis((64, 60), -2.0)]
    ranked = rerank(engine, EXAMPLES, [hypotheses] * 3, SEARCH)
    for example, listed in zip(EXAMPLES, ranked, strict=True):
        got = {one.tokens: one.score for one in listed}
        expected = {
            one.tokens: one.score
            - SEARCH.prior_weight
            * prior(engine, example, one.tokens)
            / float(length_divisor(len(one.tokens) + 2, SEARCH.length_penalty))
            for one in hypotheses
        }
        assert got == pytest.approx(expected, abs=1e-4)


def test_together_or_alone_the_order_is_the_same(engine: Engine) -> None:
    images = [None, PICTURE, PICTURE + 1]
    together = generate(engine, EXAMPLES, images, SEARCH)
    for example, image, expected in zip(EXAMPLES, images, together, strict=True):
        [alone] = generate(engine, [example], [image], SEARCH)
        assert [one.text for one in alone] == [one.text for one in expected]
        assert [one.score for one in alone] == sorted((o.score for o in alone), reverse=True)
        assert 0 < len(alone) <= SEARCH.num_beams


@torch.inference_mode()
def test_what_fits_anywhere_falls_behind(engine: Engine) -> None:
    """Of replies that a search scored the same, the one that is least likely anywhere wins."""
    hypotheses = [Hypothesis((token,) * 3, -1.0) for token in (60, 61, 62, 63)]
    [ranked] = rerank(engine, EXAMPLES[:1], [hypotheses], SEARCH)
    priors = {one.tokens: prior(engine, EXAMPLES[0], one.tokens) for one in hypotheses}
    assert [one.tokens for one in ranked] == sorted(priors, key=lambda tokens: priors[tokens])


def test_a_length_counts_start_and_end() -> None:
    assert float(length_divisor(5, 0.5)) == pytest.approx(1.0)
    assert float(length_divisor(11, 1.0)) == pytest.approx(2.0)
