"""Whatever shows a picture, its pixels are encoded once, and what is no picture is named."""

import io
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from openmmb.chat.bot import Bot
from openmmb.chat.conversation import Conversation, Picture, Turn
from openmmb.chat.exchange import to_example
from openmmb.chat.viewer import Viewer
from openmmb.checkpoint import Checkpoint, CheckpointConfig
from openmmb.data.encode import encode_prompt
from openmmb.errors import ImageError
from openmmb.safety.guard import Guard
from openmmb.safety.verdict import Verdict
from openmmb.vision.encoders import ENCODERS, Entry
from openmmb.vision.object_words import ObjectWord
from tests.build import (
    TINY_F,
    TINY_I,
    TinyEncoder,
    plain_engine,
    tiny_chat_tokenizer,
    tiny_checkpoint,
    tiny_image,
    tiny_model,
)


@dataclass(frozen=True)
class CountingEncoder(TinyEncoder):
    """The tiny encoder, with a list of how many pictures it was given at a time."""

    calls: list[int] = field(default_factory=list)

    def encode(self, images: Sequence[Image.Image]) -> Tensor:
        time.sleep(0.01)
        self.calls.append(len(images))
        return super().encode(images)


@pytest.fixture
def encoder(monkeypatch: pytest.MonkeyPatch) -> CountingEncoder:
    encoder = CountingEncoder()
    monkeypatch.setitem(ENCODERS, "tiny", Entry(lambda _: encoder, (TINY_I, TINY_F), "none"))
    return encoder


@pytest.fixture
def config() -> CheckpointConfig:
    return tiny_checkpoint(encoder="tiny", image_vectors=TINY_I, image_dim=TINY_F).config


@pytest.fixture
def viewer(encoder: CountingEncoder, config: CheckpointConfig) -> Viewer:
    return Viewer(config, device=torch.device("cpu"), capacity=3)


def forms(path: Path) -> dict[str, Any]:
    """Return the picture of a file in every form that it may come in."""
    image = Image.open(path).convert("RGB")
    pixels = np.asarray(image)
    return {
        "path": path,
        "string": str(path),
        "bytes": path.read_bytes(),
        "bytearray": bytearray(path.read_bytes()),
        "pillow": image,
        "file of pillow": Image.open(path),
        "array": pixels,
        "slice of an array": np.flip(np.flip(pixels, 1).copy(), 1),
        "tensor": torch.from_numpy(pixels.copy()),
        "tensor of channels": torch.from_numpy(pixels.copy()).permute(2, 0, 1),
    }


def test_every_form_of_a_picture_is_the_same_picture_and_is_encoded_once(
    viewer: Viewer, encoder: CountingEncoder, picture: Path
) -> None:
    first = viewer.look(picture)
    for name, form in forms(picture).items():
        seen = viewer.look(form)
        named = "a boat.png" if isinstance(form, str | Path) else "picture"
        assert seen == replace(first, name=named), name
        assert torch.equal(seen.vectors, first.vectors)
    assert viewer.look(first) is first
    assert encoder.calls == [1]
    assert torch.equal(first.vectors, TinyEncoder().encode([tiny_image()])[0])


def test_the_pixels_count_and_not_the_file(
    viewer: Viewer, encoder: CountingEncoder, picture: Path
) -> None:
    other = io.BytesIO()
    tiny_image().save(other, "BMP")
    assert viewer.look(picture).digest == viewer.look(other.getvalue()).digest
    assert encoder.calls == [1]
    turned = viewer.look(np.ascontiguousarray(np.asarray(tiny_image()).transpose(1, 0, 2)))
    assert turned.digest != viewer.look(picture).digest
    changed = np.array(tiny_image())
    changed[0, 0, 0] ^= 1
    assert viewer.look(changed).digest != viewer.look(picture).digest
    assert len(encoder.calls) == 3


def test_only_the_latest_pictures_are_kept(viewer: Viewer, encoder: CountingEncoder) -> None:
    def look(seed: int) -> int:
        before = len(encoder.calls)
        viewer.look(tiny_image(seed=seed))
        return len(encoder.calls) - before

    assert [look(seed) for seed in (0, 1, 2, 0)] == [1, 1, 1, 0]
    assert look(3) == 1  # 1 was looked at longest ago, so it goes
    assert [look(seed) for seed in (0, 2, 3)] == [0, 0, 0]
    assert look(1) == 1


def test_threads_that_show_the_same_pictures_encode_each_once(
    viewer: Viewer, encoder: CountingEncoder
) -> None:
    expected = [TinyEncoder().encode([tiny_image(seed=seed)])[0] for seed in range(3)]
    with ThreadPoolExecutor(8) as pool:
        seen = list(pool.map(lambda at: viewer.look(tiny_image(seed=at % 3)), range(24)))
    assert all(torch.equal(one.vectors, expected[at % 3]) for at, one in enumerate(seen))
    assert len(encoder.calls) == 3


