"""Checkpoints for everybody: ``openmmb push``."""

from pathlib import Path
from typing import Annotated

from tyro.conf import Positional, arg

from openmmb.cli.flags import Switch
from openmmb.text.printable import printable


def push(
    folder: Annotated[Positional[Path], arg(metavar="FOLDER")],
    repo: Annotated[Positional[str], arg(metavar="ORG/NAME")],
    *,
    private: Switch = False,
    dry_run: Switch = False,
) -> None:
    """Upload a checkpoint to the Hugging Face hub, and print its address there.

    Log in first with `hf auth login`. Everybody can then talk to it: openmmb chat ORG/NAME.

    Args:
        folder: Folder of the checkpoint; whatever else is in it is not uploaded.
        repo: Name on the hub; the repository is created if it does not exist.
        private: Make a new repository private.
        dry_run: Print the files that would be uploaded, and upload nothing.
    """
    from openmmb import hub

    if dry_run:
        for path in hub.files_to_push(hub.resolve(folder), repo):
            print(printable(f"{path}: {path.stat().st_size} bytes"))
        return
    print(printable(hub.push(hub.resolve(folder), repo, private=private)))
