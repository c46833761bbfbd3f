"""Which parts a ``tokenizer.json`` may have: a checkpoint can come from anybody.

The library's own reader checks that a file is whole. Here only those parts are let through that the
vocabularies of this project, of ParlAI, Blenderbot and Llama-like models need; whatever rewrites
texts in another way, or at random, is refused.
"""

import json
from typing import Any

from openmmb.errors import CheckpointError

MODELS = ("BPE", "WordLevel")
PARTS = {
    "normalizer": ("Sequence", "Replace", "Lowercase", "NFC"),
    "pre_tokenizer": ("Sequence", "ByteLevel", "Digits", "Split", "WhitespaceSplit"),
    "decoder": ("Sequence", "ByteLevel", "BPEDecoder", "Fuse", "Replace"),
}
"""By their keys in the file, the kinds of parts that are let through."""
_INSIDE = {"normalizer": "normalizers", "pre_tokenizer": "pretokenizers", "decoder": "decoders"}
"""Where a sequence keeps its parts."""


def check_tokenizer(text: str, *, source: str, adopting: bool = False) -> dict[str, Any]:
    """Return the content of a ``tokenizer.json`` of which every part is known.

    Args:
        text: The file.
        source: Its name, for messages.
        adopting: Let tokens through that are added but not special, since they will be made so.

    Raises:
        CheckpointError: It is not a tokenizer, or has a part that is not let through.
    """
    try:
        data = json.loads(text)
        model, added = data["model"], data["added_tokens"]
        kind = model.get("type", "BPE")
        ordinary = [token["content"] for token in added if not token["special"]]
        components = [(key, component) for key in PARTS for component in _types(key, data.get(key))]
        if not isinstance(model["vocab"], dict):
            raise TypeError("model.vocab is not an object")
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise CheckpointError(f"{source}: not a tokenizer: {_explain(error)}") from error
    if kind not in MODELS:
        raise CheckpointError(
            f"{source}: model is of the type {kind!r}; expected one of {', '.join(MODELS)}"
        )
    if model.get("dropout"):
        raise CheckpointError(f"{source}: model.dropout is {model['dropout']}; expected none")
    if ordinary and not adopting:
        raise CheckpointError(
            f"{source}: added token {ordinary[0]!r} is not special, so a text could contain it; "
            "expected special tokens only"
        )
    for key, component in components:
        if component not in PARTS[key]:
            raise CheckpointError(
                f"{source}: {key} is of the type {component!r}; expected one of "
                f"{', '.join(PARTS[key])}"
            )
    return dict(data)


def _types(key: str, component: Any) -> list[Any]:
    """Return the types of a component and of those inside it."""
    if component is None:
        return []
    inside = component[_INSIDE[key]] if component["type"] == "Sequence" else ()
    return [component["type"], *(kind for one in inside for kind in _types(key, one))]


def _explain(error: Exception) -> str:
    return f"no {error}" if isinstance(error, KeyError) else str(error) or type(error).__name__
