"""Byte-level BPE vocabularies: ParlAI's dictionaries and Hugging Face's ``vocab.json``.

Both hold the same: four special tokens with the ids 0 to 3, the BPE's own tokens after them (in
ParlAI's ``-vocab.json`` they count from 0), and at the end what pads the table to a multiple of 8
for half precision.
"""

import json
from collections.abc import Sequence
from pathlib import Path

import tokenizers
from tokenizers import AddedToken, decoders, models, pre_tokenizers, processors

from openmmb.convert.objects import write_object
from openmmb.convert.vocabulary_file import Merges, read_ids, read_merges, read_vocabulary_files
from openmmb.errors import CheckpointError, shorten
from openmmb.files import read_text
from openmmb.text.tokenizer import END, FILLER, PAD, START, STYLE, UNKNOWN, Tokenizer

PARLAI_SPECIALS = (PAD, START, END, UNKNOWN)
HF_SPECIALS = ("<pad>", "<s>", "</s>", "<unk>")


def read_parlai_vocabulary(dictionary: Path, *, size: int) -> Tokenizer:
    """Read ``model.dict`` with ``model.dict-vocab.json`` and ``model.dict-merges.txt``.

    Args:
        dictionary: ``model.dict``; the other files stand beside it.
        size: Rows of the model's table. Dictionaries saved before ParlAI padded them lack the
            fillers at the end, up to 7.

    Raises:
        CheckpointError: A file is missing or they do not fit each other.
    """
    tokens = read_names(dictionary)
    ids = read_ids(Path(f"{dictionary}-vocab.json"))
    expected = [*PARLAI_SPECIALS, *ids]
    for at, token in enumerate(expected):
        listed = tokens[at] if at < len(tokens) else None
        if listed != token:
            raise CheckpointError(
                f"{dictionary}: token {at} is {shorten(repr(listed))}, expected "
                f"{shorten(repr(token))} as in "
                f"{dictionary.name}-vocab.json"
            )
    return build_tokenizer(
        _filled(tokens, len(expected), size, dictionary),
        read_merges(Path(f"{dictionary}-merges.txt")),
        dictionary,
    )


def read_hf_vocabulary(folder: Path, *, size: int) -> Tokenizer:
    """Read ``vocab.json`` and ``merges.txt``, or where these are not there ``tokenizer.json``.

    Special tokens that were added behind the BPE's own are nothing that can be said here.

    Raises:
        CheckpointError: A file is missing or they do not fit each other.
    """
    vocabulary = read_vocabulary_files(folder)
    path, tokens = vocabulary.path, vocabulary.tokens
    for at, names in enumerate(zip(HF_SPECIALS, PARLAI_SPECIALS, strict=True)):
        token = tokens[at] if at < len(tokens) else None
        if token not in names:
            raise CheckpointError(
                f"{path}: token {at} is {shorten(repr(token))}, expected {names[0]!r}"
            )
    tokens[:4] = PARLAI_SPECIALS
    own = sum(not FILLER.fullmatch(token) for token in tokens)
    return build_tokenizer(_filled(tokens, own, size, path), vocabulary.merges, folder)


def unused_tokens(folder: Path, *, size: int) -> tuple[str, ...]:
    """Say which added tokens of a folder's vocabulary stand for nothing here.

    Args:
        folder: The folder; its vocabulary has been read before.
        size: Rows of the model's table.
    """
    if (folder / "vocab.json").is_file() or not (folder / "tokenizer.json").is_file():
        return ()
    added = read_vocabulary_files(folder).added
    without_row = "the model has no row for it; left out"
    return tuple(
        f"token {name}: {'stands for nothing here' if at < size else without_row}"
        for at, name in sorted(added.items())
    )


