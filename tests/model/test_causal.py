"""The decoder-only network: one pass, reading then predicting, and a search all agree."""

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from hypothesis import given as over
from hypothesis import settings
from hypothesis import strategies as st
from torch import Tensor

from openmmb.model.causal import CausalLM
from openmmb.model.causal_config import CausalConfig
from openmmb.model.loss import token_loss
from openmmb.search.config import SearchConfig
from openmmb.search.decode import search
from tests.model.causal import SHAPES, SMOL, Inputs, V, inputs, network

START, END = 1, 2


def close(found: Tensor, expected: Tensor, *, atol: float = 1e-5) -> None:
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=atol)


def whole(model: CausalLM, given: Inputs, blocks: Tensor | None = None) -> Tensor:
    hidden: Tensor = model(*given.read(), given.reply, START, blocks)
    return hidden


def weights() -> st.SearchStrategy[CausalConfig]:
    return st.builds(
        lambda groups, kv, head, layers, norm, bias, tied: replace(
            SMOL,
            num_heads=groups * kv,
            num_kv_heads=kv,
            head_dim=2 * head,
            num_layers=layers,
            qk_norm=norm,
            qkv_bias=bias,
            tied=tied,
        ),
        groups=st.integers(1, 3),
        kv=st.integers(1, 3),
        head=st.integers(1, 4),
        layers=st.integers(1, 3),
        norm=st.booleans(),
        bias=st.booleans(),
        tied=st.booleans(),
    )


@pytest.mark.parametrize("name", SHAPES)
def test_one_pass_is_reading_and_then_predicting(name: str) -> None:
    model, given = network(SHAPES[name]), inputs()
    with torch.no_grad():
        close(model.predict(given.reply, model.read(*given.read()), START), whole(model, given))


def plain_step(model: CausalLM, given: Inputs, beams: int) -> Callable[[Tensor, Tensor], Tensor]:
    """A step that keeps nothing but the words and runs the whole network over them anew."""
    rows = len(given.context)
    said = torch.zeros(rows, beams, 0, dtype=torch.int64)
    repeated = [part.repeat_interleave(beams, dim=0) for part in given.read()]

    def step(tokens: Tensor, parents: Tensor) -> Tensor:
        nonlocal said
        said = said.gather(1, parents[..., None].expand(-1, -1, said.shape[2]))
        if bool((tokens != START).any()) or said.shape[2]:
            said = torch.cat([said, tokens[..., None]], dim=2)
        reply = torch.nn.functional.pad(said.flatten(0, 1), (0, 1))
        hidden = model(*repeated, reply, START)[:, -1]
        return model.logits(hidden).view(rows, beams, -1)

    return step


@settings(max_examples=25, derandomize=True)
@over(weights(), st.integers(1, 4), st.integers(1, 4), st.integers(0, 5), st.integers(0, 1000))
def test_a_search_finds_what_a_plain_one_finds(
    config: CausalConfig, beams: int, rows: int, length: int, seed: int
) -> None:
    model, given = network(config, seed=seed), inputs(rows=rows, context=length, seed=seed)
    how = SearchConfig(
        method="greedy" if beams == 1 else "beam",
        beam_size=beams,
        min_length=2,
        max_length=11,
        block_ngram=0,
        block_context_ngram=0,
    )
    with torch.no_grad():
        memory = model.read(*given.read())
        steps = (
            model.stepper(memory, num_beams=beams, max_tokens=how.max_length),
            plain_step(model, given, beams),
        )
        found, expected = (
            search(step, given.context, how, start_id=START, end_id=END, banned_ids=[START])
            for step in steps
        )
    for ours, theirs in zip(found, expected, strict=True):
        assert [h.tokens for h in ours] == [h.tokens for h in theirs]
        close(torch.tensor([h.score for h in ours]), torch.tensor([h.score for h in theirs]))


def test_a_memory_serves_many_searches() -> None:
    model, given = network(), inputs()
    tokens, parents = torch.full((3, 2), START), torch.arange(2).expand(3, 2)
    with torch.no_grad():
        memory = model.read(*given.read())
        first, second = (
            model.stepper(memory, num_beams=2, max_tokens=3)(tokens, parents) for _ in range(2)
        )
        assert first.equal(second)


@pytest.mark.parametrize("name", SHAPES)
def test_a_row_is_the_same_in_any_company(name: str) -> None:
    model, given = network(SHAPES[name]), inputs(rows=4)
    with torch.no_grad():
        together = whole(model, given)
        for row, length in enumerate(given.context_mask.sum(1).tolist()):
            seen = given.has_image[row]
            alone = model(
                given.context[row : row + 1, :length],
                given.context_mask[row : row + 1, :length],
                given.image[row : row + 1] if seen else None,
                None,
                given.reply[row : row + 1],
                START,
            )
            close(together[row], alone[0])


def test_padding_holds_anything() -> None:
    model, given = network(), inputs()
    changed = replace(
        given,
        context=given.context.masked_fill(~given.context_mask, 7),
        image=given.image.masked_fill(~given.has_image[:, None, None], 5.0),
    )
    with torch.no_grad():
        assert whole(model, changed).equal(whole(model, given))


def test_every_row_has_a_picture_when_nothing_is_said() -> None:
    model, given = network(), inputs()
    with torch.no_grad():
        said = model.read(given.context, given.context_mask, given.image, torch.ones(3).bool())
        unsaid = model.read(given.context, given.context_mask, given.image)
        assert all(map(torch.equal, said.keys, unsaid.keys))


