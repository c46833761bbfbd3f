"""Decoder-only networks in GGUF files: ``llama`` (Llama 3, SmolLM2), ``qwen2`` and ``qwen3``.

Weights are stored in fewer bits there; here they become numbers again. The vocabulary is a
byte-level BPE whose way of splitting a text has a name in the file.
"""

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Final

import tokenizers
import torch
from tokenizers import AddedToken, Regex, decoders, models, normalizers, pre_tokenizers

from openmmb.checkpoint import Checkpoint, Precision, save_checkpoint
from openmmb.convert.adopt import adopt, image_shape, untrained_pictures
from openmmb.convert.causal import (
    adopt_vocabulary,
    fresh_picture,
    make_settings,
    text_shapes,
    write_causal,
)
from openmmb.convert.write import Converted
from openmmb.errors import CheckpointError
from openmmb.model.adapter import PICTURE, AdapterConfig, adapt
from openmmb.model.causal import CausalLM
from openmmb.pretrained.bases import BASES, find_base, load_base
from openmmb.pretrained.gguf_file import GgufFile
from openmmb.pretrained.gguf_llama import ROTARY, read_gguf_shape, read_part, sources
from openmmb.tensors import Weight
from openmmb.text.patterns import LLAMA3, QWEN2
from openmmb.text.tokenizer import Tokenizer

SPLITS: Final = {"llama-bpe": LLAMA3, "qwen2": QWEN2}
"""By their names, the ways of splitting a text that are one regular expression."""
DIGITS: Final = ("smollm",)
"""The ways that take digits one by one and the rest as GPT-2 does."""
CONTROL: Final = (3, 4)
"""Kinds of tokens that no text is made of: control, and defined by a user."""


def convert(
    source: Path,
    out: Path,
    *,
    precision: Precision | None = None,
    encoder: str = "efficientnet_lite0",
) -> Converted:
    """Write the network in a GGUF file as this project's checkpoint, replacing one that is there.

    Args:
        source: The file, or the name of an installed base.
        out: The folder to write.
        precision: Precision of the weights; None: fp16.
        encoder: The picture encoder that the model is prepared for.

    Raises:
        CheckpointError: The file is missing or damaged, holds another network, or weights in a
            form that can't be read.
    """
    path = find_base(str(source)) if str(source) in BASES else source
    vectors, features = image_shape(encoder)
    with GgufFile(path) as file:
        shape = read_gguf_shape(file, image_vectors=vectors, image_dim=features)
        wanted = text_shapes(shape)
        published = {
            name: Weight(stored.shape, torch.float32, partial(read_part, file, shape, name))
            for name, stored in file.tensors.items()
        }
        adopted = adopt(
            published,
            wanted,
            {name: sources(name) for name in wanted},
            path,
            precision=precision or "fp16",
            spare=(ROTARY,),
        )
        config = make_settings(source.stem, encoder, shape)
        return write_causal(out, config, read_vocabulary(file), adopted, source=path)


def begin_adapter(
    base: str,
    out: Path,
    adapter: AdapterConfig,
    *,
    precision: Precision | None = None,
    encoder: str = "efficientnet_lite0",
) -> Converted:
    """Write a checkpoint over an installed base: untrained adapters that change nothing yet.

    Args:
        base: Its name.
        out: The folder to write.
        adapter: What of it is to be trained.
        precision: Precision of what is stored; None: fp16.
        encoder: The picture encoder that the model is prepared for.

    Raises:
        CheckpointError: The base is unknown, not installed or damaged, or ``out`` is a file.
    """
    vectors, features = image_shape(encoder)
    with GgufFile(find_base(base)) as file:
        shape = read_gguf_shape(file, image_vectors=vectors, image_dim=features)
        tokenizer = read_vocabulary(file)
    network = CausalLM(shape)
    load_base(network, shape, base, torch.float32)
    scale = network.embeddings.weight.detach().std().item()
    with torch.no_grad(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        for name, weight in network.named_parameters():
            if name.startswith(PICTURE):
                weight.copy_(fresh_picture(weight.shape, scale))
        adapt(network, adapter)
    config = replace(make_settings(base, encoder, shape), base=base, adapter=adapter)
    save_checkpoint(Checkpoint(config, network, tokenizer), out, precision=precision or "fp16")
    return Converted(folder=out, config=config, notes=(untrained_pictures(encoder),))


def read_vocabulary(file: GgufFile) -> Tokenizer:
    """Rebuild the vocabulary of a file.

    Raises:
        CheckpointError: A field is missing, they do not fit each other, or it is no byte-level BPE
            that is known.
    """
    kind = file.field("tokenizer.ggml.model", str)
    if kind != "gpt2":
        raise CheckpointError(f"{file.path}: tokenizer.ggml.model is {kind!r}; expected 'gpt2'")
    tokens = _list(file, "tokenizer.ggml.tokens", str)
    kinds = _list(file, "tokenizer.ggml.token_type", int)
    merges = [line.split(" ") for line in _list(file, "tokenizer.ggml.merges", str)]
    ids = {token: number for number, token in enumerate(tokens)}
    pairs = [(pair[0], pair[1]) for pair in merges if len(pair) == 2]
    if len(ids) != len(tokens) or len(kinds) != len(tokens) or len(pairs) != len(merges):
        raise CheckpointError(
            f"{file.path}: expected as many kinds as tokens, each token once, and merges of two; "
            f"{len(tokens)} tokens, {len(ids)} different, {len(kinds)} kinds"
        )
    way = file.field("tokenizer.ggml.pre", str)
    try:
        inner = tokenizers.Tokenizer(
            models.BPE(vocab=ids, merges=pairs, ignore_merges=way == "llama-bpe")
        )
    except Exception as error:  # the library raises bare Exception and nothing else
        reason = f"tokens and merges do not fit: {error}"
        raise CheckpointError(f"{file.path}: {reason}") from error
    inner.pre_tokenizer = _pre_tokenizer(way, file.path)
    inner.decoder = decoders.ByteLevel()
    if way == "qwen2":
        inner.normalizer = normalizers.NFC()
    specials = [token for token, kind in zip(tokens, kinds, strict=True) if kind in CONTROL]
    inner.add_special_tokens([AddedToken(token, normalized=False) for token in specials])
    end = file.field("tokenizer.ggml.eos_token_id", int)
    pad = file.field("tokenizer.ggml.padding_token_id", int, end)
    for name, number in (("eos", end), ("padding", pad)):
        if not 0 <= number < len(tokens) or tokens[number] not in specials:
            raise CheckpointError(
                f"{file.path}: tokenizer.ggml.{name}_token_id is {number}; expected the id of a "
                "control token"
            )
    return adopt_vocabulary(
        inner.to_str(), specials, end=tokens[end], pad=tokens[pad], source=str(file.path)
    )


def _pre_tokenizer(way: str, path: Path) -> pre_tokenizers.PreTokenizer:
    if way in DIGITS:
        parts = [
            pre_tokenizers.Digits(individual_digits=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False),
        ]
    elif way in SPLITS:
        parts = [
            pre_tokenizers.Split(Regex(SPLITS[way]), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    else:
        known = ", ".join(sorted((*DIGITS, *SPLITS)))
        raise CheckpointError(f"{path}: tokenizer.ggml.pre is {way!r}; expected one of {known}")
    return pre_tokenizers.Sequence(parts)


def _list(file: GgufFile, name: str, kind: type) -> list[Any]:
    values: list[Any] = file.field(name, list)
    if not all(isinstance(value, kind) for value in values):
        raise CheckpointError(f"{file.path}: {name} holds other things than {kind.__name__}")
    return values
