"""What tells the data of a run from others, so that a change of them under it is noticed."""

import hashlib
from collections.abc import Collection, Iterator, Mapping
from typing import Final

from openmmb.data.batcher import Batcher
from openmmb.data.draw import take_evenly
from openmmb.data.example import Example
from openmmb.training.run.seal import digest_texts

MOST_BYTES: Final = 2**28
"""Most bytes of image vectors that are looked at: more would keep a run of a large data set from
beginning. Of more pictures, so many are taken evenly."""


def own_texts(example: Example) -> tuple[str, ...]:
    """Return what is an example's own: of what was said before only the first turn."""
    image = example.image_id or ""
    own = (example.reply, image, example.style or "", *example.references, *example.persona)
    return (*own, *example.context[:1])


def digest_pictures(batcher: Batcher, image_ids: Collection[str]) -> str:
    """Return what tells the image vectors of pictures, and the words for them, from others.

    Args:
        batcher: Looks them up.
        image_ids: Which pictures.
    """
    digest = hashlib.blake2b(digest_size=16)
    ordered = sorted(image_ids)
    vectors, features = batcher.image_shape
    each = max(1, 4 * vectors * features * len(batcher.views))  # bytes; float32
    for image_id in take_evenly(ordered, max(1, MOST_BYTES // each)):
        for view in batcher.views:
            digest.update(view(image_id).contiguous().numpy().data)
    words = batcher.object_words
    if words is not None:
        digest.update(digest_texts(str(list(words(one))) for one in ordered).encode())
    return digest.hexdigest()


def digest_polarities(polarities: Mapping[str, str]) -> str:
    """Return what tells the polarities of styles from others."""
    return digest_texts(_pairs(polarities))


def _pairs(polarities: Mapping[str, str]) -> Iterator[str]:
    for style in sorted(polarities):
        yield from (style, polarities[style])
