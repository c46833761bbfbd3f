"""Vocabularies of other projects' models, made ones whose texts never steer."""

import json
from collections.abc import Mapping

import tokenizers

from openmmb.errors import CheckpointError
from openmmb.text.tokenizer import OBJECTS, PERSON, SPECIALS, Tokenizer, read_tokenizer
from openmmb.text.trusted import check_tokenizer

NAMES = (*SPECIALS, PERSON, OBJECTS)
"""Special tokens that an adopted vocabulary has."""


def adopt_tokenizer(text: str, roles: Mapping[str, str], *, source: str) -> Tokenizer:
    """Make another project's byte-level BPE one whose special tokens have the names used here.

    Special tokens that play no role keep their ids and names, and no reply is made of them.

    Args:
        text: Its ``tokenizer.json``.
        roles: For a name of ``NAMES``, the special token that is to be it, each another one.
            Every name that is left out becomes a token of its own, after all others.
        source: The file, for messages.

    Raises:
        CheckpointError: It is not a tokenizer, or a role is of a token that is not special.
    """
    data = check_tokenizer(text, source=source, adopting=True)
    added = {token["content"]: token for token in data["added_tokens"]}
    names = {theirs: ours for ours, theirs in roles.items()}
    for theirs in roles.values():
        if theirs not in added or len(names) < len(roles):
            known = ", ".join(sorted(added))
            raise CheckpointError(
                f"{source}: roles {dict(roles)}: expected a special token for each, each another "
                f"one, of {known}"
            )
    for token in data["added_tokens"]:
        token["content"] = names.get(token["content"], token["content"])
        token["special"], token["normalized"] = True, False
    vocabulary = data["model"]["vocab"]
    data["model"]["vocab"] = {names.get(token, token): at for token, at in vocabulary.items()}
    data["model"]["unk_token"] = None  # what has no token is left out; it is no special token
    data["post_processor"] = None
    inner = read_tokenizer(json.dumps(data), source=source)
    inner.add_special_tokens(
        [tokenizers.AddedToken(name, normalized=False) for name in NAMES if name not in roles]
    )
    return Tokenizer(inner)
