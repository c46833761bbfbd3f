"""ParlAI's safety classifiers become ours, with the same numbers; what does not fit is named."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from openmmb.checkpoint import DTYPES, Precision
from openmmb.cli import main
from openmmb.convert.classifier import ConvertedClassifier, convert_classifier
from openmmb.convert.parlai import convert
from openmmb.convert.subwords import read_subwords
from openmmb.errors import CheckpointError
from openmmb.pickles import load_pickle
from openmmb.safety.classifier import open_classifier
from openmmb.safety.reading import collate, read
from openmmb.safety.trained import load_classifier
from openmmb.tensors import pickled_weights
from tests.convert.build import change_options

DATA = Path(__file__).parent / "data" / "classifier"
CASES: list[dict[str, Any]] = [
    case for case in json.loads((DATA / "cases.json").read_text(encoding="utf-8")) if case["text"]
]
NUMBERS = load_file(DATA / "cases.safetensors")


@pytest.fixture
def source(tmp_path: Path) -> Path:
    shutil.copytree(DATA, tmp_path / "in")
    return tmp_path / "in"


def converted(
    source: Path, out: Path, *, precision: Precision | None = None, **changes: Any
) -> ConvertedClassifier:
    """Convert with other options; None takes one away."""
    options = json.loads((source / "model.opt").read_text(encoding="utf-8")) | changes
    kept = {key: value for key, value in options.items() if value is not None}
    weights = pickled_weights(load_pickle(source / "model")["model"], source / "model")
    return convert_classifier(source / "model", kept, weights, out, precision=precision)


def test_the_command_knows_a_classifier(source: Path, tmp_path: Path) -> None:
    assert main(["convert", "parlai", str(source), str(tmp_path / "out")]) == 0
    check = open_classifier(str(tmp_path / "out"))
    assert check(CASES[0]["text"], ()).check == "classifier"


@pytest.mark.parametrize("number", range(len(CASES)))
def test_a_text_has_parlais_ids_logits_and_class(number: int, source: Path, tmp_path: Path) -> None:
    case = CASES[number]
    out = converted(source, tmp_path / "out").folder
    trained = load_classifier(out)
    part = read(case["text"], (), trained.tokenizer, trained.config.read)[0]
    rows = read_subwords(
        source / "model.dict",
        null="__null__",
        start="__start__",
        end="__start__",
        unknown="__unk__",
    ).rows
    assert [rows[token] for token in part.ids] == case["text_vec"]
    with torch.inference_mode():
        logits = trained.model(*collate([part], pad_id=trained.tokenizer.pad_id))
    torch.testing.assert_close(logits, NUMBERS[f"{number}.logits"], atol=1e-4, rtol=0)
    verdict = open_classifier(out)(case["text"], ())
    assert verdict.score == pytest.approx(case["probs"][0], abs=1e-4)
    assert verdict.safe == case["output"].startswith("Predicted class: __ok__")


def test_texts_together_are_judged_as_each_alone(source: Path, tmp_path: Path) -> None:
    check = open_classifier(converted(source, tmp_path / "out").folder)
    texts = [(case["text"], ()) for case in CASES]
    together = check.judge_many(texts)
    for (text, context), verdict in zip(texts, together, strict=True):
        assert check(text, context).score == pytest.approx(verdict.score, abs=1e-5)


def test_turns_before_are_read_only_when_asked_for(source: Path, tmp_path: Path) -> None:
    out = converted(source, tmp_path / "out").folder
    alone, seeing = open_classifier(out), open_classifier(out, context_turns=1)
    said = ("you there ?", "hi how are you?")
    assert alone("a dog", said) == alone("a dog", ())
    joined = alone("hi how are you?\na dog", ())
    assert seeing("a dog", said).score == pytest.approx(joined.score)


@pytest.mark.parametrize("precision", ["fp16", "bf16"])
def test_weights_are_stored_as_asked(precision: Precision, source: Path, tmp_path: Path) -> None:
    out = converted(source, tmp_path / "out", precision=precision).folder
    weights = load_file(out / "model.safetensors")
    assert {weight.dtype for weight in weights.values()} == {DTYPES[precision]}


@pytest.mark.parametrize(
    ("changes", "threshold"),
    [
        ({"threshold": 0.3}, 0.3),
        ({"threshold": 0.3, "ref_class": "__notok__"}, 0.3),
        ({"threshold": 0.3, "ref_class": "__ok__"}, 0.7),
        ({"threshold": None}, 0.5),
    ],
)
def test_the_threshold_is_that_of_the_unsafe_class(
    changes: dict[str, Any], threshold: float, source: Path, tmp_path: Path
) -> None:
    config = converted(source, tmp_path / "out", **changes).config
    assert config.threshold == pytest.approx(threshold)
    assert config.unsafe == ("__notok__",)


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        ("text_truncate", "x", "a number"),
        ("threshold", [], "a number"),
        ("dict_nulltoken", {}, "text"),
        ("classes", 0.5, "a list"),
        ("model", {}, "text"),
    ],
)
def test_an_option_of_another_kind_is_named(
    key: str, value: Any, expected: str, source: Path, tmp_path: Path
) -> None:
    change_options(source, **{key: value})
    with pytest.raises(CheckpointError, match=rf"model\.opt: {key} is .*; expected {expected}$"):
        convert(source, tmp_path / "out")


def test_many_long_classes_are_not_quoted_whole(source: Path, tmp_path: Path) -> None:
    change_options(source, classes=["x" * 9000])
    with pytest.raises(CheckpointError, match="classes are x") as caught:
        convert(source, tmp_path / "out")
    assert len(str(caught.value)) < 400


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"dict_tokenizer": "re"}, r"dict_tokenizer is 're'; expected 'bpe'"),
        ({"dict_lower": False}, r"dict_lower is False; expected True"),
        ({"classes": ["good", "bad"]}, r"classes are good, bad; expected .* '__notok__'"),
        ({"classes": None}, r"classes are missing"),
        ({"embedding_size": None}, r"embedding_size is missing"),
        ({"reduction_type": "none_with_pos_embs"}, r"shape.pooling: .*got 'none_with_pos_embs'"),
        ({"text_truncate": 2048}, r"2049|2048 tokens must be at most shape.num_positions \(1024\)"),
        ({"dict_nulltoken": "__pad__"}, r"model.dict: no token '__pad__'"),
        ({"n_layers": 3}, r"lacks transformer.layers.2"),
        ({"n_layers": 1}, r"has unknown transformer.layers.1"),
        ({"ffn_size": 64}, r"expected \(64, 32\)"),
    ],
)
def test_what_does_not_fit_is_named(
    changes: dict[str, Any], message: str, source: Path, tmp_path: Path
) -> None:
    with pytest.raises(CheckpointError, match=message):
        converted(source, tmp_path / "out", **changes)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda folder: (folder / "model.dict.codecs").unlink(), "No such file"),
        (lambda folder: (folder / "model.dict").write_text("__null__\t1\n"), "no token"),
        (
            lambda folder: (folder / "model.dict.codecs").write_text("#version: 0.2\na b c\n"),
            "line 2 is 'a b c', expected two tokens",
        ),
    ],
)
def test_a_damaged_dictionary_is_named(
    damage: Callable[[Path], object], message: str, source: Path, tmp_path: Path
) -> None:
    damage(source)
    with pytest.raises(CheckpointError, match=message):
        converted(source, tmp_path / "out")


def test_a_table_of_another_size_than_the_dictionary_is_refused(
    source: Path, tmp_path: Path
) -> None:
    with (source / "model.dict").open("a", encoding="utf-8") as file:
        file.write("zebra\t1\n")
    with pytest.raises(CheckpointError, match=r"embeddings.weight is .*expected \(144, 32\)"):
        converted(source, tmp_path / "out")


def test_a_weight_too_large_for_its_precision_is_refused(source: Path, tmp_path: Path) -> None:
    state: dict[str, Tensor] = {
        name: tensor.clone() for name, tensor in load_pickle(source / "model")["model"].items()
    }
    state["additional_linear_layer.bias"][0] = 1e6
    torch.save({"model": state}, source / "model")
    with pytest.raises(CheckpointError, match=r"1e\+06 is not a number of fp16"):
        converted(source, tmp_path / "out", precision="fp16")
