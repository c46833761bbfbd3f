"""SigLIP 2, a picture encoder of today, through Hugging Face ``transformers``.

Tschannen et al., "SigLIP 2: Multilingual Vision-Language Encoders with Improved Semantic
Understanding, Localization, and Dense Features" (2025). Only the vision tower is read: its last
hidden states after the final layer norm, one vector a patch, row by row; not the pooled vector.
The weights are under Apache 2.0. The first SigLIP is stored in the same way and opens too; the
NaFlex kind, whose number of vectors changes from picture to picture, does not.

Sizes: B pictures, I patches, F features of each: 256 x 768 for ``siglip2-base-patch16-256``.
"""

import importlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import torch
from PIL import Image
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from openmmb.errors import CheckpointError, ConfigError, shorten
from openmmb.files import read_json
from openmmb.hub import Kind, resolve

EXAMPLE: Final = "google/siglip2-base-patch16-256"
"""Name on the hub of one that opens."""

CONFIG, PROCESSOR = "config.json", "preprocessor_config.json"

SETTINGS: Final = "last hidden state after the final layer norm"
"""What is taken from the network; part of the encoder's fingerprint."""

_TOWER: Final = "vision_model."
_HEAD: Final = "vision_model.head."
_DAMAGE = (  # what `transformers` raises where a file or its settings make no sense
    *(RuntimeError, ValueError, KeyError, TypeError, AttributeError, ArithmeticError, OSError),
    SafetensorError,
)
_PUBLISHED: Final = Kind("a SigLIP", CONFIG, (CONFIG, PROCESSOR, "*.safetensors"))


@dataclass(frozen=True)
class SigLIP:
    """A vision tower with its preprocessing.

    Attributes:
        files: All that decides its vectors, in a fixed order.
        num_vectors: I.
        feature_dim: F.
        processor: Of ``transformers``.
        network: Of ``transformers``, in evaluation mode.
    """

    files: tuple[Path, ...]
    num_vectors: int
    feature_dim: int
    processor: Any
    network: nn.Module

    def preprocess(self, images: Sequence[Image.Image]) -> Tensor:
        """Turn RGB pictures of any size into pixels (B, 3, side, side), float32."""
        pixels: Tensor = self.processor(list(images), return_tensors="pt")["pixel_values"]
        return pixels

    def __call__(self, pixels: Tensor) -> Tensor:
        """Turn pixels (B, 3, side, side) into (B, I, F)."""
        vectors: Tensor = self.network(pixels).last_hidden_state
        return vectors


def load_siglip(weights: Path | str) -> SigLIP:
    """Open the vision tower of a SigLIP.

    Args:
        weights: A folder as published, with ``config.json``, ``preprocessor_config.json`` and
            ``*.safetensors``, or its name on the Hugging Face hub, such as
            ``google/siglip2-base-patch16-256``, which is downloaded once.

    Raises:
        ConfigError: ``transformers`` is not installed.
        CheckpointError: There is no such folder, here or on the hub, or a file in it is missing,
            damaged or of another network.
    """
    transformers = _transformers()
    from huggingface_hub.errors import StrictDataclassError

    folder = _find(weights)
    vision = _read_vision_config(folder / CONFIG)
    processing = _read_object(folder / PROCESSOR)
    shards = sorted(folder.glob("*.safetensors"))
    if not shards:
        raise CheckpointError(f"{folder}: no *.safetensors; pickled weights are not read")
    try:
        settings = transformers.SiglipVisionConfig.from_dict({**vision, "vision_use_head": False})
        network = transformers.SiglipVisionModel(settings)
        network.load_state_dict(_read_tower(shards))
        tower = SigLIP(
            files=(folder / CONFIG, folder / PROCESSOR, *shards),
            num_vectors=network.embeddings.num_patches,
            feature_dim=settings.hidden_size,
            processor=transformers.SiglipImageProcessorPil.from_dict(processing),
            network=network.eval(),
        )
        with torch.inference_mode():
            tower(tower.preprocess([Image.new("RGB", (3, 2))]))  # fails where the sizes do not fit
    except (*_DAMAGE, StrictDataclassError) as error:
        lines = str(error).splitlines() or [type(error).__name__]
        reason = shorten(lines[:2][-1].strip())  # where there are several, the first is a title
        raise CheckpointError(f"{folder}: not a SigLIP as published: {reason}") from error
    return tower


def _transformers() -> Any:
    # The other encoders do not need it, hence no import at the top.
    try:
        return importlib.import_module("transformers")
    except ImportError as error:
        raise ConfigError("siglip2 needs transformers: pip install 'openmmb[siglip]'") from error


def _find(weights: Path | str) -> Path:
    """Return the folder of weights, downloaded first if they are named as on the hub."""
    folder = resolve(weights, _PUBLISHED)
    if folder.is_dir():
        return folder
    problem = "is a file" if folder.exists() else "no such folder"
    raise CheckpointError(f"{folder}: {problem}; expected a folder, or a name such as {EXAMPLE}")


def _read_object(path: Path) -> dict[str, Any]:
    data = read_json(path, error=CheckpointError)
    if not isinstance(data, dict):
        raise CheckpointError(f"{path}: holds a {type(data).__name__}, expected an object")
    return data


def _read_vision_config(path: Path) -> dict[str, Any]:
    data = _read_object(path)
    vision = data.get("vision_config")
    if data.get("model_type") != "siglip" or not isinstance(vision, dict):
        kind = data.get("model_type")
        raise CheckpointError(f"{path}: model_type is {kind!r}, expected 'siglip', as of {EXAMPLE}")
    return vision


def _read_tower(shards: Sequence[Path]) -> dict[str, Tensor]:
    """Read what the last hidden states need; the text tower and the pooling stay on disk."""
    state = {}
    for path in shards:
        with safe_open(path, framework="pt") as file:
            for name in file.keys():  # noqa: SIM118
                if name.startswith(_TOWER) and not name.startswith(_HEAD):
                    state[name.removeprefix(_TOWER)] = file.get_tensor(name).float()
    return state
