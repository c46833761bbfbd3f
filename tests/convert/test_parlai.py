"""ParlAI's folders become checkpoints with the same weights; what does not fit is named."""

import os
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from openmmb.checkpoint import DTYPES, CheckpointConfig, Precision, load_checkpoint
from openmmb.convert.names import PARLAI
from openmmb.convert.parlai import convert
from openmmb.errors import CheckpointError
from tests.build import states_of
from tests.convert.build import (
    DATA,
    as_text_model,
    change_options,
    copy_micro,
    read_state,
    write_state,
)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return copy_micro(tmp_path / "in")


def put_together(state: dict[str, Tensor], name: str) -> Tensor:
    return torch.cat([state[source] for source in PARLAI.sources(name)])


def test_every_weight_is_carried_over_bit_for_bit(source: Path, tmp_path: Path) -> None:
    state = read_state(source)
    result = convert(source, tmp_path / "out")
    weights = load_file(tmp_path / "out" / "model.safetensors")
    assert all(tensor.equal(put_together(state, name)) for name, tensor in weights.items())
    carried = {source for name in weights for source in PARLAI.sources(name)}
    assert state.keys() - carried == {*PARLAI.copies, *PARLAI.ignored}
    pictures, style = result.notes
    assert pictures.startswith("pictures: image_mode is 'raw', which names no picture encoder")
    assert style.startswith("image_style: none")
    loaded = load_checkpoint(result.folder)
    assert loaded.config == result.config
    assert loaded.config.name == "in"
    assert loaded.tokenizer.vocab_size == 592


def test_a_file_of_any_name_is_converted(source: Path, tmp_path: Path) -> None:
    for path in list(source.iterdir()):
        path.rename(source / path.name.replace("model", "bear", 1))
    assert convert(source / "bear", tmp_path / "out").config.name == "bear"


def test_a_checkpoint_of_old_pytorch_is_the_same(source: Path, tmp_path: Path) -> None:
    convert(source, tmp_path / "new")
    write_state(source, read_state(source), legacy=True)
    assert not zipfile.is_zipfile(source / "model")
    convert(source, tmp_path / "old")
    one, other = (tmp_path / name / "model.safetensors" for name in ("new", "old"))
    assert one.read_bytes() == other.read_bytes()


@pytest.mark.parametrize("precision", list(DTYPES))
def test_weights_get_the_precision_that_is_asked_for(
    precision: Precision, source: Path, tmp_path: Path
) -> None:
    convert(source, tmp_path / "out", precision=precision)
    weights = load_file(tmp_path / "out" / "model.safetensors")
    assert {tensor.dtype for tensor in weights.values()} == {DTYPES[precision]}
    wanted = put_together(read_state(source), "decoder.layers.1.cross.kv.weight")
    assert weights["decoder.layers.1.cross.kv.weight"].equal(wanted.to(DTYPES[precision]))


def test_half_precision_stays_what_it_is(source: Path, tmp_path: Path) -> None:
    halves = {
        name: tensor.half() if tensor.is_floating_point() else tensor
        for name, tensor in read_state(source).items()
    }
    write_state(source, halves)
    convert(source, tmp_path / "out")
    weights = load_file(tmp_path / "out" / "model.safetensors")
    assert {tensor.dtype for tensor in weights.values()} == {torch.float16}


def test_a_model_of_text_begins_with_an_untrained_picture_half(
    source: Path, tmp_path: Path
) -> None:
    state = as_text_model(source)
    result = convert(source, tmp_path / "out", encoder="efficientnet_lite0")
    assert "its projection of the vectors of efficientnet_lite0 is untrained" in result.notes[0]
    config = result.config
    assert isinstance(config, CheckpointConfig)
    assert (config.encoder, config.gender) == ("efficientnet_lite0", None)
    assert (config.model.image_vectors, config.model.image_dim) == (49, 1280)
    assert (config.seq2seq.num_segments, config.seq2seq.fusion) == (2, "early")
    weights = load_file(tmp_path / "out" / "model.safetensors")
    assert not weights["encoder.segments.weight"].any()
    projection = weights["encoder.image_projector.layers.0.weight"]
    assert projection.shape == (32, 1280)
    assert projection.std() == pytest.approx((2 / (1280 + 32)) ** 0.5, rel=0.05)
    for name, tensor in weights.items():
        if "image" not in name and "segments" not in name:
            assert tensor.equal(put_together(state, name))
    convert(source, tmp_path / "again", encoder="efficientnet_lite0")
    assert load_file(tmp_path / "again" / "model.safetensors").keys() == weights.keys()
    again = (tmp_path / "again" / "model.safetensors").read_bytes()
    assert again == (tmp_path / "out" / "model.safetensors").read_bytes()


