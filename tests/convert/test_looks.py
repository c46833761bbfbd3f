"""A converted model looks at pictures and talks as its options say, or a line says why not."""

from pathlib import Path

import pytest
import torch

from openmmb.checkpoint import load_checkpoint
from openmmb.convert.looks import find_looks
from openmmb.convert.parlai import convert
from openmmb.errors import CheckpointError
from tests.convert.build import as_text_model, change_options, copy_micro, read_state, write_state
from tests.convert.test_huggingface import same, weights_of

OPT = Path("model.opt")
MMB = (100, 2048)


@pytest.mark.parametrize("mode", ["raw", "none", "no_image_model", "ascii"])
def test_what_the_first_command_of_the_card_leaves_becomes_its_encoder(mode: str) -> None:
    looks = find_looks(mode, MMB, None, OPT)
    assert looks.encoder == "faster_rcnn_x152"
    assert looks.notes == (
        f"pictures: image_mode is {mode!r}; faster_rcnn_x152 gives 100 vectors of 2048 and is "
        "taken",
    )


def test_a_mode_that_names_an_encoder_needs_no_word() -> None:
    looks = find_looks("faster_r_cnn_152_32x8d", MMB, None, OPT)
    assert (looks.encoder, looks.notes) == ("faster_rcnn_x152", ())
    spatial = find_looks("resnext101_32x48d_wsl_spatial", (49, 2048), None, OPT)
    assert (spatial.encoder, spatial.notes) == ("resnext101_32x48d_wsl_spatial_parlai", ())


@pytest.mark.parametrize(
    ("mode", "shape", "why"),
    [
        ("raw", (4, 16), "none here gives 4 vectors of 16"),
        ("raw", (1, 2048), "several give 1 vectors of 2048, as resnext101_32x8d_wsl"),
        ("resnet152", (4, 2048), "none here gives 4 vectors of 2048"),
    ],
)
def test_where_nobody_knows_a_line_says_what_is_missing(
    mode: str, shape: tuple[int, int], why: str
) -> None:
    [note] = find_looks(mode, shape, None, OPT).notes
    assert note == (
        f"pictures: image_mode is {mode!r}, which names no picture encoder of this project, and "
        f"{why}; to look at any, convert it with --encoder NAME"
    )


def test_an_encoder_that_gives_others_is_told() -> None:
    [note] = find_looks("faster_r_cnn_152_32x8d", (4, 16), None, OPT).notes
    assert note.startswith("pictures: faster_rcnn_x152 does not give 4 vectors of 16")


def test_an_encoder_that_is_asked_for_is_taken_or_refused() -> None:
    assert find_looks("raw", (49, 1280), "efficientnet_lite0", OPT).encoder == "efficientnet_lite0"
    known = find_looks("faster_r_cnn_152_32x8d", MMB, "faster_rcnn_x152", OPT)
    assert known.encoder == "faster_rcnn_x152"
    with pytest.raises(
        CheckpointError, match=r"so the model knows the image vectors of faster_rcn"
    ):
        find_looks("faster_r_cnn_152_32x8d", MMB, "efficientnet_lite0", OPT)
    with pytest.raises(
        CheckpointError, match=r"gives 49 vectors of 1280, but the network of model"
    ):
        find_looks("raw", MMB, "efficientnet_lite0", OPT)
    with pytest.raises(CheckpointError, match=r"^encoder: no picture encoder 'efficient'"):
        find_looks("raw", MMB, "efficient", OPT)


def test_an_unknown_image_mode_is_refused() -> None:
    with pytest.raises(CheckpointError, match=r"^model\.opt: image_mode: no image mode 'rwa'; did"):
        find_looks("rwa", MMB, None, OPT)


