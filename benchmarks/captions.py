"""What captions owe to the picture: ``python benchmarks/captions.py CHECKPOINT --features DIR``.

Captions of held-out photographs of Flickr8k, compared with people's: as the model sees them,
without the words for what the encoder recognises, and with the pictures exchanged, where a model
that looks at them must do badly.
"""

import argparse
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from torch import Tensor

from openmmb.checkpoint import find_checkpoint, load_checkpoint
from openmmb.data.draw import take_evenly
from openmmb.data.encode import choose_objects
from openmmb.data.example import Example
from openmmb.engine.open import open_engine
from openmmb.errors import OpenMMBError
from openmmb.eval.captions import CAPTION_SEARCH, evaluate_captions
from openmmb.tasks.mixture import TaskConfig, read_valid
from openmmb.vision.features.vectors import Features


def main() -> None:
    """Read the flags, write captions, print a line a way."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("checkpoint")
    parser.add_argument("--features", type=Path, required=True, help="folder of image vectors")
    parser.add_argument("--root", type=Path, default=Path("data"), help="folder of the data sets")
    parser.add_argument("--examples", type=int, default=150)
    parser.add_argument("--beams", type=int, default=3)
    args = parser.parse_args()
    checkpoint = load_checkpoint(find_checkpoint(args.checkpoint))
    engine = open_engine(checkpoint, device="cpu")
    features = Features(args.features)
    search = replace(CAPTION_SEARCH, beam_size=args.beams)
    held_out = list(read_valid(TaskConfig(name="flickr8k"), args.root))
    examples = take_evenly(held_out, args.examples)
    ids = [str(example.image_id) for example in examples]
    other = dict(zip(ids, [*ids[1:], ids[0]], strict=True))

    def named(shown: Callable[[str], str]) -> list[Example]:
        words = (features.words(shown(image_id)) for image_id in ids)
        chosen = (choose_objects(one, checkpoint.config.encode) for one in words)
        return [replace(e, objects=o) for e, o in zip(examples, chosen, strict=True)]

    def report(title: str, asked: list[Example], vectors: Callable[[str], Tensor]) -> None:
        got = evaluate_captions(engine, asked, vectors, config=search)
        print(f"{title:20} BLEU-4 {100 * got.bleu4:5.2f}  CIDEr {got.cider:.3f}", flush=True)

    report("as they are", named(str), features.__getitem__)
    report("without words", examples, features.__getitem__)
    report("pictures exchanged", named(other.__getitem__), lambda one: features[other[one]])


if __name__ == "__main__":
    try:
        main()
    except OpenMMBError as error:
        raise SystemExit(f"captions.py: {error}") from None
