"""What a recipe leaves out is as in the checkpoint that it starts from, and that is told."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

import openmmb
from openmmb.checkpoint import CheckpointConfig, load_checkpoint, save_checkpoint
from openmmb.config import load
from openmmb.data.encode import EncodeConfig
from openmmb.errors import CheckpointError, ConfigError
from openmmb.hub import BUNDLED
from openmmb.model.config import ModelConfig
from openmmb.search.config import SearchConfig
from openmmb.tasks.mixture import TaskConfig
from openmmb.training.replies.config import DataConfig, Recipe
from openmmb.training.replies.settle import describe_start, read_settled, settle
from openmmb.training.run.loop import TrainingResult
from openmmb.training.train import read_recipe
from tests.build import tiny_checkpoint, write_tiny_data
from tests.training.build import records, tiny_recipe, write_causal_start

TINY = load(CheckpointConfig, BUNDLED / "tiny" / "config.toml")
LEAST = """
name = "mine"
out = "runs/mine"
start = "tiny"
[[tasks]]
name = "jsonl"
"""


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "mine.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_the_shortest_recipe_keeps_all_of_its_start(tmp_path: Path) -> None:
    recipe = read_settled(written(tmp_path, LEAST), needed=True)
    assert recipe.encode == TINY.encode
    assert recipe.search == TINY.search
    assert (recipe.gender, recipe.image_style) == ("f0m0", "positive/neutral")
    assert recipe.data.encoder == TINY.encoder
    assert recipe.controls is not None
    assert recipe.controls.gender


def test_a_key_that_the_recipe_names_changes_that_key_alone(tmp_path: Path) -> None:
    text = f"{LEAST}[search]\nmax_length = 40\n[encode]\nmax_reply = 50\n[model]\ndropout = 0.0\n"
    recipe = read_settled(written(tmp_path, f'gender = "none"{text}'), needed=True)
    assert recipe.search == replace(TINY.search, max_length=40)
    assert recipe.encode == replace(TINY.encode, max_reply=50)
    assert recipe.gender == "none"
    assert recipe.controls is not None
    assert recipe.model is not None
    assert not recipe.controls.gender
    assert recipe.model.dropout == 0.0


def test_a_value_that_is_the_usual_one_counts_where_it_is_named(tmp_path: Path) -> None:
    recipe = read_settled(written(tmp_path, f"{LEAST}[search]\nmin_length = 20\n"), needed=True)
    assert SearchConfig().min_length == 20
    assert recipe.search == replace(TINY.search, min_length=20)


def test_from_python_a_section_is_given_whole_or_kept() -> None:
    recipe = Recipe(name="a", out="b", start="tiny", tasks=(TaskConfig(name="jsonl"),))
    settled = settle(recipe, TINY)
    assert (settled.encode, settled.search) == (TINY.encode, TINY.search)
    named = settle(replace(recipe, search=SearchConfig()), TINY)
    assert (named.encode, named.search) == (TINY.encode, SearchConfig())
    assert settle(settled, TINY) == settled
    assert settle(named, TINY) == named


def test_a_run_that_begins_anew_has_the_usual_settings(tmp_path: Path) -> None:
    recipe = read_settled(written(tmp_path, LEAST.replace('start = "tiny"', "")), needed=True)
    assert (recipe.encode, recipe.search) == (EncodeConfig(), SearchConfig())
    assert (recipe.gender, recipe.data.encoder) == (None, "efficientnet_lite0")


def test_another_start_than_the_recipes_counts(tmp_path: Path) -> None:
    checkpoint = tiny_checkpoint(gender="f1m1", search=SearchConfig(beam_size=7))
    save_checkpoint(checkpoint, tmp_path / "other", precision="fp32")
    text = LEAST.replace('start = "tiny"', 'start = "gone"\nstart_command = "make gone"')
    recipe = read_settled(written(tmp_path, text), start=str(tmp_path / "other"), needed=True)
    assert (recipe.gender, recipe.search) == ("f1m1", checkpoint.config.search)
    assert recipe.start_command is None


def test_a_start_that_is_to_be_made_first_is_told_with_its_command(tmp_path: Path) -> None:
    """Nobody asks the hub for it, though its name could be one of the hub's."""
    write_tiny_data(tmp_path / "data")
    made = tiny_recipe(tmp_path, start="converted/smollm2")
    recipe = replace(made, start_command="openmmb convert gguf a b", model=None)
    with pytest.raises(
        ConfigError,
        match=r"^start: converted/smollm2 is not here yet; make it first: openmmb convert gguf a b",
    ):
        openmmb.train(recipe)


