"""How close a model's captions are to what people wrote.

Sizes: I image vectors, F features in each.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from torch import Tensor

from openmmb.data.example import Example
from openmmb.engine.generate import generate
from openmmb.engine.open import Engine
from openmmb.eval.cider import cider
from openmmb.eval.metrics import bleu
from openmmb.search.config import SearchConfig

CAPTION_SEARCH = SearchConfig(beam_size=5, min_length=0, max_length=40, block_context_ngram=0)
"""A caption ends where it ends: no shortest length."""


@dataclass(frozen=True)
class CaptionReport:
    """Captions of pictures, measured.

    Attributes:
        captions: What the model wrote, in the order of the examples.
        bleu4: Corpus BLEU-4, 0 to 1, against all captions of each picture.
        bleu1: Corpus BLEU-1.
        cider: CIDEr-D, 0 to 10; how rare words are is counted in these captions.
    """

    captions: tuple[str, ...]
    bleu4: float
    bleu1: float
    cider: float


def evaluate_captions(
    engine: Engine,
    examples: Sequence[Example],
    vectors: Callable[[str], Tensor],
    *,
    config: SearchConfig = CAPTION_SEARCH,
    gender: str | None = None,
    batch_size: int = 16,
    progress: Callable[[int, int], None] | None = None,
) -> CaptionReport:
    """Caption pictures and compare with their captions.

    Args:
        engine: Writes.
        examples: Each with a picture, a reply and references; what else they have is left out.
        vectors: Image id -> (I, F).
        config: How captions are searched for.
        gender: Control of the captions.
        batch_size: Pictures searched together.
        progress: Called after every batch with the pictures done so far and all there are.

    Raises:
        ValueError: An example has no picture.
    """
    written: list[str] = []
    for start in range(0, len(examples), batch_size):
        asked = [
            replace(example, context=(), style=None, persona=(), gender=gender)
            for example in examples[start : start + batch_size]
        ]
        images = [vectors(_image_id(example)) for example in asked]
        written += [one[0].text for one in generate(engine, asked, images, config)]
        if progress is not None:
            progress(len(written), len(examples))
    references = [(example.reply, *example.references) for example in examples]
    return CaptionReport(
        captions=tuple(written),
        bleu4=bleu(written, references),
        bleu1=bleu(written, references, max_n=1),
        cider=cider(written, references),
    )


def _image_id(example: Example) -> str:
    if example.image_id is None:
        raise ValueError(f"example {example.conversation} of {example.task} has no picture")
    return example.image_id
