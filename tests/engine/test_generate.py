"""Examples become replies: best first, in words, never longer than the model allows."""

from dataclasses import replace

import pytest
import torch

from openmmb.engine.generate import Generated, generate
from openmmb.engine.open import Engine
from openmmb.search.config import SearchConfig
from openmmb.search.constraints import BANNED
from openmmb.text.normalize import tidy
from tests.build import TINY_F, TINY_I, plain_engine, tiny_checkpoint, tiny_example

BEAM = SearchConfig(beam_size=3, min_length=2, max_length=10)
SAMPLING = SearchConfig(method="nucleus", beam_size=1, min_length=2, max_length=10)
PICTURE = torch.arange(TINY_I * TINY_F).view(TINY_I, TINY_F) / 10
EXAMPLES = (
    tiny_example(context=("Have you been on a boat?",)),
    tiny_example(context=("I like bread.", "And cheese, I hope, and a long run?"), style="Curious"),
    tiny_example(context=()),
)


@pytest.fixture(scope="module")
def engine() -> Engine:
    """A model that ends some replies early; an untrained one hardly ever does."""
    made = tiny_checkpoint(encoder="tiny", image_vectors=TINY_I, image_dim=TINY_F)
    with torch.no_grad():
        made.model.embeddings.weight[made.tokenizer.end_id] *= 3
    return plain_engine(made)


def test_each_example_gets_replies_best_first(engine: Engine) -> None:
    found = generate(engine, EXAMPLES, [None] * 3, BEAM)
    assert len(found) == 3
    assert max(map(len, found)) > 1
    for replies in found:
        scores = [reply.score for reply in replies]
        assert scores == sorted(scores, reverse=True)
        assert all(2 <= reply.num_tokens <= 10 for reply in replies)
        assert all(reply.text == tidy(reply.text) for reply in replies)


def test_together_or_alone_an_example_gets_the_same_replies(engine: Engine) -> None:
    images = [None, PICTURE, PICTURE + 1]
    together = generate(engine, EXAMPLES, images, BEAM)
    for example, image, expected in zip(EXAMPLES, images, together, strict=True):
        [alone] = generate(engine, [example], [image], BEAM)
        assert [reply.text for reply in alone] == [reply.text for reply in expected]
        assert [reply.score for reply in alone] == pytest.approx(
            [reply.score for reply in expected], abs=1e-5
        )


def test_the_examples_own_reply_is_not_looked_at(engine: Engine) -> None:
    example = EXAMPLES[0]
    other = replace(example, reply="Something else.", references=("And this.",))
    assert generate(engine, [example], [None], BEAM) == generate(engine, [other], [None], BEAM)


def test_a_picture_counts(engine: Engine) -> None:
    def score(image: torch.Tensor | None) -> float:
        return generate(engine, EXAMPLES[:1], [image], BEAM)[0][0].score

    assert score(PICTURE) == score(PICTURE.clone())
    assert score(PICTURE) != score(PICTURE + 1) != score(None)


def test_a_picture_of_another_shape_is_an_error(engine: Engine) -> None:
    with pytest.raises(ValueError, match=r"image is \(4, 9\), expected \(4, 8\)"):
        generate(engine, EXAMPLES[:1], [torch.zeros(TINY_I, TINY_F + 1)], BEAM)


def test_no_reply_is_longer_than_the_model_has_positions(engine: Engine) -> None:
    positions = engine.config.model.num_positions
    config = SearchConfig(beam_size=2, min_length=3 * positions, max_length=4 * positions)
    [replies] = generate(engine, EXAMPLES[:1], [None], config)
    assert max(reply.num_tokens for reply in replies) >= positions - 1
    assert max(reply.num_tokens for reply in replies) <= positions


def test_no_reply_holds_a_control_token(engine: Engine) -> None:
    config = replace(SAMPLING, top_p=1.0, temperature=100.0, beam_size=20, min_length=8)
    drawn = [
        reply
        for seed in range(5)
        for reply in generate(engine, EXAMPLES[:1], [None], config, generators=[seeded(seed)])[0]
    ]
    assert not any("__" in reply.text or "f0m0" in reply.text for reply in drawn)


def test_further_rules_are_kept(engine: Engine) -> None:
    (first,) = engine.tokenizer.encode("b")[-1:]

    def begin(tokens: torch.Tensor, logits: torch.Tensor) -> None:
        if tokens.shape[-1] == 1:
            others = torch.arange(logits.shape[-1]) != first
            logits[..., others] = BANNED

    found = generate(engine, EXAMPLES, [None] * 3, BEAM, rules=[begin])
    assert all(reply.text.startswith("b") for replies in found for reply in replies)


def test_the_generator_decides_what_is_drawn(engine: Engine) -> None:
    def drawn(seed: int) -> list[list[Generated]]:
        generators = [seeded(seed + row) for row in range(3)]
        return generate(engine, EXAMPLES, [None] * 3, SAMPLING, generators=generators)

    assert drawn(1) == drawn(1)
    assert drawn(1) != drawn(2)


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_what_was_cut_off_can_be_blocked_too(engine: Engine) -> None:
    config = SearchConfig(method="greedy", min_length=0, max_length=6, block_context_ngram=1)
    rest = ("Two dogs run along the beach.",) * 9  # more than the model reads
    [[plain]] = generate(engine, [tiny_example(context=rest)], [None], config)
    said = {character for character in plain.text if character.isascii()} - {" "}
    assert said
    example = tiny_example(context=(" ".join(said), *rest))
    [[read]] = generate(engine, [example], [None], config)
    assert read == plain
    whole_context = replace(config, block_full_context=True)
    [[whole]] = generate(engine, [example], [None], whole_context)
    assert not said & set(whole.text)
