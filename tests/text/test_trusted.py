"""A ``tokenizer.json`` from anybody is let through only in parts that cannot let a text steer."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from openmmb.errors import CheckpointError
from openmmb.text.patterns import SPLITS
from openmmb.text.tokenizer import SPECIALS, load_tokenizer
from openmmb.text.trusted import LARGEST
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


def normalizer(*parts: dict[str, Any]) -> dict[str, Any]:
    return {"type": "Sequence", "normalizers": list(parts)}


DOUBLING = {"type": "Replace", "pattern": {"String": "a"}, "content": "aa"}
BOMB = {"Regex": "(a|aa)+$"}
SPLIT = {"type": "Split", "behavior": "Isolated", "invert": False}


@pytest.mark.parametrize(
    ("key", "part", "message"),
    [
        ("normalizer", normalizer(*[DOUBLING] * 30), "normalizer replaces .*; expected a known"),
        ("normalizer", {**DOUBLING, "pattern": BOMB}, "normalizer replaces .*; expected a known"),
        ("normalizer", normalizer(*[{"type": "NFC"}] * 500), "has 501 parts; expected at most 8"),
        ("pre_tokenizer", SPLIT | {"pattern": BOMB}, "splits at .*; expected a published pattern"),
        ("pre_tokenizer", SPLIT | {"pattern": {"String": ""}}, "expected a published pattern"),
        ("pre_tokenizer", SPLIT | {"pattern": {"String": "a" * 17}}, "a published pattern"),
        ("pre_tokenizer", SPLIT, "splits at None; expected a published pattern"),
        ("decoder", {**DOUBLING, "content": "a" * 10**6}, r"decoder replaces .{80}; expected"),
        ("decoder", {"type": "BPEDecoder", "suffix": "a" * 99}, "decoder has the suffix"),
        ("post_processor", {"type": "TemplateProcessing"}, "post_processor is of the type"),
    ],
)
def test_a_part_that_takes_for_ever_or_makes_giants_is_refused(
    key: str, part: dict[str, Any], message: str, tmp_path: Path
) -> None:
    path = changed(lambda data: data.update({key: part}), tmp_path)
    with pytest.raises(CheckpointError, match=message) as caught:
        load_tokenizer(path)
    assert len(str(caught.value)) < 400


@pytest.mark.parametrize(
    ("part", "message"),
    [
        ({"continuing_subword_prefix": "##"}, "model.continuing_subword_prefix is '##'; expected"),
        ({"byte_fallback": True}, "model.byte_fallback is True; expected none"),
        ({"end_of_word_suffix": "e" * 99}, r"end_of_word_suffix is 'e+\.\.\.; expected a short"),
        ({"unk_token": "none"}, "unk_token is 'none', expected a token of the vocabulary"),
        ({"unk_token": []}, "not a tokenizer: "),
        ({"type": "WordLevel"}, "model.unk_token is missing"),
        ({"merges": [["a", "none"]]}, "not a tokenizer: "),
    ],
)
def test_a_model_that_ends_in_a_panic_is_refused(
    part: dict[str, Any], message: str, tmp_path: Path
) -> None:
    with pytest.raises(CheckpointError, match=message):
        load_tokenizer(changed(lambda data: data["model"].update(part), tmp_path))


@pytest.mark.parametrize("number", [-1, 7, 300, 2**32 - 1, 2**70, True, 1.5, "1", None])
def test_ids_count_from_0_each_token_another_one(number: object, tmp_path: Path) -> None:
    def renumber(data: dict[str, Any]) -> None:
        data["model"]["vocab"]["!"] = number

    with pytest.raises(CheckpointError, match="not a tokenizer: "):
        load_tokenizer(changed(renumber, tmp_path))


def test_an_added_token_has_one_id(tmp_path: Path) -> None:
    path = changed(lambda data: data["added_tokens"][2].update(id=5), tmp_path)
    with pytest.raises(CheckpointError, match="added token '__end__' has two ids, 2 and 5"):
        load_tokenizer(path)


def test_a_key_that_stands_twice_is_refused(tmp_path: Path) -> None:
    path = changed(lambda data: None, tmp_path)
    text = path.read_text(encoding="utf-8")
    path.write_text(text[:-1] + ', "normalizer": null}', encoding="utf-8")
    with pytest.raises(CheckpointError, match="key 'normalizer' stands twice in an object"):
        load_tokenizer(path)


def test_a_file_larger_than_all_published_ones_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "tokenizer.json"
    with path.open("wb") as file:
        file.truncate(LARGEST + 1)
    with pytest.raises(CheckpointError, match="expected at most 67108864 bytes"):
        load_tokenizer(path)


@pytest.mark.parametrize("pattern", SPLITS)
def test_published_patterns_take_little_time_on_any_text(pattern: str, tmp_path: Path) -> None:
    part = SPLIT | {"pattern": {"Regex": pattern}}
    tokenizer = load_tokenizer(changed(lambda data: data.update(pre_tokenizer=part), tmp_path))
    for text in (" " * 4000, "\n" * 4000, "a" * 4000, "1" * 4000, "'" * 4000, "a " * 2000):
        tokenizer.encode(text)


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
