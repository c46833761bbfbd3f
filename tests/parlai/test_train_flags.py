"""ParlAI's training commands are recipes that do the same, and say where they do not."""

import re
import shlex
import tomllib
from collections.abc import Sequence
from typing import Any

import pytest

from openmmb.config import dump, parse
from openmmb.errors import ConfigError
from openmmb.parlai.arguments import read_flags
from openmmb.parlai.train_flags import ENDLESS, TrainCommand, read_train
from openmmb.training.replies.config import Recipe
from tests.parlai import card

COCO = card.coco(out="runs/coco")[2:]
DEGENPOS = card.degenpos(start="runs/coco", out="runs/degenpos")[2:]
LEAST = shlex.split(
    "-t convai2:normalized -m transformer/generator -mf run -lr 1e-5 -opt adam "
    "--init-model zoo:blender/reddit_3B/model -tstep 9"
)


def command(*words: str) -> TrainCommand:
    return read_train(read_flags(words))


def recipe(*words: str) -> Recipe:
    return parse(Recipe, command(*words).recipe)


def without(words: Sequence[str], flag: str) -> tuple[str, ...]:
    """The words without a flag and its value."""
    at = words.index(flag)
    return (*words[:at], *words[at + 2 :])


def notes(*words: str) -> str:
    return "\n".join(command(*words).notes)


@pytest.mark.parametrize("words", [COCO, DEGENPOS, list(LEAST)])
def test_a_recipe_survives_being_written(words: list[str]) -> None:
    made = recipe(*words)
    assert parse(Recipe, tomllib.loads(dump(made))) == made


def test_what_no_flag_says_is_parlais_default() -> None:
    made = recipe(*LEAST)
    assert made.model
    assert made.controls
    assert made.encode
    assert (made.data.batch_size, made.data.accumulate, made.data.root) == (1, 1, "data")
    assert (made.model.dropout, made.controls.gender, made.gender) == (0.0, False, "none")
    assert (made.encode.layout, made.encode.end_context) == ("parlai", False)
    assert (made.encode.max_context, made.encode.max_reply) == (128, 128)
    schedule = made.schedule
    assert (schedule.kind, schedule.warmup_steps, schedule.patience) == ("plateau", 0, 3)
    assert (made.optim.amsgrad, made.optim.max_grad_norm) == (True, 0.1)
    assert (made.valid.every_steps, made.valid.max_examples) == (ENDLESS, ENDLESS)
    assert (made.precision, made.memory_efficient, made.device) == ("fp32", False, "auto")
    assert made.schedule.max_steps == 9


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (COCO, "--image-mode: none is given that yields image vectors"),
        (COCO, "--task coco_caption: ParlAI takes the split of 2017"),
        (COCO, "--multitask-weights: 2 weights for 1 tasks"),
        (COCO, "--model-parallel: one graphics card is enough"),
        (COCO, "--dict-file: the vocabulary comes with --init-model"),
        (DEGENPOS, "--task genderation_bias:controllable_task: .*291 GB"),
        (DEGENPOS, "gender: replies of the checkpoint get f0m0"),
        ([*COCO, "--image-mode", "raw"], "--image-mode: none is given"),
        ([*DEGENPOS, "-vme", "1000"], "-vme 1000: of all tasks together; 200 of each"),
        (list(LEAST), "validation: only at the end"),
        ([*LEAST, "-m", "image_seq2seq"], "--include-image-token: ParlAI's default"),
    ],
)
def test_what_is_done_otherwise_is_said(words: list[str], said: str) -> None:
    assert re.search(said, notes(*words))


