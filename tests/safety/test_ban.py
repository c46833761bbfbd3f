"""What is banned from a search is never said, however it is spelled; all else can be."""

import re
import string
from functools import partial

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from openmmb.checkpoint import find_checkpoint
from openmmb.safety.ban import no_gendered_words, no_words
from openmmb.search.config import Method, SearchConfig
from openmmb.search.constraints import BANNED, Constraint
from openmmb.search.decode import Step, search
from openmmb.text.gender import GenderWords, bundled_gender_words, gender_token
from openmmb.text.tokenizer import SPECIALS, Tokenizer, load_tokenizer
from tests.build import tiny_chat_tokenizer, tiny_tokenizer

WORDS = ("he", "man", "wives", "ma'am")
LISTS = GenderWords(male=frozenset(WORDS), female=frozenset({"she"}))
V = tiny_tokenizer().vocab_size
SAID = st.lists(
    st.sampled_from(["h", "e", "H", "m", "a", "n", "s", " ", ",", "'", "1", "_", "\n"]),
    max_size=9,
)


@pytest.fixture(scope="module")
def bundled() -> Tokenizer:
    """The vocabulary of the bundled model, in which most words are one token."""
    return load_tokenizer(find_checkpoint("tiny") / "tokenizer.json")


def banned_after(rules: list[Constraint], ids: list[int], vocab_size: int) -> set[int]:
    """Return what may not follow ``ids``, which a start token comes before."""
    logits = torch.zeros(1, 1, vocab_size)
    for rule in rules:
        rule(torch.tensor([[[1, *ids]]]), logits)
    return set((logits[0, 0] == BANNED).nonzero()[:, 0].tolist())


def letters_of(text: str, tokenizer: Tokenizer) -> list[int]:
    """Spell a text with a token for each character, as no tokenizer would."""
    (mark,) = tokenizer.encode(".")[-1:]
    ids = range(tokenizer.vocab_size)
    single = {tokenizer.decode([mark, token])[1:]: token for token in reversed(ids)}
    return [single[character] for character in text]


def wishing(wanted: list[list[int]], vocab_size: int) -> Step:
    """Return a step that strongly wants each input to say its text, and is noise besides."""
    noise = torch.Generator().manual_seed(0)
    said = 0

    def step(tokens: Tensor, parents: Tensor) -> Tensor:
        nonlocal said
        logits = torch.rand(*tokens.shape, vocab_size, generator=noise)
        for row, ids in enumerate(wanted):
            logits[row, :, ids[said % len(ids)]] += 9.0
        said += 1
        return logits

    return step


@pytest.mark.parametrize("method", ["beam", "greedy", "topk", "nucleus"])
@pytest.mark.parametrize("spelled", ["words", "letters"])
def test_a_model_that_wants_to_say_it_cannot(
    bundled: Tokenizer, method: Method, spelled: str
) -> None:
    texts = [
        "He said that she is his wife, and the boys' mother.",
        "A MAN/woman, a Grandfather; her son's uncle!",
        "the queen_king (actress) was father-in-law. Mrs. and Mr. no ma'am",
    ]
    assert [gender_token(text) for text in texts] == ["f1m1"] * 3
    spell = bundled.encode if spelled == "words" else partial(letters_of, tokenizer=bundled)
    config = SearchConfig(
        method=method,
        beam_size=3,
        min_length=20,
        max_length=60,
        block_ngram=0,
        block_context_ngram=0,
    )
    found = search(
        wishing([spell(text) for text in texts], bundled.vocab_size),
        torch.zeros(len(texts), 1, dtype=torch.int64),
        config,
        start_id=bundled.start_id,
        end_id=bundled.end_id,
        banned_ids=bundled.unsaid_ids(),
        rules=no_gendered_words(bundled, vocab_size=bundled.vocab_size),
    )
    said = [bundled.decode(hypothesis.tokens) for row in found for hypothesis in row]
    assert {gender_token(text) for text in said} == {"f0m0"}
    if spelled == "words" and method in ("beam", "greedy"):
        assert any("said that" in text for text in said)  # the rest is free