def write_hf_vocabulary(tokenizer: Tokenizer, folder: Path) -> None:
    """Write ``vocab.json`` and ``merges.txt``, the inverse of ``read_hf_vocabulary``.

    The same stands in ``tokenizer.json`` once more, with the rule that a text ends with the end
    token, which recent ``transformers`` take from there.

    Raises:
        CheckpointError: The vocabulary has tokens for controls, which is this project's own kind.
    """
    if STYLE in tokenizer.special_names:
        raise CheckpointError(
            "tokenizer.json: has tokens for controls; expected a vocabulary of Blenderbot's, "
            "which has none"
        )
    whole = json.loads(tokenizer.to_json())
    model = whole["model"]
    tokens = sorted(model["vocab"], key=model["vocab"].__getitem__)
    tokens[:4] = HF_SPECIALS
    model["vocab"] = {token: at for at, token in enumerate(tokens)}
    for added in whole["added_tokens"]:
        added["content"] = tokens[added["id"]]
    end = HF_SPECIALS[2]
    ending = processors.TemplateProcessing(f"$A {end}", f"$A {end} $B {end}", [(end, 2)])
    inner = tokenizers.Tokenizer.from_str(json.dumps(whole))
    inner.post_processor = ending
    inner.save(str(folder / "tokenizer.json"), pretty=False)
    write_object(folder / "vocab.json", model["vocab"])
    lines = ["#version: 0.2", *(" ".join(pair) for pair in model["merges"])]
    (folder / "merges.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")


def read_names(dictionary: Path) -> list[str]:
    """Read the tokens of ParlAI's ``model.dict``: one a line, with its count behind.

    Raises:
        CheckpointError: The file is missing or is not UTF-8.
    """
    lines = read_text(dictionary, error=CheckpointError).split("\n")
    return [line.rpartition("\t")[0] for line in lines if line]


def build_tokenizer(tokens: Sequence[str], merges: Merges, source: Path) -> Tokenizer:
    """Make the tokenizer of a vocabulary in the order of its ids.

    Raises:
        CheckpointError: A merge makes a token that is not in the vocabulary.
    """
    vocabulary = {token: at for at, token in enumerate(tokens)}
    if len(vocabulary) != len(tokens):
        twice = next(token for at, token in enumerate(tokens) if vocabulary[token] != at)
        raise CheckpointError(
            f"{source}: token {shorten(repr(twice))} stands twice; expected each once"
        )
    _check_merges(tokens, merges, source)
    try:
        inner = tokenizers.Tokenizer(models.BPE(vocab=vocabulary, merges=merges))
    except Exception as error:  # the library raises bare Exception and nothing else
        raise CheckpointError(
            f"{source}: vocabulary and merges do not fit: {shorten(str(error))}"
        ) from error
    inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
    inner.decoder = decoders.ByteLevel()
    specials = [*PARLAI_SPECIALS, *(token for token in tokens if FILLER.fullmatch(token))]
    inner.add_special_tokens([AddedToken(name, normalized=False) for name in specials])
    return Tokenizer(inner)


def _check_merges(tokens: Sequence[str], merges: Merges, source: Path) -> None:
    """See that most tokens can be made; those that none makes would never be in a text."""
    named = {*PARLAI_SPECIALS, *HF_SPECIALS}
    longer = {t for t in tokens if len(t) > 1 and t not in named and not FILLER.fullmatch(t)}
    made = sum(a + b in longer for a, b in merges)
    if made < len(longer) / 2:
        raise CheckpointError(
            f"{source}: {len(merges)} merges make {made} of {len(longer)} tokens; are these the "
            "merges of this vocabulary, and whole?"
        )


def _filled(tokens: list[str], own: int, size: int, source: Path) -> list[str]:
    """Check the fillers after ``own`` tokens, and add those that are missing up to ``size``."""
    for token in tokens[own:]:
        if not FILLER.fullmatch(token):
            raise CheckpointError(
                f"{source}: token {shorten(repr(token))} is not one of the BPE; expected no "
                "added tokens"
            )
    if not len(tokens) <= size < len(tokens) + 8:
        raise CheckpointError(f"{source}: {len(tokens)} tokens; expected {size}, as the model has")
    added = range(len(tokens) - own, size - own)
    return [*tokens, *(f"__FP16_PAD_{number}__" for number in added)]
