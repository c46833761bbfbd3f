"""The commands: what comes out, and one line and exit code 2 for a mistake."""

import importlib
import inspect
import io
import json
import os
import struct
import subprocess
import sys
import zlib
from collections.abc import Callable
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

from openmmb import config
from openmmb.checkpoint import CONFIG, TOKENIZER, WEIGHTS, save_checkpoint
from openmmb.cli import COMMANDS, main
from openmmb.data.encode import EncodeConfig
from openmmb.errors import TrainingError
from openmmb.recipes import FOLDER as RECIPES
from openmmb.training.classifier.config import ClassifierRecipe, is_classifier_recipe
from openmmb.training.replies.config import Recipe
from openmmb.training.run.loop import TrainingResult
from openmmb.training.run.schedule import EndReason
from tests.build import tiny_checkpoint, tiny_config, tiny_features, tiny_image
from tests.convert.build import as_text_model, copy_micro
from tests.training.build import PICTURES, tiny_recipe

COMMAND = [sys.executable, "-m", "openmmb"]


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A folder with a checkpoint."""
    folder = tmp_path_factory.mktemp("checkpoints") / "tiny"
    save_checkpoint(tiny_checkpoint(), folder, precision="fp32")
    return str(folder)


@pytest.fixture
def complaint(capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """Run a command that cannot be done and return its one line."""

    def run(*args: str) -> str:
        assert main(args) == 2
        shown = capsys.readouterr()
        assert shown.out == ""
        assert shown.err.startswith(f"openmmb {args[0]}: ")
        assert shown.err.count("\n") == 1
        return shown.err

    return run


def huge_png(width: int, height: int) -> bytes:
    """Return a PNG that says how large it would be, and is not."""
    size = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunks = (b"IHDR" + size, b"IDAT" + zlib.compress(b"\0"), b"IEND")
    framed = [
        struct.pack(">I", len(chunk) - 4) + chunk + struct.pack(">I", zlib.crc32(chunk))
        for chunk in chunks
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join(framed)


def write_bad_pictures(folder: Path) -> dict[str, str]:
    """Write files that are no pictures; return what is said of each."""
    tiny_image(width=300, height=200).save(folder / "whole.jpg")
    data = (folder / "whole.jpg").read_bytes()
    (folder / "text.jpg").write_text("I am no picture.")
    (folder / "truncated.jpg").write_bytes(data[: len(data) // 2])
    (folder / "bomb.png").write_bytes(huge_png(100_000, 100_000))
    (folder / "folder.png").mkdir()
    (folder / "empty.png").touch()
    return {
        "missing.jpg": "No such file or directory",
        "text.jpg": "not a picture",
        "truncated.jpg": "damaged JPEG",
        "bomb.png": "at most 50000000 pixels are decoded",
        "folder.png": "not a file",
        "empty.png": "empty",
    }


def write_odd_pictures(folder: Path) -> list[str]:
    """Write pictures of less common kinds; return their names."""
    image = tiny_image()
    frames = [tiny_image(seed=seed) for seed in range(3)]
    frames[0].save(folder / "animated.gif", save_all=True, append_images=frames[1:])
    image.convert("CMYK").save(folder / "cmyk.jpg")
    grey = np.asarray(image.convert("L")).astype(np.uint16) << 8
    Image.fromarray(grey).save(folder / "grey16.png")
    exif = Image.Exif()
    exif[0x0112] = 6
    image.save(folder / "rotated.jpg", exif=exif)
    image.resize((1, 1)).save(folder / "dot.png")
    image.convert("RGBA").save(folder / "naïve “quoted” 犬.webp")
    names = ["animated.gif", "cmyk.jpg", "grey16.png", "rotated.jpg", "dot.png"]
    return [*names, "naïve “quoted” 犬.webp"]


def test_a_name_with_line_breaks_does_not_break_the_line(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    name = str(tmp_path / "a\nb.jsonl")
    assert main(["data", "check", name, "--checkpoint", "tiny"]) == 2
    said = capsys.readouterr().err
    assert said == f"openmmb data: {tmp_path}/a\\nb.jsonl: No such file or directory\n"


SLOW_TO_IMPORT = {"torch", "numpy", "PIL", "prompt_toolkit", "pydantic", "rich", "tyro"}


def modules_after(*args: str) -> set[str]:
    """Run a command in a process of its own and return the modules that it has imported."""
    program = (
        "import sys; from openmmb.cli import main\n"
        "code = main(sys.argv[1:]); print(code, *sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, *args], capture_output=True, text=True, check=True
    )
    code, *names = done.stdout.splitlines()[-1].split()
    assert code == "0", done.stderr
    return set(names)


def test_help_is_quick(capsys: pytest.CaptureFixture[str]) -> None:
    """It imports nothing that takes long, and no command."""
    names = modules_after("--help")
    assert not names & SLOW_TO_IMPORT
    assert {name for name in names if name.startswith("openmmb.cli.")} == set()
    assert main(["--help"]) == 0
    shown = capsys.readouterr().out
    assert all(f"\n  {name} " in shown for name in COMMANDS)
    assert max(map(len, shown.splitlines())) <= 80


def test_a_reply_imports_nothing_that_it_does_without(tiny: str) -> None:
    """Compilers, what shards networks over processes, what reads data sets, and what draws."""
    names = modules_after("reply", "Hello.", tiny)
    unused = {
        "datasets",
        "gguf",
        "huggingface_hub",
        "matplotlib",
        "nltk",
        "pandas",
        "pyarrow",
        "rich",
        "sympy",
        "torch._dynamo",
        "torch._inductor",
        "torch.distributed.fsdp",
        "torch.distributed.tensor",
        "transformers",
        "yaml",
    }
    assert not names & unused


def test_help_says_what_the_commands_say() -> None:
    for name, command in COMMANDS.items():
        module = importlib.import_module(f"openmmb.cli.{command.module}")
        first = inspect.getdoc(getattr(module, name)).partition("\n\n")[0]  # type: ignore[union-attr]
        assert " ".join(first.split()) == command.summary


def test_without_a_command_help_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 0
    assert "Multi-Modal BlenderBot" in capsys.readouterr().out


@pytest.mark.parametrize("name", ["rely", "--hlep"])
def test_a_wrong_command_is_one_line(name: str, complaint: Callable[..., str]) -> None:
    assert f"no command '{name}'" in complaint(name)


@pytest.mark.parametrize("args", [["reply"], ["reply", "Hi", "--sed", "3"], ["train"]])
def test_a_wrong_flag_exits_with_2(args: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(args)
    assert capsys.readouterr().out == ""


def test_a_reply_is_one_line(tiny: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["reply", "Hello, “you” 👍.", tiny]) == 0
    shown = capsys.readouterr()
    assert len(shown.out.splitlines()) == 1
    assert shown.err == ""


def test_a_reply_as_json_says_how_it_came_about(
    tiny: str, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = ["reply", "Hello.", tiny, "--classifier", "none"]  # it may refuse what noise says
    main(asked)
    text = capsys.readouterr().out.removesuffix("\n")
    assert main([*asked, "--json", "--seed", "5"]) == 0
    reply = json.loads(capsys.readouterr().out)
    assert set(reply) == {"text", "seconds", "tokens", "seed", "origin", "refused", "guard"}
    assert (reply["text"], reply["seed"], reply["refused"]) == (text, 5, False)
    assert reply["guard"]["user"]["safe"]
    assert reply["guard"]["reply"]["safe"]


def test_a_refused_message_is_answered_with_the_reason(
    tiny: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["reply", "You are a fucking fool", tiny, "--json"]) == 0
    reply = json.loads(capsys.readouterr().out)
    assert reply["refused"]
    assert reply["guard"]["reply"] is None
    assert reply["guard"]["user"]["words"] == ["fucking"]
    assert main(["reply", "You are a fucking fool", tiny, "--json", "--no-guard"]) == 0
    assert not json.loads(capsys.readouterr().out)["refused"]


def test_without_words_the_bot_speaks_first(tiny: str, capsys: pytest.CaptureFixture[str]) -> None:
    flags = ["--style", "Curious", "--gender", "f0m0", "--persona", "I sail.", "--persona", "Ahoy."]
    assert main(["reply", "", tiny, "--json", *flags]) == 0
    assert json.loads(capsys.readouterr().out)["guard"]["user"] is None


def test_a_line_of_the_persona_ends_before_the_checkpoint(complaint: Callable[..., str]) -> None:
    assert "no/such: no such folder" in complaint("chat", "--persona", "I sail.", "no/such")


def test_an_empty_flag_is_none(tiny: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["reply", "Hi", tiny]) == 0
    assert main(["reply", "Hi", tiny, "--style", "", "--persona", " "]) == 0
    first, second = capsys.readouterr().out.splitlines()
    assert first == second


def test_each_bad_picture_is_one_line(
    tiny: str, complaint: Callable[..., str], tmp_path: Path
) -> None:
    for name, reason in write_bad_pictures(tmp_path).items():
        line = complaint("reply", "Hi", tiny, "--image", str(tmp_path / name))
        assert line.startswith(f"openmmb reply: {tmp_path / name}: ")
        assert reason in line
    assert "missing.jpg" in complaint("chat", tiny, "--image", str(tmp_path / "missing.jpg"))


def test_pictures_of_every_kind_in_one_real_chat(tiny: str, tmp_path: Path) -> None:
    odd = write_odd_pictures(tmp_path)
    bad = write_bad_pictures(tmp_path)
    lines = [f"/image {name}" for pair in zip(odd, bad, strict=True) for name in pair]
    done = subprocess.run(
        [*COMMAND, "chat", tiny, "--image", odd[0], "--classifier", "none"],
        input="\n".join(lines).encode(),
        capture_output=True,
        cwd=tmp_path,
        check=False,
    )
    assert done.returncode == 1
    first, *answered = done.stdout.splitlines()
    assert first
    assert [bool(line) for line in answered] == [True, False] * len(odd)
    complaints = done.stderr.decode().splitlines()
    assert [line.split(": ")[1] for line in complaints] == list(bad)


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (lambda folder: (folder / WEIGHTS).unlink(), f"no {WEIGHTS}"),
        (lambda folder: (folder / TOKENIZER).unlink(), f"no {TOKENIZER}"),
        (lambda folder: (folder / CONFIG).unlink(), f"no {CONFIG}"),
        (lambda folder: (folder / WEIGHTS).write_bytes(b"none"), "not safetensors"),
        (lambda folder: (folder / TOKENIZER).write_text("{}"), "not a tokenizer"),
        (lambda folder: (folder / CONFIG).write_bytes(b"\xff"), "expected text in UTF-8"),
        (
            lambda folder: (folder / CONFIG).write_text(
                (folder / CONFIG).read_text().replace("num_heads", "num_haeds")
            ),
            "num_haeds: no key 'num_haeds'; did you mean 'num_heads'?",
        ),
    ],
)
def test_each_wrong_file_of_a_checkpoint_is_named(
    spoil: Callable[[Path], object],
    reason: str,
    complaint: Callable[..., str],
    tmp_path: Path,
) -> None:
    save_checkpoint(tiny_checkpoint(), tmp_path / "tiny", precision="fp32")
    spoil(tmp_path / "tiny")
    assert reason in complaint("reply", "Hi", str(tmp_path / "tiny"))


@pytest.mark.parametrize("name", ["no/such", "pyproject.toml", "a" * 5000, "\x1b[2J"])
def test_a_checkpoint_that_is_none_is_one_line(name: str, complaint: Callable[..., str]) -> None:
    assert "\x1b" not in complaint("reply", "Hi", name)


@pytest.mark.parametrize(
    ("flags", "reason"),
    [
        (["--seed", str(2**70)], "seed: "),
        (["--device", "cuda"], "device: no graphics card"),
        (["--style", "a fucking fool"], "is swearing"),
        (["--persona", "I sail.", "--persona", "a fucking fool"], "is swearing"),
    ],
)
def test_a_flag_that_cannot_be_is_one_line(
    flags: list[str], reason: str, tiny: str, complaint: Callable[..., str]
) -> None:
    assert reason in complaint("reply", "Hi", tiny, *flags)


def test_standard_input_without_a_message_is_one_line(
    complaint: Callable[..., str], tiny: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(" \n"))
    assert "-: standard input is empty; expected a message" in complaint("reply", "-", tiny)


def test_a_message_has_a_longest_length(tiny: str, complaint: Callable[..., str]) -> None:
    assert "message: expected at most 20000 characters" in complaint("reply", "a" * 20_001, tiny)


def test_what_the_machine_refuses_is_one_line(
    complaint: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device", "runs/a")

    monkeypatch.setattr("openmmb.chat.bot.load", full)
    assert complaint("reply", "Hi") == "openmmb reply: runs/a: No space left on device\n"


def test_ctrl_c_ends_a_command_without_a_traceback(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("openmmb.chat.bot.load", interrupted)
    assert main(["reply", "Hi"]) == 130
    assert main(["chat"]) == 0
    assert capsys.readouterr() == ("", "")


@pytest.mark.skipif(os.name == "nt", reason="a shell's pipe")
@pytest.mark.parametrize("command", ["--help", "reply Hi $TINY"])
def test_a_reader_that_has_left_is_no_traceback(tiny: str, command: str) -> None:
    done = subprocess.run(
        f'"{sys.executable}" -m openmmb {command} | head -0',
        shell=True,
        check=False,
        capture_output=True,
        env=os.environ | {"TINY": tiny},
    )
    assert done.stderr == b""


@pytest.mark.skipif(os.name == "nt", reason="a shell's redirections")
@pytest.mark.parametrize("closed", [">&-", "2>&-", ">&- 2>&-", "<&- >&- 2>&-"])
def test_a_closed_stream_is_no_traceback(tiny: str, closed: str) -> None:
    done = subprocess.run(
        f'"{sys.executable}" -m openmmb chat "$TINY" --classifier none {closed}',
        shell=True,
        check=False,
        input=b"Hello.\n/imgae\n",
        capture_output=True,
        env=os.environ | {"TINY": tiny},
    )
    assert done.returncode == (not closed.startswith("<"))
    assert len(done.stdout.splitlines()) == 2 * (closed == "2>&-")
    assert len(done.stderr.splitlines()) == (closed == ">&-")


def test_the_version_is_that_of_the_package(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"openmmb {version('openmmb')}\n"


def test_features_of_nothing_are_one_line(tmp_path: Path, complaint: Callable[..., str]) -> None:
    flags = ["--images", str(tmp_path / "none"), "--out", str(tmp_path / "out")]
    assert "none: no such file or folder" in complaint("features", "efficientnet_lite0", *flags)
    assert "did you mean 'efficientnet_lite0'?" in complaint("features", "efficientnet", *flags)


def ended(
    folder: Path, checkpoint: Path | None, reason: EndReason = "all steps done"
) -> TrainingResult:
    return TrainingResult(folder, checkpoint, reason, steps=10, best=None)


NAMES = [path.stem for path in sorted(RECIPES.glob("*.toml")) if not is_classifier_recipe(path)]


def test_the_recipe_of_the_classifier_trains_one(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ran = list[ClassifierRecipe]()

    def train(recipe: ClassifierRecipe, *, watch: object) -> TrainingResult:
        ran.append(recipe)
        return ended(tmp_path, tmp_path)

    monkeypatch.setattr("openmmb.training.train.train", train)
    assert main(["train", "safety", "--optim.lr", "0.5"]) == 0
    assert [recipe.optim.lr for recipe in ran] == [0.5]
    assert capsys.readouterr().out == f"{tmp_path}\n"


@pytest.mark.parametrize("name", NAMES)
def test_each_bundled_recipe_is_found_by_name(
    name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ran = list[Recipe]()

    def train(recipe: Recipe, *, watch: object) -> TrainingResult:
        ran.append(recipe)
        return ended(tmp_path, tmp_path)

    monkeypatch.setattr("openmmb.training.train.train", train)
    monkeypatch.chdir(tmp_path)
    (tmp_path / name).mkdir()  # a run of that name is no recipe
    assert main(["train", name, "--optim.lr", "0.5", "--tasks.0.weight", "3"]) == 0
    assert ran[0].out == config.load(Recipe, RECIPES / f"{name}.toml").out
    assert ran[0].optim.lr == 0.5
    assert ran[0].tasks[0].weight == 3
    assert capsys.readouterr().out == f"{tmp_path}\n"


@pytest.mark.parametrize(
    ("reason", "told"),
    [
        ("stopped", "stopped before there was a checkpoint; the same command goes on\n"),
        (
            "all steps done",
            "all steps done, and no validation gave a number: there is no checkpoint\n",
        ),
    ],
)
def test_a_run_without_a_checkpoint_says_so(
    reason: EndReason,
    told: str,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    result = ended(tmp_path, None, reason)
    monkeypatch.setattr("openmmb.training.train.train", lambda _, watch: result)
    assert main(["train", "tiny-1-text"]) == 0
    assert capsys.readouterr() == ("", told)


def test_a_run_that_cannot_go_on_is_one_line(
    monkeypatch: pytest.MonkeyPatch, complaint: Callable[..., str]
) -> None:
    def fail(recipe: Recipe, *, watch: object) -> TrainingResult:
        raise TrainingError("runs/a: step 3: loss is not finite")

    monkeypatch.setattr("openmmb.training.train.train", fail)
    assert "step 3" in complaint("train", "tiny-1-text")


@pytest.mark.parametrize(
    ("top", "bottom", "reason"),
    [
        ("", "[optim]\nlrr = 1", "optim.lrr: no key 'lrr'; did you mean 'lr'?"),
        ("vocab_sise = 8", "", "vocab_sise: no key 'vocab_sise'; did you mean 'vocab_size'?"),
        ("", "wieght = 2", "tasks.0.wieght: no key 'wieght'; did you mean 'weight'?"),
        ("", "[optim]\nlr = -1", "lr must be above 0, got -1"),
        ("seed = 'one'", "", "seed: Input should be a valid integer"),
        ("x = = 1", "", "expected TOML"),
    ],
)
def test_a_mistake_in_a_recipe_is_named(
    top: str, bottom: str, reason: str, tmp_path: Path, complaint: Callable[..., str]
) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(f'{top}\nname = "a"\nout = "b"\n[[tasks]]\nname = "convai2"\n{bottom}\n')
    assert reason in complaint("train", str(path))


def test_a_recipe_that_is_none_is_one_line(complaint: Callable[..., str]) -> None:
    assert "no.toml: No such file" in complaint("train", "no.toml")
    assert "no recipe 'tiny-one'; did you mean 'tiny-" in complaint("train", "tiny-one")


def test_a_flag_that_no_recipe_has_exits_with_2(capsys: pytest.CaptureFixture[str]) -> None:
    for flags in (["--optim.lrr", "1"], ["--optim.lr", "-1"]):
        with pytest.raises(SystemExit, match="2"):
            main(["train", "tiny-1-text", *flags])
        assert "--optim.lr" in (shown := capsys.readouterr().err) or "above 0" in shown


def test_a_model_is_measured_on_what_its_recipe_kept(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    recipe = tiny_recipe(
        tmp_path, tasks=PICTURES, features=tiny_features(tmp_path / "features"), max_steps=2
    )
    path = tmp_path / "recipe.toml"
    path.write_text(config.dump(recipe), encoding="utf-8")
    assert main(["train", str(path)]) == 0
    checkpoint = capsys.readouterr().out.strip()
    assert main(["evaluate", checkpoint, str(path), "--json"]) == 0
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [row["task"] for row in rows] == [task.name for task in PICTURES]
    assert [row["bleu4"] is None for row in rows] == [True, False]
    logged = (Path(recipe.out) / "log.jsonl").read_text(encoding="utf-8").splitlines()
    valid = [r for line in logged if (r := json.loads(line))["kind"] == "valid"][-1]
    for row in rows:
        saved_as_fp16 = pytest.approx(valid[f"ppl/{row['task']}"], rel=1e-3)
        assert row["perplexity"] == saved_as_fp16
    assert main(["evaluate", checkpoint, str(path), "--max-examples", "1"]) == 0
    assert "1 examples  perplexity" in capsys.readouterr().out


def test_a_model_is_measured_as_it_reads_whatever_the_recipe_says(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    recipe = tiny_recipe(tmp_path, max_steps=2)
    path = tmp_path / "recipe.toml"
    path.write_text(config.dump(recipe), encoding="utf-8")
    assert main(["train", str(path)]) == 0
    checkpoint = capsys.readouterr().out.strip()
    other = replace(
        recipe,
        model=tiny_config(num_positions=200),
        encode=EncodeConfig(max_context=150, max_pinned=2),
        data=replace(recipe.data, encoder="efficientnet_lite0"),
    )
    (tmp_path / "other.toml").write_text(config.dump(other), encoding="utf-8")
    for name in ("recipe.toml", "other.toml"):
        assert main(["evaluate", checkpoint, str(tmp_path / name)]) == 0
    rows = capsys.readouterr().out.splitlines()
    assert rows[: len(rows) // 2] == rows[len(rows) // 2 :]


def test_counts_below_one_are_one_line(complaint: Callable[..., str]) -> None:
    flags = ["--images", "a", "--out", "b", "--batch-size", "0"]
    right = "must be at least 1, got 0"
    assert f"--batch-size: {right}" in complaint("features", "efficientnet_lite0", *flags)
    flags = ["tiny", "tiny-1-text", "--max-examples", "0"]
    assert f"--max-examples: {right}" in complaint("evaluate", *flags)


def test_a_model_goes_from_parlai_to_hugging_face_and_back(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = copy_micro(tmp_path / "parlai")
    as_text_model(source)
    ours, theirs, back = (str(tmp_path / name) for name in ("ours", "theirs", "back"))
    assert main(["convert", "parlai", str(source), ours, "--precision", "fp32"]) == 0
    printed = capsys.readouterr()
    assert printed.out == f"{ours}\n"
    assert "untrained" in printed.err
    assert main(["convert", "huggingface", ours, theirs, "--to", "huggingface"]) == 0
    assert main(["convert", "huggingface", theirs, back]) == 0
    assert capsys.readouterr().out == f"{theirs}\n{back}\n"
    replies = []
    for folder in (ours, back):
        assert main(["reply", "hi there", folder]) == 0
        replies.append(capsys.readouterr().out)
    assert replies[0].count("\n") == 1
    before, after = (load_file(Path(folder) / WEIGHTS) for folder in (ours, back))
    words = [name for name in before if "image" not in name and "segment" not in name]
    assert all(torch.equal(before[name], after[name]) for name in words)


def test_what_cannot_be_converted_is_one_line(
    tmp_path: Path, complaint: Callable[..., str]
) -> None:
    assert "nowhere" in complaint("convert", "parlai", "nowhere", str(tmp_path / "out"))
    flags = ("parlai", "nowhere", str(tmp_path / "out"), "--to", "huggingface")
    assert "convert parlai first" in complaint("convert", *flags)
