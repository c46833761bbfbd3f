"""Packed conversations and captions side by side train adapters as a recipe says."""

from dataclasses import replace
from pathlib import Path
from typing import Literal

import pytest
import torch

from openmmb.checkpoint import load_checkpoint
from openmmb.convert.gguf import begin_adapter
from openmmb.data.encode import EncodeConfig
from openmmb.model.adapter import AdapterConfig, own_names
from openmmb.training.replies.config import Recipe
from openmmb.training.run.log import Record
from openmmb.training.train import train
from openmmb.vision.encoders import ENCODERS, Entry
from tests.build import TINY_F, TINY_I, TinyEncoder, tiny_features
from tests.pretrained.build import BASE, install_base, vocabulary
from tests.text.test_adopted import theirs
from tests.training.build import PICTURES, TEXT, records, tiny_recipe

PACKED = tuple(replace(task, packed=True) for task in TEXT)


@pytest.fixture
def recipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Recipe:
    """Talk and captions over a tiny base."""
    monkeypatch.setitem(ENCODERS, "tiny", Entry(lambda _: TinyEncoder(), (TINY_I, TINY_F), "none"))
    fields = vocabulary(theirs())
    install_base(tmp_path, monkeypatch, vocab_size=theirs().get_vocab_size(), fields=fields)
    start = tmp_path / "start"
    begin_adapter(BASE, start, AdapterConfig(rank=2, alpha=4.0), precision="fp32", encoder="tiny")
    plain = tiny_recipe(
        tmp_path,
        tasks=(*PACKED, *PICTURES),
        start=str(start),
        features=tiny_features(tmp_path),
        max_steps=12,
        save_every_steps=4,
        valid_every_steps=6,
    )
    encode = EncodeConfig(layout="turns", max_context=64, max_pinned=24, max_reply=64)
    return replace(plain, model=None, encode=encode, gender="f0m0")


def weights(folder: Path | str | None) -> dict[str, torch.Tensor]:
    assert folder is not None
    return load_checkpoint(Path(folder), adapted=True).model.state_dict()


def test_only_what_is_adapted_changes(recipe: Recipe) -> None:
    result = train(recipe)
    trained, before = weights(result.checkpoint), weights(str(recipe.start))
    assert result.checkpoint is not None
    own = set(own_names(load_checkpoint(result.checkpoint, adapted=True).model))
    assert all(trained[name].equal(before[name]) for name in trained.keys() - own)
    changed = {name for name in own if not trained[name].equal(before[name])}
    assert changed >= {name for name in own if name.endswith(".up")}
    assert {"image_projector.layers.0.weight", "image_segment", "embeddings.rows"} <= changed


def test_the_checkpoint_stays_over_its_base(recipe: Recipe) -> None:
    folder = train(recipe).checkpoint
    assert folder is not None
    checkpoint = load_checkpoint(folder)
    assert (checkpoint.config.base, checkpoint.config.name) == (BASE, recipe.name)
    assert checkpoint.config.encode == recipe.encode
    assert checkpoint.config.gender == "f0m0"


def test_it_learns(recipe: Recipe) -> None:
    longer = replace(recipe, schedule=replace(recipe.schedule, max_steps=40))
    train(replace(longer, optim=replace(recipe.optim, lr=1e-2)))
    first, *_, last = [r["ppl"] for r in records(Path(recipe.out), "valid")]
    assert last < 0.9 * first


@pytest.mark.parametrize("frozen", ["fp32", "bf16"])
def test_an_interrupted_run_goes_on_bit_for_bit(
    recipe: Recipe, frozen: Literal["fp32", "bf16"]
) -> None:
    whole = replace(recipe, precision=frozen, frozen_precision=frozen)
    broken = replace(whole, out=f"{recipe.out}-broken")

    def stop(record: Record) -> None:
        if record["kind"] == "save":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(broken, watch=stop)
    ends = [weights(train(one).checkpoint) for one in (whole, broken)]
    assert ends[0].keys() == ends[1].keys()
    assert all(ends[0][name].equal(ends[1][name]) for name in ends[0])
