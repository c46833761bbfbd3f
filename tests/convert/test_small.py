"""BlenderBot 90M's kind of model, from ParlAI and from Hugging Face, says here what it says there.

``data/README.md`` says what is stored.
"""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor
from transformers import BlenderbotSmallTokenizer

from openmmb.checkpoint import Checkpoint, CheckpointConfig, Precision, load_checkpoint
from openmmb.config import load as load_config
from openmmb.convert import huggingface, parlai
from openmmb.convert.dictionary import read_hf_dictionary
from openmmb.data.batch import collate
from openmmb.data.encode import encode
from openmmb.data.example import Example
from openmmb.engine.generate import generate
from openmmb.errors import CheckpointError
from openmmb.search.decode import search
from openmmb.text.normalize import tidy
from tests.build import plain_engine, states_of
from tests.convert.build import DATA, change_options, read, search_config

RECORDED = read("small/recorded.json")
SHAPE = (100, 2048)
"""Of the image vectors that a model of text alone is prepared for."""


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Checkpoint:
    """ParlAI's."""
    folder = tmp_path_factory.mktemp("small") / "out"
    parlai.convert(DATA / "small", folder)
    return load_checkpoint(folder)


def published(folder: Path) -> Path:
    """A folder as ``facebook/blenderbot_small-90M`` has it."""
    shutil.copytree(DATA / "blenderbot_small", folder)
    lines = (DATA / "small" / "model.dict").read_text(encoding="utf-8").splitlines()
    names = [line.rpartition("\t")[0] for line in lines]
    names += [f"__FP16_PAD_{number}__" for number in range(3)]
    vocabulary = {name: place for place, name in enumerate(names)}
    (folder / "vocab.json").write_text(json.dumps(vocabulary), encoding="utf-8")
    shutil.copy(DATA / "small" / "model.dict.codecs", folder / "merges.txt")
    return folder


def example_of(turns: list[str]) -> Example:
    return Example(context=tuple(turns), reply="", task="", conversation="")


def weights_of(folder: Path) -> dict[str, Tensor]:
    weights: dict[str, Tensor] = load_file(folder / "model.safetensors")
    return weights


def test_settings_are_those_of_the_options(small: Checkpoint) -> None:
    model, how = small.config.seq2seq, small.config.encode
    assert (model.variant, model.activation, model.learned_positions) == ("xlm", "gelu", True)
    assert (model.fusion, model.num_segments, model.vocab_size) == ("early", 2, 168)
    assert (how.layout, how.delimiter, how.end_context) == ("parlai", "\n", False)
    assert (how.max_context, how.max_reply) == (48, 24)
    assert small.config.gender is None


@torch.no_grad()
def test_states_and_logits_are_those_of_parlai(small: Checkpoint) -> None:
    wanted = load_file(DATA / "small" / "logits.safetensors")
    memory = states_of(small.model.read(wanted["context"], wanted["context"] != 0))
    states, mask = memory.states, memory.mask
    torch.testing.assert_close(states * mask[..., None], wanted["states"], atol=1e-5, rtol=0)
    logits = small.model.logits(small.model.predict(wanted["reply"], memory, 1))
    logits[..., 1] = -1e20  # ParlAI never lets the start token come out
    torch.testing.assert_close(logits, wanted["logits"], atol=1e-5, rtol=0)


@pytest.mark.parametrize("talk", RECORDED["talks"], ids=lambda talk: talk["turns"][-1][:20])
def test_a_context_is_that_of_parlai(talk: dict[str, Any], small: Checkpoint) -> None:
    """Turns with a newline between, capitals, odd marks, one that is too long; no end token."""
    row = encode(example_of(talk["turns"]), small.tokenizer, small.config.encode)
    assert list(row.context) == talk["context"]


@pytest.mark.parametrize("name", RECORDED["configs"])
@torch.inference_mode()
def test_recorded_searches_come_out_token_for_token(name: str, small: Checkpoint) -> None:
    model, tokenizer = small.model, small.tokenizer
    examples = [example_of(talk["turns"]) for talk in RECORDED["talks"]]
    rows = [encode(example, tokenizer, small.config.encode) for example in examples]
    batch = collate(rows, [None] * len(rows), pad_id=tokenizer.pad_id, image_shape=SHAPE)
    memory = model.read(batch.context, batch.context_mask)
    settings = search_config(RECORDED["configs"][name])
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        found = search(
            model.stepper(memory, num_beams=settings.num_beams, max_tokens=settings.max_length),
            batch.context,
            settings,
            start_id=tokenizer.start_id,
            end_id=tokenizer.end_id,
            banned_ids=tokenizer.unsaid_ids(),
        )
    for hypotheses, wanted in zip(found, RECORDED["generations"][name], strict=True):
        assert len(hypotheses) == wanted["count"]
        for hypothesis, (tokens, score, _) in zip(hypotheses, wanted["best"], strict=False):
            assert [1, *hypothesis.tokens, 2] == tokens
            assert hypothesis.score == pytest.approx(score, abs=1e-4)


