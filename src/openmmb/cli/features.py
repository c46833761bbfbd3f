"""Image vectors, computed once: ``openmmb features``."""

from pathlib import Path
from typing import Annotated, Literal

from tyro.conf import Positional, arg

from openmmb.chat.printable import printable
from openmmb.cli.flags import Switch, complain, require_one


def features(
    encoder: Annotated[Positional[str], arg(metavar="ENCODER")],
    *,
    images: tuple[Path, ...],
    out: Path,
    batch_size: int = 16,
    flip: Switch = False,
    device: Literal["cpu", "cuda"] = "cpu",
) -> None:
    """Compute image vectors once, to train on them many times.

    Started again after it was stopped, it goes on where it was.

    Args:
        encoder: Name of a picture encoder, such as efficientnet_lite0.
        images: Folders, .txt lists or .tar archives of pictures; a file's name is its image id.
        out: Folder for the vectors.
        batch_size: Pictures encoded together.
        flip: Mirror the pictures, for a second folder that training draws from as well.
        device: Where the encoder runs.
    """
    from openmmb.progress import counting
    from openmmb.vision.encoders import open_encoder
    from openmmb.vision.features import extract

    require_one("--batch-size", batch_size)
    opened = open_encoder(encoder, device=device)
    with counting("pictures") as progress:
        report = extract(opened, images, out, batch_size=batch_size, flip=flip, progress=progress)
    for line in report.unreadable:
        complain(f"unreadable: {line}")
    print(
        f"{printable(str(out))}: {report.written} written, {report.present} there before, "
        f"{len(report.unreadable)} unreadable, {report.others} other files left out"
    )