@pytest.mark.parametrize(
    ("flags", "key", "value"),
    [
        (("-vstep", "7"), "valid.every_steps", 7),
        (("-vtim", "60"), "valid.every_seconds", 60.0),
        (("-veps", "0.5"), "valid.every_epochs", 0.5),
        (("-vme", "50"), "valid.max_examples", 50),
        (("-ttim", "60"), "schedule.max_seconds", 60.0),
        (("--fp16", "True"), "precision", "fp16"),
        (("--fp16", "True", "--fp16-impl", "mem_efficient"), "memory_efficient", True),
        (("--fp16-impl", "mem_efficient"), "memory_efficient", False),
        (("--checkpoint-activations", "True"), "activation_checkpointing", True),
        (("--no-cuda",), "device", "cpu"),
        (("-nl", "3"), "model.num_decoder_layers", 3),
        (("-nl", "3", "-ndl", "5"), "model.num_decoder_layers", 5),
        (("-nl", "3", "-ndl", "5"), "model.num_encoder_layers", 3),
        (("-tr", "64"), "encode.max_context", 64),
        (("-tr", "64", "--text-truncate", "32"), "encode.max_context", 32),
        (("-tr", "64", "--label-truncate", "32"), "search.max_length", 32),
        (("--n-positions", "64"), "encode.max_reply", 64),
        (("-opt", "adamw"), "optim.amsgrad", False),
        (("--beam-min-length", "5"), "search.min_length", 5),
        (("-dp", "elsewhere"), "data.root", "elsewhere"),
    ],
)
def test_flags_that_decide_together(flags: tuple[str, ...], key: str, value: Any) -> None:
    found: Any = recipe(*LEAST, *flags)
    for name in key.split("."):
        found = getattr(found, name)
    assert found == value


@pytest.mark.parametrize(
    ("weights", "shares"),
    [("stochastic", None), ("1,3", (1.0, 3.0)), ("3", (3.0, 1.0)), ("1,2,5", (1.0, 2.0))],
)
def test_weights_are_shares_of_the_tasks(weights: str, shares: tuple[float, ...] | None) -> None:
    made = command(*LEAST, "-t", "convai2:normalized,blended_skill_talk", "-mtw", weights)
    assert made.shares == shares


def test_without_weights_tasks_are_drawn_alike() -> None:
    assert command(*LEAST, "-t", "convai2:normalized,blended_skill_talk").shares == (1.0, 1.0)
    assert command(*LEAST).shares is None


@pytest.mark.parametrize("flag", ["-t", "-m", "-mf", "-lr", "-opt", "--init-model"])
def test_what_must_be_there_is_named(flag: str) -> None:
    names = {"-t": "task", "-m": "model", "-mf": "model-file", "-lr": "learningrate"}
    name = names.get(flag, {"-opt": "optimizer"}.get(flag, "init-model"))
    with pytest.raises(ConfigError, match=f"--{name}: missing; "):
        command(*without(LEAST, flag))


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (("-m", "bart"), "--model bart: expected image_seq2seq or transformer/generator"),
        (("-dt", "valid"), "--datatype valid: expected train"),
        (("-tstep", "-1"), "the run would never end; use --num-epochs"),
        (("-vtim", "9", "-veps", "1"), "-vtim, -vstep and -veps: .* by one of them"),
        (("--flatten-delimiter", "  "), r"--flatten-delimiter '  ': expected that of --delimiter"),
        (
            ("--lr-scheduler", "cosine", "-tstep", "-1", "-ttim", "9"),
            "--lr-scheduler cosine: use --max-train-steps",
        ),
    ],
)
def test_what_cannot_be_is_refused(flags: tuple[str, ...], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        command(*LEAST, *flags)


def test_a_text_agent_does_not_learn_from_pictures_in_silence() -> None:
    words = [*LEAST]
    words[words.index("convai2:normalized")] = "image_chat:Generation"
    with pytest.raises(
        ConfigError,
        match=r"^--model transformer/generator: would learn from image_chat without its",
    ):
        command(*words)


def test_where_the_stored_search_is_not_parlais_it_is_told() -> None:
    told = [note for note in command(*LEAST).notes if "block-full-context" in note]
    assert told == [
        "--beam-block-full-context: false, as the published model has it; ParlAI 1.7.2 stores True"
    ]
    asked = command(*LEAST, "--beam-block-full-context", "True")
    assert not any("block-full-context" in note for note in asked.notes)
