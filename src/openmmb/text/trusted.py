"""Which parts a ``tokenizer.json`` may have: a checkpoint can come from anybody.

The library's own reader checks that a file is whole. Here only those parts are let through that the
vocabularies of this project, of ParlAI, Blenderbot and Llama-like models need; whatever rewrites
texts in another way, at random, or for ever, is refused.
"""

import json
from collections.abc import Iterator, Mapping
from typing import Any, Final

from openmmb.errors import CheckpointError, shorten
from openmmb.text.patterns import FINAL_SIGMA, SPLITS

LARGEST: Final = 2**26
"""Most bytes of a file; the largest published ones have half of that."""
MODELS: Final = ("BPE", "WordLevel")
PARTS: Final = {
    "normalizer": ("Sequence", "Replace", "Lowercase", "NFC"),
    "pre_tokenizer": ("Sequence", "ByteLevel", "Digits", "Split", "WhitespaceSplit"),
    "decoder": ("Sequence", "ByteLevel", "BPEDecoder", "Fuse", "Replace"),
    "post_processor": ("ByteLevel",),
}
"""By their keys in the file, the kinds of parts that are let through."""
MOST_PARTS: Final = 8
"""Most parts of one key: each reads the whole text once more."""
REPLACED: Final = (
    ({"Regex": FINAL_SIGMA}, "\u03c2"),
    ({"String": "\n"}, " __newln__ "),
    ({"String": "__newln__"}, "\n"),
)
"""What is replaced by what, in texts and in replies: a few replacements in a row can make any
length of a short text."""
LONGEST_LITERAL: Final = 16
"""Most characters of a text at which texts are split, or of a suffix of words."""
_INSIDE = {"normalizer": "normalizers", "pre_tokenizer": "pretokenizers", "decoder": "decoders"}
"""Where a sequence keeps its parts."""


def check_tokenizer(text: str, *, source: str, adopting: bool = False) -> dict[str, Any]:
    """Return the content of a ``tokenizer.json`` of which every part is known.

    Args:
        text: The file.
        source: Its name, for messages.
        adopting: Let tokens through that are added but not special, since they will be made so;
            and what is put around texts, since it will be left out.

    Raises:
        CheckpointError: It is not a tokenizer, or has a part that is not let through.
    """
    try:
        # A key that stands twice means one thing to this reader and may mean another to the next.
        data = json.loads(text, object_pairs_hook=_each_once)
        _check_ids(data["model"]["vocab"], data["added_tokens"])
        problem = _problem(data, adopting=adopting)
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise CheckpointError(f"{source}: not a tokenizer: {_explain(error)}") from error
    if problem is not None:
        raise CheckpointError(f"{source}: {problem}")
    return dict(data)


def _problem(data: Mapping[str, Any], *, adopting: bool) -> str | None:
    """Say what is not let through, if anything is."""
    problem = _model_problem(data["model"])
    if problem is not None:
        return problem
    ordinary = [token["content"] for token in data["added_tokens"] if not token["special"]]
    if ordinary and not adopting:
        return (
            f"added token {ordinary[0]!r} is not special, so a text could contain it; "
            "expected special tokens only"
        )
    keys = [key for key in PARTS if not (adopting and key == "post_processor")]
    problems = (_part_problem(key, list(_components(key, data.get(key)))) for key in keys)
    return next((one for one in problems if one is not None), None)


def _each_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    data = dict(pairs)
    if len(data) < len(pairs):
        last = {key: at for at, (key, _) in enumerate(pairs)}
        twice = next(key for at, (key, _) in enumerate(pairs) if last[key] != at)
        raise ValueError(f"key {shorten(twice)!r} stands twice in an object")
    return data


def _check_ids(vocab: Any, added: list[Mapping[str, Any]]) -> None:
    """Refuse ids that do not count from 0, each token another one.

    Raises:
        ValueError: They do not.
        TypeError: One is no number, or there is no vocabulary.
    """
    if not isinstance(vocab, dict):
        raise TypeError("model.vocab is not an object")
    ids = dict(vocab)
    for token in added:
        name, number = token["content"], token["id"]
        if not isinstance(name, str) or not name:
            raise TypeError(f"an added token is {shorten(repr(name))}, expected a text")
        if ids.setdefault(name, number) != number:
            raise ValueError(f"added token {shorten(name)!r} has two ids, {ids[name]} and {number}")
    odd = next((one for one in ids.values() if type(one) is not int), None)
    if odd is not None:
        raise TypeError(f"an id is {shorten(repr(odd))}, expected a number")
    numbers = set(ids.values())
    if ids and (len(numbers) < len(ids) or min(numbers) < 0 or max(numbers) >= len(ids)):
        raise ValueError(f"expected the ids 0 to {len(ids) - 1}, one for each token")


def _model_problem(model: Mapping[str, Any]) -> str | None:
    """Say what of the model is not let through."""
    kind = model.get("type", "BPE")
    if kind not in MODELS:
        return f"model is of the type {shorten(repr(kind))}; expected one of {', '.join(MODELS)}"
    unknown = model.get("unk_token")
    if unknown is not None and unknown not in model["vocab"]:
        return f"model.unk_token is {shorten(repr(unknown))}, expected a token of the vocabulary"
    if kind == "WordLevel":
        return "model.unk_token is missing" if unknown is None else None
    for key in ("dropout", "byte_fallback", "continuing_subword_prefix"):
        if model.get(key):
            return f"model.{key} is {shorten(repr(model[key]))}; expected none"
    suffix = model.get("end_of_word_suffix") or ""
    if not isinstance(suffix, str) or len(suffix) > LONGEST_LITERAL:
        return f"model.end_of_word_suffix is {shorten(repr(suffix))}; expected a short text"
    return None


def _components(key: str, component: Any) -> Iterator[Mapping[str, Any]]:
    """Yield a component and those inside it."""
    if component is None:
        return
    yield component
    if component["type"] == "Sequence" and key in _INSIDE:
        for one in component[_INSIDE[key]]:
            yield from _components(key, one)


def _part_problem(key: str, components: list[Mapping[str, Any]]) -> str | None:
    """Say what of the components of a key is not let through."""
    for component in components:
        kind = component["type"]
        if kind not in PARTS[key]:
            expected = ", ".join(PARTS[key])
            return f"{key} is of the type {shorten(repr(kind))}; expected one of {expected}"
        pattern = component.get("pattern")
        if kind == "Replace" and (pattern, component.get("content")) not in REPLACED:
            what = f"{pattern!r} by {component.get('content')!r}"
            return f"{key} replaces {shorten(what)}; expected a known replacement"
        if kind == "Split" and not _splits_well(pattern):
            return f"{key} splits at {shorten(repr(pattern))}; expected a published pattern"
        suffix = component.get("suffix", "")
        if not isinstance(suffix, str) or len(suffix) > LONGEST_LITERAL:
            return f"{key} has the suffix {shorten(repr(suffix))}; expected a short text"
    if len(components) > MOST_PARTS:
        return f"{key} has {len(components)} parts; expected at most {MOST_PARTS}"
    return None


def _splits_well(pattern: Any) -> bool:
    if not isinstance(pattern, dict) or len(pattern) != 1:
        return False
    literal = pattern.get("String")
    if isinstance(literal, str):
        return 0 < len(literal) <= LONGEST_LITERAL
    return pattern.get("Regex") in SPLITS


def _explain(error: Exception) -> str:
    return f"no {error}" if isinstance(error, KeyError) else str(error) or type(error).__name__
