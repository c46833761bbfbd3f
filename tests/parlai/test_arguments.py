"""A command line of ParlAI's is read as ParlAI reads it, and what is wrong with it is one line."""

from contextlib import suppress
from dataclasses import fields, is_dataclass
from typing import Any, get_args, get_type_hints

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openmmb.errors import ConfigError
from openmmb.parlai.arguments import describe_flags, read_flags
from openmmb.parlai.flag_table import FLAGS, SHORT
from openmmb.training.replies.config import Recipe


def has_key(cls: Any, key: str) -> bool:
    """Whether a recipe has a dotted key."""
    name, _, rest = key.partition(".")
    if name not in {field.name for field in fields(cls)}:
        return False
    hint = get_type_hints(cls)[name]
    inner = next((one for one in get_args(hint) if is_dataclass(one)), hint)
    return has_key(inner, rest) if rest else not is_dataclass(inner)


@pytest.mark.parametrize("name", sorted(FLAGS))
def test_a_flag_becomes_a_key_or_says_why_not(name: str) -> None:
    flag = FLAGS[name]
    assert flag.key or flag.why or flag.idle
    assert not flag.key or has_key(Recipe, flag.key)
    assert name == name.lower().replace("_", "-")


def test_a_short_name_is_of_a_flag() -> None:
    assert set(SHORT.values()) <= set(FLAGS)
    assert not set(SHORT) & set(FLAGS)


@pytest.mark.parametrize(
    "words",
    [
        ["--batchsize", "3"],
        ["-bs", "3"],
        ["--bs", "3"],
        ["--batchsize=3"],
        ["-bs=3"],
        ["-bs", "7", "--batchsize", "3"],
    ],
)
def test_a_flag_is_known_however_it_is_written(words: list[str]) -> None:
    assert read_flags(words).values == {"batchsize": 3}


def test_underscores_are_dashes() -> None:
    assert read_flags(["--n_image_channels", "4"]).values == {"n-image-channels": 4}


@pytest.mark.parametrize(
    ("words", "values"),
    [
        (["--delimiter", r"\n"], {"delimiter": "\n"}),
        (["--delimiter", "\n"], {"delimiter": "\n"}),
        (["--delimiter", "  "], {"delimiter": "  "}),
        (["--model-parallel", "true"], {"model-parallel": True}),
        (["--fp16", "t"], {"fp16": "fp16"}),
        (["--fp16", "0"], {"fp16": "fp32"}),
        (["-vme", "-1"], {"validation-max-exs": -1}),
        (["--beam-block-ngram", "-1"], {"beam-block-ngram": 0}),
        (["--no-cuda", "-bs", "2"], {"no-cuda": True, "batchsize": 2}),
        (["-mtw", "stochastic"], {"multitask-weights": None}),
        (["-mtw", "1,3"], {"multitask-weights": (1.0, 3.0)}),
        (["--betas", "(0.9,0.98)"], {"betas": (0.9, 0.98)}),
        (["--history-add-global-end-token", "None"], {"history-add-global-end-token": None}),
        (["--image-mode", "faster_r_cnn_152_32x8d"], {"image-mode": "faster_rcnn_x152"}),
        (["--image-mode", "raw"], {"image-mode": None}),
        (["--lr-scheduler", "invsqrt"], {"lr-scheduler": "inverse_sqrt"}),
        (["--fp16-impl", "safe"], {"fp16-impl": False}),
    ],
)
def test_a_value_is_what_parlai_takes_it_for(words: list[str], values: dict[str, Any]) -> None:
    assert read_flags(words).values == values


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--batchsiz", "3"], r"no known ParlAI flag '--batchsiz'; did you mean '--batchsize'\?"),
        (["--qqqqqq", "3"], "no known ParlAI flag '--qqqqqq'; openmmb parlai tm --help"),
        (["-im", "raw"], "-im: two of ParlAI's flags; use"),
        (["train"], "train: is no flag"),
        (["-bs"], "-bs: expected a value behind it"),
        (["-bs", "-lr", "1"], "-bs: expected a value behind it"),
        (["-bs", "--unknown", "1"], "-bs: expected a value behind it"),
        (["-bs", "many"], "-bs 'many': expected a whole number"),
        (["-lr", "nan"], "-lr 'nan': expected a finite number"),
        (["-lr", "high"], "-lr 'high': expected a number"),
        (["--fp16", "maybe"], "--fp16 'maybe': expected True or False"),
        (["-mtw", "1,0"], "-mtw '1,0': expected stochastic, or a number above 0"),
        (["-opt", "sgd"], "-opt 'sgd': expected one of adam, mem_eff_adam, adamw, adafactor"),
        (
            ["--lr-scheduler", "fixed"],
            "--lr-scheduler 'fixed': expected one of reduceonplateau, none",
        ),
        (["--image-mode", "resnet152"], "--image-mode 'resnet152': no picture encoder"),
        (["-vmt", "accuracy"], "-vmt accuracy: a run is judged by its perplexity; expected ppl"),
        (["--person-tokens", "True"], "--person-tokens True: contexts .*; expected False"),
        (["--dict-tokenizer", "re"], "--dict-tokenizer re: no other .*; expected bytelevelbpe"),
        (["-o", "gen/blenderbot"], "-o gen/blenderbot: files of options are not read"),
        (["--mutators", "flatten"], "--mutators flatten: they are not supported$"),
    ],
)
def test_what_is_wrong_is_one_line(words: list[str], message: str) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        read_flags(words)
    assert "\n" not in str(caught.value)


@given(st.lists(st.text(st.characters(codec="utf-8"), max_size=8), max_size=6))
def test_any_words_are_read_or_refused(words: list[str]) -> None:
    with suppress(ConfigError):
        assert read_flags(words).values.keys() <= FLAGS.keys()


def test_a_flag_without_meaning_is_named_as_it_was_written() -> None:
    notes = read_flags(["-df", "zoo:blender/reddit_3B/model.dict", "-bs", "2"]).notes()
    assert notes == ["-df: the vocabulary comes with --init-model"]


def test_the_list_of_flags_has_each_on_a_line() -> None:
    lines = describe_flags()
    assert len(lines) == len(FLAGS)
    assert all("\n" not in line for line in lines)
    assert any("only '\\n'" in line for line in lines)
