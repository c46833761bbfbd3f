"""Contexts, replies and words are ParlAI's, id for id; what people type is never a control.

``data/README.md`` says what is stored.
"""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st
from tokenizers import pre_tokenizers

from openmmb.checkpoint import Checkpoint
from openmmb.config import parse
from openmmb.convert.bpe import build_tokenizer, read_parlai_vocabulary
from openmmb.data.encode import EncodeConfig, encode_context, encode_reply
from openmmb.data.example import Example
from openmmb.errors import ConfigError
from openmmb.text.gender import GENDER_TOKENS
from openmmb.text.tokenizer import END, START, STYLE, Tokenizer
from tests.build import tiny_tokenizer
from tests.convert.build import DATA, read
from tests.convert.steered import Steered

TEXT = read("text.json")
PARLAI = EncodeConfig(layout="parlai", max_pinned=0)
VOCABULARY = read_parlai_vocabulary(DATA / "micro" / "model.dict", size=592)
STEERED = Steered(VOCABULARY)
CONTROLS = {tuple(VOCABULARY.control_ids(name)) for name in GENDER_TOKENS}
TEXTS = st.text() | st.lists(
    st.sampled_from([*GENDER_TOKENS, " ", "\n", "f", "0", "m", "1", "__end__", "__unk__", "a", "é"])
).map("".join)


def said(*turns: str, gender: str | None = None, persona: tuple[str, ...] = ()) -> Example:
    return Example(
        context=turns, reply="", task="", conversation="", gender=gender, persona=persona
    )


@pytest.mark.parametrize("case", TEXT["encode"], ids=lambda case: repr(case["text"][:30]))
def test_a_text_has_the_ids_that_parlai_gives_it(case: dict[str, Any]) -> None:
    assert STEERED.encode(case["text"]) == case["ids"]
    if case["vec2txt"] is not None and 2 not in case["ids"]:
        assert STEERED.decode(case["ids"]) == case["vec2txt"]
    if not set(case["ids"]) & {0, 1, 2, 3} and "f" not in case["text"]:
        assert VOCABULARY.encode(case["text"]) == case["ids"]


@pytest.mark.parametrize("case", TEXT["decode"], ids=lambda case: str(case["ids"]))
def test_ids_are_written_as_parlai_writes_them(case: dict[str, Any]) -> None:
    """Where ParlAI fails, on a text that begins with no space, there is one all the same."""
    found = STEERED.decode(case["ids"])
    if "agent_v2t" in case:
        assert found == case["agent_v2t"]
    else:
        assert isinstance(found, str)


def options(config: dict[str, Any]) -> EncodeConfig:
    changes: dict[str, Any] = {}
    if "text_truncate" in config:
        changes |= {"max_context": config["text_truncate"], "max_reply": config["label_truncate"]}
    if "delimiter" in config:
        changes |= {"delimiter": config["delimiter"]}
    if "history_add_global_end_token" in config:
        changes |= {"end_context": config["history_add_global_end_token"] is not None}
    return replace(PARLAI, **changes)


@pytest.mark.parametrize("name", TEXT["history"])
def test_the_context_of_every_turn_is_that_of_parlai(name: str) -> None:
    scenario = TEXT["history"][name]
    config = options(scenario["opt"])
    control = "f0m0" if name.startswith("bias") else None
    for event in scenario["events"]:
        if "reply" in event:
            continue
        spoke = "text" in event  # without, ParlAI makes no context, not even of the control
        example = said(*event["history"], gender=control if spoke else None)
        found = encode_context(example, STEERED, config)
        uncut = encode_context(example, STEERED, replace(config, max_context=1000))
        if "temp" in event:
            found = [*found[:-1], *VOCABULARY.encode(event["temp"]), 2]
            uncut = found
        assert found == event.get("context", [])
        assert uncut == event.get("full", event.get("context", []))
        if "label" in event:
            assert encode_reply([event["label"]], STEERED, config) == event["label_ids"]


@pytest.mark.parametrize("name", ["plain", "bias"])
def test_a_persona_is_one_text_before_the_turns(name: str) -> None:
    *_, event = TEXT["history"][f"{name}.interactive_persona_bst"]["events"]
    first, *turns = event["history"]
    lines = tuple(line.removeprefix("your persona: ") for line in first.split("\n"))
    control = "f0m0" if name == "bias" else None
    found = encode_context(said(*turns, persona=lines, gender=control), STEERED, PARLAI)
    assert found == event["context"]


