"""A checkpoint becomes an engine of the kind asked for, which nothing can train or save."""

import copy
import pickle
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import get_args

import pytest
import torch
from torch import nn

from openmmb.checkpoint import Checkpoint, SavedCheckpoint, open_checkpoint, save_checkpoint
from openmmb.cli.flags import EngineKind
from openmmb.data.encode import EncodeConfig
from openmmb.engine.open import ENGINES, EXACT, KINDS, NEEDS, Engine, Opener, open_engine, own_kind
from openmmb.errors import CheckpointError, ConfigError
from openmmb.model.causal_config import CausalConfig
from tests.build import plain_engine, run_script, tiny_checkpoint, tiny_tokenizer
from tests.model.causal import SMOL, network

CPU = torch.device("cpu")
HERE = [kind for kind in ENGINES if kind not in NEEDS or NEEDS[kind](CPU)]
"""Kinds that can be had on the processor at hand."""
NEAR = {"plain": 1e-5, "fp32": 1e-5, "bf16": 0.03, "int8": 0.06}
"""Kind -> how far hidden states of size 1 and logits may be off."""


@pytest.mark.parametrize("kind", ["auto", *HERE])
@torch.no_grad()
def test_every_kind_answers_from_a_folder_as_from_memory(kind: str, tmp_path: Path) -> None:
    made = tiny_checkpoint()
    save_checkpoint(made, tmp_path / "tiny", precision="fp32")
    context = torch.tensor([[5, 6, 7]])
    expected = plain_engine(made)(context, context > 0, None, None, context, 1)
    for checkpoint in (made, open_checkpoint(tmp_path / "tiny")):
        engine = open_engine(checkpoint, device="cpu", kind=kind)
        found = engine(context, context > 0, None, None, context, 1)
        torch.testing.assert_close(found, expected, rtol=0, atol=NEAR.get(kind, 1e-5))
        assert (engine.config, engine.vocab_size) == (made.config, made.model.vocab_size)
        assert (engine.device, engine.dtype) == (torch.device("cpu"), torch.float32)
        assert engine.tokenizer.encode("A boat") == made.tokenizer.encode("A boat")


@pytest.mark.parametrize("shape", [SMOL, replace(SMOL, tied=False, qkv_bias=True)])
@torch.no_grad()
def test_a_decoder_only_network_becomes_any_engine_too(shape: CausalConfig) -> None:
    config = replace(
        tiny_checkpoint().config,
        model=shape,
        encode=EncodeConfig(max_context=8, max_pinned=4, max_reply=8),
    )
    made = Checkpoint(config=config, model=network(shape), tokenizer=tiny_tokenizer())
    context, beams = torch.tensor([[5, 6, 7]]), torch.tensor([[1, 2]])
    found = []
    for kind in HERE:
        engine = open_engine(made, device="cpu", kind=kind)
        memory = engine.read(context, context > 0)
        step = engine.stepper(memory, num_beams=2, max_tokens=2)
        logits = [step(beams, torch.tensor([parents])).clone() for parents in ([0, 1], [1, 1])]
        whole = engine.logits(engine(context, context > 0, None, None, context, 1))
        found.append(torch.cat([*logits, whole], dim=1))
    size = found[0].abs().max().item()
    for kind, other in zip(HERE, found, strict=True):
        torch.testing.assert_close(other, found[0], rtol=0, atol=NEAR[kind] * max(size, 10))


@pytest.mark.parametrize("kind", HERE)
def test_an_engine_can_neither_learn_nor_be_saved(kind: str) -> None:
    engine = open_engine(tiny_checkpoint(), device="cpu", kind=kind)
    assert not isinstance(engine, nn.Module)
    for name in ("state_dict", "parameters", "train", "load_state_dict"):
        assert not hasattr(engine, name)


@pytest.mark.parametrize("kind", HERE)
@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy, pickle.dumps])
def test_an_engine_says_that_it_can_be_neither_copied_nor_pickled(
    kind: str, copied: Callable[[object], object]
) -> None:
    engine = open_engine(tiny_checkpoint(), device="cpu", kind=kind)
    with pytest.raises(TypeError, match=r"neither copied nor pickled; open its checkpoint again"):
        copied(engine)


@pytest.mark.parametrize("kind", HERE)
def test_an_engine_drops_nothing_out_and_keeps_nothing_for_a_gradient(kind: str) -> None:
    made = tiny_checkpoint()
    shape = replace(made.config.seq2seq, dropout=0.5)
    engine = open_engine(
        replace(made, config=replace(made.config, model=shape)), device="cpu", kind=kind
    )
    expected = open_engine(made, device="cpu", kind=kind)
    context = torch.tensor([[5, 6, 7]])
    found = [one(context, context > 0, None, None, context, 1) for one in (engine, expected)]
    assert found[0].equal(found[1])
    assert not found[0].requires_grad