def test_without_a_picture_the_projector_gets_no_gradient() -> None:
    model, given = network(), inputs()
    for image in (None, given.image[:, :0]):
        model(given.context, given.context_mask, image, None, given.reply, START).sum().backward()
        assert model.image_segment.grad is None
        assert all(weight.grad is None for weight in model.image_projector.parameters())


def blocks_of(*lengths: int) -> Tensor:
    return torch.repeat_interleave(torch.arange(len(lengths)), torch.tensor(lengths))[None]


@pytest.mark.parametrize("name", SHAPES)
def test_replies_side_by_side_are_replies_in_rows_of_their_own(name: str) -> None:
    model, given = network(SHAPES[name]), inputs(rows=2, reply=9)
    lengths = (4, 2, 3)
    blocks = blocks_of(*lengths).expand(2, -1)
    with torch.no_grad():
        memory = model.read(*given.read())
        packed = model.predict(given.reply, memory, START, blocks)
        close(whole(model, given, blocks), packed)
        apart = [
            model.predict(part, memory, START)
            for part in torch.split(given.reply, [*lengths], dim=1)
        ]
        close(packed, torch.cat(apart, dim=1))


def test_blocks_may_differ_between_rows() -> None:
    model, given = network(), inputs(rows=2, reply=6)
    blocks = torch.cat([blocks_of(2, 4), blocks_of(3, 1, 2)])
    with torch.no_grad():
        packed = whole(model, given, blocks)
        for row, lengths in enumerate(((2, 4), (3, 1, 2))):
            one = [part[row : row + 1] for part in given.read()]
            parts = torch.split(given.reply[row : row + 1], [*lengths], dim=1)
            apart = torch.cat([model(*one, part, START) for part in parts], dim=1)
            close(packed[row], apart[0])


def test_gradients_of_replies_side_by_side_add_up() -> None:
    model, given = network(), inputs(rows=1, reply=7)
    whole(model, given, blocks_of(3, 4)).square().sum().backward()  # type: ignore[no-untyped-call]
    packed = {name: weight.grad for name, weight in model.named_parameters()}
    model.zero_grad()
    for part in torch.split(given.reply, [3, 4], dim=1):
        model(*given.read(), part, START).square().sum().backward()
    for name, weight in model.named_parameters():
        if weight.grad is not None:
            torch.testing.assert_close(packed[name], weight.grad, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", SHAPES)
def test_every_weight_learns(name: str) -> None:
    model, given = network(SHAPES[name]).train(), inputs()
    token_loss(model.logits(whole(model, given)).flatten(0, 1), given.reply.flatten()).backward()  # type: ignore[no-untyped-call]
    still = {
        name
        for name, weight in model.named_parameters()
        if weight.grad is None or not weight.grad.any()
    }
    assert still == set()


def test_recomputing_layers_changes_no_gradient() -> None:
    gradients = []
    for recompute in (False, True):
        model, given = network().train(), inputs()
        model.layers.recompute = recompute
        whole(model, given).square().sum().backward()  # type: ignore[no-untyped-call]
        gradients.append([weight.grad for weight in model.parameters()])
    for kept, again in zip(*gradients, strict=True):
        assert kept is not None
        assert again is not None
        close(kept, again)


def test_a_row_of_nothing_spoils_no_other() -> None:
    model, given = network().train(), inputs()
    mask = given.context_mask.clone()
    mask[1] = False
    hidden = model(given.context, mask, given.image, given.has_image, given.reply, START)
    assert hidden.isfinite().all()
    hidden[[0, 2]].sum().backward()
    assert all(w.grad is None or w.grad.isfinite().all() for w in model.parameters())


@pytest.mark.parametrize("name", SHAPES)
def test_half_the_precision_stays_close(name: str) -> None:
    model, given = network(SHAPES[name]), inputs()
    with torch.no_grad():
        full = model.logits(whole(model, given))
        half = network(SHAPES[name]).bfloat16()
        found = half.logits(whole(half, replace(given, image=given.image.bfloat16())))
        with torch.autocast("cpu", torch.bfloat16):
            cast = model.logits(whole(model, given))
    assert found.dtype == half.dtype == torch.bfloat16
    for other in (found, cast):
        assert (other.float() - full).abs().mean() < 0.1 * full.std()


def test_a_search_in_half_the_precision_runs() -> None:
    model, given = network().bfloat16(), inputs()
    with torch.no_grad():
        memory = model.read(
            given.context, given.context_mask, given.image.bfloat16(), given.has_image
        )
        step = model.stepper(memory, num_beams=2, max_tokens=2)
        logits = step(torch.full((3, 2), START), torch.arange(2).expand(3, 2))
    assert logits.dtype == torch.float32
    assert logits.isfinite().all()


def test_sizes_are_told() -> None:
    model = network()
    assert model.vocab_size == V
    assert model.dtype == torch.float32
    assert model.device == torch.device("cpu")
    assert model.num_parameters() == sum(w.numel() for w in model.state_dict().values())


def test_the_default_shape_has_as_many_weights_as_smollm2() -> None:
    with torch.device("meta"):
        model = CausalLM(CausalConfig())
    picture = 1280 * 576 + 576 + 576
    assert model.num_parameters() - picture == 134_515_008
