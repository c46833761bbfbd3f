"""Any Hugging Face text classifier on this machine can be the guard's check."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import torch

from openmmb.errors import CheckpointError, ConfigError
from openmmb.safety.classifier import open_classifier
from openmmb.safety.huggingface import open_huggingface

transformers: Any = pytest.importorskip("transformers")

WORDS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "two", "dogs", "run", "away", "you", "?")
LABELS = {0: "fine", 1: "rude", 2: "hate"}
TEXTS = [("two dogs run", ()), ("you ?", ("two dogs",)), ("run away you dogs", ())]


@pytest.fixture(scope="module")
def model() -> Any:
    torch.manual_seed(0)
    config = transformers.BertConfig(
        vocab_size=len(WORDS),
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=16,
        id2label=LABELS,
        label2id={name: at for at, name in LABELS.items()},
    )
    return transformers.BertForSequenceClassification(config).eval()


@pytest.fixture(scope="module")
def folder(model: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(model, tmp_path_factory.mktemp("bert"))


def write(model: Any, folder: Path) -> Path:
    model.save_pretrained(folder)
    (folder / "vocab.txt").write_text("\n".join(WORDS), encoding="utf-8")
    transformers.BertTokenizer(str(folder / "vocab.txt")).save_pretrained(folder)
    return folder


def test_a_score_is_the_probability_of_the_unsafe_labels(model: Any, folder: Path) -> None:
    check = open_classifier(folder, unsafe=("rude", "hate"))
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    for text, context in TEXTS:
        with torch.inference_mode():
            logits = model(**tokenizer(text, return_tensors="pt")).logits[0]
        expected = logits.softmax(-1)[1:].sum().item()
        assert check(text, context).score == pytest.approx(expected, abs=1e-5)
        assert check.judge_side([(text, context)], "bot")[0].safe == (expected < 0.5)


def test_texts_together_are_judged_as_each_alone(folder: Path) -> None:
    check = open_classifier(folder, unsafe=("hate",))
    for (text, context), verdict in zip(TEXTS, check.judge_many(TEXTS), strict=True):
        assert check(text, context).score == pytest.approx(verdict.score, abs=1e-5)


def test_threads_share_a_model(folder: Path) -> None:
    check = open_classifier(folder, unsafe=("hate",))
    texts = [(f"{'two dogs run ' * (at % 5)}away", ()) for at in range(400)]
    expected = [check(text, context).score for text, context in texts[:5]]
    with ThreadPoolExecutor(8) as pool:
        verdicts = list(pool.map(lambda text: check(*text), texts))
    scores = [verdict.score for verdict in verdicts]
    assert scores == pytest.approx([expected[at % 5] for at in range(400)], abs=1e-5)


def test_turns_before_are_the_first_segment_when_asked_for(model: Any, folder: Path) -> None:
    judge = open_huggingface(folder, context_turns=1).judge
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    with torch.inference_mode():
        logits = model(**tokenizer("two dogs", "you ?", return_tensors="pt")).logits
    found = judge([("you ?", ("run", "two dogs"))])
    torch.testing.assert_close(found, logits.softmax(-1), atol=1e-5, rtol=0)


def test_labels_that_do_not_exclude_each_other_are_independent(model: Any, tmp_path: Path) -> None:
    folder = write(model, tmp_path / "many")
    config = folder / "config.json"
    whole = transformers.BertConfig.from_pretrained(folder)
    whole.problem_type = "multi_label_classification"
    whole.save_pretrained(folder)
    assert "multi_label" in config.read_text(encoding="utf-8")
    check = open_classifier(folder, unsafe=("rude", "hate"))
    sums = check.judge([("two dogs", ())])
    assert not check.exclusive
    assert check("two dogs").score == pytest.approx(sums[0, 1:].max().item())


def test_a_long_text_is_cut(folder: Path) -> None:
    check = open_classifier(folder, unsafe=("rude",))
    assert 0 < check("two dogs " * 40).score < 1


def test_the_unsafe_labels_must_be_named(folder: Path) -> None:
    with pytest.raises(
        ConfigError, match="no unsafe labels are named; expected some of fine, rude, hate"
    ):
        open_classifier(folder)
    with pytest.raises(ConfigError, match="no label 'toxic'; expected one of fine, hate, rude"):
        open_classifier(folder, unsafe=("toxic",))


def test_a_damaged_folder_is_named_in_one_line(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text((folder / "config.json").read_text(encoding="utf-8"))
    with pytest.raises(CheckpointError, match="expected a text classifier: ") as error:
        open_classifier(tmp_path, unsafe=("rude",))
    assert "\n" not in str(error.value)
