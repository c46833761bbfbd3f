"""ParlAI's ``train_model``, flag by flag, as a recipe.

Where no flag says anything, the recipe has ParlAI's default. Only the search is another: ParlAI
would store greedy search, which its authors then overrule in every chat; the recipe has theirs.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from openmmb.convert.options import IMAGE_AGENTS, TEXT_AGENTS
from openmmb.data.controls import POSITIVE
from openmmb.errors import ConfigError
from openmmb.parlai.arguments import Given
from openmmb.parlai.teachers import read_task
from openmmb.parlai.zoo import find_model

DEFAULTS: dict[str, Any] = {
    "data.root": "data",
    "data.batch_size": 1,
    "data.accumulate": 1,
    "model.dropout": 0.0,
    "model.attention_dropout": 0.0,
    "model.activation_dropout": 0.0,
    "gender": "none",
    "image_style": "none",
    "encode.max_pinned": 0,
    "controls.gender": False,
    "controls.category_frac": 0.0,
    "schedule.kind": "plateau",
    "schedule.warmup_steps": 0,
    "schedule.patience": 3,
    "schedule.decay": 0.5,
    "valid.patience": 10,
}
"""What ParlAI does where no flag says otherwise, and recipes do otherwise."""
ENCODER = "faster_rcnn_x152"
"""Multi-Modal BlenderBot's picture encoder."""
PICTURED = ("image_chat", "coco_captions")
"""What the names of tasks begin with that have pictures."""
ENDLESS = 1_000_000
"""Updates of a run that only time or patience ends, and examples of a task that are all of it."""
DROPOUTS = ("model.dropout", "model.attention_dropout", "model.activation_dropout")


@dataclass(frozen=True)
class TrainCommand:
    """What a command asks for.

    Attributes:
        recipe: Keys and values of the recipe, nested.
        shape: What its flags say about the network, by dotted key; it must be true of
            the checkpoint that the run starts from.
        named: The checkpoint to start from, as the command names it.
        names_encoder: Whether it names the picture encoder.
        epochs: After how many epochs the run ends, if it says so.
        shares: How often each task is drawn, if not by its size.
        notes: What of it is other than in ParlAI, and why.
    """

    recipe: dict[str, Any]
    shape: Mapping[str, Any]
    named: str
    names_encoder: bool
    epochs: float | None
    shares: tuple[float, ...] | None
    notes: tuple[str, ...]


def read_train(given: Given) -> TrainCommand:
    """Turn the flags of ``train_model`` into a recipe.

    Raises:
        ConfigError: A flag is missing, or asks for what there is not.
    """
    _check_agent(given)
    notes: list[str] = []
    keys = {key: value for key, value in given.settings().items() if value is not None}
    named = given.need("init-model", "expected a folder that openmmb convert wrote")
    out = given.need("model-file", "expected the folder of the run")
    given.need("learningrate", "ParlAI's default of 1 is for sgd; use 7e-6, the published one")
    given.need("optimizer", "ParlAI's default, sgd, is not supported; use adam, the published one")
    teachers = read_task(
        given.need("task", "expected one such as blended_skill_talk"),
        rest=given.get("include-rest-val", False),
    )
    _check_pictures(given, teachers.tasks)
    notes += [*teachers.notes, *_image_token(given), *_blocking(keys)]
    flat: dict[str, Any] = {
        **DEFAULTS,
        **keys,
        **_network(given, notes),
        **_encode(given, keys),
        **_course(given),
        **_valid(given, len(teachers.tasks), notes),
        **_optimiser(given, keys),
        **_controls(keys, notes, controlled=teachers.controlled),
        **_pictures(given, keys, notes),
        "name": Path(out).name,
        "out": out,
        "start": find_model(named),
        "tasks": [{"name": name} for name in teachers.tasks],
    }
    shares = _shares(given, len(teachers.tasks), notes, controlled=teachers.controlled)
    epochs = given.get("num-epochs", -1)
    shape = {k: flat[k] for k in flat if k.startswith("model.") and k not in DROPOUTS}
    return TrainCommand(
        recipe=_nested(flat),
        shape=shape,
        named=named,
        names_encoder="data.encoder" in keys,
        epochs=epochs if epochs > 0 else None,
        shares=shares,
        notes=(*notes, *given.notes()),
    )


