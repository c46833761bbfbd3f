"""Named weights, read one at a time: from a file, into a network, to another file.

A checkpoint of 2.7 billion weights must convert and load on a machine that can barely hold it
once, so nothing here keeps a tensor longer than it takes to hand it on.
"""

import json
import struct
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from io import BufferedReader
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from openmmb.errors import CheckpointError, shorten

NAMES = {torch.float32: "F32", torch.float16: "F16", torch.bfloat16: "BF16"}
"""What safetensors calls the precisions that weights may have."""
PRECISIONS = {torch.float32: "fp32", torch.float16: "fp16", torch.bfloat16: "bf16"}
"""What people call them."""
_DTYPES = {name: dtype for dtype, name in NAMES.items()}

LONGEST_HEADER = 2**24
"""Most bytes of what a file of safetensors says of its tensors, before them: those of a network of
a thousand layers have a tenth of that."""

Read = Callable[[], Tensor]


@dataclass(frozen=True, slots=True)
class Weight:
    """A tensor that is read when it is asked for.

    Attributes:
        shape: Its sizes.
        dtype: One of ``NAMES``.
        read: Returns it.
    """

    shape: tuple[int, ...]
    dtype: torch.dtype
    read: Read


def weights_of(network: nn.Module) -> dict[str, Weight]:
    """Return the weights of a network in memory, which they share."""
    return {
        name: Weight(tuple(tensor.shape), tensor.dtype, tensor.detach)
        for name, tensor in network.state_dict().items()
    }


def pickled_weights(state: Any, path: Path) -> dict[str, Weight]:
    """Return the tensors of an unpickled state dict.

    Raises:
        CheckpointError: It is no dict of floating-point tensors.
    """
    if not isinstance(state, Mapping) or not state:
        raise CheckpointError(f"{path}: holds a {type(state).__name__}, expected named weights")
    weights = {}
    for name, tensor in state.items():
        if not isinstance(name, str) or not isinstance(tensor, Tensor):
            kind = type(tensor).__name__
            raise CheckpointError(f"{path}: {shorten(str(name))} is a {kind}, expected a tensor")
        weights[name] = Weight(
            tuple(tensor.shape), tensor.dtype, partial(_whole, path, name, tensor)
        )
    return weights


def check_tensor(path: Path, name: str, tensor: Tensor) -> None:
    """Refuse what is no plain tensor of numbers in memory.

    Args:
        path: Its file, for the message.
        name: Its name, for the message.
        tensor: A tensor of any kind.

    Raises:
        CheckpointError: It is sparse, has no numbers or is larger than what is stored of it; or a
            number of it is infinite or none.
    """
    where = f"{path}: {shorten(name)}"
    plain = tensor.layout == torch.strided and tensor.device.type == "cpu"
    if not plain or tensor.is_quantized:
        kind = f"{tensor.layout} on {tensor.device}".replace("torch.", "")
        raise CheckpointError(f"{where} is {kind}, expected numbers one by one in memory")
    if tensor.numel() * tensor.itemsize > tensor.untyped_storage().nbytes():
        raise CheckpointError(f"{where} is {tuple(tensor.shape)}, but fewer numbers are stored")
    if not tensor.is_floating_point():
        return
    # A sum is several times as fast as asking each number; only large ones may overflow in it.
    if not tensor.sum(dtype=torch.float32).isfinite() and not tensor.isfinite().all():
        bad = tensor[~tensor.isfinite()][0].item()
        raise CheckpointError(f"{where} has {bad} among its numbers, expected finite ones")


def check_header(path: Path) -> None:
    """Refuse a file of safetensors whose header would take the memory of many a network.

    Raises:
        CheckpointError: It is too long, or the file cannot be read.
    """
    try:
        with path.open("rb") as file:
            length = int.from_bytes(file.read(8), "little")
    except OSError as error:
        raise CheckpointError(f"{path}: not safetensors: {error.strerror}") from error
    if length > LONGEST_HEADER:
        raise CheckpointError(
            f"{path}: not safetensors: a header of {length} bytes, expected at most "
            f"{LONGEST_HEADER}"
        )


def open_stored(path: Path) -> Any:
    """Open a file of safetensors of any kind of numbers, as its library does.

    Raises:
        CheckpointError: It is not such a file.
    """
    check_header(path)
    try:
        return safe_open(path, framework="pt")
    except (SafetensorError, OSError) as error:
        reason = shorten(" ".join(str(error).split()))
        raise CheckpointError(f"{path}: not safetensors: {reason}") from error


@contextmanager
def open_safetensors(path: Path) -> Iterator[dict[str, Weight]]:
    """Open a file of safetensors, which are read one by one.

    Each is read into memory of its own. As part of the mapped file, what has been read would count
    as this process's memory for as long as the file is open: a whole network's.

    Raises:
        CheckpointError: It is not such a file; or, where a weight is read, one of its numbers is
            none.
    """
    with open_stored(path) as stored_file, path.open("rb") as file:
        starts = _starts(file)
        weights = {}
        for name in stored_file.keys():  # noqa: SIM118
            stored = stored_file.get_slice(name)
            shape, dtype = tuple(stored.get_shape()), _DTYPES.get(stored.get_dtype())
            if dtype is None:
                expected = ", ".join(_DTYPES)
                raise CheckpointError(
                    f"{path}: {shorten(name)} is {stored.get_dtype()}, expected {expected}"
                )
            weights[name] = Weight(
                shape, dtype, partial(_read, path, name, file, starts[name], shape, dtype)
            )
        yield weights


