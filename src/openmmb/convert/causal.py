"""What the conversions of decoder-only networks share: settings, vocabulary, weights, the folder.

Such a network has never seen a picture: its projection of a picture's vectors begins random, as
large as its words are, and its segment zero.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

import torch
from torch import Tensor, nn

from openmmb.checkpoint import CheckpointConfig, new_network
from openmmb.convert.adopt import shapes_of, untrained_pictures
from openmmb.convert.write import Converted, write_checkpoint
from openmmb.data.encode import EncodeConfig
from openmmb.errors import CheckpointError
from openmmb.model.adapter import PICTURE
from openmmb.model.causal import CausalLM
from openmmb.model.causal_config import CausalConfig
from openmmb.search.config import SearchConfig
from openmmb.tensors import Weight
from openmmb.text.adopted import NAMES as ROLES
from openmmb.text.adopted import adopt_tokenizer
from openmmb.text.tokenizer import END, PAD, START, Tokenizer

MAX_CONTEXT: Final = 1024
MAX_PINNED: Final = 256
MAX_REPLY: Final = 128
"""Most tokens of a context, of what is pinned in it and of a reply, where the network has them."""
OPENINGS: Final = ("<|im_start|>", "<|start_header_id|>")
"""Special tokens that begin a turn in published chat layouts, the first choice for the start."""


def text_shapes(config: CausalConfig) -> dict[str, tuple[int, ...]]:
    """Return the shape of each weight that a model of text alone has."""
    shapes = shapes_of(CausalLM, config)
    return {name: size for name, size in shapes.items() if not name.startswith(PICTURE)}


def adopt_vocabulary(
    text: str, specials: Sequence[str], *, end: str, pad: str | None, source: str
) -> Tokenizer:
    """Give special tokens of a vocabulary the roles that are known here.

    The end token keeps its role, padding too if it is a token of its own. A token that opens a
    turn becomes the start token. The other roles go to the special tokens that are left, in the
    order of their ids: nothing that anybody says is ever made of them. What then is left has no
    role, and roles that are left become new tokens.

    Args:
        text: ``tokenizer.json``.
        specials: Its special tokens, by id.
        end: The token that ends a turn.
        pad: The token of padding, if there is one.
        source: The file, for messages.

    Raises:
        CheckpointError: It is not a byte-level BPE, or has no such tokens.
    """
    free = [token for token in specials if token != end]
    opening = next((token for token in OPENINGS if token in free), None)
    roles = {END: end}
    if pad in free and pad != opening:
        roles[PAD] = pad
    if opening is not None:
        roles[START] = opening
    left = [token for token in free if token not in roles.values()]
    for name in ROLES:
        if name not in roles and left:
            roles[name] = left.pop(0)
    return adopt_tokenizer(text, roles, source=source)


def special_tokens(text: str, *, source: str) -> list[tuple[int, str]]:
    """Return the added tokens of a ``tokenizer.json``, each with its id, by id.

    Raises:
        CheckpointError: It is not such a file.
    """
    try:
        added = json.loads(text)["added_tokens"]
        return sorted((int(token["id"]), str(token["content"])) for token in added)
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise CheckpointError(f"{source}: expected a tokenizer with added_tokens") from error


def make_settings(name: str, encoder: str, shape: CausalConfig) -> CheckpointConfig:
    """Return the settings of a converted checkpoint.

    Raises:
        CheckpointError: The network has too few positions for a picture and a reply.
    """
    space = shape.num_positions - shape.image_vectors
    reply = min(MAX_REPLY, space // 2)
    context = min(MAX_CONTEXT, space - reply)
    if reply < 1 or context < 2:
        raise CheckpointError(
            f"{name}: {shape.num_positions} positions are too few for the {shape.image_vectors} "
            f"vectors of a picture of {encoder}"
        )
    return CheckpointConfig(
        name=name,
        encoder=encoder,
        model=shape,
        encode=EncodeConfig(
            layout="turns",
            max_context=context,
            max_pinned=min(MAX_PINNED, context - 2),
            max_reply=reply,
        ),
        search=SearchConfig(min_length=min(SearchConfig().min_length, reply - 1), max_length=reply),
    )


def write_causal(
    out: Path,
    config: CheckpointConfig,
    tokenizer: Tokenizer,
    weights: Mapping[str, Weight],
    *,
    source: Path,
) -> Converted:
    """Write the checkpoint of a decoder-only network, the weights of pictures anew.

    Args:
        out: The folder.
        config: Its settings.
        tokenizer: Its vocabulary.
        weights: All but those of pictures, as they are to be stored.
        source: What they come from, for messages.

    Raises:
        CheckpointError: The vocabulary is larger than the network's, ``out`` is something else,
            or a weight is too large for its precision.
    """
    if tokenizer.vocab_size > config.model.vocab_size:
        raise CheckpointError(
            f"{source}: {tokenizer.vocab_size} tokens with those that steer, but the network has "
            f"{config.model.vocab_size}"
        )
    table = weights["embeddings.weight"]
    sizes = shapes_of(new_network, config.model)
    fresh = {
        name: Weight(size, table.dtype, _begin(size, table))
        for name, size in sizes.items()
        if name.startswith(PICTURE)
    }
    write_checkpoint(out, config, tokenizer, {**weights, **fresh})
    return Converted(folder=out, config=config, notes=(untrained_pictures(config.encoder),))


def fresh_picture(shape: Sequence[int], scale: float) -> Tensor:
    """Begin a weight of pictures, the same every time; what it projects is ``scale`` large."""
    tensor = torch.zeros(*shape)
    if len(shape) == 2:
        source = torch.Generator().manual_seed(0)
        nn.init.xavier_uniform_(tensor, gain=scale, generator=source)
    return tensor


def _begin(shape: Sequence[int], table: Weight) -> Callable[[], Tensor]:
    def read() -> Tensor:
        return fresh_picture(shape, table.read().float().std().item()).to(table.dtype)

    return read
