"""Pictures that could not be decoded, as a run reports them in its folder of features.

A process that is alone writes ``unreadable.jsonl``, one of several
``unreadable-<rank>-of-<ranks>.jsonl``: one line a picture with ``id``, ``where`` and ``reason``.
They are of the last run, for every run tries those pictures again.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from openmmb.errors import DataError
from openmmb.vision.features.locations import Location
from openmmb.vision.features.share import Share
from openmmb.vision.features.transfer import write


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A picture that could not be decoded.

    Attributes:
        id: Its image id.
        where: Its file, or its archive and its name in there.
        reason: What is wrong with it.
    """

    id: str
    where: str
    reason: str

    def __str__(self) -> str:
        return f"{self.where}: {self.reason}"


def write_unreadable(folder: Location, share: Share, pictures: Sequence[Unreadable]) -> None:
    """Report all that this process could not decode so far; no file if there is nothing."""
    location = folder / _name(share)
    if pictures:
        lines = (json.dumps(asdict(picture), ensure_ascii=False) for picture in pictures)
        write(location, "".join(f"{line}\n" for line in lines).encode("utf-8", "backslashreplace"))
    else:
        location.remove()


def forget_other_runs(folder: Location, share: Share) -> None:
    """Delete the reports of runs with another number of processes than this one."""
    now = {_name(Share(rank, share.world_size)) for rank in range(share.world_size)}
    for name in _reports(folder):
        if name not in now:
            (folder / name).remove()


def read_unreadable(folder: Location) -> list[Unreadable]:
    """Read what the last run could not decode, in all of its processes.

    Raises:
        DataError: A report is malformed.
    """
    pictures: list[Unreadable] = []
    for name in _reports(folder):
        try:
            lines = (folder / name).read().decode().split("\n")  # no other ends a line
            pictures += (Unreadable(**json.loads(line)) for line in lines if line)
        except (ValueError, TypeError) as error:
            raise DataError(f"{folder / name}: malformed: {error}; delete it") from error
    return pictures


def _name(share: Share) -> str:
    if share.world_size == 1:
        return "unreadable.jsonl"
    return f"unreadable-{share.rank:05d}-of-{share.world_size:05d}.jsonl"


def _reports(folder: Location) -> list[str]:
    return [
        name for name in folder.sizes() if name.startswith("unreadable") and name.endswith(".jsonl")
    ]
