"""The model card's commands run here, at toy scale, and equal the recipes of the package."""

import io
import json
import shlex
import tomllib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from openmmb.checkpoint import CheckpointConfig, save_checkpoint
from openmmb.cli.parlai import parlai, parlai_with
from openmmb.config import load, parse
from openmmb.errors import ConfigError, OpenMMBError
from openmmb.recipes import FOLDER as RECIPES
from openmmb.training.replies.config import Recipe
from openmmb.vision.features.extract import extract
from tests.build import (
    PERSONALITIES,
    PICTURES,
    TINY_F,
    TINY_I,
    TinyEncoder,
    tiny_checkpoint,
    tiny_image,
)
from tests.parlai import card
from tests.tasks.build import BUILD

ENCODER = "faster_rcnn_x152"
COCO_IDS = ("COCO_train2014_000000000001", "COCO_val2014_000000000002")
SMALL = shlex.split(
    "-esz 16 -hid 32 --n-heads 2 -nel 2 -ndl 2 --n-positions 64 "
    f"--n-image-channels {TINY_I} --image-features-dim {TINY_F} --text-truncate 48 --truncate 48 "
    "--label-truncate 24 -bs 2 --update-freq 1 --warmup-updates 1 --no-cuda"
)
"""What makes the published commands those of a toy: flags behind, which count."""


def coco_captions(root: Path) -> None:
    """Write two pictures of COCO, one of them of the rest of the validation set."""
    images = [
        {"filename": f"{name}.jpg", "split": split, "sentences": [{"raw": "A dog runs."}]}
        for name, split in zip((*COCO_IDS, COCO_IDS[0]), ("train", "restval", "val"), strict=True)
    ]
    path = root / "coco_captions" / "dataset_coco.json"
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps({"images": images}), encoding="utf-8")


def wizard_of_wikipedia(root: Path) -> None:
    """Write one conversation about lighthouses, for training and for validation."""
    turns = [
        ("1_Apprentice", "I like them."),
        ("0_Wizard", "She keeps one."),
        ("1_Apprentice", "Oh"),
    ]
    rows = [
        {
            "chosen_topic": "Lighthouse",
            "dialog": [{"speaker": speaker, "text": text} for speaker, text in turns],
        }
    ]
    folder = root / "wizard_of_wikipedia"
    folder.mkdir(parents=True)
    for name in ("train", "valid_random_split"):
        (folder / f"{name}.json").write_text(json.dumps(rows), encoding="utf-8")


def dialogues(root: Path) -> None:
    """Write what is fine-tuned on; valid is train again."""
    for name in ("blended_skill_talk", "convai2", "empathetic_dialogues", "image_chat"):
        BUILD[name](root)
        for path in sorted((root / name).glob("*train*")):
            text = path.read_text(encoding="utf-8")
            path.with_name(path.name.replace("train", "valid")).write_text(text, encoding="utf-8")
    personalities = root / "image_chat" / "personalities.json"
    personalities.write_text(json.dumps(PERSONALITIES), encoding="utf-8")
    wizard_of_wikipedia(root)
    words = root / "gender_words"
    words.mkdir()
    (words / "male_word_file.txt").write_text("he\nfather\n", encoding="utf-8")
    (words / "female_word_file.txt").write_text("she\nmother\n", encoding="utf-8")


def features(folder: Path) -> None:
    """Write image vectors of made-up pictures."""
    pictures = folder / "pictures"
    pictures.mkdir()
    for seed, name in enumerate((*COCO_IDS, *PICTURES)):
        tiny_image(seed=seed).save(pictures / f"{name}.png")
    extract(TinyEncoder(name=ENCODER), [pictures], folder / "features")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with data, image vectors, and a checkpoint to start from."""
    place = tmp_path_factory.mktemp("parlai")
    coco_captions(place / "data")
    dialogues(place / "data")
    features(place)
    start = tiny_checkpoint(encoder=ENCODER, image_vectors=TINY_I, image_dim=TINY_F)
    save_checkpoint(start, place / "start", precision="fp32")
    return place


@pytest.fixture(scope="module")
def captioned(place: Path) -> Path:
    """The run of the first command."""
    run = place / "coco"
    words = [*card.coco(out=str(run)), *SMALL, "--init-model", str(place / "start"), "-tstep", "2"]
    parlai_with([*words, "-dp", str(place / "data"), "--features", str(place / "features")])
    return run


@pytest.fixture(scope="module")
def fine_tuned(place: Path, captioned: Path) -> Path:
    """The run of the second command."""
    run = place / "degenpos"
    words = [*card.degenpos(start=str(captioned), out=str(run)), *SMALL, "-tstep", "3"]
    parlai_with([*words, "-dp", str(place / "data"), "--features", str(place / "features")])
    return run


@pytest.fixture
def type_in(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Say something to what runs next, over a pipe."""

    def type_in(text: str) -> None:
        monkeypatch.setattr("sys.stdin", io.StringIO(text))

    return type_in


