"""Llama-like folders of Hugging Face's become checkpoints with the same logits and tokens."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from hypothesis import given
from hypothesis import strategies as st

from openmmb.checkpoint import Checkpoint, load_checkpoint
from openmmb.convert.huggingface import convert
from openmmb.convert.llama import read_shape
from openmmb.errors import CheckpointError
from openmmb.model.causal_config import CausalConfig, RotaryScaling
from openmmb.text.tokenizer import END, START
from tests.text.test_adopted import THEIRS, theirs

ENCODER = "efficientnet_lite0"
FAMILIES: dict[str, tuple[str, dict[str, Any]]] = {
    "smollm2": ("Llama", {"tie_word_embeddings": True}),
    "llama3": (
        "Llama",
        {
            "tie_word_embeddings": False,
            "head_dim": 16,
            "rope_parameters": {
                "rope_type": "llama3",
                "rope_theta": 500_000.0,
                "factor": 8.0,
                "low_freq_factor": 1.0,
                "high_freq_factor": 4.0,
                "original_max_position_embeddings": 16,
            },
        },
    ),
    "qwen2.5": ("Qwen2", {"tie_word_embeddings": True, "rms_norm_eps": 1e-6}),
    "qwen3": ("Qwen3", {"tie_word_embeddings": False, "head_dim": 16}),
}


def published(
    folder: Path, name: str = "smollm2", *, dtype: torch.dtype = torch.float32, shards: bool = False
) -> Any:
    """Write a random network as ``transformers`` does, and return it."""
    kind, settings = FAMILIES[name]
    torch.manual_seed(0)
    config = getattr(transformers, f"{kind}Config")(
        vocab_size=352,
        hidden_size=32,
        intermediate_size=48,
        num_attention_heads=4,
        num_key_value_heads=2,
        num_hidden_layers=2,
        max_position_embeddings=256,
        initializer_range=0.3,
        eos_token_id=2,
        bos_token_id=1,
        pad_token_id=0,
        **settings,
    )
    model = getattr(transformers, f"{kind}ForCausalLM")(config).eval()
    with torch.no_grad():
        for key, weight in model.named_parameters():
            if key.endswith(("norm.weight", "bias")):
                weight.normal_(1.0, 0.2)
    model.to(dtype).save_pretrained(folder, max_shard_size="40KB" if shards else "1GB")
    write_tokenizer(folder)
    return model


def write_tokenizer(folder: Path) -> None:
    (folder / "tokenizer.json").write_text(theirs().to_str(), encoding="utf-8")
    settings = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "eos_token": THEIRS[2],
        "pad_token": THEIRS[0],
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(settings), encoding="utf-8")


def converted(folder: Path, out: Path) -> Checkpoint:
    convert(folder, out, encoder=ENCODER)
    return load_checkpoint(out)


def change(folder: Path, values: dict[str, Any], *, without: tuple[str, ...] = ()) -> None:
    path = folder / "config.json"
    data = {**json.loads(path.read_text()), **values}
    path.write_text(json.dumps({key: v for key, v in data.items() if key not in without}))


def check_logits(checkpoint: Checkpoint, model: Any) -> None:
    ids = torch.randint(0, 340, (2, 7), generator=torch.Generator().manual_seed(3))
    network = checkpoint.model
    with torch.no_grad():
        mask = torch.ones(2, 3, dtype=torch.bool)
        start = int(ids[0, 3])
        ids[:, 3] = start
        found = network.logits(network(ids[:, :3], mask, None, None, ids[:, 4:], start))
        expected = model(input_ids=ids[:, :6]).logits[:, 3:]
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-4)


@pytest.mark.parametrize("shards", [False, True])
@pytest.mark.parametrize("name", FAMILIES)
def test_logits_are_those_of_transformers(tmp_path: Path, name: str, shards: bool) -> None:
    model = published(tmp_path / "in", name, shards=shards)
    assert (tmp_path / "in" / "model.safetensors.index.json").exists() is shards
    check_logits(converted(tmp_path / "in", tmp_path / "out"), model)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_precision_is_kept(tmp_path: Path, dtype: torch.dtype) -> None:
    model = published(tmp_path / "in", dtype=dtype)
    convert(tmp_path / "in", tmp_path / "out", encoder=ENCODER)
    half = load_checkpoint(tmp_path / "out", dtype=dtype).model
    assert half.embeddings.weight.equal(model.get_input_embeddings().weight)
    # Not the model itself widened: its rotary positions have been narrowed with it.
    wide = transformers.AutoModelForCausalLM.from_pretrained(tmp_path / "in", dtype=torch.float32)
    check_logits(load_checkpoint(tmp_path / "out"), wide)


def test_positions_may_be_spelled_in_the_old_way(tmp_path: Path) -> None:
    model = published(tmp_path / "in", "llama3")
    rope = model.config.rope_parameters
    old = {
        "rope_theta": rope["rope_theta"],
        "rope_scaling": {key: value for key, value in rope.items() if key != "rope_theta"},
    }
    change(tmp_path / "in", old, without=("rope_parameters",))
    checkpoint = converted(tmp_path / "in", tmp_path / "out")
    assert isinstance(checkpoint.config.model, CausalConfig)
    assert checkpoint.config.model.rotary_scaling == RotaryScaling(original_positions=16)
    check_logits(checkpoint, model)


def test_settings_are_those_of_a_decoder_only_network(tmp_path: Path) -> None:
    published(tmp_path / "in")
    result = convert(tmp_path / "in", tmp_path / "out", encoder=ENCODER)
    assert "is untrained" in result.notes[0]
    encode = result.config.encode
    assert (encode.layout, encode.max_context, encode.max_reply) == ("turns", 104, 103)
    network = load_checkpoint(tmp_path / "out").model
    image = torch.randn(1, 49, 1280)
    memory = network.read(torch.zeros(1, 1, dtype=torch.int64), torch.ones(1, 1).bool(), image)
    assert len(memory) == 1


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, Any]:
    folder = tmp_path_factory.mktemp("tokenizers")
    published(folder / "in")
    ours = converted(folder / "in", folder / "out").tokenizer
    return ours, transformers.AutoTokenizer.from_pretrained(folder / "in")


@given(text=st.text(st.characters(exclude_categories=["Cs"])) | st.text("ab 12'\n.é"))
def test_tokens_are_those_of_transformers(pair: tuple[Any, Any], text: str) -> None:
    ours, published_one = pair
    assert ours.encode(text) == published_one(text, add_special_tokens=False).input_ids


def test_special_tokens_keep_their_ids_and_none_is_new(pair: tuple[Any, Any]) -> None:
    ours, _ = pair
    assert (ours.special_id(START), ours.special_id(END)) == (1, 2)
    assert max(ours.special_ids()) < len(THEIRS)
    assert ours.encode(THEIRS[1]) != [1]


CONFIG_ERRORS: dict[str, tuple[dict[str, Any], str]] = {
    "kind": ({"model_type": "gpt2"}, "model_type is 'gpt2'; expected"),
    "activation": ({"hidden_act": "gelu"}, "hidden_act is 'gelu'; expected 'silu'"),
    "bias": ({"attention_bias": True}, "attention_bias is true; expected false for llama"),
    "mlp": ({"mlp_bias": True}, "mlp_bias is True; expected False"),
    "rope": ({"rope_parameters": {"rope_type": "yarn"}}, "are scaled by 'yarn'"),
    "rope object": ({"rope_parameters": 3}, "rope_parameters is 3; expected an object"),
    "rope key": (
        {"rope_parameters": {"rope_type": "llama3", "factor": 2}},
        "no low_freq_factor in the scaling",
    ),
    "layers": ({"num_hidden_layers": 10**12}, "num_layers must be from 1 to 1000"),
    "width": ({"hidden_size": 10**12, "head_dim": 8}, "embed_dim must be from 1 to 1048576"),
    "no number": ({"hidden_size": "big"}, "hidden_size is 'big'"),
    "end token": ({"eos_token_id": [{}]}, r"eos_token_id is \{\}; expected a number"),
    "more layers": ({"num_hidden_layers": 3}, "lacks model.layers.2"),
    "fewer layers": ({"num_hidden_layers": 1}, "has unknown model.layers.1"),
    "vocabulary": ({"vocab_size": 351}, r"embed_tokens.weight is \(352, 32\), expected \(351, 32"),
    "positions": ({"max_position_embeddings": 51}, "51 positions are too few for the 49 vectors"),
}


@pytest.mark.parametrize("name", CONFIG_ERRORS)
def test_a_configuration_that_does_not_fit_gets_one_line(tmp_path: Path, name: str) -> None:
    values, message = CONFIG_ERRORS[name]
    published(tmp_path / "in")
    change(tmp_path / "in", values)
    with pytest.raises(CheckpointError, match=message) as caught:
        convert(tmp_path / "in", tmp_path / "out", encoder=ENCODER)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "out").exists()


def test_a_missing_key_is_named(tmp_path: Path) -> None:
    published(tmp_path / "in")
    change(tmp_path / "in", {}, without=("rms_norm_eps",))
    with pytest.raises(CheckpointError, match=r"config\.json: no rms_norm_eps"):
        convert(tmp_path / "in", tmp_path / "out", encoder=ENCODER)


def test_a_head_that_is_not_the_table_is_refused_where_they_are_tied(tmp_path: Path) -> None:
    published(tmp_path / "in", "llama3")
    change(tmp_path / "in", {"tie_word_embeddings": True})
    with pytest.raises(CheckpointError, match="differs from the table of words"):
        convert(tmp_path / "in", tmp_path / "out", encoder=ENCODER)


def test_a_vocabulary_that_is_too_large_is_refused(tmp_path: Path) -> None:
    published(tmp_path / "in")
    inner = theirs()
    data = json.loads(inner.to_str())
    data["model"]["vocab"] |= {f"new{number}": 340 + number for number in range(20)}
    (tmp_path / "in" / "tokenizer.json").write_text(json.dumps(data))
    with pytest.raises(CheckpointError, match=r"360 tokens with those that steer, but .* has 352"):
        convert(tmp_path / "in", tmp_path / "out", encoder=ENCODER)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("tokenizer.json", None, "No such file"),
        ("tokenizer.json", "{}", "expected a tokenizer with added_tokens"),
        ("tokenizer_config.json", '{"eos_token": "<none>"}', "the end token is '<none>'"),
        ("model.safetensors", "no", "not safetensors"),
    ],
)
def test_a_missing_or_damaged_file_is_named(
    tmp_path: Path, name: str, content: str | None, message: str
) -> None:
    published(tmp_path / "in")
    (tmp_path / "in" / name).unlink()
    if content is not None:
        (tmp_path / "in" / name).write_text(content)
    with pytest.raises(CheckpointError, match=message):
        convert(tmp_path / "in", tmp_path / "out", encoder=ENCODER)


def test_the_end_token_is_found_by_its_id_where_nothing_names_it(tmp_path: Path) -> None:
    published(tmp_path / "in")
    (tmp_path / "in" / "tokenizer_config.json").unlink()
    change(tmp_path / "in", {"eos_token_id": [2, 0]})
    assert converted(tmp_path / "in", tmp_path / "out").tokenizer.end_id == 2


def test_another_kind_of_network_is_refused() -> None:
    with pytest.raises(CheckpointError, match="model_type is 'opt'; expected llama, qwen2, qwen3"):
        read_shape({"model_type": "opt"}, Path("config.json"), image_vectors=1, image_dim=1)
