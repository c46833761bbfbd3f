"""However many processes share a network, they begin with the weights that one begins with.

Two processes on the CPU stand for any number of graphics cards.
"""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from openmmb.config import dump
from openmmb.training.replies.config import Recipe
from openmmb.training.replies.objective import train
from openmmb.training.run.placement import place
from tests.build import run_script, tiny_features, tiny_model
from tests.training.build import PICTURES, TEXT, records, tiny_recipe, write_start

BEGIN = """
import sys
from pathlib import Path
import torch
from safetensors.torch import save_file
from openmmb.config import load
from openmmb.distributed import full_state_dict, is_main, rank
from openmmb.training.replies.config import Recipe
from openmmb.training.run.loop import opened
from openmmb.training.run.placement import place
from openmmb.training.replies.prepare import prepare
from openmmb.training.replies.objective import Replies, train

torch.set_num_threads(1)
folder = Path(sys.argv[1])
for name in sys.argv[2:]:
    recipe = load(Recipe, folder / f"{name}.toml")
    if name == "learnt":
        train(recipe)
        continue
    with opened(recipe):
        model = Replies(recipe, prepare(recipe)).model
        devices = {weight.device.type for weight in model.parameters()}
        if name == "other_weights":  # an objective may build them in every process
            torch.manual_seed(rank())
            model.to_empty(device="cpu")
            for weight in model.parameters():
                torch.nn.init.normal_(weight)
        place(
            model,
            torch.device("cpu"),
            precision=recipe.precision,
            memory_efficient=recipe.memory_efficient,
            recompute=False,
        )
        trained = {key: weight.requires_grad for key, weight in model.named_parameters()}
        assert trained == {key: "positions" not in key for key in trained}
        weights = full_state_dict(model)
        (folder / f"{name}-{rank()}.txt").write_text(" ".join(devices))
        if is_main():
            save_file(weights, folder / f"{name}.safetensors")
"""
"""Begin runs, in each of several processes, and write the weights they would learn from."""

BEGUN = ("anew", "started", "narrow", "other_weights")


def recipes_in(folder: Path) -> dict[str, Recipe]:
    """Write the data, and return what is to be begun or learnt."""
    anew = tiny_recipe(folder, batch_size=5, dropout=0.0)
    start = tiny_recipe(folder, start=write_start(folder))
    pictures = replace(
        anew,
        tasks=(*TEXT, *PICTURES),
        schedule=replace(anew.schedule, max_steps=20),
        data=replace(anew.data, features=str(tiny_features(folder)), accumulate=2, workers=1),
    )
    return {
        "anew": anew,
        "started": replace(start, fresh_controls=True),
        "narrow": replace(anew, precision="bf16", memory_efficient=True),
        "other_weights": anew,
        "learnt": pictures,
    }


def begin(script: Path, out: Path, recipes: dict[str, Recipe], *, processes: int) -> None:
    out.mkdir()
    for name, recipe in recipes.items():
        text = dump(replace(recipe, out=str(out / name)))
        (out / f"{name}.toml").write_text(text, encoding="utf-8")
    run_script(script, str(out), *recipes, processes=processes)


@pytest.fixture(scope="module")
def begun(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Begin every run on one process and on two."""
    folder = tmp_path_factory.mktemp("placed")
    recipes = recipes_in(folder)
    script = folder / "begin.py"
    script.write_text(BEGIN, encoding="utf-8")
    begin(script, folder / "one", recipes, processes=1)
    begin(script, folder / "two", recipes, processes=2)
    return folder


def weights(folder: Path, name: str) -> dict[str, Tensor]:
    return load_file(folder / f"{name}.safetensors")


@pytest.mark.parametrize("name", BEGUN)
def test_two_begin_with_the_weights_of_one_bit_for_bit(name: str, begun: Path) -> None:
    one, two = (weights(begun / many, name) for many in ("one", "two"))
    assert one.keys() == two.keys()
    assert len(one) > 20
    assert all(torch.equal(two[key], weight) for key, weight in one.items())
    assert {weight.dtype for weight in two.values()} == {
        torch.bfloat16 if name == "narrow" else torch.float32
    }


@pytest.mark.parametrize("name", ["anew", "started", "narrow"])
def test_only_the_first_builds_weights(name: str, begun: Path) -> None:
    built = [(begun / "two" / f"{name}-{rank}.txt").read_text() for rank in range(2)]
    assert built == ["cpu", "meta"]


def test_they_learn_the_same_from_batches_of_which_each_makes_its_part(begun: Path) -> None:
    """With pictures, each in a process of its own that makes them ahead."""
    one, two = (records(begun / many / "learnt", "step", "valid") for many in ("one", "two"))
    assert len(one) == 4
    assert [record.get("padding") for record in one] == [record.get("padding") for record in two]
    for key in ("loss", "ppl", "norm", "tokens"):
        expected = [record.get(key, 0.0) for record in one]
        assert [record.get(key, 0.0) for record in two] == pytest.approx(expected, rel=1e-5)


def test_alone_a_network_without_memory_gets_some() -> None:
    model = tiny_model().to("meta")
    place(model, torch.device("cpu"), precision="fp32", memory_efficient=False, recompute=True)
    assert {weight.device.type for weight in model.parameters()} == {"cpu"}


def test_alone_a_network_stays_as_it_is() -> None:
    model, same = tiny_model(), tiny_model()
    place(model, torch.device("cpu"), precision="bf16", memory_efficient=False, recompute=False)
    torch.testing.assert_close(model.state_dict(), same.state_dict(), rtol=0, atol=0)


def test_a_run_that_went_on_ends_as_one_that_did_not(tmp_path: Path) -> None:
    """Its network had no weights until it read them."""
    recipe = tiny_recipe(tmp_path, max_steps=20, start=write_start(tmp_path))
    straight = train(recipe).parent
    other = replace(recipe, out=str(tmp_path / "other"))
    resumed = train(other).parent
    (resumed / "state-00000020").rename(resumed / "gone")
    train(other)
    name = "state-00000020/state.safetensors"
    assert (resumed / name).read_bytes() == (straight / name).read_bytes()