def printed(words: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    """Return what a dry run prints."""
    parlai_with([*words, "--dry-run"])
    return capsys.readouterr().out


@pytest.mark.parametrize("name", ["mmb-coco", "mmb-degenpos"])
def test_a_card_command_is_the_recipe_of_the_package(
    name: str, capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    recipe = load(Recipe, RECIPES / f"{name}.toml")
    out = f"runs/{name}"
    words = (
        card.coco(out=out) if name == "mmb-coco" else card.degenpos(start="runs/mmb-coco", out=out)
    )
    shown = printed([*words, "--features", str(recipe.data.features)], capsys)
    (tmp_path / "mine.toml").write_text(shown, encoding="utf-8")
    assert load(Recipe, tmp_path / "mine.toml") == replace(recipe, start_command=None)


@pytest.mark.parametrize("stage", ["coco", "degenpos"])
def test_the_small_siblings_differ_in_size_only(stage: str) -> None:
    large, small = (load(Recipe, RECIPES / f"mmb-{size}{stage}.toml") for size in ("", "400m-"))
    for part in ("tasks", "data", "encode", "controls", "optim", "schedule", "valid", "search"):
        assert getattr(large, part) == getattr(small, part)
    assert (small.gender, small.image_style) == (large.gender, large.image_style)
    assert (small.precision, small.memory_efficient) == ("bf16", False)


def test_the_first_command_trains(captioned: Path, place: Path) -> None:
    recipe = load(Recipe, captioned / "recipe.toml")
    config = load(CheckpointConfig, captioned / "checkpoint" / "config.toml")
    assert [task.name for task in recipe.tasks] == ["coco_captions"]
    assert recipe.model is not None
    assert (recipe.start, recipe.model.embed_dim) == (str(place / "start"), 16)
    assert (config.encoder, config.encode.delimiter, config.gender) == (ENCODER, "  ", None)


def test_the_second_command_trains_on_the_run_of_the_first(
    fine_tuned: Path, captioned: Path
) -> None:
    recipe = load(Recipe, fine_tuned / "recipe.toml")
    config = load(CheckpointConfig, fine_tuned / "checkpoint" / "config.toml")
    assert recipe.start == str(captioned / "checkpoint")
    assert recipe.controls is not None
    assert recipe.controls.gender
    assert (config.encode.layout, config.encode.delimiter) == ("parlai_flat", "\n")
    assert (config.gender, config.image_style) == ("f0m0", "positive/neutral")


def test_the_third_command_chats(
    fine_tuned: Path,
    place: Path,
    type_in: Callable[[str], None],
    capsys: pytest.CaptureFixture[str],
) -> None:
    type_in("Hello there.\nYou are a fucking fool.\n")
    parlai_with([*card.chat(model=str(fine_tuned)), "-dp", str(place / "data")])
    shown = capsys.readouterr()
    replies = shown.out.splitlines()
    assert len(replies) == 2
    assert replies[0]
    assert '"fucking" is swearing' in replies[1]
    assert "persona: i paint. i have a dog." in shown.err
    assert "/image PATH" in shown.err


def test_without_data_a_chat_has_no_persona_and_says_so(
    fine_tuned: Path,
    tmp_path: Path,
    type_in: Callable[[str], None],
    capsys: pytest.CaptureFixture[str],
) -> None:
    type_in("Hello.\n")
    parlai_with([*card.chat(model=str(fine_tuned)), "-dp", str(tmp_path)])
    shown = capsys.readouterr()
    assert len(shown.out.splitlines()) == 1
    assert "persona: none is drawn" in shown.err
    assert "use --datapath to name" in shown.err


def test_a_dry_chat_is_a_command_of_this_project(
    fine_tuned: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shown = printed(card.chat(model=str(fine_tuned)), capsys)
    *comments, command = shown.splitlines()
    assert command == f"openmmb chat {fine_tuned}/checkpoint --gender f0m0"
    assert all(line.startswith("# ") for line in comments)
    assert "# min_length = 20" in comments
    unguarded = printed([*card.chat(model=str(fine_tuned)), "--safety", "none"], capsys)
    assert unguarded.splitlines()[-1].endswith(" --no-guard")


def test_weights_and_epochs_are_fitted_to_what_is_there(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Two tasks drawn 1 to 3, in an epoch that has as many draws as there are examples."""
    teachers = ("blended_skill_talk", "empathetic_dialogues")
    task = ",".join(f"genderation_bias:controllable_task:{teacher}" for teacher in teachers)
    words = [*card.degenpos(start=str(place / "start"), out="run"), *SMALL, "-t", task]
    words += ["-mtw", "1,3", "-eps", "5", "-dp", str(place / "data")]
    recipe = parse(Recipe, tomllib.loads(printed(words, capsys)))
    sizes = 4, 4  # examples of the two, as tests/tasks/build.py writes them
    drawn = [task.weight * size for task, size in zip(recipe.tasks, sizes, strict=True)]
    assert drawn == pytest.approx([8 / 4, 8 * 3 / 4])
    assert recipe.schedule.max_steps == 5 * 8 / 2


def test_the_start_says_what_the_flags_leave_open(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["tm", "-t", "convai2:normalized", "-m", "image_seq2seq", "-lr", "1e-5", "-opt", "adam"]
    words += ["-tstep", "9", "--init-model", str(place / "start"), "-mf", "run"]
    words += ["--text_truncate=48", "--label-truncate", "24"]
    recipe = parse(Recipe, tomllib.loads(printed(words, capsys)))
    start = load(CheckpointConfig, place / "start" / "config.toml")
    assert recipe.model == start.model
    assert recipe.data.encoder == ENCODER
    assert recipe.precision == "fp32"
    assert recipe.encode is not None
    assert not recipe.encode.end_context


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["-esz", "32"], "--embedding-size 32: .*start has 16, which stays"),
        (["-nel", "3"], "--n-encoder-layers 3: .*start has 2"),
        (["--n-segments", "0"], "--n-segments 0: .*start has 2"),
        (["-bs", "0"], "this command: data: batch_size must be at least 1, got 0"),
        (
            ["--image-mode", "resnext101_32x8d_wsl"],
            "--image-mode .*: .*start was trained on the image",
        ),
    ],
)
def test_what_contradicts_the_start_is_refused(flags: list[str], message: str, place: Path) -> None:
    words = [*card.coco(out="run"), *SMALL, "--init-model", str(place / "start"), *flags]
    with pytest.raises(ConfigError, match=message):
        parlai_with([*words, "--dry-run"])


def test_a_chat_flag_that_contradicts_the_checkpoint_is_refused(fine_tuned: Path) -> None:
    words = [*card.chat(model=str(fine_tuned)), "--delimiter", "  "]
    with pytest.raises(ConfigError, match=r"--delimiter '  ': .* has '\\n', which stays"):
        parlai_with([*words, "--dry-run"])


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "no command: expected one of tm, "),
        (["eval_model"], "'eval_model': expected one of tm, "),
        (card.coco(out="run"), r"converted/reddit_3B: does not exist yet; .*Reddit3B_v0.tgz"),
        (card.chat(model="nowhere"), "nowhere/checkpoint: does not exist yet; the run of"),
        (
            ["tm", "--bachsize", "3"],
            "no known ParlAI flag '--bachsize'; did you mean",
        ),
    ],
)
def test_what_cannot_be_done_is_one_line(
    words: list[str], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(OpenMMBError, match=message) as caught:
        parlai_with(words)
    assert "\n" not in str(caught.value)


def test_help_lists_the_flags(capsys: pytest.CaptureFixture[str]) -> None:
    parlai_with(["tm", "--help"])
    lines = capsys.readouterr().out.splitlines()
    assert any(line.split() == ["--batchsize,", "-bs", "data.batch_size"] for line in lines)


def test_the_flags_of_our_own_may_stand_before(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [*card.coco(out="run"), *SMALL, "--init-model", str(place / "start")]
    parlai(tuple(words), features=Path("vectors"), dry_run=True)
    recipe = parse(Recipe, tomllib.loads(capsys.readouterr().out))
    assert recipe.data.features == "vectors"