def _starts(file: BufferedReader) -> dict[str, int]:
    """Return where in a file of safetensors, which is a sound one, each tensor begins."""
    length = int.from_bytes(file.read(8), "little")
    header: dict[str, Any] = json.loads(file.read(length))
    header.pop("__metadata__", None)
    return {name: 8 + length + one["data_offsets"][0] for name, one in header.items()}


def _read(
    path: Path,
    name: str,
    file: BufferedReader,
    start: int,
    shape: tuple[int, ...],
    dtype: torch.dtype,
) -> Tensor:
    tensor = torch.empty(shape, dtype=dtype)
    numbers = tensor.reshape(-1).view(torch.uint8).numpy()
    file.seek(start)
    if file.readinto(numbers.data) != len(numbers):
        raise CheckpointError(f"{path}: {shorten(name)}: the file ends in the middle of it")
    return _whole(path, name, tensor)


def _whole(path: Path, name: str, tensor: Tensor) -> Tensor:
    check_tensor(path, name, tensor)
    return tensor.detach()


def write_safetensors(path: Path, weights: Mapping[str, Weight]) -> None:
    """Write weights, each read only when its turn comes.

    Raises:
        ValueError: One turns out to be of another shape or precision than it said.
    """
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    end = 0
    for name, weight in weights.items():
        start, end = end, end + weight.dtype.itemsize * torch.Size(weight.shape).numel()
        header[name] = {
            "dtype": NAMES[weight.dtype],
            "shape": list(weight.shape),
            "data_offsets": [start, end],
        }
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)  # the format wants the numbers aligned
    with path.open("wb") as file:
        file.write(struct.pack("<Q", len(text)))
        file.write(text)
        for name, weight in weights.items():
            tensor = weight.read().contiguous()
            if (tuple(tensor.shape), tensor.dtype) != (weight.shape, weight.dtype):
                raise ValueError(
                    f"{name} is {tensor.dtype} {tuple(tensor.shape)}, "
                    f"expected {weight.dtype} {weight.shape}"
                )
            file.write(tensor.reshape(-1).view(torch.uint8).numpy().data)


def convert_weight(name: str, tensor: Tensor, dtype: torch.dtype) -> Tensor:
    """Return a weight as a checkpoint holds it.

    Raises:
        CheckpointError: It is too large for ``dtype``.
    """
    converted = tensor.detach().to("cpu", dtype).contiguous()
    if not converted.isfinite().all():
        raise CheckpointError(
            f"{name}: {tensor.abs().max().item():.3g} is not a number of {PRECISIONS[dtype]}; "
            "save as bf16 or fp32"
        )
    return converted


def require_names(
    path: Path, given: Collection[str], expected: Collection[str], *, of: str = ""
) -> None:
    """Refuse weights that are not those expected.

    Args:
        path: The file, for the message.
        given: Names of the weights that are there.
        expected: Names of those that should be.
        of: What they should be the weights of, to end the message.

    Raises:
        CheckpointError: One is missing, or there is one more.
    """
    missing, unknown = set(expected) - set(given), set(given) - set(expected)
    problems = [f"lacks {_first_three(missing)}"] if missing else []
    problems += [f"has unknown {_first_three(unknown)}"] if unknown else []
    if problems:
        raise CheckpointError(f"{path}: {' and '.join(problems)}{of}")


def _first_three(names: set[str]) -> str:
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return ", ".join(map(shorten, sorted(names)[:3])) + more


def require_weights(
    path: Path, given: Mapping[str, Weight], expected: Mapping[str, Tensor], *, of: str = ""
) -> None:
    """Refuse weights that are not those of a network, by name or by shape.

    Args:
        path: Their file, for the message.
        given: The weights.
        expected: The network's, on any device.
        of: What they should be the weights of, to end the message.

    Raises:
        CheckpointError: One is missing, unknown, or of another shape.
    """
    require_names(path, given, expected, of=of)
    for name, tensor in expected.items():
        if given[name].shape != tensor.shape:
            raise CheckpointError(
                f"{path}: {name} is {given[name].shape}, expected {tuple(tensor.shape)}{of}"
            )


def require_layers(path: Path, shape: object, *, of: str = "") -> None:
    """Refuse a file of safetensors with fewer weights than a network has layers.

    A network is built before its weights are compared; one of many layers takes long.

    Args:
        path: The file.
        shape: The config of the network; its counts of layers are the fields that end so.
        of: What the weights should be of, to end the message.

    Raises:
        CheckpointError: It has fewer, or is damaged.
    """
    layers = sum(number for name, number in vars(shape).items() if name.endswith("_layers"))
    with open_safetensors(path) as weights:
        if len(weights) < layers:
            raise CheckpointError(f"{path}: {len(weights)} weights, expected {layers} layers{of}")


def load_strict(
    network: nn.Module,
    weights: Mapping[str, Weight],
    path: Path,
    *,
    names: Collection[str] | None = None,
    dtype: torch.dtype | None = None,
    of: str = "",
) -> None:
    """Give a network, which may be on the ``meta`` device, its weights.

    Args:
        network: Gets them.
        weights: Its weights, those of ``names`` and no others.
        path: Their file, for messages.
        names: The weights that it is to get; None: all of them.
        dtype: What they are converted to; None: as they are stored.
        of: What they should be the weights of, to end a message.

    Raises:
        CheckpointError: One is missing, unknown, or of another shape.
    """
    expected = network.state_dict()
    if names is not None:
        expected = {name: expected[name] for name in names}
    require_weights(path, weights, expected, of=of)
    state = {name: weight.read().to(dtype or weight.dtype) for name, weight in weights.items()}
    network.load_state_dict(state, assign=True, strict=names is None)
