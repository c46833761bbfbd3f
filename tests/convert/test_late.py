"""Late fusion with several states an image vector computes here what it computes in ParlAI.

``data/README.md`` says what is stored.
"""

import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from openmmb.checkpoint import Checkpoint, load_checkpoint
from openmmb.convert.parlai import convert
from openmmb.data.batch import collate
from openmmb.data.encode import encode
from openmmb.data.example import Example
from openmmb.errors import CheckpointError
from openmmb.search.decode import search
from tests.build import states_of
from tests.convert.build import DATA, change_options, read, search_config

RECORDED = read("late/recorded.json")
NUMBERS = load_file(DATA / "late" / "logits.safetensors")


def published(folder: Path) -> Path:
    """A folder as ParlAI writes it; its dictionary is that of ``micro``."""
    shutil.copytree(DATA / "late", folder)
    for path in (DATA / "micro").glob("model.dict*"):
        shutil.copy(path, folder / path.name)
    return folder


@pytest.fixture(scope="module")
def late(tmp_path_factory: pytest.TempPathFactory) -> Checkpoint:
    folder = tmp_path_factory.mktemp("late")
    convert(published(folder / "in"), folder / "out")
    return load_checkpoint(folder / "out")


def test_settings_are_those_of_the_options(late: Checkpoint) -> None:
    model = late.config.seq2seq
    assert (model.fusion, model.num_segments, model.image_tokens) == ("late", 0, 3)
    assert (model.image_vectors, model.image_dim, model.image_layers) == (2, 5, 2)


@torch.no_grad()
def test_states_and_logits_are_those_of_parlai(late: Checkpoint) -> None:
    """Rows with words and a picture, without a picture, without words."""
    model, context = late.model, NUMBERS["context"]
    memory = states_of(model.read(context, context != 0, NUMBERS["image"], NUMBERS["has_image"]))
    states, mask = memory.states, memory.mask
    assert mask.equal(NUMBERS["mask"])
    torch.testing.assert_close(states * mask[..., None], NUMBERS["states"], atol=1e-5, rtol=0)
    logits = model.logits(model.predict(NUMBERS["reply"], memory, 1))
    logits[..., 1] = -1e20  # ParlAI never lets the start token come out
    torch.testing.assert_close(logits, NUMBERS["logits"], atol=1e-5, rtol=0)


@torch.inference_mode()
def test_recorded_searches_come_out_token_for_token(late: Checkpoint) -> None:
    examples = [
        Example(context=(row["text"],), reply="", task="", conversation="")
        for row in RECORDED["rows"]
    ]
    rows = [encode(example, late.tokenizer, late.config.encode) for example in examples]
    assert [list(row.context) for row in rows] == [row["context"] for row in RECORDED["rows"]]
    there = zip(NUMBERS["image"], NUMBERS["has_image"].tolist(), strict=True)
    images = [image if seen else None for image, seen in there]
    batch = collate(rows, images, pad_id=0, image_shape=(2, 5))
    memory = late.model.read(batch.context, batch.context_mask, batch.image, batch.has_image)
    settings = search_config(RECORDED["config"])
    found = search(
        late.model.stepper(memory, num_beams=settings.num_beams, max_tokens=settings.max_length),
        batch.context,
        settings,
        start_id=late.tokenizer.start_id,
        end_id=late.tokenizer.end_id,
        banned_ids=late.tokenizer.unsaid_ids(),
    )
    for hypotheses, wanted in zip(found, RECORDED["generations"], strict=True):
        assert len(hypotheses) == wanted["count"]
        for hypothesis, (tokens, score) in zip(hypotheses, wanted["best"], strict=False):
            assert [1, *hypothesis.tokens, 2] == tokens
            assert hypothesis.score == pytest.approx(score, abs=1e-4)


def test_another_number_of_states_than_the_weights_have_is_refused(tmp_path: Path) -> None:
    source = published(tmp_path / "in")
    change_options(source, n_image_tokens=2)
    with pytest.raises(CheckpointError, match=r"image_encoder\.0\.weight is \(48, 5\), expected"):
        convert(source, tmp_path / "out")
