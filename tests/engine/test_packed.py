"""A packed engine computes what the network computes, and never holds a weight twice."""

import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from openmmb.checkpoint import Checkpoint, SavedCheckpoint, open_checkpoint, save_checkpoint
from openmmb.engine.open import Engine, open_engine
from openmmb.engine.packed import PackedLinear, can_pack, open_packed
from openmmb.engine.panels import PanelLinear
from openmmb.engine.plain import NetworkEngine
from openmmb.model.linear import Activation
from openmmb.search.config import SearchConfig
from openmmb.search.decode import search
from openmmb.tensors import Weight
from tests.build import TINY_F, TINY_I, plain_engine, tiny_checkpoint

CPU = torch.device("cpu")

pytestmark = pytest.mark.skipif(
    not torch._C._has_mkldnn, reason="this build of PyTorch has no such kernels"
)


@pytest.fixture(params=["with panels", "without"])
def panels(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    """Either kind of processor."""
    wanted: bool = request.param == "with panels"
    use_layout(monkeypatch, "panels" if wanted else "packed")
    return wanted


def use_layout(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setattr("openmmb.engine.packed.quickest", lambda _, layouts: layouts[name])


def tiny() -> Checkpoint:
    return tiny_checkpoint(image_vectors=TINY_I, image_dim=TINY_F)


def packed_linear(layer: nn.Linear, activation: Activation = "none") -> PackedLinear:
    bias = layer.bias is not None
    packed = PackedLinear(layer.in_features, layer.out_features, bias=bias, activation=activation)
    packed.fill(layer.weight, layer.bias)
    return packed


def modules(engine: NetworkEngine) -> dict[str, nn.Module]:
    return dict(engine._network.named_modules())


@pytest.mark.parametrize("rows", [(10,), (1,), (0,), (2, 10), (3, 40)])
@pytest.mark.parametrize("bias", [True, False])
def test_a_packed_layer_is_the_layer(rows: tuple[int, ...], *, bias: bool) -> None:
    torch.manual_seed(0)
    layer = nn.Linear(48, 80, bias=bias)
    x = torch.randn(*rows, 48)
    with torch.inference_mode():
        packed = packed_linear(layer)(x)
        assert packed.shape == layer(x).shape
        torch.testing.assert_close(packed, layer(x), rtol=0, atol=1e-5)


@pytest.mark.parametrize("activation", ["gelu", "relu"])
def test_a_packed_activation_is_the_activation(activation: Activation) -> None:
    torch.manual_seed(0)
    layer = nn.Linear(48, 80)
    x = 3 * torch.randn(10, 48)
    with torch.inference_mode():
        plain = getattr(torch.nn.functional, activation)(layer(x))
        torch.testing.assert_close(packed_linear(layer, activation)(x), plain, rtol=0, atol=1e-5)


def test_every_linear_layer_and_the_output_is_packed(*, panels: bool) -> None:
    engine = open_packed(tiny(), CPU)
    assert not any(isinstance(module, nn.Linear) for module in modules(engine).values())
    assert isinstance(engine._head, PanelLinear if panels else PackedLinear)


def test_panels_are_for_the_layers_of_a_step(*, panels: bool) -> None:
    engine, checkpoint = open_packed(tiny(), CPU), tiny()
    named = {name for name, m in modules(engine).items() if isinstance(m, PanelLinear)}
    step = {"attention.qkv", "attention.out", "cross.q", "cross.out", "ffn.widen", "ffn.narrow"}
    count = checkpoint.config.seq2seq.num_decoder_layers
    expected = {f"decoder.layers.{at}.{name}" for at in range(count) for name in step}
    assert named == (expected if panels else set())


@pytest.mark.usefixtures("panels")
def test_a_packed_engine_gives_the_same_logits_and_replies() -> None:
    checkpoint = tiny()
    shape = checkpoint.config.model
    torch.manual_seed(1)
    context = torch.randint(4, shape.vocab_size, (2, 9))
    mask = torch.ones_like(context, dtype=torch.bool)
    mask[1, 6:] = False
    image = torch.randn(2, shape.image_vectors, shape.image_dim)
    reply = torch.randint(4, shape.vocab_size, (2, 5))
    settings = SearchConfig(beam_size=3, min_length=3, max_length=8)
    found: list[tuple[Tensor, list[list[tuple[int, ...]]]]] = []
    engines: tuple[Engine, ...] = (plain_engine(checkpoint), open_packed(checkpoint, CPU))
    with torch.inference_mode():
        for engine in engines:
            memory = engine.read(context, mask, image)
            logits = engine.logits(engine.predict(reply, memory, 1))
            whole = engine.logits(engine(context, mask, image, None, reply, 1))
            torch.testing.assert_close(logits, whole)
            step = engine.stepper(memory, num_beams=3, max_tokens=8)
            hypotheses = search(step, context, settings, start_id=1, end_id=2)
            found.append((logits, [[h.tokens for h in row] for row in hypotheses]))
    (logits, replies), (packed_logits, packed_replies) = found
    torch.testing.assert_close(logits, packed_logits, rtol=0, atol=1e-5)
    assert replies == packed_replies


@pytest.mark.usefixtures("panels")
@pytest.mark.parametrize("precision", ["fp16", "fp32"])
def test_a_weight_is_let_go_of_before_the_next_is_read(
    precision: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All but the vectors, norms and positions, which the engine keeps as they are."""
    save_checkpoint(tiny(), tmp_path / "tiny", precision=precision)
    alive: list[weakref.ref[Tensor]] = []
    most = [0]
    weights = SavedCheckpoint.weights

    @contextmanager
    def watched(self: SavedCheckpoint) -> Iterator[dict[str, Weight]]:
        def watch(weight: Weight, *, linear: bool) -> Weight:
            def read() -> Tensor:
                tensor = weight.read().clone()
                if linear:
                    alive.append(weakref.ref(tensor))
                    most[0] = max(most[0], sum(one() is not None for one in alive))
                return tensor

            return replace(weight, read=read)

        with weights(self) as given:
            yield {
                name: watch(one, linear=len(one.shape) == 2 and "layers" in name)
                for name, one in given.items()
            }

    monkeypatch.setattr(SavedCheckpoint, "weights", watched)
    engine = open_engine(open_checkpoint(tmp_path / "tiny"), device="cpu", kind="fp32")
    assert len(alive) == sum(
        "layers" in n and w.ndim == 2 for n, w in tiny().model.state_dict().items()
    )
    assert most[0] <= 2
    assert engine.vocab_size == tiny().config.model.vocab_size
    assert not any(one() is not None for one in alive)


def test_steps_use_the_same_memory_and_two_searches_do_not(monkeypatch: pytest.MonkeyPatch) -> None:
    use_layout(monkeypatch, "panels")
    engine = open_packed(tiny(), CPU)
    context = torch.randint(4, engine.vocab_size, (2, 9))
    tokens, parents = torch.ones(2, 3, dtype=torch.int64), torch.arange(3).expand(2, 3)
    with torch.inference_mode():
        memory = engine.read(context, torch.ones_like(context, dtype=torch.bool))
        one, other = (engine.stepper(memory, num_beams=3, max_tokens=3) for _ in range(2))
        first = one(tokens, parents)
        kept = first.clone()
        assert other(tokens, parents).data_ptr() != first.data_ptr()
        assert first.equal(kept)
        assert one(tokens, parents).data_ptr() == first.data_ptr()


def test_where_nothing_can_be_packed_the_engine_is_plain() -> None:
    meta = torch.device("meta")
    assert can_pack(CPU)
    assert not can_pack(meta)
    engine = open_packed(tiny(), meta)
    assert any(isinstance(module, nn.Linear) for module in modules(engine).values())
