"""Models by ParlAI's names: which checkpoint is meant, and how to get it.

ParlAI downloads what begins with ``zoo:``. Here a model is converted once, into
``converted/NAME``, and what a run has trained lies in the run's folder.
"""

from pathlib import Path

from openmmb.checkpoint import CONFIG
from openmmb.errors import ConfigError, unknown
from openmmb.hub import find_here

PREFIX = "zoo:"
ARCHIVES = {
    "blender/reddit_3B": "Reddit3B_v0.tgz",
    "blender/blender_3B": "BST3B.tgz",
    "blender/blender_1Bdistill": "BST1Bdistill_v1.1.tgz",
    "blender/blender_400Mdistill": "BST400Mdistill_v1.1.tgz",
    "blender/blender_90M": "BST0B.tgz",
}
"""Models of ParlAI's zoo that can be converted: the archive of each."""
ARCHIVE_URL = "http://parl.ai/downloads/_models/blender"
REQUEST_URL = "https://forms.gle/BWaS3Xx3oMaf3Ja46"
"""Where Multi-Modal BlenderBot's authors were asked for its weights."""


def find_model(name: str) -> str:
    """Return the checkpoint folder that one of ParlAI's model names stands for.

    Args:
        name: A path that ``--model-file`` had, a checkpoint folder, or ``zoo:...``.

    Returns:
        The folder; whether it is there is not looked at.

    Raises:
        ConfigError: It is a ParlAI model that has to be converted, or of no known zoo.
    """
    if name.startswith(PREFIX):
        return f"converted/{_zoo_name(name).rpartition('/')[2]}"
    folder = find_here(name)
    if (folder / CONFIG).is_file():
        return name
    if folder.is_file() or Path(f"{folder}.opt").is_file():
        raise ConfigError(
            f"{name}: is a ParlAI model; make a checkpoint of it with openmmb convert parlai "
            f"{name} FOLDER and use FOLDER"
        )
    return str(Path(name) / "checkpoint")


def explain_missing(name: str, folder: str) -> str:
    """Say how to get the checkpoint that ``find_model`` returned as ``folder``."""
    if not name.startswith(PREFIX):
        return f"{folder}: does not exist yet; the run of --model-file {name} makes it"
    model = _zoo_name(name)
    return (
        f"{folder}: does not exist yet; models of ParlAI's zoo are not downloaded: unpack "
        f"{ARCHIVE_URL}/{ARCHIVES[model]} and run openmmb convert parlai UNPACKED {folder}"
    )


def _zoo_name(name: str) -> str:
    model = name.removeprefix(PREFIX).removesuffix("/model")
    if model.startswith("multimodal_blenderbot"):
        raise ConfigError(
            f"{name}: its weights were given on request only ({REQUEST_URL}); make a checkpoint of "
            "them with openmmb convert parlai and use its folder"
        )
    if model not in ARCHIVES:
        raise ConfigError(f"{name}: {unknown('convertible model', model, ARCHIVES)}")
    return model