@pytest.mark.parametrize(
    "name", ["small-1-mixture", "tiny-2-captions", "mmb-coco", "small-3-anneal"]
)
def test_a_bundled_recipe_knows_what_makes_its_start(name: str) -> None:
    assert (read_recipe(name, needed=False).start_command or "").startswith("openmmb ")


def test_a_recipe_is_read_without_its_start_where_that_is_not_needed(tmp_path: Path) -> None:
    path = written(tmp_path, LEAST.replace('"tiny"', f'"{tmp_path / "gone"}"'))
    assert read_settled(path, needed=False).encode == EncodeConfig()
    with pytest.raises(CheckpointError, match="gone: no such folder"):
        openmmb.train(path)


def test_what_is_kept_and_what_changes_is_told() -> None:
    after = replace(TINY, gender=None, search=replace(TINY.search, max_length=40))
    kept, changed = describe_start("tiny", TINY, after)
    assert kept.startswith("start tiny: its network and vocabulary stay, and image_style 'positive")
    assert "search.min_length 8" in kept
    assert changed == "the recipe changes gender 'f0m0' -> none, search.max_length 60 -> 40"
    assert describe_start("tiny", TINY, TINY)[1] == "the recipe changes none of its settings"


def tuned(tmp_path: Path, start: Path | str) -> TrainingResult:
    """Two updates on one's own styled dialogues, with a recipe that says nothing else."""
    (tmp_path / "data" / "jsonl").mkdir(parents=True)
    hi, ho = {"speaker": "a", "text": "Hi."}, {"speaker": "b", "text": "Arr, a boat!"}
    row = {"turns": [hi, ho, hi, ho], "style": {"b": "Like a pirate"}, "learn": ["b"]}
    for split in ("train", "valid"):
        path = tmp_path / "data" / "jsonl" / f"{split}.jsonl"
        path.write_text(f"{json.dumps(row)}\n" * 4, encoding="utf-8")
    plain = tiny_recipe(tmp_path, start=str(start), max_steps=2, batch_size=2)
    bare = Recipe(
        name="mine",
        out=plain.out,
        start=plain.start,
        tasks=(TaskConfig(name="jsonl"),),
        data=DataConfig(root=plain.data.root, batch_size=2),
        schedule=plain.schedule,
        save_precision="fp32",
    )
    return openmmb.train(bare)


def test_own_styles_train_and_the_checkpoint_is_like_its_start(tmp_path: Path) -> None:
    checkpoint = tiny_checkpoint(encoder="tiny", gender="f0m0", image_style="positive/neutral")
    config = replace(checkpoint.config, ban_gendered_words=True)
    save_checkpoint(replace(checkpoint, config=config), tmp_path / "start", precision="fp32")
    result = tuned(tmp_path, tmp_path / "start")
    assert result.checkpoint is not None
    assert load_checkpoint(result.checkpoint).config == replace(config, name="mine")
    texts = [str(record["text"]) for record in records(result.folder, "note")]
    assert texts[0].startswith(f"start {tmp_path / 'start'}: its network and vocabulary stay, and")
    assert texts[1] == "the recipe changes none of its settings"
    assert texts[2] == (
        "styles stay as they are where no file says whether they are positive: Like a pirate"
    )
    kinds = [record["kind"] for record in records(result.folder)]
    assert kinds[:4] == ["note", "note", "note", "start"]
    shutil.rmtree(tmp_path / "start")  # a run that has a state needs it no more
    assert openmmb.train(load(Recipe, result.folder / "recipe.toml")).steps == 2


def test_a_decoder_only_network_keeps_its_settings_too(tmp_path: Path) -> None:
    start = write_causal_start(tmp_path)
    result = tuned(tmp_path, start)
    assert result.checkpoint is not None
    before, after = load_checkpoint(Path(start)), load_checkpoint(result.checkpoint)
    assert after.config == replace(before.config, name="mine")


def test_a_decoder_only_network_takes_no_other_shape(tmp_path: Path) -> None:
    recipe = tiny_recipe(tmp_path, start=write_causal_start(tmp_path))
    assert recipe.model != ModelConfig()
    with pytest.raises(ConfigError, match=r"^model: .*causal-start is a decoder-only network"):
        openmmb.train(recipe)
