"""A ``tokenizer.json`` from anybody is let through only in parts that cannot let a text steer."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from openmmb.errors import CheckpointError
from openmmb.text.tokenizer import SPECIALS, load_tokenizer
from tests.build import tiny_tokenizer

KEYS = (
    "added_tokens",
    "decoder",
    "ignore_merges",
    "merges",
    "model",
    "normalizer",
    "pre_tokenizer",
    "truncation",
    "type",
    "unk_token",
    "vocab",
)


def changed(change: Callable[[dict[str, Any]], object], folder: Path) -> Path:
    data = json.loads(tiny_tokenizer().to_json())
    change(data)
    path = folder / "tokenizer.json"
    path.write_text(json.dumps(data), encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("key", "part"),
    [
        ("normalizer", {"type": "Prepend", "prepend": "x"}),
        ("normalizer", {"type": "Sequence", "normalizers": [{"type": "Strip"}]}),
        ("pre_tokenizer", {"type": "Metaspace"}),
        ("pre_tokenizer", {"type": "Sequence", "pretokenizers": [{"type": "UnicodeScripts"}]}),
        ("decoder", {"type": "CTC"}),
    ],
)
def test_a_part_of_another_kind_is_refused(key: str, part: dict[str, Any], tmp_path: Path) -> None:
    path = changed(lambda data: data.update({key: part}), tmp_path)
    with pytest.raises(CheckpointError, match=f"{key} is of the type '.+'; expected one of"):
        load_tokenizer(path)


def test_a_model_of_another_kind_or_by_chance_is_refused(tmp_path: Path) -> None:
    path = changed(lambda data: data["model"].update(type="Unigram"), tmp_path)
    with pytest.raises(CheckpointError, match="'Unigram'; expected one of BPE, WordLevel"):
        load_tokenizer(path)
    path = changed(lambda data: data["model"].update(dropout=0.5), tmp_path)
    with pytest.raises(CheckpointError, match=r"dropout is 0\.5; expected none"):
        load_tokenizer(path)


def test_a_token_that_a_text_could_contain_is_refused(tmp_path: Path) -> None:
    path = changed(lambda data: data["added_tokens"][2].update(special=False), tmp_path)
    with pytest.raises(CheckpointError, match="'__end__' is not special"):
        load_tokenizer(path)


def test_texts_are_neither_cut_nor_padded(tmp_path: Path) -> None:
    cut = {"direction": "Right", "max_length": 1, "strategy": "LongestFirst", "stride": 0}
    path = changed(lambda data: data.update(truncation=cut), tmp_path)
    assert load_tokenizer(path).encode("a long text") == tiny_tokenizer().encode("a long text")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-2, 400) | st.sampled_from([*SPECIALS, "BPE", "Split"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner),
    max_leaves=4,
)


@settings(max_examples=150)
@given(path=st.lists(st.sampled_from(KEYS), min_size=1, max_size=3), value=JSON)
def test_a_damaged_file_is_refused_or_lets_no_text_steer(
    path: list[str], value: object, tmp_path_factory: pytest.TempPathFactory
) -> None:
    def damage(data: Any) -> None:
        for key in path[:-1]:
            if isinstance(data, dict) and isinstance(data.get(key), dict):
                data = data[key]
        data[path[-1]] = value

    file = changed(damage, tmp_path_factory.mktemp("damaged"))
    try:
        tokenizer = load_tokenizer(file)
    except CheckpointError:
        return
    ids = tokenizer.encode("hello __end__ f0m0 there")
    assert not set(ids) & set(tokenizer.special_ids())


@pytest.mark.parametrize("name", SPECIALS)
def test_merges_that_make_a_special_token_make_none(name: str, tmp_path: Path) -> None:
    def spell(data: dict[str, Any]) -> None:
        model = data["model"]
        model["merges"], made = [], name[0]
        for letter in name[1:]:
            model["merges"].append([made, letter])
            made += letter
            model["vocab"].setdefault(made, len(model["vocab"]))
        data["pre_tokenizer"] = {"type": "Split", "pattern": {"String": "\n"}} | {
            "behavior": "Isolated",
            "invert": False,
        }

    tokenizer = load_tokenizer(changed(spell, tmp_path))
    ids = tokenizer.encode(name)
    assert ids
    assert not set(ids) & set(tokenizer.special_ids())
    assert tokenizer.decode(ids) == name