def test_what_is_stored_in_half_precision_is_computed_in_whole(tmp_path: Path) -> None:
    save_checkpoint(tiny_checkpoint(), tmp_path / "tiny", precision="fp16")
    for kind in HERE:
        engine = open_engine(open_checkpoint(tmp_path / "tiny"), device="cpu", kind=kind)
        assert engine.dtype == torch.float32


def test_opening_an_engine_draws_no_weights_and_imports_no_compiler(tmp_path: Path) -> None:
    """Drawing on the ``meta`` device alone imports both modules, for more than a second."""
    save_checkpoint(tiny_checkpoint(), tmp_path / "tiny", precision="fp32")
    script = tmp_path / "script.py"
    script.write_text(
        "import sys, torch\n"
        "from pathlib import Path\n"
        "from openmmb.checkpoint import open_checkpoint\n"
        "from openmmb.engine.open import open_engine\n"
        "before = torch.get_rng_state()\n"
        "open_engine(open_checkpoint(Path(sys.argv[1])), device='cpu')\n"
        "assert before.equal(torch.get_rng_state())\n"
        "assert not {'sympy', 'torch._dynamo'} & sys.modules.keys()\n"
    )
    run_script(script, str(tmp_path / "tiny"))


def test_the_exact_kind_can_always_be_had() -> None:
    assert EXACT in ENGINES
    assert EXACT not in NEEDS
    assert NEEDS.keys() < ENGINES.keys()


def test_the_command_line_knows_every_kind() -> None:
    assert set(get_args(EngineKind)) == set(KINDS)


def test_an_unknown_kind_or_device_is_named() -> None:
    with pytest.raises(ConfigError, match="engine: no engine 'fp31'; did you mean 'fp32'"):
        open_engine(tiny_checkpoint(), device="cpu", kind="fp31")
    made = tiny_checkpoint()
    foreign = replace(made, config=replace(made.config, engine="int7"))
    with pytest.raises(ConfigError, match="tiny: engine: no engine 'int7'; did you mean 'int8'"):
        open_engine(foreign, device="cpu")
    with pytest.raises(ConfigError, match="device: no device 'toaster'"):
        open_engine(tiny_checkpoint(), device="toaster")


def test_weights_that_are_not_the_settings_own_are_refused(tmp_path: Path) -> None:
    save_checkpoint(tiny_checkpoint(), tmp_path / "tiny", precision="fp32")
    path = tmp_path / "tiny" / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-100])
    checkpoint = open_checkpoint(tmp_path / "tiny")
    with pytest.raises(CheckpointError, match=r"model\.safetensors: not safetensors"):
        open_engine(checkpoint, device="cpu")


@pytest.mark.parametrize("kind", sorted(NEEDS))
def test_auto_is_the_checkpoints_own_kind_where_it_can_be_had(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = tiny_checkpoint()
    own = replace(made, config=replace(made.config, engine=kind))
    opened: list[str] = []
    for name, opener in ENGINES.items():

        def watched(
            checkpoint: Checkpoint | SavedCheckpoint,
            device: torch.device,
            *,
            name: str = name,
            opener: Opener = opener,
        ) -> Engine:
            opened.append(name)
            return opener(checkpoint, device)

        monkeypatch.setitem(ENGINES, name, watched)
    open_engine(own, device="cpu")
    open_engine(own, device="cpu", kind="plain")
    open_engine(made, device="cpu")
    monkeypatch.setitem(NEEDS, kind, lambda _: False)
    open_engine(own, device="cpu")
    assert opened == [kind if kind in HERE else "fp32", "plain", "fp32", "fp32"]


@pytest.mark.parametrize("kind", sorted(NEEDS))
def test_a_kind_that_cannot_be_had_is_refused_in_one_line(kind: str) -> None:
    with pytest.raises(ConfigError, match=rf"^engine: {kind} is for a .*; use fp32$"):
        ENGINES[kind](tiny_checkpoint(), torch.device("meta"))


@pytest.mark.parametrize(
    ("own", "kind"),
    [
        (None, "cuda-fp32"),
        ("fp32", "cuda-fp32"),
        ("bf16", "cuda"),
        ("int8", "cuda"),
        ("cuda", "cuda"),
        ("plain", "plain"),
    ],
)
def test_on_a_graphics_card_auto_rounds_where_the_checkpoint_does(
    own: str | None, kind: str
) -> None:
    config = replace(tiny_checkpoint().config, engine=own)
    assert own_kind(config, torch.device("cuda")) == kind
