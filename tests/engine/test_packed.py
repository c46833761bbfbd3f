"""A packed network computes what it computed before, and only for inference."""

import copy
import gc
import weakref
from typing import Any, Literal

import pytest
import torch

from openmmb.engine.packed import PackedLinear, can_pack, pack
from openmmb.engine.panels import PanelLinear
from openmmb.model.config import ModelConfig
from openmmb.model.seq2seq import Seq2Seq
from openmmb.search.config import SearchConfig
from openmmb.search.decode import search
from tests.build import tiny_model

pytestmark = pytest.mark.skipif(
    not torch._C._has_mkldnn, reason="this build of PyTorch has no such kernels"
)


@pytest.fixture(params=["with panels", "without"])
def panels(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    """Either kind of processor."""
    wanted: bool = request.param == "with panels"
    monkeypatch.setattr("openmmb.engine.packed.panels_are_quickest", lambda: wanted)
    return wanted


def both() -> tuple[Seq2Seq, Seq2Seq]:
    plain = tiny_model().eval()
    packed = copy.deepcopy(plain)
    pack(packed)
    return plain, packed


@pytest.mark.parametrize("rows", [(10,), (1,), (0,), (2, 10), (3, 40)])
@pytest.mark.parametrize("bias", [True, False])
def test_a_packed_layer_is_the_layer(rows: tuple[int, ...], *, bias: bool) -> None:
    torch.manual_seed(0)
    layer = torch.nn.Linear(48, 80, bias=bias)
    x = torch.randn(*rows, 48)
    with torch.inference_mode():
        packed = PackedLinear(layer.weight, layer.bias)(x)
        assert packed.shape == layer(x).shape
        torch.testing.assert_close(packed, layer(x), rtol=0, atol=1e-5)


@pytest.mark.parametrize("activation", ["gelu", "relu"])
def test_a_packed_activation_is_the_activation(activation: Literal["gelu", "relu"]) -> None:
    torch.manual_seed(0)
    layer = torch.nn.Linear(48, 80)
    x = 3 * torch.randn(10, 48)
    with torch.inference_mode():
        packed = PackedLinear(layer.weight, layer.bias, activation)(x)
        plain = getattr(torch.nn.functional, activation)(layer(x))
        torch.testing.assert_close(packed, plain, rtol=0, atol=1e-5)


def test_every_linear_layer_and_the_output_is_packed(*, panels: bool) -> None:
    _, packed = both()
    kinds = [type(module) for module in packed.modules()]
    assert torch.nn.Linear not in kinds
    assert (PanelLinear in kinds) == panels


def test_panels_are_for_the_layers_of_a_step(*, panels: bool) -> None:
    _, packed = both()
    named = {name for name, module in packed.named_modules() if isinstance(module, PanelLinear)}
    step = {"attention.qkv", "attention.out", "cross.q", "cross.out", "ffn.widen", "ffn.narrow"}
    count = packed.config.num_decoder_layers
    expected = {f"decoder.layers.{at}.{name}" for at in range(count) for name in step}
    assert named == (expected if panels else set())


@pytest.mark.usefixtures("panels")
def test_a_packed_network_gives_the_same_states_logits_and_replies() -> None:
    plain, packed = both()
    config: ModelConfig = plain.config
    torch.manual_seed(1)
    context = torch.randint(4, config.vocab_size, (2, 9))
    mask = torch.ones_like(context, dtype=torch.bool)
    mask[1, 6:] = False
    image = torch.randn(2, config.image_vectors, config.image_dim)
    reply = torch.randint(4, config.vocab_size, (2, 5))
    settings = SearchConfig(beam_size=3, min_length=3, max_length=8)
    found = []
    with torch.inference_mode():
        for model in (plain, packed):
            memory = model.read(context, mask, image)
            logits = model.logits(model.predict(reply, memory, 1))
            step = model.stepper(memory, num_beams=3, max_tokens=8)
            replies = search(step, context, settings, start_id=1, end_id=2)
            found.append((memory.states, logits, [[h.tokens for h in row] for row in replies]))
    (states, logits, said), (states_2, logits_2, said_2) = found
    torch.testing.assert_close(states, states_2, rtol=0, atol=1e-5)
    torch.testing.assert_close(logits, logits_2, rtol=0, atol=1e-5)
    assert said == said_2


@pytest.mark.usefixtures("panels")
def test_the_plain_weights_are_given_back() -> None:
    _, packed = both()
    gc.collect()
    shapes = {tuple(weight.shape) for weight in packed.parameters()}
    ffn = (packed.config.ffn_dim, packed.config.embed_dim)
    assert ffn not in shapes


def test_a_plain_weight_is_given_back_before_the_next_is_packed(
    monkeypatch: pytest.MonkeyPatch, *, panels: bool
) -> None:
    model = tiny_model().eval()
    plain = [weakref.ref(m.weight) for m in model.modules() if isinstance(m, torch.nn.Linear)]
    left: list[int] = []

    def noted(kind: type[torch.nn.Module]) -> None:
        start = kind.__init__

        def init(*args: Any, **kwargs: Any) -> None:
            left.append(sum(weight() is not None for weight in plain))
            start(*args, **kwargs)

        monkeypatch.setattr(kind, "__init__", init)

    noted(PackedLinear)
    noted(PanelLinear)
    pack(model)
    # Loop variables still hold one or two.
    assert all(count <= len(plain) - at + 2 for at, count in enumerate(left)), left
    assert panels or len(left) == len(plain)


def test_panels_are_float32(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("openmmb.engine.packed.panels_are_quickest", lambda: True)
    model = tiny_model().to(torch.bfloat16)
    pack(model)
    assert not any(isinstance(module, PanelLinear) for module in model.modules())


def test_what_cannot_be_packed_stays_as_it_is() -> None:
    half = tiny_model().to(torch.float64)
    assert not can_pack(half)
    pack(half)
    assert any(isinstance(module, torch.nn.Linear) for module in half.modules())