def _check_agent(given: Given) -> None:
    agent = given.need("model", "expected image_seq2seq")
    if agent not in (*IMAGE_AGENTS, *TEXT_AGENTS):
        raise ConfigError(
            f"--model {agent}: expected {IMAGE_AGENTS[0]} or {TEXT_AGENTS[0]}, which can be trained"
        )
    if not given.get("datatype", "train").startswith("train"):
        raise ConfigError(f"--datatype {given.get('datatype')}: expected train")


def _network(given: Given, notes: list[str]) -> dict[str, Any]:
    """Return how many layers there are, and where the network runs."""
    keys: dict[str, Any] = {}
    for name, key in (
        ("n-encoder-layers", "model.num_encoder_layers"),
        ("n-decoder-layers", "model.num_decoder_layers"),
    ):
        count = given.get(name, -1)
        if count == -1:
            count = given.get("n-layers")
        if count is not None:
            keys[key] = count
    if given.get("model-parallel", False):
        notes.append(
            "--model-parallel: one graphics card is enough; what several would share is computed "
            "again for the gradient (activation_checkpointing)"
        )
    if given.get("model-parallel", False) or given.get("checkpoint-activations", False):
        keys["activation_checkpointing"] = True
    if given.get("no-cuda", False):
        keys["device"] = "cpu"
    return keys


def _encode(given: Given, keys: Mapping[str, Any]) -> dict[str, Any]:
    positions = keys.get("model.num_positions", 128)

    def limit(name: str) -> int:
        longest: int = given.get(name, 0) or given.get("truncate", -1)
        return positions if longest == -1 else longest

    delimiter = keys.get("encode.delimiter", "\n")
    flattened = given.get("flatten-delimiter", delimiter)
    if flattened != delimiter:
        raise ConfigError(
            f"--flatten-delimiter {flattened!r}: expected that of --delimiter, {delimiter!r}"
        )
    longest = limit("label-truncate")
    return {
        "encode.max_context": limit("text-truncate"),
        "encode.max_reply": longest,
        "search.max_length": longest,
        "encode.end_context": given.get("history-add-global-end-token") is not None,
    }


def _course(given: Given) -> dict[str, Any]:
    """Return when the run ends."""
    steps, seconds = given.get("max-train-steps", -1), given.get("max-train-time", -1)
    epochs = given.get("num-epochs", -1)
    validated = [
        given.get(f"validation-every-n-{unit}", -1) for unit in ("secs", "steps", "epochs")
    ]
    if max(steps, seconds, epochs, *validated) <= 0:
        raise ConfigError(
            "the run would never end; use --num-epochs, --max-train-steps, --max-train-time or one "
            "of --validation-every-n-steps and its kind"
        )
    kind = given.get("lr-scheduler")
    if kind in ("cosine", "linear") and max(steps, epochs) <= 0:
        raise ConfigError(f"--lr-scheduler {kind}: use --max-train-steps too, at which it ends")
    ends: dict[str, Any] = {"schedule.max_steps": steps if steps > 0 else ENDLESS}
    if seconds > 0:
        ends["schedule.max_seconds"] = seconds
    return ends


