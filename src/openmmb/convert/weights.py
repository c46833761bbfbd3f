"""From another project's weights to this project's, checked by name and shape.

Sizes: I image vectors, F features in each, D model width.
"""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor, nn

from openmmb.checkpoint import DTYPES, Precision, convert_weight
from openmmb.convert.names import Naming
from openmmb.convert.stream import NAMES, Read, Weight
from openmmb.errors import CheckpointError, ConfigError
from openmmb.model.config import ModelConfig
from openmmb.model.seq2seq import Seq2Seq
from openmmb.vision.encoders import ENCODERS, find_encoder

FRESH = ("encoder.image_projector.", "encoder.segments.")
"""Weights that a model of text alone does not have."""


def image_shape(encoder: str) -> tuple[int, int]:
    """Return I and F of a picture encoder.

    Raises:
        CheckpointError: None of that name is known, or its weights decide.
    """
    try:
        shape = ENCODERS[find_encoder(encoder)].shape
    except ConfigError as error:
        raise CheckpointError(f"encoder: {error}") from error
    if shape is None:
        raise CheckpointError(f"encoder: {encoder}: only its weights know how many vectors it has")
    return shape


def adopt(
    found: Mapping[str, Weight],
    naming: Naming,
    config: ModelConfig,
    source: Path,
    *,
    precision: Precision | None,
    fresh: bool,
) -> dict[str, Weight]:
    """Return every weight of a network of this project, to be read one by one.

    Args:
        found: All weights of the other project's file.
        naming: Its names.
        config: The network's shape.
        source: The file, for messages.
        precision: Of the weights; None keeps what is stored.
        fresh: The weights for pictures are not among ``found`` but begin anew: the projection
            random, the segments zero, so that words mean what they meant.

    Raises:
        CheckpointError: A weight is missing, unknown or misshapen, or a copy of the embeddings
            differs from them.
    """
    with torch.device("meta"):
        wanted = {name: tuple(w.shape) for name, w in Seq2Seq(config).state_dict().items()}
    sources = {
        name: naming.sources(name) for name in wanted if not (fresh and name.startswith(FRESH))
    }
    _check_names(found, naming, {key for keys in sources.values() for key in keys}, source)
    _check_copies(found, naming, source)
    weights = {}
    for name, shape in wanted.items():
        if name in sources:
            parts = _parts(found, sources[name], shape, source)
            weight = Weight(shape, parts[0].dtype, _join(parts))
        else:
            dtype = found[naming.embeddings].dtype
            weight = Weight(shape, dtype, _start(name, shape, dtype))
        weights[name] = _in_precision(name, weight, precision, source)
    return weights


def _check_names(
    found: Mapping[str, Weight], naming: Naming, needed: set[str], source: Path
) -> None:
    missing = sorted(needed - found.keys())
    unknown = sorted(found.keys() - needed - {*naming.copies, *naming.ignored})
    if missing or unknown:
        parts = [f"lacks {_list(missing)}"] if missing else []
        parts += [f"has unknown {_list(unknown)}"] if unknown else []
        raise CheckpointError(f"{source}: {' and '.join(parts)}")


def _list(names: list[str]) -> str:
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return ", ".join(names[:3]) + more


def _check_copies(found: Mapping[str, Weight], naming: Naming, source: Path) -> None:
    """See that input and output embeddings are one table, as they are here."""
    table = found[naming.embeddings].read()
    for name in naming.copies:
        if name in found:
            copy = found[name].read()
            if copy.data_ptr() != table.data_ptr() and not copy.equal(table):
                raise CheckpointError(
                    f"{source}: {name} differs from {naming.embeddings}; only models that share "
                    "one table for input and output can be converted"
                )


def _parts(
    found: Mapping[str, Weight], keys: tuple[str, ...], shape: tuple[int, ...], source: Path
) -> list[Weight]:
    """Return the weights that are put together to one of ``shape``."""
    expected = (shape[0] // len(keys), *shape[1:])
    for key in keys:
        if found[key].shape != expected:
            raise CheckpointError(f"{source}: {key} is {found[key].shape}, expected {expected}")
        if found[key].dtype not in NAMES or found[key].dtype != found[keys[0]].dtype:
            raise CheckpointError(
                f"{source}: {key} is {found[key].dtype}, expected {found[keys[0]].dtype}, one of "
                f"{', '.join(map(str, NAMES))}"
            )
    return [found[key] for key in keys]


def _join(parts: list[Weight]) -> Read:
    def read() -> Tensor:
        tensors = [part.read() for part in parts]
        return tensors[0] if len(tensors) == 1 else torch.cat(tensors)

    return read


def _start(name: str, shape: tuple[int, ...], dtype: torch.dtype) -> Read:
    """Begin a weight as an untrained network has it; the same every time."""

    def read() -> Tensor:
        tensor = torch.zeros(shape)
        if name.startswith("encoder.image_projector.") and len(shape) == 2:
            source = torch.Generator().manual_seed(0)
            nn.init.xavier_uniform_(tensor, generator=source)
        return tensor.to(dtype)

    return read


def _in_precision(name: str, weight: Weight, precision: Precision | None, source: Path) -> Weight:
    kept = next(name for name, dtype in DTYPES.items() if dtype == weight.dtype)
    wanted = precision or kept

    def read() -> Tensor:
        return convert_weight(f"{source}: {name}", weight.read(), wanted)

    return replace(weight, dtype=DTYPES[wanted], read=read)
