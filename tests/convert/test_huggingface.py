"""Hugging Face's Blenderbot computes here what it computes there, and goes back bit for bit."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from openmmb.checkpoint import CheckpointConfig, Precision, load_checkpoint
from openmmb.config import load as load_config
from openmmb.convert import parlai
from openmmb.convert.bpe import HF_SPECIALS
from openmmb.convert.huggingface import convert, export
from openmmb.errors import CheckpointError
from openmmb.model.layers import sinusoids
from tests.build import states_of, tiny_checkpoint
from tests.convert.build import DATA, as_text_model, copy_micro

RECORDED = load_file(DATA / "blenderbot" / "logits.safetensors")


def published(folder: Path, *, precision: torch.dtype = torch.float32, files: str = "one") -> Path:
    """A folder as ``facebook/blenderbot-*`` have it: every copy of the embeddings is in it.

    Args:
        folder: Where to write.
        precision: Of the weights.
        files: ``one``, or ``bin`` for one pickle, or ``shards`` or ``bins`` for several with an
            index.
    """
    folder.mkdir()
    for name in ("config.json", "generation_config.json"):
        shutil.copy(DATA / "blenderbot" / name, folder / name)
    dictionary = (DATA / "micro" / "model.dict").read_text(encoding="utf-8").splitlines()
    tokens = [line.partition("\t")[0] for line in dictionary]
    tokens[:4] = HF_SPECIALS
    vocabulary = {token: place for place, token in enumerate(tokens)}
    (folder / "vocab.json").write_text(json.dumps(vocabulary), encoding="utf-8")
    shutil.copy(DATA / "micro" / "model.dict-merges.txt", folder / "merges.txt")
    weights = load_file(DATA / "blenderbot" / "model.safetensors")
    weights = {name: tensor.to(precision) for name, tensor in weights.items()}
    if files == "one":
        save_file(weights, folder / "model.safetensors")
        return folder
    for copy in ("model.encoder.embed_tokens", "model.decoder.embed_tokens", "lm_head"):
        weights[f"{copy}.weight"] = weights["model.shared.weight"].clone()
    if files == "bin":
        torch.save(weights, folder / "pytorch_model.bin")
        return folder
    stem, ending = ("model", "safetensors") if files == "shards" else ("pytorch_model", "bin")
    index: dict[str, str] = {}
    for part in range(3):
        shard = {name: weights[name] for name in sorted(weights)[part::3]}
        path = folder / f"{stem}-0000{part + 1}-of-00003.{ending}"
        save_file(shard, path) if files == "shards" else torch.save(shard, path)
        index |= dict.fromkeys(shard, path.name)
    whole = json.dumps({"metadata": {"total_size": 1}, "weight_map": index})
    (folder / f"{stem}.{ending}.index.json").write_text(whole, encoding="utf-8")
    return folder


@pytest.mark.parametrize("files", ["one", "bin", "shards", "bins"])
@torch.no_grad()
def test_states_and_logits_are_those_of_transformers(files: str, tmp_path: Path) -> None:
    convert(published(tmp_path / "in", files=files), tmp_path / "out")
    model = load_checkpoint(tmp_path / "out").model
    context, reply = RECORDED["context"], RECORDED["reply"]
    memory = states_of(model.read(context, context != 0))
    states, mask = memory.states, memory.mask
    torch.testing.assert_close(states * mask[..., None], RECORDED["states"], atol=1e-5, rtol=0)
    logits = model.logits(model.predict(reply, memory, 1))
    torch.testing.assert_close(logits, RECORDED["logits"], atol=1e-5, rtol=0)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
@pytest.mark.parametrize("files", ["one", "bin", "shards", "bins"])
def test_what_goes_back_is_bit_for_bit_what_came(
    files: str, dtype: torch.dtype, tmp_path: Path
) -> None:
    source = published(tmp_path / "in", precision=dtype, files=files)
    convert(source, tmp_path / "ours")
    export(tmp_path / "ours", tmp_path / "back")
    came = published(tmp_path / "plain", precision=dtype)
    assert same(load_file(tmp_path / "back" / "model.safetensors"), weights_of(came))
    for name in ("vocab.json", "merges.txt"):
        assert read(tmp_path / "back" / name) == read(source / name)
    there, back = (json.loads((f / "config.json").read_text()) for f in (source, tmp_path / "back"))
    shared = there.keys() & back.keys()
    assert {key: back[key] for key in shared} == {key: there[key] for key in shared}
    assert len(shared) > 15


def test_ours_to_hugging_face_and_back_is_the_same_checkpoint(tmp_path: Path) -> None:
    as_text_model(copy_micro(tmp_path / "in"))
    parlai.convert(tmp_path / "in", tmp_path / "ours")
    export(tmp_path / "ours", tmp_path / "there")
    convert(tmp_path / "there", tmp_path / "again")
    assert same(weights_of(tmp_path / "ours"), weights_of(tmp_path / "again"))
    ours, again = (
        load_config(CheckpointConfig, tmp_path / name / "config.toml") for name in ("ours", "again")
    )
    assert again.model == ours.model
    assert read(tmp_path / "ours" / "tokenizer.json") == read(tmp_path / "again" / "tokenizer.json")


@pytest.mark.parametrize(("precision", "dtype"), [("fp16", torch.float16), ("fp32", torch.float32)])
def test_weights_get_the_precision_that_is_asked_for(
    precision: Precision, dtype: torch.dtype, tmp_path: Path
) -> None:
    source = published(tmp_path / "in", precision=torch.bfloat16)
    convert(source, tmp_path / "ours", precision=precision)
    assert {weight.dtype for weight in weights_of(tmp_path / "ours").values()} == {dtype}
    convert(source, tmp_path / "ours")
    export(tmp_path / "ours", tmp_path / "back", precision=precision)
    assert {weight.dtype for weight in weights_of(tmp_path / "back").values()} == {dtype}


def test_settings_are_carried_over(tmp_path: Path) -> None:
    config = convert(published(tmp_path / "in"), tmp_path / "out").config
    assert (config.name, config.encoder) == ("in", "faster_rcnn_x152")
    assert (config.model.embed_dim, config.model.num_heads) == (16, 2)
    assert (config.model.image_vectors, config.model.image_dim) == (100, 2048)
    assert (config.seq2seq.num_segments, config.seq2seq.fusion) == (2, "early")
    assert config.seq2seq.learned_positions
    assert (config.encode.layout, config.encode.delimiter) == ("parlai", "  ")
    assert (config.encode.max_context, config.encode.max_reply) == (32, 32)
    search = config.search
    assert (search.method, search.beam_size, search.min_length) == ("beam", 10, 20)
    assert (search.max_length, search.length_penalty) == (30, 0.65)
    assert (search.block_ngram, search.block_context_ngram) == (3, 3)


def test_positions_that_are_sinusoids_stay_fixed(tmp_path: Path) -> None:
    source = published(tmp_path / "in")
    weights = load_file(source / "model.safetensors")
    for side in ("encoder", "decoder"):
        weights[f"model.{side}.embed_positions.weight"] = sinusoids(32, 16)
    save_file(weights, source / "model.safetensors")
    assert not convert(source, tmp_path / "out").config.seq2seq.learned_positions


def test_one_beam_is_greedy(tmp_path: Path) -> None:
    source = published(tmp_path / "in")
    change_json(source / "generation_config.json", num_beams=1)
    assert convert(source, tmp_path / "out").config.search.method == "greedy"


@pytest.mark.parametrize(("top_p", "method"), [(0.9, "nucleus"), (1.0, "topk")])
def test_sampling_stays_sampling(top_p: float, method: str, tmp_path: Path) -> None:
    source = published(tmp_path / "in")
    change_json(source / "generation_config.json", do_sample=True, top_p=top_p, num_beams=1)
    assert convert(source, tmp_path / "out").config.search.method == method
    export(tmp_path / "out", tmp_path / "there")
    assert convert(tmp_path / "there", tmp_path / "again").config.search.method == method


def test_a_token_that_is_there_twice_is_refused(tmp_path: Path) -> None:
    source = published(tmp_path / "in")
    vocabulary = json.loads((source / "vocab.json").read_text(encoding="utf-8"))
    vocabulary["__unk__"] = vocabulary.pop("!")
    (source / "vocab.json").write_text(json.dumps(vocabulary), encoding="utf-8")
    with pytest.raises(CheckpointError, match="token '__unk__' stands twice"):
        convert(source, tmp_path / "out")


def weights_of(folder: Path) -> dict[str, Tensor]:
    weights: dict[str, Tensor] = load_file(folder / "model.safetensors")
    return weights


def read(path: Path) -> object:
    text = path.read_text(encoding="utf-8")
    return json.loads(text) if path.suffix == ".json" else text


def same(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    """Bit for bit, names, shapes and precisions too."""
    return one.keys() == other.keys() and all(
        one[name].dtype == other[name].dtype and one[name].equal(other[name]) for name in one
    )


def change_json(path: Path, **changes: object) -> None:
    data = json.loads(path.read_text(encoding="utf-8")) | changes
    path.write_text(json.dumps({k: v for k, v in data.items() if v is not None}), encoding="utf-8")


def change_weights(folder: Path, change: Callable[[dict[str, Tensor]], object]) -> None:
    weights = weights_of(folder)
    change(weights)
    save_file(weights, folder / "model.safetensors")


DAMAGES: list[tuple[Callable[[Path], object], str]] = [
    (lambda f: (f / "config.json").unlink(), r"config\.json: No such file"),
    (lambda f: (f / "config.json").write_text("[]"), r"config\.json: holds a list, expected an o"),
    (lambda f: (f / "config.json").write_text("{"), r"config\.json: expected JSON: "),
    (lambda f: (f / "config.json").write_bytes(b"\xff"), r"config\.json: expected text in UTF-8: "),
    (
        lambda f: change_json(f / "config.json", model_type="bart"),
        r"config\.json: model_type is 'bart'; expected 'blenderbot' or 'blenderbot-small'",
    ),
    (
        lambda f: change_json(f / "config.json", decoder_ffn_dim=7),
        r"encoder_ffn_dim is 32, decoder_ffn_dim is 7; expected one size for both",
    ),
    (
        lambda f: change_json(f / "config.json", eos_token_id=5),
        r"config\.json: eos_token_id is 5; expected 2",
    ),
    (lambda f: change_json(f / "config.json", d_model=None), r"config\.json: d_model is missing"),
    (
        lambda f: change_json(f / "config.json", activation_function="silu"),
        r"config\.json: model\.activation: .*got 'silu'",
    ),
    (
        lambda f: (f / "model.safetensors").unlink(),
        r"in: no weights; expected model\.safetensors or pytorch_model\.bin",
    ),
    (
        lambda f: (f / "model.safetensors").write_bytes(b"12345678"),
        r"model\.safetensors: not safetensors: ",
    ),
    (
        lambda f: change_weights(f, lambda w: w.pop("model.decoder.layer_norm.bias")),
        r"in: lacks model\.decoder\.layer_norm\.bias",
    ),
    (
        lambda f: change_weights(f, lambda w: w.update(extra=torch.zeros(1))),
        r"in: has unknown extra",
    ),
    (
        lambda f: change_weights(f, lambda w: w.update({"lm_head.weight": torch.zeros(592, 16)})),
        r"in: lm_head\.weight differs from model\.shared\.weight; expected one table",
    ),
    (
        lambda f: change_weights(f, lambda w: w.update(final_logits_bias=torch.ones(1, 592))),
        r"in: final_logits_bias is not zero; expected zeros",
    ),
    (
        lambda f: change_weights(f, lambda w: w.update(final_logits_bias=torch.arange(592))),
        r"model\.safetensors: final_logits_bias is I64, expected F32, F16, BF16",
    ),
    (
        lambda f: (f / "model.safetensors.index.json").write_text("{}"),
        r"index\.json: no weight_map; expected one",
    ),
    (
        lambda f: (f / "model.safetensors.index.json").write_text(
            json.dumps({"weight_map": {"a": "../in/model.safetensors"}})
        ),
        r"index\.json: names '\.\./in/model\.safetensors'; expected a file beside it",
    ),
    (
        lambda f: change_json(f / "config.json", model_type={}),
        r"config\.json: model_type is \{\}; expected text",
    ),
    (
        lambda f: change_json(f / "generation_config.json", top_p="x", do_sample=True),
        r"generation_config\.json: top_p is 'x'; expected a number",
    ),
    (lambda f: (f / "vocab.json").unlink(), r"vocab\.json: No such file"),
    (
        lambda f: change_json(f / "vocab.json", **{"<s>": 900}),
        r"vocab\.json: no token has the id 1; expected ids 0 to 591",
    ),
    (
        lambda f: (f / "vocab.json").write_text(json.dumps({"a": 0})),
        r"vocab\.json: token 0 is 'a', expected '<pad>'",
    ),
    (lambda f: (f / "merges.txt").unlink(), r"merges\.txt: No such file"),
]


@pytest.mark.parametrize(("damage", "message"), DAMAGES, ids=[m[:40] for _, m in DAMAGES])
def test_a_damaged_folder_is_named(
    damage: Callable[[Path], object], message: str, tmp_path: Path
) -> None:
    source = published(tmp_path / "in")
    damage(source)
    with pytest.raises(CheckpointError, match=message):
        convert(source, tmp_path / "out")
    assert [path.name for path in tmp_path.iterdir()] == ["in"]


def test_an_unknown_picture_encoder_is_refused(tmp_path: Path) -> None:
    source = published(tmp_path / "in")
    with pytest.raises(CheckpointError, match="no picture encoder 'efficientnet'; did you mean"):
        convert(source, tmp_path / "out", encoder="efficientnet")
    with pytest.raises(
        CheckpointError, match="no picture encoder 'xyz'; expected one of efficientnet"
    ):
        convert(source, tmp_path / "out", encoder="xyz")
    shape = convert(source, tmp_path / "out", encoder="efficientnet_lite0").config.model
    assert (shape.image_vectors, shape.image_dim) == (49, 1280)


def test_a_model_that_has_seen_pictures_does_not_go_there(tmp_path: Path) -> None:
    parlai.convert(DATA / "micro", tmp_path / "ours")
    message = r"encoder\.segments\.weight is not zero, so this model was trained on pictures"
    with pytest.raises(CheckpointError, match=message):
        export(tmp_path / "ours", tmp_path / "there")
    assert not (tmp_path / "there").exists()


@pytest.mark.parametrize(
    ("key", "value"), [("variant", "xlm"), ("output_scaling", 0.5), ("fusion", "late")]
)
def test_a_network_that_they_do_not_have_does_not_go_there(
    key: str, value: object, tmp_path: Path
) -> None:
    convert(published(tmp_path / "in"), tmp_path / "ours")
    path = tmp_path / "ours" / "config.toml"
    text = path.read_text(encoding="utf-8")
    lines = [
        f"{key} = {json.dumps(value)}" if x.startswith(f"{key} =") else x for x in text.split("\n")
    ]
    path.write_text("\n".join(lines), encoding="utf-8")
    with pytest.raises(
        CheckpointError, match=rf"config\.toml: model\.{key} is {value!r}; expected"
    ):
        export(tmp_path / "ours", tmp_path / "there")


def test_a_vocabulary_with_controls_does_not_go_there(tmp_path: Path) -> None:
    convert(published(tmp_path / "in"), tmp_path / "ours")
    tiny_checkpoint().tokenizer.save(tmp_path / "ours" / "tokenizer.json")
    with pytest.raises(CheckpointError, match="has tokens for controls; expected a vocabulary"):
        export(tmp_path / "ours", tmp_path / "there")


def test_what_is_no_checkpoint_does_not_go_there(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"config\.toml: No such file"):
        export(tmp_path, tmp_path / "there")
