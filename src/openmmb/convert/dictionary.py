"""The dictionary of BlenderBot 90M, words and pieces of them, as ParlAI and Hugging Face have it.

``model.dict``, ``vocab.json``          the tokens; ``h@@`` does not end a word
``model.dict.codecs``, ``merges.txt``   the merges of ``subword-nmt``, best first

Texts become ids as ParlAI's do, with which the model was trained: in lower case, a newline is a
word, every mark too. (Hugging Face's own tokenizer takes fewer marks off words.) Of the pieces that
the merges make, a dictionary lacks some; these come after all that the model knows and are the
unknown token.
"""

import json
from collections.abc import Sequence
from pathlib import Path

import tokenizers
from tokenizers import AddedToken, Regex, decoders, normalizers, pre_tokenizers

from openmmb.convert.bpe import PARLAI_SPECIALS, read_names
from openmmb.convert.objects import write_object
from openmmb.convert.subwords import (
    as_listed,
    as_merged,
    build_model,
    made_by,
    read_codecs,
)
from openmmb.convert.vocabulary_file import Merges, read_ids
from openmmb.errors import CheckpointError, shorten
from openmmb.text.patterns import FINAL_SIGMA, WORDS_AND_MARKS
from openmmb.text.spelling import LAST
from openmmb.text.tokenizer import FILLER, NEWLINE, UNLISTED, Tokenizer


def read_parlai_dictionary(dictionary: Path, *, size: int) -> Tokenizer:
    """Read ``model.dict`` and ``model.dict.codecs``.

    Args:
        dictionary: ``model.dict``.
        size: Rows of the model's table. Dictionaries saved before ParlAI padded them lack the
            fillers at the end, up to 7.

    Raises:
        CheckpointError: A file is missing or malformed, or the model has another number of tokens.
    """
    listed = read_names(dictionary)
    names = list(dict.fromkeys((*PARLAI_SPECIALS, *listed)))  # ParlAI puts these first in any case
    return _build(names, read_codecs(Path(f"{dictionary}.codecs")), size, dictionary)


def read_hf_dictionary(folder: Path, *, size: int) -> Tokenizer:
    """Read ``vocab.json`` and ``merges.txt``.

    Raises:
        CheckpointError: A file is missing or malformed, or the model has another number of tokens.
    """
    path = folder / "vocab.json"
    if not path.is_file() and (folder / "tokenizer.json").is_file():
        raise CheckpointError(
            f"{folder}: has tokenizer.json and no vocab.json; BlenderbotSmallTokenizer's "
            "save_pretrained writes vocab.json and merges.txt, put these beside the weights"
        )
    names = read_ids(path)
    for at, name in enumerate(PARLAI_SPECIALS):
        listed = names[at] if at < len(names) else None
        if listed != name:
            raise CheckpointError(
                f"{path}: token {at} is {shorten(repr(listed))}, expected {name!r}"
            )
    return _build(names, read_codecs(folder / "merges.txt"), size, path)


def write_hf_dictionary(tokenizer: Tokenizer, folder: Path) -> None:
    """Write ``vocab.json`` and ``merges.txt``, the inverse of ``read_hf_dictionary``."""
    whole = json.loads(tokenizer.to_json())
    model, special = whole["model"], {token["content"] for token in whole["added_tokens"]}
    known = {token: at for token, at in model["vocab"].items() if at < tokenizer.vocab_size}
    names = {token if token in special else as_listed(token): known[token] for token in known}
    write_object(folder / "vocab.json", dict(sorted(names.items(), key=lambda item: item[1])))
    lines = ["#version: 0.2", *(" ".join(pair) for pair in model["merges"])]
    (folder / "merges.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")


def _build(names: Sequence[str], merges: Merges, size: int, source: Path) -> Tokenizer:
    """Make the tokenizer of the tokens ``names``, in the order of their ids."""
    if not len(names) <= size < len(names) + 8:
        raise CheckpointError(f"{source}: {len(names)} tokens; expected {size}, as the model has")
    fillers = [name for name in names if FILLER.fullmatch(name.upper())]
    added = [f"__FP16_PAD_{number + len(fillers)}__" for number in range(size - len(names))]
    specials = [*PARLAI_SPECIALS, *fillers, *added, UNLISTED]
    kept = [*(name if name in specials else as_merged(name) for name in names), *added, UNLISTED]
    vocabulary = {token: at for at, token in enumerate(dict.fromkeys((*kept, *made_by(merges))))}
    inner = tokenizers.Tokenizer(build_model(vocabulary, merges))
    inner.normalizer = normalizers.Sequence(
        [
            normalizers.Replace(Regex(FINAL_SIGMA), "\u03c2"),
            normalizers.Lowercase(),
            normalizers.Replace("\n", f" {NEWLINE} "),
        ]
    )
    inner.pre_tokenizer = pre_tokenizers.Split(
        Regex(WORDS_AND_MARKS), behavior="removed", invert=True
    )
    inner.decoder = decoders.Sequence(
        [decoders.BPEDecoder(suffix=LAST), decoders.Fuse(), decoders.Replace(NEWLINE, "\n")]
    )
    inner.add_special_tokens([AddedToken(name, normalized=False) for name in specials])
    return Tokenizer(inner)
