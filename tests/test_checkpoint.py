"""A checkpoint comes back as it was saved; a damaged one is named with its file."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from openmmb import hub
from openmmb.checkpoint import (
    CONFIG,
    DTYPES,
    Precision,
    find_checkpoint,
    load_checkpoint,
    open_checkpoint,
    save_checkpoint,
)
from openmmb.engine.open import Engine, open_engine
from openmmb.engine.packed import open_packed
from openmmb.errors import CheckpointError
from openmmb.files import OWN, replace_folder
from tests.build import tiny_checkpoint, tiny_config, tiny_model


def read_plain(folder: Path) -> Engine:
    return open_engine(open_checkpoint(folder), device="cpu", kind="plain")


def read_packed(folder: Path) -> Engine:
    return open_engine(open_checkpoint(folder), device="cpu", kind="fp32")


def saved(tmp_path: Path) -> Path:
    save_checkpoint(tiny_checkpoint(gender="f0m0"), tmp_path / "model", precision="fp32")
    return tmp_path / "model"


def test_load_inverts_save(tmp_path: Path) -> None:
    made = tiny_checkpoint(gender="f0m0", image_style="negative")
    save_checkpoint(made, tmp_path / "deep" / "model", precision="fp32")
    loaded = load_checkpoint(tmp_path / "deep" / "model")
    assert loaded.config == made.config
    assert loaded.tokenizer.encode("A boat, 2 dogs") == made.tokenizer.encode("A boat, 2 dogs")
    expected = made.model.state_dict()
    torch.testing.assert_close(loaded.model.state_dict(), expected, rtol=0, atol=0)
    assert not loaded.model.training
    assert [
        name for name, weight in loaded.model.named_parameters() if not weight.requires_grad
    ] == [
        "encoder.positions.weight",
        "decoder.positions.weight",
    ]


@pytest.mark.parametrize("precision", list(DTYPES))
def test_weights_are_saved_in_the_precision_asked_for(precision: Precision, tmp_path: Path) -> None:
    save_checkpoint(tiny_checkpoint(), tmp_path / "model", precision=precision)
    weights = load_file(tmp_path / "model" / "model.safetensors")
    assert {weight.dtype for weight in weights.values()} == {DTYPES[precision]}
    loaded = load_checkpoint(tmp_path / "model", dtype=torch.bfloat16)
    assert {weight.dtype for weight in loaded.model.parameters()} == {torch.bfloat16}
    assert load_checkpoint(tmp_path / "model").model.dtype == torch.float32


def test_a_weight_beyond_the_precision_is_not_saved_as_infinite(tmp_path: Path) -> None:
    made = tiny_checkpoint()
    with torch.no_grad():
        made.model.embeddings.weight[3, 3] = 1e6
    with pytest.raises(CheckpointError, match=r"^embeddings\.weight: 1e\+06 is not a number of fp"):
        save_checkpoint(made, tmp_path / "model", precision="fp16")
    assert not (tmp_path / "model").exists()


def test_saving_again_replaces_the_whole_folder(tmp_path: Path) -> None:
    folder = saved(tmp_path)
    for rest in ("model.partial", "model.replaced"):  # as a killed run leaves them
        (tmp_path / rest).mkdir()
        (tmp_path / rest / OWN).touch()
        (tmp_path / rest / "model").mkdir()
    save_checkpoint(tiny_checkpoint(), folder, precision="fp32")
    assert load_checkpoint(folder).config.gender is None
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


def test_what_is_not_a_checkpoints_own_stays(tmp_path: Path) -> None:
    folder = saved(tmp_path)
    (folder / "notes").mkdir()
    (folder / "notes" / "thesis.txt").write_text("mine", encoding="utf-8")
    (folder / "README.md").write_text("mine too", encoding="utf-8")
    for rest in ("model.partial", "model.replaced"):
        (tmp_path / rest).mkdir()
        (tmp_path / rest / "thesis.txt").write_text("mine", encoding="utf-8")
    save_checkpoint(tiny_checkpoint(), folder, precision="fp32")
    assert load_checkpoint(folder).config.gender is None
    for kept in ("model/notes", "model.partial", "model.replaced"):
        assert (tmp_path / kept / "thesis.txt").read_text(encoding="utf-8") == "mine"
    assert (folder / "README.md").read_text(encoding="utf-8") == "mine too"
    assert len(list(tmp_path.iterdir())) == 3


def test_a_folder_that_is_no_checkpoint_does_not_become_one(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("mine", encoding="utf-8")
    with pytest.raises(CheckpointError, match=r"is not a checkpoint, and holds 'thesis\.txt'"):
        save_checkpoint(tiny_checkpoint(), tmp_path, precision="fp32")
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


def test_a_checkpoint_of_an_earlier_version_loads(tmp_path: Path) -> None:
    """Versions up to 0.1 wrote a switch that was always off, and no picture's names."""
    folder = saved(tmp_path)
    path = folder / "config.toml"
    lines = path.read_text(encoding="utf-8").splitlines()
    lines = [line for line in lines if not line.startswith("object_")]
    lines.insert(lines.index("[encode]") + 1, "parse_controls = false")
    path.write_text("\n".join(lines), encoding="utf-8")
    assert load_checkpoint(folder).config == tiny_checkpoint(gender="f0m0").config


