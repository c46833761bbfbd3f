"""A reply written token by token, by any beams, has the logits of the reply read as a whole."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from openmmb.model import cache
from openmmb.model.config import Variant
from openmmb.model.seq2seq import Seq2Seq, States
from tests.build import TINY_F, TINY_I, tiny_config, tiny_model

START = 1
VARIANTS: tuple[Variant, ...] = ("prelayernorm", "xlm", "aiayn", "bart")


def read(model: Seq2Seq, num_inputs: int) -> States:
    """Contexts of 5, 4, ... tokens, every second one with a picture."""
    source = torch.Generator().manual_seed(3)
    context = torch.randint(4, 300, (num_inputs, 5), generator=source)
    mask = torch.arange(5) < 5 - torch.arange(num_inputs)[:, None]
    image = torch.randn(num_inputs, TINY_I, TINY_F, generator=source)
    return model.read(context, mask, image, torch.arange(num_inputs) % 2 == 0)


def draw(
    num_inputs: int, beams: int, steps: int, *, seed: int, narrow: bool
) -> tuple[Tensor, Tensor]:
    """Tokens (steps, B, K) and parents (steps, B, K); narrow: few beams have children."""
    source = torch.Generator().manual_seed(seed)
    shape = (steps, num_inputs, beams)
    parents = torch.randint(0, max(1, beams // 2) if narrow else beams, shape, generator=source)
    return torch.randint(4, 300, shape, generator=source), parents


def by_steps(model: Seq2Seq, tokens: Tensor, parents: Tensor) -> Tensor:
    """(steps, B, K, V): logits after each token."""
    steps, num_inputs, beams = tokens.shape
    step = model.stepper(read(model, num_inputs), num_beams=beams, max_tokens=steps)
    return torch.stack([step(*pair) for pair in zip(tokens, parents, strict=True)])


def by_reading(model: Seq2Seq, tokens: Tensor, parents: Tensor) -> Tensor:
    """The plain twin: read each beam's whole reply again at every step."""
    steps, num_inputs, beams = tokens.shape
    memory = read(model, num_inputs)
    found = torch.empty(steps, num_inputs, beams, model.config.vocab_size)
    for row in range(num_inputs):
        said = torch.empty(beams, 0, dtype=torch.int64)
        for place in range(steps):
            said = torch.cat([said[parents[place, row]], tokens[place, row, :, None]], dim=1)
            for beam, (first, *rest) in enumerate(said.tolist()):
                reply = torch.tensor([[*rest, 0]])  # what stands last is never read
                one = States(memory.states[row, None], memory.mask[row, None])
                hidden = model.predict(reply, one, first)
                found[place, row, beam] = model.logits(hidden[0, -1])
    return found


@pytest.mark.parametrize("variant", VARIANTS)
@settings(max_examples=15)
@given(
    num_inputs=st.integers(1, 3),
    beams=st.integers(1, 4),
    steps=st.integers(1, 9),
    seed=st.integers(0, 999),
    narrow=st.booleans(),
)
@torch.no_grad()
def test_steps_equal_reading_the_whole_reply(
    variant: Variant, num_inputs: int, beams: int, steps: int, seed: int, narrow: bool
) -> None:
    model = tiny_model(tiny_config(variant=variant))
    tokens, parents = draw(num_inputs, beams, steps, seed=seed, narrow=narrow)
    found, wanted = by_steps(model, tokens, parents), by_reading(model, tokens, parents)
    torch.testing.assert_close(found, wanted, atol=1e-5, rtol=1e-5)


@torch.no_grad()
def test_closing_up_slots_changes_no_logits(monkeypatch: pytest.MonkeyPatch) -> None:
    model = tiny_model()
    tokens, parents = draw(3, 5, 40, seed=0, narrow=True)
    found = by_steps(model, tokens, parents)
    monkeypatch.setattr(cache, "COMPACT_EVERY", 10**6)
    torch.testing.assert_close(by_steps(model, tokens, parents), found, atol=1e-5, rtol=1e-5)


@torch.no_grad()
def test_slots_of_forgotten_beams_are_closed_up() -> None:
    model = tiny_model()
    tokens, parents = draw(3, 5, 40, seed=0, narrow=True)
    states = read(model, 3)
    memory = model.decoder.start(states.states, states.mask, num_beams=5, max_tokens=40)
    for words, follow in zip(model.embeddings(tokens), parents, strict=True):
        model.decoder.step(words, follow, memory)
    assert memory.steps == 40
    assert memory.used < 40 * 5 / 2
    assert (memory.mask.sum(-1) == 40).all()


@torch.no_grad()
def test_a_search_ends_where_it_was_told_to() -> None:
    step = tiny_model().stepper(read(tiny_model(), 1), num_beams=1, max_tokens=2)
    token = torch.full((1, 1), START)
    for _ in range(2):
        step(token, torch.zeros_like(token))
    with pytest.raises(ValueError, match="step 3 of a search begun for fewer"):
        step(token, torch.zeros_like(token))


@torch.no_grad()
def test_a_reply_longer_than_the_positions_is_refused() -> None:
    model = tiny_model(tiny_config(num_positions=8))
    step = model.stepper(read(model, 1), num_beams=1, max_tokens=9)
    token = torch.full((1, 1), START)
    for _ in range(8):
        step(token, torch.zeros_like(token))
    with pytest.raises(ValueError, match="9 tokens, but the network has 8 positions"):
        step(token, torch.zeros_like(token))


@pytest.mark.parametrize("variant", VARIANTS)
@torch.no_grad()
def test_no_place_sees_its_own_token_or_a_later_one(variant: Variant) -> None:
    model = tiny_model(tiny_config(variant=variant))
    memory = read(model, 1)
    reply = torch.arange(10, 16)[None]
    hidden = model.predict(reply, memory, START)
    for place in range(6):
        changed = reply.clone()
        changed[:, place:] = 99
        again = model.predict(changed, memory, START)
        torch.testing.assert_close(again[:, : place + 1], hidden[:, : place + 1])


def test_inference_and_training_attention_agree() -> None:
    """With gradients a CPU attends by another way than without."""
    model = tiny_model()
    reply = torch.arange(10, 16)[None]
    trained = model.predict(reply, read(model, 1), START)
    with torch.no_grad():
        used = model.predict(reply, read(model, 1), START)
    torch.testing.assert_close(trained.detach(), used, atol=1e-5, rtol=1e-5)
