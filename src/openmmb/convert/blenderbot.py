"""The settings of Hugging Face's Blenderbots as this project's, and back."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from openmmb.checkpoint import CheckpointConfig
from openmmb.config import parse
from openmmb.convert.adopt import image_shape
from openmmb.convert.bpe import HF_SPECIALS, PARLAI_SPECIALS
from openmmb.convert.names import HUGGING_FACE, HUGGING_FACE_SMALL, Naming
from openmmb.convert.objects import check_kinds, name_of, read_object, write_object
from openmmb.errors import CheckpointError, ConfigError
from openmmb.model.config import Variant


@dataclass(frozen=True)
class Kind:
    """One of the two networks that are called Blenderbot there.

    Attributes:
        name: What their classes' names begin with.
        variant: Which of ours it is.
        naming: The names of its weights.
        has_pieces: Whether its vocabulary is one of words and pieces, not a byte-level BPE.
        specials: The names of padding, start, end and unknown token.
        delimiter: Between turns.
        end_context: Whether the end token stands after a context.
    """

    name: str
    variant: Variant
    naming: Naming
    has_pieces: bool
    specials: tuple[str, ...]
    delimiter: str
    end_context: bool


KINDS = {
    "blenderbot": Kind(
        name="Blenderbot",
        variant="prelayernorm",
        naming=HUGGING_FACE,
        has_pieces=False,
        specials=HF_SPECIALS,
        delimiter="  ",  # as in the chat template of the published models
        end_context=True,
    ),
    "blenderbot-small": Kind(
        name="BlenderbotSmall",
        variant="xlm",
        naming=HUGGING_FACE_SMALL,
        has_pieces=True,
        specials=PARLAI_SPECIALS,
        delimiter="\n",  # ParlAI's, with which the published model was trained
        end_context=False,
    ),
}
"""The kinds of Blenderbot by ``model_type``."""
SHAPE = {
    "vocab_size": "vocab_size",
    "d_model": "embed_dim",
    "encoder_ffn_dim": "ffn_dim",
    "encoder_attention_heads": "num_heads",
    "encoder_layers": "num_encoder_layers",
    "decoder_layers": "num_decoder_layers",
    "max_position_embeddings": "num_positions",
    "scale_embedding": "scale_embeddings",
    "activation_function": "activation",
    "dropout": "dropout",
    "attention_dropout": "attention_dropout",
    "activation_dropout": "activation_dropout",
}
"""Their keys, which ``config.json`` must have, and ours."""
SEARCH = {
    "num_beams": "beam_size",
    "min_length": "min_length",
    "max_length": "max_length",
    "no_repeat_ngram_size": "block_ngram",
    "encoder_no_repeat_ngram_size": "block_context_ngram",
    "length_penalty": "length_penalty",
    "temperature": "temperature",
    "top_k": "top_k",
    "top_p": "top_p",
}
"""Their keys and ours; what is missing is as Multi-Modal BlenderBot has it."""
DRAWING = ("temperature", "top_k", "top_p")
"""What only a search that draws looks at."""
DEFAULTS: dict[str, Any] = {
    "attention_dropout": 0.0,
    "activation_dropout": 0.0,
    "scale_embedding": False,
    "activation_function": "gelu",
    "dropout": 0.1,
}
"""What Hugging Face leaves out of ``config.json`` where it is the usual value."""


def find_kind(data: Mapping[str, Any], source: Path) -> Kind:
    """Return what ``config.json`` is of, if that can be converted.

    Raises:
        CheckpointError: It cannot; names the key.
    """
    path = source / "config.json"
    kind = KINDS.get(data.get("model_type", ""))
    if kind is None:
        raise CheckpointError(
            f"{path}: model_type is {data.get('model_type')!r}; expected "
            f"{' or '.join(map(repr, KINDS))}"
        )
    for ours, theirs in (
        ("encoder_ffn_dim", "decoder_ffn_dim"),
        ("encoder_attention_heads", "decoder_attention_heads"),
    ):
        if data.get(ours) != data.get(theirs):
            raise CheckpointError(
                f"{path}: {ours} is {data.get(ours)}, {theirs} is {data.get(theirs)}; expected "
                "one size for both"
            )
    for token, key in enumerate(("pad_token_id", "bos_token_id", "eos_token_id")):
        if data.get(key, token) != token:
            raise CheckpointError(f"{path}: {key} is {data[key]}; expected {token}")
    return kind


def read_settings(
    kind: Kind, data: Mapping[str, Any], source: Path, encoder: str, *, learned: bool
) -> CheckpointConfig:
    """Return the settings of a checkpoint.

    Args:
        kind: What it is.
        data: ``config.json``.
        source: The folder.
        encoder: The picture encoder that the model is prepared for.
        learned: Whether the positions are trained ones.

    Raises:
        CheckpointError: A key is missing, or has a value that it cannot have.
    """
    vectors, features = image_shape(encoder)
    values = {**DEFAULTS, **data}
    for key in SHAPE:
        if key not in values:
            raise CheckpointError(f"{source / 'config.json'}: {key} is missing")
    longest = values["max_position_embeddings"]
    model = {ours: values[theirs] for theirs, ours in SHAPE.items()} | {
        "variant": kind.variant,
        "learned_positions": learned,
        "image_vectors": vectors,
        "image_dim": features,
    }
    path = source / "generation_config.json"
    generation = read_object(path) if path.is_file() else {}
    for given, file in ((data, source / "config.json"), (generation, path)):
        check_kinds(given, file, {"a number": SEARCH})
    search = {
        ours: value
        for theirs, ours in SEARCH.items()
        if (value := generation.get(theirs, data.get(theirs))) is not None
    }
    drawn = "nucleus" if search.get("top_p", 1.0) < 1 else "topk"
    if generation.get("do_sample", data.get("do_sample", False)):
        search["method"] = drawn
    elif search.get("beam_size") == 1:
        search["method"] = "greedy"
    try:
        return parse(
            CheckpointConfig,
            {
                "name": name_of(source),
                "encoder": encoder,
                "model": model,
                "encode": {
                    "layout": "parlai",
                    "max_context": longest,
                    "max_pinned": 0,
                    "max_reply": longest,
                    "delimiter": kind.delimiter,
                    "end_context": kind.end_context,
                },
                "search": search,
            },
            source=str(source / "config.json"),
        )
    except ConfigError as error:
        raise CheckpointError(str(error)) from error


def write_settings(kind: Kind, config: CheckpointConfig, folder: Path, stored: torch.dtype) -> None:
    """Write ``config.json`` and the rest that ``transformers`` reads, for weights ``stored`` so."""
    model = config.model
    ids = {
        "pad_token_id": 0,
        "bos_token_id": 1,
        "decoder_start_token_id": 1,
        "eos_token_id": 2,
        "forced_eos_token_id": 2,
    }
    shape = {theirs: getattr(model, ours) for theirs, ours in SHAPE.items()} | {
        "decoder_ffn_dim": model.ffn_dim,
        "decoder_attention_heads": model.num_heads,
    }
    draws = config.search.method in ("topk", "nucleus")
    kept = [key for key in SEARCH if draws or key not in DRAWING]
    search = {key: getattr(config.search, SEARCH[key]) for key in kept}
    search |= {"num_beams": config.search.num_beams, "do_sample": draws}
    write_object(
        folder / "config.json",
        {
            "model_type": next(name for name, known in KINDS.items() if known == kind),
            "architectures": [f"{kind.name}ForConditionalGeneration"],
            "torch_dtype": str(stored).removeprefix("torch."),
            "is_encoder_decoder": True,
            **ids,
            **shape,
        },
    )
    write_object(folder / "generation_config.json", {**ids, **search, "suppress_tokens": [1]})
    named = ("pad_token", "bos_token", "eos_token", "unk_token")
    specials = dict(zip(named, kind.specials, strict=True))
    write_object(folder / "special_tokens_map.json", dict(specials))
    write_object(
        folder / "tokenizer_config.json",
        {
            "tokenizer_class": f"{kind.name}Tokenizer",
            **({} if kind.has_pieces else {"add_prefix_space": True}),
            "model_max_length": model.num_positions,
            **specials,
        },
    )