def test_what_is_no_trained_network_is_not_saved_and_replaces_nothing(tmp_path: Path) -> None:
    folder = saved(tmp_path)
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    made = tiny_checkpoint()
    engine = open_packed(made, torch.device("cpu"))
    bare = tiny_model(tiny_config(image_layers=2))
    wrong: list[Any] = [open_checkpoint(folder), engine, made.model, replace(made, model=bare)]
    for one in wrong:
        with pytest.raises(CheckpointError, match=rf"^{folder}: .*expected a "):
            save_checkpoint(one, folder, precision="fp16")
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


@pytest.mark.parametrize("number", [float("nan"), float("inf"), -float("inf")])
@pytest.mark.parametrize("opens", [load_checkpoint, read_plain, read_packed])
def test_a_weight_that_is_no_number_is_refused_however_it_is_read(
    number: float, opens: Callable[[Path], object], tmp_path: Path
) -> None:
    folder = saved(tmp_path)

    def spoil(weights: dict[str, Tensor]) -> None:
        weights["decoder.norm.weight"][3] = number

    change_weights(folder, spoil)
    message = r"model\.safetensors: decoder\.norm\.weight has (nan|-?inf) among its numbers"
    with pytest.raises(CheckpointError, match=message):
        opens(folder)


def test_weights_that_are_whole_numbers_are_refused(tmp_path: Path) -> None:
    folder = saved(tmp_path)
    change_weights(folder, lambda weights: weights.update({"x": torch.zeros(2, dtype=torch.int16)}))
    with pytest.raises(CheckpointError, match="x is I16, expected F32, F16, BF16"):
        load_checkpoint(folder)


@pytest.mark.parametrize("opens", [load_checkpoint, read_plain, read_packed])
def test_more_layers_than_weights_are_refused_before_they_are_built(
    opens: Callable[[Path], object], tmp_path: Path
) -> None:
    folder = saved(tmp_path)
    change_config(folder, lambda text: text.replace("decoder_layers = 2", "decoder_layers = 999"))
    with pytest.raises(CheckpointError, match=r"\d+ weights, expected 1002 layers for the model"):
        opens(folder)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("num_decoder_layers = 2", "num_decoder_layers = 200000", "must be from 1 to 1000, got 2"),
        ("embed_dim = 16", "embed_dim = 1000000000", "embed_dim must be from 1 to 1048576, got 1"),
        ("beam_size = 2", "beam_size = 20000", "beam_size is 20000 and max_length is 12"),
        ("length_penalty = 0.65", "length_penalty = inf", "length_penalty must be a finite number"),
        ("dropout = 0.0", "dropout = nan", "dropout must be a finite number, got nan"),
        ("num_heads = 2", "num_heads = true", "num_heads: Input should be a valid integer, got Tr"),
        ("[encode]", "[encode]\nparse_controls = true", "no key 'parse_controls'"),
        ("[encode]", f"[encode]\nx = {'[' * 5000}", "expected TOML: it is nested too deeply"),
    ],
)
def test_settings_that_would_hang_or_steer_a_chat_are_refused(
    old: str, new: str, message: str, tmp_path: Path
) -> None:
    folder = saved(tmp_path)
    before = (folder / "config.toml").read_text(encoding="utf-8")
    assert old in before
    change_config(folder, lambda text: text.replace(old, new))
    with pytest.raises(CheckpointError, match=message):
        open_checkpoint(folder)


def test_a_file_is_not_replaced_by_a_folder(tmp_path: Path) -> None:
    (tmp_path / "model").write_text("mine", encoding="utf-8")
    with pytest.raises(CheckpointError, match="model: is a file; expected a folder"):
        save_checkpoint(tiny_checkpoint(), tmp_path / "model", precision="fp32")
    assert (tmp_path / "model").read_text(encoding="utf-8") == "mine"


