"""Checkpoints of other programs: ``openmmb convert``."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from tyro.conf import Positional, arg

from openmmb.cli.flags import Switch, Words, agree_to_replace, complain, require_count
from openmmb.errors import ConfigError
from openmmb.text.printable import printable

if TYPE_CHECKING:
    from openmmb.convert.classifier import ConvertedClassifier
    from openmmb.convert.write import Converted


def convert(
    kind: Annotated[Positional[Literal["parlai", "huggingface", "gguf"]], arg(metavar="KIND")],
    source: Annotated[Positional[Path], arg(metavar="DIR")],
    out: Annotated[Positional[Path], arg(metavar="OUT")],
    *,
    to: Literal["openmmb", "huggingface"] = "openmmb",
    precision: Literal["stored", "fp32", "fp16", "bf16"] = "stored",
    encoder: Words = None,
    adapter: int = 0,
    replace: Switch = False,
) -> None:
    """Turn another program's checkpoint into one of ours, or ours into theirs.

    No pickle that would run code is opened. What is not carried over, or begins untrained, is
    listed at the end.

    Args:
        kind: Whose format it is, or is to be: parlai, huggingface, or gguf for llama.cpp's.
        source: Folder of the checkpoint to convert; with huggingface also ORG/NAME on the hub; with
            gguf the file, or the name of a base.
        out: Folder of the new checkpoint, which must not be there yet, or be empty.
        to: With huggingface: write a text-only model of ours as a Hugging Face Blenderbot.
        precision: Precision of the weights; by default, as they are stored.
        encoder: Picture encoder that a model of text alone is prepared for, by default
            faster_rcnn_x152; with parlai also the one whose vectors a model knows, if its options
            do not say.
        adapter: With gguf and the name of a base: store low-rank adapters of this rank instead of
            the base's weights; 0 for none.
        replace: Replace the checkpoint in OUT; on a terminal you are asked otherwise.
    """
    from openmmb.checkpoint import OUTPUT, find_checkpoint
    from openmmb.convert import gguf, huggingface, parlai
    from openmmb.convert.adopt import ENCODER
    from openmmb.model.adapter import AdapterConfig
    from openmmb.outputs import check_folder

    prepared = encoder or ENCODER
    made: Converted | ConvertedClassifier
    made_kind = huggingface.OUTPUT if to == "huggingface" else OUTPUT
    if check_folder(out, made_kind, sources=[source]):
        agree_to_replace(out, made_kind.name, replace=replace)
    stored = None if precision == "stored" else precision
    if to == "huggingface":
        if kind != "huggingface":
            raise ConfigError(f"--to huggingface: expected one of ours; convert {kind} first")
        huggingface.export(find_checkpoint(source), out, precision=stored)
    else:
        require_count("--adapter", adapter, least=0)
        if adapter:
            if kind != "gguf":
                raise ConfigError("--adapter: only with gguf and the name of a base")
            ranked = AdapterConfig(rank=adapter, alpha=2.0 * adapter)
            made = gguf.begin_adapter(str(source), out, ranked, precision=stored, encoder=prepared)
        elif kind == "parlai":
            made = parlai.convert(source, out, precision=stored, encoder=encoder)
        elif kind == "huggingface":
            folder = huggingface.fetch(str(source))
            made = huggingface.convert(folder, out, precision=stored, encoder=prepared)
        else:
            made = gguf.convert(source, out, precision=stored, encoder=prepared)
        for note in made.notes:
            complain(note)
    print(printable(str(out)))
