"""From another project's weights to this project's, checked by name and shape.

Sizes: I image vectors, F features in each, D model width.
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Final, TypeVar

import torch
from torch import Tensor, nn

from openmmb.checkpoint import DTYPES, Precision
from openmmb.convert.names import Naming
from openmmb.errors import CheckpointError, ConfigError
from openmmb.model.config import ModelConfig
from openmmb.model.seq2seq import Seq2Seq
from openmmb.tensors import NAMES, Read, Weight, convert_weight, require_names
from openmmb.vision.encoders import ENCODERS, find_encoder

ENCODER: Final = "faster_rcnn_x152"
"""Picture encoder that a model of text alone is prepared for, where nobody names one."""
FRESH = ("encoder.image_projector.", "encoder.segments.")
"""Weights that a model of text alone does not have."""

C = TypeVar("C")


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
        raise CheckpointError(
            f"encoder: {encoder}: only its weights know how many vectors it has; use another one"
        )
    return shape


def untrained_pictures(encoder: str) -> str:
    """Return what to say of a model of text alone."""
    return (
        f"pictures: this model has never seen one; its projection of the vectors of {encoder} is "
        "untrained"
    )


def adopt(
    published: Mapping[str, Weight],
    wanted: Mapping[str, tuple[int, ...]],
    sources: Mapping[str, tuple[str, ...]],
    path: Path,
    *,
    precision: Precision | None,
    spare: Collection[str] = (),
) -> dict[str, Weight]:
    """Return every weight of a network of this project, to be read one by one.

    Args:
        published: All weights of the other project's file.
        wanted: The shape of each weight here.
        sources: The names that each weight has there; what has several is put together from them
            along its first dimension.
        path: The file, for messages.
        precision: Precision of the weights; None keeps what is stored.
        spare: Names that may be in the file and are not needed.

    Raises:
        CheckpointError: A weight is missing, unknown or misshapen.
    """
    needed = {key for name in wanted for key in sources[name]}
    require_names(path, published.keys() - set(spare), needed)
    adopted = {}
    for name, shape in wanted.items():
        pieces = _pieces(published, sources[name], shape, path)
        weight = Weight(shape, pieces[0].dtype, _join(pieces))
        adopted[name] = in_precision(name, weight, precision, path)
    return adopted


def adopt_network(
    published: Mapping[str, Weight],
    naming: Naming,
    config: ModelConfig,
    path: Path,
    *,
    precision: Precision | None,
    fresh: bool,
) -> dict[str, Weight]:
    """Return every weight of Multi-Modal BlenderBot's network, to be read one by one.

    Args:
        published: All weights of the other project's file.
        naming: Its names.
        config: The network's shape.
        path: The file, for messages.
        precision: Precision of the weights; None keeps what is stored.
        fresh: The weights for pictures are not among ``published`` but begin anew: the projection
            random, the segments zero, so that words mean what they meant.

    Raises:
        CheckpointError: A weight is missing, unknown or misshapen, or a copy of the embeddings
            differs from them.
    """
    shapes = shapes_of(Seq2Seq, config)
    begun = {
        name
        for name in shapes
        if fresh and name.startswith(FRESH) and not _is_there(name, published, naming)
    }
    trained = {name: size for name, size in shapes.items() if name not in begun}
    sources = {name: naming.sources(name) for name in trained}
    spare = (*naming.copies, *naming.ignored)
    adopted = adopt(published, trained, sources, path, precision=precision, spare=spare)
    _check_copies(published, naming, path)
    dtype = published[naming.embeddings].dtype
    for name, size in shapes.items():
        if name in begun:
            start = Weight(size, dtype, _start(name, size, dtype))
            adopted[name] = in_precision(name, start, precision, path)
    return {name: adopted[name] for name in shapes}


def in_precision(name: str, weight: Weight, precision: Precision | None, path: Path) -> Weight:
    """Return a weight that is read in another precision; None keeps its own.

    Reading it raises CheckpointError where it is too large for the precision.
    """
    kept = next(kind for kind, dtype in DTYPES.items() if dtype == weight.dtype)
    wanted = precision or kept

    def read() -> Tensor:
        return convert_weight(f"{path}: {name}", weight.read(), DTYPES[wanted])

    return replace(weight, dtype=DTYPES[wanted], read=read)


def narrowed(weights: Mapping[str, Weight]) -> dict[str, Weight]:
    """Return weights of which those in float64 are read as float32, the widest there is here."""

    def narrow(weight: Weight) -> Weight:
        return replace(weight, dtype=torch.float32, read=lambda: weight.read().float())

    return {
        name: narrow(weight) if weight.dtype == torch.float64 else weight
        for name, weight in weights.items()
    }


def two_segments(weights: Mapping[str, Weight], name: str) -> dict[str, Weight]:
    """Return weights whose table of segments ``name``, if it is there, has two rows.

    A text uses the first row alone; only early fusion, which has two, uses the second.
    """
    table = weights.get(name)
    if table is None or len(table.shape) != 2 or table.shape[0] in (0, 2):
        return dict(weights)
    width = table.shape[1]

    def read() -> Tensor:
        rows = table.read()
        return torch.cat([rows, torch.zeros_like(rows)])[:2] if len(rows) < 2 else rows[:2].clone()

    return {**weights, name: Weight((2, width), table.dtype, read)}


def shapes_of(network: Callable[[C], nn.Module], config: C) -> dict[str, tuple[int, ...]]:
    """Return the shape of each weight of a network, without making it."""
    with torch.device("meta"):
        return {name: tuple(w.shape) for name, w in network(config).state_dict().items()}


def table_shape(weights: Mapping[str, Weight], name: str, path: Path) -> tuple[int, int]:
    """Return rows and columns of a table of another project's.

    Raises:
        CheckpointError: It is missing or is no table.
    """
    if name not in weights:
        raise CheckpointError(f"{path}: lacks {name}")
    shape = weights[name].shape
    if len(shape) != 2:
        raise CheckpointError(f"{path}: {name} is {shape}, expected two sizes")
    return shape[0], shape[1]


def _is_there(name: str, published: Mapping[str, Weight], naming: Naming) -> bool:
    """Whether a weight of pictures is there: a model of text may have segments."""
    try:
        return set(naming.sources(name)) <= published.keys()
    except KeyError:  # the other project has no name for it
        return False


def _check_copies(published: Mapping[str, Weight], naming: Naming, path: Path) -> None:
    """See that input and output embeddings are one table, as they are here."""
    table = published[naming.embeddings].read()
    for name in naming.copies:
        if name in published:
            copy = published[name].read()
            if copy.data_ptr() != table.data_ptr() and not copy.equal(table):
                raise CheckpointError(
                    f"{path}: {name} differs from {naming.embeddings}; expected one table for "
                    "input and output"
                )


def _pieces(
    published: Mapping[str, Weight], keys: tuple[str, ...], shape: tuple[int, ...], path: Path
) -> list[Weight]:
    """Return the weights that are put together to one of ``shape``."""
    pieces = [published[key] for key in keys]
    rows = sum(piece.shape[0] for piece in pieces if piece.shape)
    whole = rows == shape[0] and all(piece.shape[1:] == shape[1:] for piece in pieces)
    expected = (shape[0] // len(keys), *shape[1:])
    for key, piece in zip(keys, pieces, strict=True):
        if not whole and piece.shape != expected:
            raise CheckpointError(f"{path}: {key} is {piece.shape}, expected {expected}")
        if piece.dtype not in NAMES or piece.dtype != pieces[0].dtype:
            known = ", ".join(str(dtype).removeprefix("torch.") for dtype in NAMES)
            alike = f", as {keys[0]}" if pieces[0].dtype in NAMES else ""
            expected_dtype = pieces[0].dtype if alike else f"one of {known}"
            raise CheckpointError(
                f"{path}: {key} is {piece.dtype}, expected {expected_dtype}{alike}"
            )
    return pieces


def _join(pieces: list[Weight]) -> Read:
    def read() -> Tensor:
        tensors = [piece.read() for piece in pieces]
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