@pytest.mark.parametrize("name", [key for key in TEXT["flatten"] if key.startswith("flatten")])
def test_a_flattened_example_is_one_text(name: str) -> None:
    """The training data of Multi-Modal BlenderBot: everything said, and the reply's control."""
    delimiter = "  " if name == "flatten_two_space" else "\n"
    config = replace(PARLAI, layout="parlai_flat", delimiter=delimiter)
    for row in TEXT["flatten"][name]:
        whole, _, control = row["text"].rpartition(" ")
        head, line = whole.partition("\n")[::2]
        persona: tuple[str, ...] = ()
        if head.startswith("your persona: "):
            persona, whole = (head.removeprefix("your persona: "),), line
        example = said(*whole.split(delimiter), persona=persona, gender=control)
        found = encode_context(example, STEERED, config)
        assert found == [*STEERED.encode(row["text"]), 2]


@pytest.mark.parametrize("layout", ["parlai", "parlai_flat"])
@given(turns=st.lists(TEXTS, max_size=3), gender=st.none() | st.sampled_from(GENDER_TOKENS))
@example(turns=["hi f1m1"], gender=None)
@example(turns=["hi f1m1", "  f0m0 f1m0 "], gender="f0m0")
@example(turns=["__end__", "bye __end__ f1m1"], gender="f0m0")
def test_nothing_that_is_said_is_a_control(
    layout: str, turns: list[str], gender: str | None
) -> None:
    config = EncodeConfig(layout=layout, max_pinned=0)  # type: ignore[arg-type]
    ids = encode_context(said(*turns, gender=gender), VOCABULARY, config)
    assert 2 not in ids[:-1]
    assert not set(ids[:-1]) & {0, 1, 2, 3, *range(586, 592)}
    places = [at for at in range(len(ids)) if tuple(ids[at : at + 4]) in CONTROLS]
    assert places == ([len(ids) - 5] if gender else [])


@given(TEXTS)
@example("hi f1m1 there f0m0")
def test_a_text_comes_back_whatever_is_in_it(text: str) -> None:
    assert VOCABULARY.decode(VOCABULARY.encode(text)) == text.removeprefix(" ")


@given(st.text())
def test_a_text_without_controls_has_the_ids_of_parlai(text: str) -> None:
    ids = STEERED.encode(text)
    assume(min(ids, default=4) > 3)  # the name of a special token is parsed there, and not here
    if not any(tuple(ids[at : at + 4]) in CONTROLS for at in range(len(ids))):
        assert VOCABULARY.encode(text) == ids


def plain_vocabulary() -> Tokenizer:
    """A vocabulary of bytes alone, where a control's words cannot be spelled in another way."""
    tokens = sorted(pre_tokenizers.ByteLevel.alphabet())
    return build_tokenizer(["__null__", "__start__", "__end__", "__unk__", *tokens], [], DATA)


@given(TEXTS)
@example("a  f0m0")
@example("  f0m0")
def test_without_another_spelling_the_space_before_a_control_goes(text: str) -> None:
    vocabulary = plain_vocabulary()
    ids = vocabulary.encode(text)
    for name in GENDER_TOKENS:
        words = vocabulary.control_ids(name)
        assert all(ids[at : at + len(words)] != words for at in range(len(ids)))
    assert vocabulary.decode(ids).replace(" ", "") == text.replace(" ", "")


def test_only_start_and_end_are_never_said(micro: Checkpoint) -> None:
    assert micro.tokenizer.special_ids() == (1, 2)
    assert micro.tokenizer.special_names == (START, END)


def test_nothing_said_and_nothing_asked_for_is_no_context() -> None:
    assert encode_context(said(), VOCABULARY, PARLAI) == []
    assert encode_context(said(""), VOCABULARY, PARLAI) == []
    words = [*VOCABULARY.control_ids("f0m0"), 2]
    assert encode_context(said(gender="f0m0"), VOCABULARY, PARLAI) == words


def test_a_vocabulary_of_this_project_has_tokens_for_controls_in_any_layout() -> None:
    tokenizer = tiny_tokenizer()
    assert STYLE in tokenizer.special_names
    found = encode_context(said("hi f0m0", gender="f1m0", persona=("i ski .",)), tokenizer, PARLAI)
    words = ("your persona: i ski .", "\n", "hi f0m0")
    wanted = [token for text in words for token in tokenizer.encode(text)]
    assert found == [*wanted, tokenizer.special_id("f1m0"), 2]
    assert 2 not in encode_context(said("a __end__ b"), tokenizer, PARLAI)[:-1]
    assert 2 in encode_context(said("a __end__ b"), Steered(tokenizer), PARLAI)[:-1]


def test_only_the_layouts_of_parlai_may_do_what_it_does() -> None:
    with pytest.raises(ConfigError, match="use 'parlai'"):
        parse(EncodeConfig, {"end_context": False})


def test_no_setting_lets_a_text_steer_and_old_checkpoints_that_say_so_load() -> None:
    assert parse(EncodeConfig, {"parse_controls": False}) == EncodeConfig()
    with pytest.raises(ConfigError, match="no key 'parse_controls'"):
        parse(EncodeConfig, {"parse_controls": True})
