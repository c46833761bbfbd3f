"""Checkpoints of other programs: ``openmmb convert``."""

from pathlib import Path
from typing import Annotated, Literal

from tyro.conf import Positional, arg

from openmmb.cli.flags import complain
from openmmb.errors import ConfigError
from openmmb.text.printable import printable


def convert(
    kind: Annotated[Positional[Literal["parlai", "huggingface"]], arg(metavar="KIND")],
    source: Annotated[Positional[Path], arg(metavar="DIR")],
    out: Annotated[Positional[Path], arg(metavar="OUT")],
    *,
    to: Literal["openmmb", "huggingface"] = "openmmb",
    precision: Literal["stored", "fp32", "fp16", "bf16"] = "stored",
    encoder: str = "faster_rcnn_x152",
) -> None:
    """Turn another program's checkpoint into one of ours, or ours into theirs.

    No pickle that would run code is opened. What is not carried over, or begins untrained, is
    listed at the end.

    Args:
        kind: parlai or huggingface: whose checkpoint it is, or shall be.
        source: Folder of the checkpoint to convert.
        out: Folder of the new checkpoint; an existing one is replaced.
        to: With huggingface: write a text-only model of ours as a Hugging Face Blenderbot.
        precision: Precision of the weights; by default, as they are stored.
        encoder: Picture encoder that a model of text alone is prepared for.
    """
    from openmmb.checkpoint import find_checkpoint
    from openmmb.convert import huggingface, parlai

    stored = None if precision == "stored" else precision
    if to == "huggingface":
        if kind == "parlai":
            raise ConfigError("--to huggingface: expected one of ours; convert parlai first")
        huggingface.export(find_checkpoint(source), out, precision=stored)
    else:
        convert_it = parlai.convert if kind == "parlai" else huggingface.convert
        for note in convert_it(source, out, precision=stored, encoder=encoder).notes:
            complain(note)
    print(printable(str(out)))