@pytest.mark.parametrize("variant", ["prelayernorm", "xlm", "bart"])
@torch.no_grad()
def test_a_model_of_text_says_what_it_said(variant: str, source: Path, tmp_path: Path) -> None:
    """ParlAI's text encoder is that of late fusion without a picture."""
    as_text_model(source)
    change_options(source, variant=variant)
    convert(source, tmp_path / "out")
    model = load_checkpoint(tmp_path / "out").model
    late = copy_micro(tmp_path / "late")
    state = read_state(late)
    state.pop("encoder.segment_embeddings.weight")
    write_state(late, state)
    change_options(late, image_fusion_type="late", n_segments=0, variant=variant)
    convert(late, tmp_path / "other")
    other = load_checkpoint(tmp_path / "other").model
    context = torch.tensor([[270, 380, 303, 2], [75, 2, 0, 0]])
    one = states_of(model.read(context, context != 0))
    two = states_of(other.read(context, context != 0))
    torch.testing.assert_close(one.states[one.mask], two.states[one.mask])


def test_a_dictionary_without_fillers_gets_them(source: Path, tmp_path: Path) -> None:
    path = source / "model.dict"
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    path.write_text("".join(lines[:-6]), encoding="utf-8")
    convert(source, tmp_path / "out")
    convert(DATA / "micro", tmp_path / "whole")
    one, other = (tmp_path / name / "tokenizer.json" for name in ("out", "whole"))
    assert one.read_bytes() == other.read_bytes()