def test_a_picture_that_could_not_be_encoded_is_tried_again(
    viewer: Viewer, encoder: CountingEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(TinyEncoder, "encode", lambda *_: torch.zeros(1).view(2))
        with pytest.raises(RuntimeError):
            viewer.look(tiny_image())
    assert viewer.look(tiny_image()).vectors.shape == (TINY_I, TINY_F)


@pytest.mark.parametrize(
    ("image", "message"),
    [
        (np.zeros((4, 5, 3)), "image: expected pixels of type uint8, 0 to 255, got float64"),
        (torch.zeros(4, 5, 3), "image: expected pixels of type uint8, 0 to 255, got torch.float32"),
        (
            np.zeros((4, 5), np.uint8),
            r"image: expected pixels of shape \(height, width, 3\), got \(4, 5\)",
        ),
        (np.zeros((2, 4, 5, 3), np.uint8), r"got \(2, 4, 5, 3\)"),
        (np.zeros((4, 5, 4), np.uint8), r"got \(4, 5, 4\)"),
        (np.zeros((0, 5, 3), np.uint8), r"got \(0, 5, 3\)"),
        (
            np.broadcast_to(np.uint8(0), (8001, 8000, 3)),
            "image: 8000 x 8001 = 64008000 pixels; at most 50000000 are decoded",
        ),
        ([tiny_image(), tiny_image()], "image: expected one picture, got a list; use one request"),
        ((tiny_image(),), "image: expected one picture, got a tuple"),
        (3, "image: expected a path, the bytes of a file, a Pillow image, .* got int"),
        (None, "image: expected a path, .* got None"),
        (io.BytesIO(b""), "picture: empty; expected a picture"),
        (io.StringIO("a"), r"picture: expected a file of bytes; use open\(path, 'rb'\)"),
        (Image.new("RGB", (0, 4)), "image: 0 x 4 pixels; expected at least 1 x 1"),
        (b"GIF? no.", "picture: not a picture"),
    ],
)
def test_what_is_no_picture_is_named(
    viewer: Viewer, encoder: CountingEncoder, image: Any, message: str
) -> None:
    with pytest.raises(ImageError, match=message):
        viewer.look(image)
    assert encoder.calls == []


def test_a_damaged_file_that_pillow_has_open_is_named(viewer: Viewer, picture: Path) -> None:
    data = picture.read_bytes()
    with pytest.raises(ImageError, match="image: damaged picture: image file is truncated"):
        viewer.look(Image.open(io.BytesIO(data[: len(data) // 2])))


@dataclass(frozen=True)
class NamingEncoder(TinyEncoder):
    """The tiny encoder, which takes everything for a boat, and perhaps for a dog."""

    has_words: bool = True

    def words(self, vectors: Tensor) -> tuple[ObjectWord, ...]:
        return ObjectWord("boat", 0.8), ObjectWord("dog", 0.1), ObjectWord("tree", 0.01)


@pytest.mark.parametrize(("most", "names"), [(0, ()), (1, ("boat",)), (5, ("boat", "dog"))])
def test_a_model_that_reads_names_of_objects_is_told_them(
    most: int, names: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(ENCODERS, "tiny", Entry(lambda _: NamingEncoder(), None, "none"))
    plain = tiny_checkpoint(encoder="tiny", image_vectors=TINY_I, image_dim=TINY_F)
    tokenizer = tiny_chat_tokenizer()
    encode = replace(plain.config.encode, layout="turns", object_words=most)
    shape = replace(plain.config.seq2seq, vocab_size=tokenizer.vocab_size)
    config = replace(plain.config, encode=encode, model=shape)
    checkpoint = Checkpoint(config, tiny_model(shape), tokenizer)
    bot = Bot(plain_engine(checkpoint), guard=Guard(()))
    read, contexts = bot.engine.read, list[list[int]]()

    def recording(context: Tensor, *rest: Tensor) -> object:
        contexts.extend(context.tolist())
        return read(context, *rest)

    monkeypatch.setattr(bot.engine, "read", recording)
    reply = bot.reply("What do you see?", image=tiny_image())
    bot.reply("What do you see?", conversation=replace(reply.conversation, turns=()))
    example = to_example(
        Conversation(turns=(Turn("person", "What do you see?"),)),
        gender=None,
        image_style=None,
        objects=names,
    )
    expected = list(encode_prompt(example, tokenizer, encode).context)
    assert contexts == [expected, expected]


def test_a_picture_of_another_encoder_or_shape_is_refused(viewer: Viewer) -> None:
    vectors = torch.zeros(TINY_I, TINY_F)
    for name in ("", "tiny"):
        viewer.check(Picture("mine", vectors, encoder=name))
    with pytest.raises(ImageError, match="expected vectors of 'tiny', got vectors of 'huge'"):
        viewer.look(Picture("mine", vectors, encoder="huge"))
    with pytest.raises(ImageError, match=r"expected vectors of shape \(4, 8\), got \(5, 8\)"):
        viewer.check(Picture("mine", torch.zeros(TINY_I + 1, TINY_F)))


def test_a_picture_that_may_not_be_shown_is_never_encoded(
    encoder: CountingEncoder, config: CheckpointConfig, picture: Path
) -> None:
    judged: list[tuple[int, int]] = []

    def judge(image: Image.Image) -> Verdict:
        judged.append(image.size)
        return Verdict(safe=False, score=0.9, check="pictures", category="nudity")

    viewer = Viewer(config, device=torch.device("cpu"), judge=judge)
    with pytest.raises(
        ImageError, match=r"boat\.png: may not be shown: it looks like nudity \(90%\)"
    ):
        viewer.look(picture)
    assert encoder.calls == []
    assert judged == [tiny_image().size]