@pytest.mark.parametrize("renames", [0, 1])
def test_wherever_a_replacement_is_interrupted_both_folders_are_whole(
    renames: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    new, old = tmp_path / "model.partial", tmp_path / "model"
    for folder in (new, old):
        folder.mkdir()
        (folder / "file").write_text(folder.name, encoding="utf-8")
    rename, left = Path.rename, [renames]

    def interrupted(self: Path, target: Path) -> Path:
        if not left[0]:
            raise KeyboardInterrupt
        left[0] -= 1
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", interrupted)
    with pytest.raises(KeyboardInterrupt):
        replace_folder(new, old)
    monkeypatch.undo()
    there = {
        str(path.parent.relative_to(tmp_path)): path.read_text(encoding="utf-8")
        for path in tmp_path.rglob("file")
    }
    kept = "model.replaced/model" if renames else "model"
    assert there == {"model.partial": "model.partial", kept: "model"}
    replace_folder(new, old)
    assert (old / "file").read_text(encoding="utf-8") == "model.partial"
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


def change_config(folder: Path, change: Callable[[str], str]) -> None:
    path = folder / "config.toml"
    path.write_text(change(path.read_text(encoding="utf-8")), encoding="utf-8")


def change_weights(folder: Path, change: Callable[[dict[str, Tensor]], object]) -> None:
    weights = load_file(folder / "model.safetensors")
    change(weights)
    save_file(weights, folder / "model.safetensors")


def cut(path: Path, keep: int) -> None:
    path.write_bytes(path.read_bytes()[:keep])


def wrong_shape(weights: dict[str, Tensor]) -> None:
    weights["decoder.norm.weight"] = torch.zeros(3)


DAMAGES: list[tuple[Callable[[Path], object], str]] = [
    (
        lambda f: (f / "config.toml").unlink(),
        r"no config\.toml; is it the folder of a checkpoint",
    ),
    (
        lambda f: (f / "tokenizer.json").unlink(),
        r"no tokenizer\.json; is it the folder of a checkpoint",
    ),
    (
        lambda f: (f / "model.safetensors").unlink(),
        r"no model\.safetensors; is it the folder of a",
    ),
    (
        lambda f: change_config(f, lambda text: text.replace("embed_dim", "embed_din")),
        r"config\.toml: model\.embed_din: no key 'embed_din'; did you mean 'embed_dim'\?",
    ),
    (
        lambda f: change_config(f, lambda text: text.replace("max_reply = 24", "max_reply = 99")),
        r"config\.toml: encode\.max_context \(48\) and encode\.max_reply \(99\) must be at most",
    ),
    (
        lambda f: change_config(f, lambda text: text.replace('"f0m0"', '"f0"')),
        r"config\.toml: gender must be one of f0m0, f0m1, f1m0, f1m1, got 'f0'",
    ),
    (lambda f: cut(f / "config.toml", 30), r"config\.toml: expected TOML: "),
    (lambda f: cut(f / "tokenizer.json", 30), r"tokenizer\.json: not a tokenizer: "),
    (lambda f: cut(f / "model.safetensors", 0), r"model\.safetensors: not safetensors: "),
    (lambda f: cut(f / "model.safetensors", 100), r"model\.safetensors: not safetensors: "),
    (lambda f: cut(f / "model.safetensors", -100), r"model\.safetensors: not safetensors: "),
    (
        lambda f: change_weights(f, lambda weights: weights.pop("decoder.norm.weight")),
        r"model\.safetensors: lacks decoder\.norm\.weight for the model of config\.toml",
    ),
    (
        lambda f: change_weights(f, lambda weights: weights.update(extra=torch.zeros(2))),
        r"model\.safetensors: has unknown extra for the model of config\.toml",
    ),
    (
        lambda f: change_weights(f, wrong_shape),
        r"decoder\.norm\.weight is \(3,\), expected \(16,\) for the model of config\.toml",
    ),
    (
        lambda f: change_config(f, lambda text: text.replace("vocab_size = 300", "vocab_size = 9")),
        r"tokenizer\.json: 300 tokens, but the model of config\.toml has a vocabulary of 9",
    ),
]


@pytest.mark.parametrize(("damage", "message"), DAMAGES, ids=[m[:40] for _, m in DAMAGES])
def test_a_damaged_checkpoint_is_named(
    damage: Callable[[Path], object], message: str, tmp_path: Path
) -> None:
    folder = saved(tmp_path)
    damage(folder)
    with pytest.raises(CheckpointError, match=message) as info:
        load_checkpoint(folder)
    assert str(info.value).startswith(str(folder))


def test_a_name_is_a_folder_or_else_a_bundled_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bundled = tmp_path / "bundled"
    (bundled / "small").mkdir(parents=True)
    monkeypatch.setattr(hub, "BUNDLED", bundled)
    monkeypatch.chdir(tmp_path)
    assert find_checkpoint("small") == bundled / "small"
    assert find_checkpoint("large") == Path("large")
    (tmp_path / "small").mkdir()
    assert find_checkpoint("small") == bundled / "small"
    (tmp_path / "small" / CONFIG).touch()
    assert find_checkpoint("small") == Path("small")
    assert find_checkpoint("~/small") == Path.home() / "small"


def test_what_is_no_folder_is_told(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"none: no such folder; a checkpoint is a folder wi"):
        load_checkpoint(tmp_path / "none")
    (tmp_path / "file").write_text("", encoding="utf-8")
    with pytest.raises(CheckpointError, match=r"file: not a folder; a checkpoint is a folder with"):
        load_checkpoint(tmp_path / "file")