def _valid(given: Given, num_tasks: int, notes: list[str]) -> dict[str, Any]:
    """Return when and on what the run is validated."""
    asked = {
        name: given.get(f"validation-every-n-{unit}", -1)
        for unit, name in (
            ("secs", "every_seconds"),
            ("steps", "every_steps"),
            ("epochs", "every_epochs"),
        )
    }
    times = {f"valid.{name}": value for name, value in asked.items() if value > 0}
    if len(times) > 1:
        raise ConfigError("-vtim, -vstep and -veps: a run is validated by one of them; use one")
    if not times:
        notes.append("validation: only at the end, since none of -vtim, -vstep, -veps is given")
        times = {"valid.every_steps": ENDLESS}
    most = given.get("validation-max-exs", -1)
    if most > 0 and num_tasks > 1:
        notes.append(
            f"-vme {most}: of all tasks together; {max(1, most // num_tasks)} of each, as ParlAI "
            "divides them"
        )
    return {**times, "valid.max_examples": max(1, most // num_tasks) if most > 0 else ENDLESS}


def _optimiser(given: Given, keys: Mapping[str, Any]) -> dict[str, Any]:
    half = keys.get("precision") == "fp16"
    return {
        "optim.amsgrad": keys["optim.name"] == "adam",  # ParlAI's Adam always has it
        "memory_efficient": half and given.get("fp16-impl", False),
    }


def _controls(keys: Mapping[str, Any], notes: list[str], *, controlled: bool) -> dict[str, Any]:
    """Return what steers replies, in training and in a chat with the checkpoint."""
    if not controlled:
        return {"encode.layout": "parlai"}
    root = keys.get("data.root", "data")
    notes.append(
        "gender: replies of the checkpoint get f0m0, as those of the published BiasAgent do; the "
        f"word lists are the original's, from {root}/gender_words (openmmb data fetch gender_words)"
    )
    steered: dict[str, Any] = {
        "encode.layout": "parlai_flat",
        "controls.gender": True,
        "controls.gender_rule": "parlai",
        "controls.gender_words": f"{root}/gender_words",
        "gender": "f0m0",
    }
    if keys.get("controls.category_frac", 0.0) > 0:
        steered["image_style"] = POSITIVE
    return steered


def _pictures(given: Given, keys: Mapping[str, Any], notes: list[str]) -> dict[str, Any]:
    if "data.encoder" in keys or given.get("model") in TEXT_AGENTS:
        return {"data.encoder": keys.get("data.encoder", ENCODER)}
    notes.append(
        "--image-mode: none is given that yields image vectors, so ParlAI would learn nothing from "
        f"pictures; taken are those that the start was prepared for, else {ENCODER}'s"
    )
    return {"data.encoder": ENCODER}


def _image_token(given: Given) -> list[str]:
    if given.get("model") in TEXT_AGENTS or "include-image-token" in given.values:
        return []
    return [
        "--include-image-token: ParlAI's default puts a token into contexts with pictures; here "
        "there is none"
    ]


def _check_pictures(given: Given, tasks: Sequence[str]) -> None:
    pictured = [name for name in tasks if name.startswith(PICTURED)]
    if pictured and given.get("model") in TEXT_AGENTS:
        raise ConfigError(
            f"--model {given.get('model')}: would learn from {', '.join(pictured)} without its "
            f"pictures, as ParlAI's does; use {IMAGE_AGENTS[0]}"
        )


def _blocking(keys: Mapping[str, Any]) -> list[str]:
    """Say where the search that is stored is not the one that ParlAI 1.7.2 would store."""
    if "search.block_full_context" in keys:
        return []
    return [
        "--beam-block-full-context: false, as the published model has it; ParlAI 1.7.2 stores True"
    ]


def _shares(
    given: Given, num_tasks: int, notes: list[str], *, controlled: bool
) -> tuple[float, ...] | None:
    """Return how often each task is drawn; None: in proportion to its size.

    ParlAI gives 1 to tasks that the weights do not reach.
    """
    asked = given.get("multitask-weights", (1.0,))
    if asked is None:
        return None
    if len(asked) > num_tasks:
        notes.append(
            f"--multitask-weights: {len(asked)} weights for {num_tasks} tasks; those that are left "
            "over weigh nothing"
        )
    shares = tuple(asked[:num_tasks]) + (1.0,) * (num_tasks - len(asked))
    if num_tasks == 1:
        return None
    if not controlled:
        notes.append(
            "--multitask-weights: ParlAI draws conversations in these proportions, here examples "
            "are drawn in them"
        )
    return shares


def _nested(flat: Mapping[str, Any]) -> dict[str, Any]:
    nested: dict[str, Any] = {}
    for key, value in flat.items():
        table, _, name = key.rpartition(".")
        (nested.setdefault(table, {}) if table else nested)[name] = value
    return nested
