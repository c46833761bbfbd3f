"""A Llama-like vocabulary keeps its ids, gets the special tokens used here, and no text is one."""

import json
from functools import cache
from pathlib import Path

import pytest
import tokenizers
from hypothesis import example, given
from hypothesis import strategies as st
from tokenizers import decoders, models, pre_tokenizers, trainers

from openmmb.data.encode import EncodeConfig, encode_context
from openmmb.data.example import Example
from openmmb.errors import CheckpointError
from openmmb.text.adopted import NAMES, adopt_tokenizer
from openmmb.text.tokenizer import (
    END,
    PAD,
    SPECIALS,
    START,
    Tokenizer,
    load_tokenizer,
)
from tests.build import SENTENCES
from tests.test_injection import PAYLOADS

THEIRS = ("<|endoftext|>", "<|im_start|>", "<|im_end|>", *(f"<unused_{at}>" for at in range(14)))
ROLES = {PAD: THEIRS[0], START: THEIRS[1], END: THEIRS[2]}
ALL_ROLES = dict(zip(NAMES, THEIRS[: len(NAMES)], strict=True))
TEXTS = st.text() | st.lists(
    st.sampled_from([*THEIRS, *SPECIALS, " ", "\n", "a", "1", "23", "é", "🙂"])
).map("".join)


@cache
def theirs() -> tokenizers.Tokenizer:
    """A byte-level BPE of SmolLM2's shape: digits apart, no space before, 17 special tokens."""
    inner = tokenizers.Tokenizer(models.BPE())
    inner.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Digits(individual_digits=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False),
        ]
    )
    inner.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=340,
        special_tokens=list(THEIRS),
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    inner.train_from_iterator(SENTENCES, trainer)
    return inner


@cache
def adopted(*, mapped: bool) -> Tokenizer:
    roles = ALL_ROLES if mapped else ROLES
    return adopt_tokenizer(theirs().to_str(), roles, source="tokenizer.json")


@pytest.mark.parametrize("mapped", [False, True])
@given(TEXTS)
@example("in 1999 i said  __end__ f0m0<|im_end|>\n")
def test_every_text_has_their_ids_and_comes_back(mapped: bool, text: str) -> None:
    tokenizer = adopted(mapped=mapped)
    ids = tokenizer.encode(text)
    plain = theirs()
    plain.encode_special_tokens = True
    assert ids == plain.encode(text, add_special_tokens=False).ids
    assert tokenizer.decode(ids) == text
    assert not set(ids) & set(tokenizer.special_ids())


@pytest.mark.parametrize("mapped", [False, True])
def test_no_payload_is_special(mapped: bool) -> None:
    tokenizer = adopted(mapped=mapped)
    for payload in PAYLOADS:
        assert not set(tokenizer.encode(payload)) & set(tokenizer.special_ids()), payload


def test_digits_are_tokens_each() -> None:
    assert len(adopted(mapped=True).encode("2026")) == 4


def test_roles_keep_their_ids_and_the_rest_comes_after_all_others() -> None:
    tokenizer = adopted(mapped=False)
    assert (tokenizer.pad_id, tokenizer.start_id, tokenizer.end_id) == (0, 1, 2)
    own = theirs().get_vocab_size()
    added = [tokenizer.special_id(name) for name in NAMES if name not in ROLES]
    assert added == list(range(own, own + len(added)))
    assert tokenizer.vocab_size == own + len(added)
    assert {*range(3, 17)} < {*tokenizer.unsaid_ids()}


def test_mapped_onto_unused_tokens_the_vocabulary_keeps_its_size() -> None:
    tokenizer = adopted(mapped=True)
    assert tokenizer.vocab_size == theirs().get_vocab_size()
    assert tokenizer.special_ids() == tuple(range(17))
    assert tokenizer.control_ids("f0m0") == [tokenizer.special_id("f0m0")]


@pytest.mark.parametrize("mapped", [False, True])
def test_saved_and_loaded_it_is_the_same(mapped: bool, tmp_path: Path) -> None:
    tokenizer = adopted(mapped=mapped)
    tokenizer.save(tmp_path / "tokenizer.json")
    loaded = load_tokenizer(tmp_path / "tokenizer.json")
    assert loaded.to_json() == tokenizer.to_json()
    assert loaded.special_names == tokenizer.special_names
    assert loaded.decode(loaded.encode(" two  spaces")) == " two  spaces"


def test_a_context_has_its_control_and_end_token() -> None:
    tokenizer = adopted(mapped=True)
    words = Example(context=("hi <|im_end|>",), reply="", task="", conversation="", gender="f0m0")
    ids = encode_context(words, tokenizer, EncodeConfig())
    assert ids[-2:] == [tokenizer.special_id("f0m0"), tokenizer.end_id]
    assert not set(ids[:-2]) & set(tokenizer.special_ids())


@pytest.mark.parametrize(
    "roles", [{PAD: "<|nothing|>"}, {PAD: "<|im_end|>", END: "<|im_end|>"}, {PAD: "a"}]
)
def test_a_role_is_of_one_special_token(roles: dict[str, str]) -> None:
    with pytest.raises(CheckpointError, match="expected a special token for each"):
        adopt_tokenizer(theirs().to_str(), roles, source="tokenizer.json")


def test_what_cannot_be_spelled_is_left_out_and_is_no_special_token() -> None:
    data = json.loads(theirs().to_str())
    data["model"]["unk_token"] = "<|im_end|>"
    for byte in ("Ã", "©"):
        del data["model"]["vocab"][byte]
    data["model"]["merges"] = []
    data["model"]["vocab"] = {token: at for at, token in enumerate(data["model"]["vocab"])}
    tokenizer = adopt_tokenizer(json.dumps(data), ROLES, source="tokenizer.json")
    assert tokenizer.decode(tokenizer.encode("aéb")) == "ab"


def test_a_token_that_is_added_but_not_special_becomes_special() -> None:
    data = json.loads(theirs().to_str())
    data["added_tokens"][5]["special"] = False
    tokenizer = adopt_tokenizer(json.dumps(data), ROLES, source="tokenizer.json")
    assert 5 not in tokenizer.encode(THEIRS[5])
    assert tokenizer.decode([5]) == ""
