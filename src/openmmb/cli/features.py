"""Image vectors, computed once: ``openmmb features``."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

from tyro.conf import Positional, arg

from openmmb.cli.flags import Device, PathOrNone, Switch, complain, require_count
from openmmb.errors import ConfigError, DataError
from openmmb.text.printable import printable

if TYPE_CHECKING:
    from openmmb.vision.features.share import Share
    from openmmb.vision.features.verify import Findings

SHOWN = 10
"""Most lines of one kind."""

Location = Annotated[str, arg(metavar="PATH|URL")]


def features(
    encoder: Annotated[Positional[str], arg(metavar="ENCODER")],
    *,
    images: Annotated[tuple[str, ...], arg(metavar="PATH|URL [PATH|URL ...]")],
    out: Location,
    encoder_weights: PathOrNone = None,
    batch_size: int = 16,
    flip: Switch = False,
    device: Device = "auto",
    verify: Switch = False,
) -> None:
    """Compute image vectors once, to train on them many times.

    Run again after an interruption, it continues where it stopped. Under torchrun, each process
    does its share. URLs are those of fsspec, such as s3://bucket/photos.

    Args:
        encoder: Name of a picture encoder, such as efficientnet_lite0.
        images: Folders, .txt lists or .tar archives of pictures; a file's name is its image id.
        out: Folder for the vectors.
        encoder_weights: Weights of an encoder that does not come with them.
        batch_size: Pictures encoded together.
        flip: Mirror the pictures, for a second folder that training draws from as well.
        device: Where the encoder runs.
        verify: Encode nothing, check that every picture is there once and undamaged; exit code 1
            if not.
    """
    from openmmb.distributed import open_device
    from openmmb.vision.encoders import ENCODERS, find_encoder, open_encoder
    from openmmb.vision.features.extract import extract
    from openmmb.vision.features.share import environment_share

    require_count("--batch-size", batch_size)
    share = environment_share()
    if verify:
        _verify(find_encoder(encoder), images, out, flip=flip, share=share)
        return
    here = open_device(device, shared=True)
    opened = open_encoder(encoder, weights=encoder_weights, device=str(here))
    if encoder_weights is not None and share.rank == 0:
        complain(f"{opened.name}: licence of its weights: {ENCODERS[opened.name].licence}")
    with _counting(share) as progress:
        report = extract(
            opened,
            images,
            out,
            batch_size=batch_size,
            flip=flip,
            share=share,
            progress=progress,
        )
    _list([str(picture) for picture in report.unreadable], "unreadable: ", say=complain)
    whose = "" if share.world_size == 1 else f" by rank {share.rank} of {share.world_size}"
    print(
        f"{printable(out)}: {report.written} written{whose}, {report.present} there before, "
        f"{len(report.unreadable)} unreadable, {report.others} other files left out"
    )
    if share.world_size == 1 and not report.written and not report.present:
        raise DataError(f"{', '.join(images)}: no picture that can be read")


def _verify(encoder: str, images: Sequence[str], out: str, *, flip: bool, share: "Share") -> None:
    from openmmb.cli.progress import counting
    from openmmb.vision.features.verify import verify

    if share.world_size > 1:
        raise ConfigError("--verify: expected one process; start it without torchrun")
    with counting("shards") as progress:
        findings = verify(out, images, encoder=encoder, flip=flip, progress=progress)
    print(f"{printable(out)}: {_count(findings)}")
    _list(findings.damaged, "", say=_say)
    _list(findings.duplicate, "duplicate: ", say=_say)
    _list(findings.missing, "missing: ", say=_say)
    if not findings.whole:
        raise SystemExit(1)


def _count(findings: "Findings") -> str:
    present = findings.listed - len(findings.missing)
    return (
        f"{present} of {findings.listed} pictures there, {len(findings.missing)} missing "
        f"({len(findings.unreadable)} unreadable), {len(findings.duplicate)} duplicate, "
        f"{len(findings.damaged)} damaged files, {findings.others} pictures of other sources"
    )


@contextmanager
def _counting(share: "Share") -> Iterator[Callable[[int, int], None] | None]:
    """Show the progress of the first of several processes, which do about as much each."""
    from openmmb.cli.progress import counting

    if share.rank > 0:
        yield None
        return
    with counting(
        "pictures" if share.world_size == 1 else f"pictures of 1 in {share.world_size}"
    ) as progress:
        yield progress


def _list(lines: Sequence[str], before: str, *, say: Callable[[str], None]) -> None:
    for line in lines[:SHOWN]:
        say(f"{before}{line}")
    if len(lines) > SHOWN:
        say(f"{before}{len(lines) - SHOWN} more")


def _say(text: str) -> None:
    print(printable(text))
