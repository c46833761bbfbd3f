"""The tokens and merges of a Blenderbot of Hugging Face's, in whichever files they are.

``vocab.json``, ``merges.txt``   as the models were published
``tokenizer.json``               as ``transformers`` 5 writes it, without the other two
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from openmmb.convert.objects import read_object
from openmmb.errors import CheckpointError, shorten
from openmmb.files import read_text

Merges = list[tuple[str, str]]
NUM_SPECIALS = 4
"""Tokens of padding, start, end, and unknown words, the first of every vocabulary."""


@dataclass(frozen=True)
class Vocabulary:
    """A byte-level BPE.

    Attributes:
        path: The file of its tokens, for messages.
        tokens: In the order of their ids.
        merges: Best first.
        added: Special tokens that were added behind the BPE's own, by id.
    """

    path: Path
    tokens: list[str]
    merges: Merges
    added: Mapping[int, str]


def read_vocabulary_files(folder: Path) -> Vocabulary:
    """Read the vocabulary in a folder; ``vocab.json`` counts first.

    Raises:
        CheckpointError: A file is missing or malformed, or the BPE is of another kind.
    """
    path, whole = folder / "vocab.json", folder / "tokenizer.json"
    if path.is_file() or not whole.is_file():
        return Vocabulary(path, read_ids(path), read_merges(folder / "merges.txt"), {})
    data = read_object(whole)
    model = data.get("model")
    _check_kind(data, whole)
    if not isinstance(model, dict) or not isinstance(model.get("vocab"), dict):
        raise CheckpointError(f"{whole}: no model.vocab; expected a byte-level BPE")
    ids: dict[str, Any] = dict(model["vocab"])
    added = {}
    for token in data.get("added_tokens") or ():
        if isinstance(token, dict) and isinstance(token.get("id"), int):
            name = str(token.get("content"))
            if name not in ids:
                added[token["id"]] = name
    merges = [_pair(pair, whole) for pair in model.get("merges") or ()]
    # The first tokens, which are all special, may be listed there alone.
    ids |= {name: at for at, name in added.items() if at < NUM_SPECIALS}
    added = {at: name for at, name in added.items() if at >= NUM_SPECIALS}
    return Vocabulary(whole, in_order(ids, whole), merges, added)


def read_ids(path: Path) -> list[str]:
    """Read an object of token -> id as tokens in the order of their ids.

    Raises:
        CheckpointError: The file is missing or malformed, or an id has no token.
    """
    return in_order(read_object(path), path)


def in_order(ids: Mapping[str, Any], path: Path) -> list[str]:
    """Return tokens in the order of their ids.

    Raises:
        CheckpointError: An id has no token.
    """
    by_id = {at: token for token, at in ids.items() if isinstance(at, int)}
    missing = next((at for at in range(len(ids)) if at not in by_id), None)
    if missing is not None:
        last = len(ids) - 1
        raise CheckpointError(f"{path}: no token has the id {missing}; expected ids 0 to {last}")
    return [by_id[at] for at in range(len(ids))]


def read_merges(path: Path) -> Merges:
    """Read pairs of tokens, one a line, best first; a line with the version may stand on top.

    Raises:
        CheckpointError: The file is missing, or a line is no pair.
    """
    merges = []
    for number, line in enumerate(read_text(path, error=CheckpointError).split("\n"), 1):
        if not line or (number == 1 and line.startswith("#version")):
            continue
        pair = line.split(" ")
        if len(pair) != 2:
            raise CheckpointError(f"{path}: line {number} is {line[:40]!r}, expected two tokens")
        merges.append((pair[0], pair[1]))
    return merges


def _check_kind(data: Mapping[str, Any], path: Path) -> None:
    split = data.get("pre_tokenizer")
    kind = split.get("type") if isinstance(split, dict) else None
    if kind != "ByteLevel":
        raise CheckpointError(f"{path}: pre_tokenizer is {kind!r}; expected 'ByteLevel'")
    if isinstance(split, dict) and split.get("add_prefix_space") is False:
        raise CheckpointError(
            f"{path}: add_prefix_space is false; expected true, with which Blenderbots are trained"
        )
    if data.get("normalizer") is not None:
        raise CheckpointError(f"{path}: has a normalizer; expected none, as Blenderbots have none")


def _pair(pair: Any, path: Path) -> tuple[str, str]:
    """Return a merge, which older versions wrote as one text."""
    halves = pair.split(" ") if isinstance(pair, str) else pair
    if not isinstance(halves, list) or [type(half) for half in halves] != [str, str]:
        raise CheckpointError(f"{path}: a merge is {shorten(repr(pair))}; expected two tokens")
    return halves[0], halves[1]