@pytest.mark.parametrize(
    ("changes", "gender", "style"),
    [
        (
            {"model": "projects.multimodal_blenderbot.agents:BiasAgent", "bias_class": "f1m0"},
            "f1m0",
            "positive/neutral",
        ),
        (
            {
                "task": "genderation_bias:controllable_task:image_chat:Generation",
                "category_frac": 0.75,
            },
            "f0m0",
            "positive/neutral",
        ),
        ({"task": "image_chat:Generation", "category_frac": 0.0}, None, None),
    ],
)
def test_it_talks_as_the_card_says(
    changes: dict[str, object], gender: str | None, style: str | None, tmp_path: Path
) -> None:
    source = copy_micro(tmp_path / "in")
    change_options(source, **changes)
    made = convert(source, tmp_path / "out")
    assert made.config.__class__.__name__ == "CheckpointConfig"
    config = load_checkpoint(tmp_path / "out").config
    assert (config.gender, config.image_style) == (gender, style)
    told = any(note.startswith("image_style: none, since") for note in made.notes)
    assert told == (style is None)


def test_a_model_of_text_keeps_its_segments(tmp_path: Path) -> None:
    source = copy_micro(tmp_path / "in")
    state = read_state(source)
    segments = state["encoder.segment_embeddings.weight"]
    text = {n: t for n, t in state.items() if "image_enc" not in n and "ones_mask" not in n}
    write_state(source, text)
    change_options(source, model="transformer/generator", n_segments=2)
    convert(source, tmp_path / "out")
    assert weights_of(tmp_path / "out")["encoder.segments.weight"].equal(segments)
    change_options(source, n_segments=1)
    write_state(source, text | {"encoder.segment_embeddings.weight": segments[:1].clone()})
    made = convert(source, tmp_path / "one")
    table = weights_of(tmp_path / "one")["encoder.segments.weight"]
    assert table[0].equal(segments[0])
    assert not table[1].any()
    assert "n_segments: 1; stored as 2" in made.notes


def test_double_precision_is_read_as_parlai_reads_it(tmp_path: Path) -> None:
    source = copy_micro(tmp_path / "in")
    convert(source, tmp_path / "plain")
    write_state(source, {name: t.double() for name, t in read_state(source).items()})
    made = convert(source, tmp_path / "out")
    assert same(weights_of(tmp_path / "out"), weights_of(tmp_path / "plain"))
    assert any(note.startswith("weights: float64, read as float32") for note in made.notes)


def test_a_weight_of_whole_numbers_is_named_with_what_is_expected(tmp_path: Path) -> None:
    source = copy_micro(tmp_path / "in")
    state = as_text_model(source)
    name = "decoder.norm_embeddings.weight"
    write_state(source, state | {name: torch.ones_like(state[name]).long()})
    with pytest.raises(
        CheckpointError,
        match=rf"{name} is torch\.int64, expected one of float32, float16, bfloat16",
    ):
        convert(source, tmp_path / "out")


@pytest.mark.parametrize(
    ("changes", "key", "value"),
    [
        ({"beam_min_length": 128, "label_truncate": 128}, "min_length", 127),
        ({"beam_length_penalty": -0.5}, "length_penalty", -0.5),
    ],
)
def test_searches_that_run_in_parlai_run_here(
    changes: dict[str, object], key: str, value: float, tmp_path: Path
) -> None:
    source = copy_micro(tmp_path / "in")
    change_options(source, **changes)
    made = convert(source, tmp_path / "out")
    search = load_checkpoint(tmp_path / "out").config.search
    assert getattr(search, key) == value
    assert any(note.startswith("beam_min_length: 128 ") for note in made.notes) == (
        key == "min_length"
    )


@pytest.mark.parametrize(
    "changes", [{"n_heads": True}, {"output_scaling": float("nan")}, {"n_layers": "2"}]
)
def test_a_value_of_another_kind_is_refused(changes: dict[str, object], tmp_path: Path) -> None:
    source = copy_micro(tmp_path / "in")
    change_options(source, n_encoder_layers=None, n_decoder_layers=None, **changes)
    with pytest.raises(CheckpointError, match=r"model\.opt: "):
        convert(source, tmp_path / "out")


def test_no_encoder_layers_are_as_many_as_layers(tmp_path: Path) -> None:
    """ParlAI takes ``n_layers`` where a number of layers is not above 0."""
    source = copy_micro(tmp_path / "in")
    change_options(source, n_encoder_layers=0, n_layers=2)
    convert(source, tmp_path / "out")
    assert load_checkpoint(tmp_path / "out").config.seq2seq.num_encoder_layers == 2