@pytest.mark.parametrize("row", range(len(RECORDED["talks"])))
def test_a_reply_is_the_words_of_parlai_on_one_line(row: int, small: Checkpoint) -> None:
    assert small.config.search == search_config(RECORDED["configs"]["published"])
    [found] = generate(
        plain_engine(small),
        [example_of(RECORDED["talks"][row]["turns"])],
        [None],
        small.config.search,
    )
    best = RECORDED["generations"]["published"][row]["best"]
    for reply, (_, score, text) in zip(found, best, strict=False):
        assert reply.score == pytest.approx(score, abs=1e-4)
        if "__" not in text:  # special tokens have no words here
            assert reply.text == tidy(text)


@torch.no_grad()
def test_states_and_logits_are_those_of_transformers(tmp_path: Path) -> None:
    config = huggingface.convert(published(tmp_path / "in"), tmp_path / "out").config
    assert (config.seq2seq.variant, config.seq2seq.learned_positions) == ("xlm", True)
    assert (config.encode.delimiter, config.encode.end_context) == ("\n", False)
    model = load_checkpoint(tmp_path / "out").model
    wanted = load_file(DATA / "blenderbot_small" / "logits.safetensors")
    memory = states_of(model.read(wanted["context"], wanted["context"] != 0))
    states, mask = memory.states, memory.mask
    torch.testing.assert_close(states * mask[..., None], wanted["states"], atol=1e-5, rtol=0)
    logits = model.logits(model.predict(wanted["reply"], memory, 1))
    torch.testing.assert_close(logits, wanted["logits"], atol=1e-5, rtol=0)
    torch.testing.assert_close(logits, wanted["unscaled"], atol=1e-3, rtol=0)


def test_what_goes_back_is_bit_for_bit_what_came(tmp_path: Path) -> None:
    source = published(tmp_path / "in")
    huggingface.convert(source, tmp_path / "ours")
    huggingface.export(tmp_path / "ours", tmp_path / "back")
    came, back = weights_of(source), weights_of(tmp_path / "back")
    assert came.keys() == back.keys()
    assert all(back[name].equal(came[name]) for name in came)
    merges = [(folder / "merges.txt").read_bytes() for folder in (source, tmp_path / "back")]
    assert merges[0] == merges[1]
    for name in ("vocab.json", "config.json"):
        there, ours = (
            json.loads((folder / name).read_text(encoding="utf-8"))
            for folder in (source, tmp_path / "back")
        )
        shared = there.keys() & ours.keys()
        assert {key: ours[key] for key in shared} == {key: there[key] for key in shared}
        assert len(shared) > 15
    assert not (tmp_path / "back" / "tokenizer.json").exists()


@pytest.mark.parametrize("precision", ["fp32", "fp16"])
def test_parlais_goes_to_hugging_face_and_comes_back_the_same(
    precision: Precision, tmp_path: Path
) -> None:
    parlai.convert(DATA / "small", tmp_path / "ours", precision=precision)
    huggingface.export(tmp_path / "ours", tmp_path / "there")
    huggingface.convert(tmp_path / "there", tmp_path / "again")
    ours, again = weights_of(tmp_path / "ours"), weights_of(tmp_path / "again")
    assert all(again[name].equal(ours[name]) for name in ours)
    one, other = (
        load_config(CheckpointConfig, tmp_path / name / "config.toml") for name in ("ours", "again")
    )
    assert other.model == one.model
    vocabularies = [(tmp_path / name / "tokenizer.json").read_text() for name in ("ours", "again")]
    assert vocabularies[0] == vocabularies[1]


def test_a_network_that_they_do_not_have_does_not_go_there(tmp_path: Path) -> None:
    source = shutil.copytree(DATA / "small", tmp_path / "in")
    change_options(source, variant="prelayernorm")
    parlai.convert(source, tmp_path / "ours")
    message = r"model\.variant is 'prelayernorm'; expected 'xlm'"
    with pytest.raises(CheckpointError, match=message):
        huggingface.export(tmp_path / "ours", tmp_path / "there")


def test_a_folder_without_the_words_says_who_writes_them(tmp_path: Path) -> None:
    source = published(tmp_path / "in")
    (source / "vocab.json").rename(source / "tokenizer.json")
    with pytest.raises(
        CheckpointError, match=r"no vocab\.json; BlenderbotSmallTokenizer's save_pre"
    ):
        huggingface.convert(source, tmp_path / "out")


def test_what_todays_transformers_writes_of_the_words_is_read(tmp_path: Path) -> None:
    source = published(tmp_path / "in")
    tokenizer = BlenderbotSmallTokenizer.from_pretrained(source)
    saved = shutil.copytree(source, tmp_path / "saved")
    for name in ("vocab.json", "merges.txt"):
        (saved / name).unlink()
    tokenizer.save_pretrained(saved)
    assert (
        read_hf_dictionary(saved, size=168).to_json()
        == read_hf_dictionary(source, size=168).to_json()
    )
