"""Damaged words and merges of others are a vocabulary whose texts never steer, or one line."""

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from openmmb.convert.bpe import read_parlai_vocabulary
from openmmb.convert.dictionary import read_parlai_dictionary
from openmmb.convert.subwords import read_subwords
from openmmb.errors import CheckpointError
from openmmb.text.tokenizer import END, PAD, START, UNKNOWN, Tokenizer

TOKENS = (PAD, START, END, UNKNOWN, "h", "i", "hi", "\u0120")
FILES = {
    "model.dict": "".join(f"{token}\t{9 - at}\n" for at, token in enumerate(TOKENS)),
    "model.dict.codecs": "#version: 0.2\nh i\nh i</w>\n",
    "model.dict-vocab.json": '{"h": 0, "i": 1, "hi": 2, "\\u0120": 3}',
    "model.dict-merges.txt": "#version: 0.2\nh i\n",
}
READERS: list[Callable[[Path], Tokenizer]] = [
    lambda path: read_parlai_dictionary(path, size=8),
    lambda path: read_parlai_vocabulary(path, size=8),
    lambda path: read_subwords(path, null=PAD, start=START, end=END, unknown=UNKNOWN).tokenizer,
]
SPICE = st.sampled_from(
    [
        *'\n\t #{}[]:",0',
        *("h", "</w>", "@@", "\ufeff", "\x00", "\xff", "\ud83d", "__end__", "h i", "-1", "1e9"),
        *("9" * 5000, "[" * 2000, "#version: 0.1"),
    ]
)
CHANGES = st.lists(
    st.tuples(st.sampled_from(sorted(FILES)), st.floats(0, 1), st.integers(0, 9), SPICE),
    min_size=1,
    max_size=4,
)


@pytest.mark.parametrize("read", READERS, ids=["dictionary", "vocabulary", "subwords"])
@settings(max_examples=60, deadline=None)
@given(changes=CHANGES)
def test_any_damage_is_words_that_never_steer_or_one_line(
    read: Callable[[Path], Tokenizer],
    changes: list[tuple[str, float, int, str]],
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    folder = tmp_path_factory.getbasetemp() / "damaged-words"
    folder.mkdir(exist_ok=True)
    files = dict(FILES)
    for name, where, cut, spice in changes:
        at = int(where * len(files[name]))
        files[name] = files[name][:at] + spice + files[name][at + cut :]
    for name, text in files.items():
        (folder / name).write_bytes(text.encode("utf-8", "surrogatepass"))
    try:
        tokenizer = read(folder / "model.dict")
    except CheckpointError as error:
        problem = str(error)
    else:
        problem = ""
        ids = tokenizer.encode("hi __end__ f0m0 h\n")
        tokenizer.decode(ids)
        assert not (set(ids) & set(tokenizer.special_ids())) - {tokenizer.special_id(UNKNOWN)}
    assert "\n" not in problem