@settings(max_examples=200)
@given(SAID)
def test_nothing_may_end_a_listed_word(parts: list[str]) -> None:
    tokenizer = tiny_tokenizer()
    *_, ending = no_words(tokenizer, WORDS, vocab_size=V)
    ids = letters_of("".join(parts), tokenizer)
    last = re.search(r"[^\W_]+\Z", "".join(parts).lower())
    found = banned_after([ending], ids, V)
    if last is None or last[0] not in ("he", "man", "wives"):
        assert found == set()
        return
    specials = {tokenizer.special_id(name) for name in SPECIALS}
    assert specials <= found
    for character in " ,.'_\n":
        assert set(letters_of(character, tokenizer)) <= found
    for character in string.ascii_letters + string.digits:
        assert not set(letters_of(character, tokenizer)) & found


@pytest.mark.parametrize("text", ["man", "so man", "So Man", "MAN"])
def test_a_word_is_banned_at_the_start_and_inside_where_no_space_is_put_before(text: str) -> None:
    tokenizer = tiny_chat_tokenizer()
    spelled, *_ = no_words(tokenizer, ["man"], vocab_size=tokenizer.vocab_size)
    *before, last = tokenizer.encode(text)
    assert last in banned_after([spelled], before, tokenizer.vocab_size)


def test_every_listed_word_is_banned_as_it_is_usually_spelled(bundled: Tokenizer) -> None:
    rules = no_gendered_words(bundled, vocab_size=bundled.vocab_size)
    words = bundled_gender_words()
    for at, word in enumerate(sorted(words.male | words.female)):
        changes = (str.lower, str.capitalize, str.upper)
        spelling = "Ma’am" if word == "ma'am" else changes[at % 3](word)
        *before, last = bundled.encode(f"I see {spelling}")
        assert last in banned_after(rules, before, bundled.vocab_size), spelling


@pytest.mark.parametrize("text", ["The other theme is human.", "Then, humane hens", "woman 1he2"])
def test_a_listed_word_inside_another_may_be_said(text: str) -> None:
    tokenizer = tiny_tokenizer()
    rules = no_words(tokenizer, ("he", "man"), vocab_size=V)
    ids = letters_of(text, tokenizer)
    for at, token in enumerate(ids):
        assert token not in banned_after(rules, ids[:at], V)


def test_ordinary_sentences_may_be_said(bundled: Tokenizer) -> None:
    rules = no_gendered_words(bundled, vocab_size=bundled.vocab_size)
    for text in (
        "There is another person on the beach, then they both leave.",
        "Two people and a child are in the heat near a lake!",
        "I'm a teacher; what's this? It's theirs. The weather here is wonderful.",
    ):
        ids = [*bundled.encode(text), bundled.end_id]
        for at, token in enumerate(ids):
            assert token not in banned_after(rules, ids[:at], bundled.vocab_size)


def test_a_word_that_is_spelled_as_a_listed_one_and_more_goes_with_it(bundled: Tokenizer) -> None:
    she, *more = bundled.encode("sheltered")
    assert bundled.decode([she]) == "she"
    assert more
    rules = no_gendered_words(bundled, vocab_size=bundled.vocab_size)
    assert she in banned_after(rules, [], bundled.vocab_size)


def test_logits_may_be_wider_than_the_vocabulary() -> None:
    rules = no_gendered_words(tiny_tokenizer(), LISTS, vocab_size=V + 8)
    ids = letters_of(" she", tiny_tokenizer())
    assert set(range(V, V + 8)) <= banned_after(rules, ids, V + 8)


def test_entries_that_no_text_is_labelled_by_are_left_out() -> None:
    lists = GenderWords(male=frozenset({"mr.", "male_host"}), female=frozenset({"seamstress'"}))
    rules = no_gendered_words(tiny_tokenizer(), lists, vocab_size=V)
    assert banned_after(rules, letters_of("my Mr", tiny_tokenizer()), V)
    assert not banned_after(rules, letters_of("my host", tiny_tokenizer()), V)


@pytest.mark.parametrize("word", ["", "two words", "he-man", "'"])
def test_what_is_no_word_is_refused(word: str) -> None:
    with pytest.raises(ValueError, match="must be letters and digits"):
        no_words(tiny_tokenizer(), [word], vocab_size=V)


def test_no_words_ban_nothing() -> None:
    assert banned_after(no_words(tiny_tokenizer(), [], vocab_size=V), [5, 6], V) == set()