class Runs:
    """A pickle that makes a folder when it is read."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __reduce__(self) -> tuple[Callable[[str], None], tuple[str]]:
        return os.mkdir, (str(self.folder),)


@pytest.mark.parametrize("legacy", [False, True])
def test_a_pickle_that_would_run_code_is_refused(
    legacy: bool, source: Path, tmp_path: Path
) -> None:
    whole = {"model": read_state(source), "evil": Runs(tmp_path / "ran")}
    torch.save(whole, source / "model", _use_new_zipfile_serialization=not legacy)
    with pytest.raises(CheckpointError, match="code to run, which is refused: "):
        convert(source, tmp_path / "out")
    assert not (tmp_path / "ran").exists()


def test_a_plain_pickle_is_refused(source: Path, tmp_path: Path) -> None:
    (source / "model").write_bytes(pickle.dumps(Runs(tmp_path / "ran")))
    with pytest.raises(CheckpointError, match="code to run, which is refused: "):
        convert(source, tmp_path / "out")
    assert not (tmp_path / "ran").exists()


def change_state(folder: Path, change: Callable[[dict[str, Tensor]], object]) -> None:
    state = read_state(folder)
    change(state)
    write_state(folder, state)


def set_weight(name: str, tensor: object) -> Callable[[Path], None]:
    return lambda folder: change_state(folder, lambda state: state.update({name: tensor}))  # type: ignore[dict-item]


def drop_weights(*names: str) -> Callable[[Path], None]:
    return lambda folder: change_state(folder, lambda state: [state.pop(name) for name in names])


def change_text(name: str, old: str, new: str) -> Callable[[Path], object]:
    def change(folder: Path) -> None:
        path = folder / name
        path.write_text(path.read_text(encoding="utf-8").replace(old, new), encoding="utf-8")

    return change


LAYER = "decoder.layers.1.encoder_attention.k_lin.weight"
DAMAGES: list[tuple[Callable[[Path], object], str]] = [
    (lambda f: (f / "model").unlink(), r"in/model: no such file; expected the weights"),
    (lambda f: (f / "model.opt").unlink(), r"model\.opt: No such file"),
    (lambda f: (f / "model").write_bytes(b""), r"in/model: "),
    (lambda f: (f / "model").write_bytes(b"PK\x03\x04 nonsense"), r"in/model: "),
    (lambda f: torch.save([1], f / "model"), r"in/model: no 'model' in it"),
    (lambda f: torch.save({"model": [1]}, f / "model"), r"in/model: holds a list, expected named"),
    (set_weight("embeddings.weight", 3), r"embeddings\.weight is a int, expected a tensor"),
    (drop_weights("embeddings.weight"), r"in/model: lacks embeddings\.weight"),
    (
        set_weight("embeddings.weight", torch.zeros(3)),
        r"embeddings\.weight is \(3,\), expected two",
    ),
    (drop_weights(LAYER), rf"in/model: lacks {LAYER}"),
    (
        drop_weights(*(LAYER.replace("k_lin", f"{part}_lin") for part in ("q", "k", "v", "out"))),
        r"in/model: lacks .* and 1 more",
    ),
    (set_weight("decoder.extra", torch.zeros(1)), r"in/model: has unknown decoder\.extra"),
    (set_weight(LAYER, torch.zeros(31, 32)), rf"{LAYER} is \(31, 32\), expected \(32, 32\)"),
    (
        set_weight(LAYER, torch.zeros(32, 32).half()),
        r"v_lin\.weight is torch\.float32, expected torch\.float16",
    ),
    (
        set_weight("decoder.norm_embeddings.bias", torch.zeros(32, dtype=torch.int64)),
        r"decoder\.norm_embeddings\.bias is torch\.int64, expected",
    ),
    (
        set_weight("decoder.norm_embeddings.bias", torch.full((32,), torch.nan)),
        r"decoder\.norm_embeddings\.bias has nan among its numbers, expected finite ones",
    ),
    (
        set_weight("decoder.embeddings.weight", torch.zeros(592, 32)),
        r"decoder\.embeddings\.weight differs from embeddings\.weight; expected one",
    ),
    (lambda f: change_options(f, model="bart"), r"model\.opt: model is 'bart'; expected one of"),
    (lambda f: change_options(f, embedding_size=None), r"model\.opt: embedding_size is missing"),
    (lambda f: change_options(f, ffn_size="x"), r"model\.opt: ffn_size is 'x'; expected a number"),
    (
        lambda f: change_options(f, beam_context_block_ngram={}),
        r"model\.opt: beam_context_block_ngram is \{\}; expected a number",
    ),
    (lambda f: change_options(f, inference=[1]), r"model\.opt: inference is \[1\]; expected text"),
    (
        lambda f: change_options(f, image_mode=True),
        r"model\.opt: image_mode is True; expected text",
    ),
    (lambda f: change_options(f, n_heads=5), r"embed_dim \(32\) must be a multiple of num_heads"),
    (lambda f: change_options(f, n_decoder_layers=3), r"in/model: lacks decoder\.layers\.2\."),
    (
        lambda f: change_options(f, dict_tokenizer="re"),
        r"dict_tokenizer is 're'; expected 'bytelevelb",
    ),
    (lambda f: change_options(f, dict_tokenizer="bpe"), r"dict_lower is False; expected True"),
    (
        lambda f: change_options(f, n_image_tokens=2),
        r"image_tokens \(2\) must be 1 where fusion is",
    ),
    (lambda f: change_options(f, history_size=2), r"history_size is 2; expected -1"),
    (lambda f: change_options(f, image_mode="rwa"), r"no image mode 'rwa'; did you mean 'raw'"),
    (lambda f: (f / "model.dict").unlink(), r"model\.dict: No such file"),
    (lambda f: (f / "model.dict-vocab.json").unlink(), r"model\.dict-vocab\.json: No such file"),
    (lambda f: (f / "model.dict-merges.txt").unlink(), r"model\.dict-merges\.txt: No such file"),
    (
        change_text("model.dict", "Ġpizza", "Ġpasta"),
        r"model\.dict: token \d+ is 'Ġpasta', expected 'Ġpizza' as in model\.dict-vocab\.json",
    ),
    (
        change_text("model.dict", "__FP16_PAD_5__", "__image__"),
        r"token '__image__' is not one of the BPE; expected no added tokens",
    ),
    (
        lambda f: (f / "model.dict").write_text("__null__\t1\n"),
        r"model\.dict: token 1 is None, expected '__start__'",
    ),
    (
        change_text("model.dict-merges.txt", "h e\n", "h e e\n"),
        r"merges\.txt: line 3 is 'h e e', expected two tokens",
    ),
    (
        change_text("model.dict-merges.txt", "h e\n", "h Ġpizz\n"),
        r"model\.dict: vocabulary and merges do not fit: ",
    ),
]


@pytest.mark.parametrize(("damage", "message"), DAMAGES, ids=[m[:50] for _, m in DAMAGES])
def test_what_does_not_fit_is_named(
    damage: Callable[[Path], object], message: str, source: Path, tmp_path: Path
) -> None:
    damage(source)
    with pytest.raises(CheckpointError, match=message):
        convert(source, tmp_path / "out")
    assert [path.name for path in tmp_path.iterdir()] == ["in"]


def test_a_table_far_larger_than_its_dictionary_is_refused(source: Path, tmp_path: Path) -> None:
    state = read_state(source)
    for name in ("embeddings.weight", *PARLAI.copies):
        state[name] = torch.zeros(608, 32)
    write_state(source, state)
    with pytest.raises(CheckpointError, match="592 tokens; expected 608"):
        convert(source, tmp_path / "out")


def test_a_file_is_not_replaced_by_a_folder(source: Path, tmp_path: Path) -> None:
    (tmp_path / "out").write_text("mine", encoding="utf-8")
    with pytest.raises(CheckpointError, match="out: is a file; expected a folder"):
        convert(source, tmp_path / "out")
    assert (tmp_path / "out").read_text(encoding="utf-8") == "mine"


def test_a_weight_beyond_half_precision_is_refused_and_nothing_is_left(
    source: Path, tmp_path: Path
) -> None:
    set_weight("decoder.norm_embeddings.bias", torch.full((32,), 1e6))(source)
    convert(source, tmp_path / "out")
    before = sorted(path.name for path in tmp_path.iterdir())
    message = r"decoder\.norm\.bias: 1e\+06 is not a number of fp16; save as bf16 or fp32"
    with pytest.raises(CheckpointError, match=message):
        convert(source, tmp_path / "out", precision="fp16")
    assert sorted(path.name for path in tmp_path.iterdir()) == before
    load_checkpoint(tmp_path / "out")
