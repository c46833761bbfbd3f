"""The commands. Each imports what it needs when it runs, so that help answers at once."""

import io
import json as json_format
import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import tyro
from tyro.conf import Positional, UseAppendAction, arg
from tyro.extras import SubcommandApp

from openmmb.chat.printable import printable
from openmmb.errors import ConfigError, OpenMMBError

if TYPE_CHECKING:
    from openmmb.chat.bot import Bot, Reply
    from openmmb.chat.conversation import Conversation
    from openmmb.eval.evaluate import TaskReport

BUNDLED = Path("tiny")
RECIPES = Path(__file__).parent / "recipes"
DESCRIPTION = "Multi-Modal BlenderBot: chat about a picture and about anything else."

CheckpointArg = Annotated[Positional[Path], arg(metavar="[CHECKPOINT]", help_behavior_hint="")]
PathOrNone = Annotated[Path | None, arg(metavar="PATH", help_behavior_hint="")]
Words = Annotated[str | None, arg(metavar="WORDS", help_behavior_hint="")]
# Once a line: a flag that takes several words would take the checkpoint behind them too.
Lines = Annotated[tuple[str, ...], UseAppendAction, arg(metavar="LINE", help_behavior_hint="")]
Switch = Annotated[bool, arg(help_behavior_hint="")]
Gender = Literal["checkpoint", "f0m0", "f0m1", "f1m0", "f1m1", "none"]
Device = Literal["auto", "cpu", "cuda"]

app = SubcommandApp()


@app.command
def chat(
    checkpoint: CheckpointArg = BUNDLED,
    *,
    image: PathOrNone = None,
    style: Words = None,
    persona: Lines = (),
    gender: Gender = "checkpoint",
    no_guard: Switch = False,
    device: Device = "auto",
) -> None:
    """Chat in the terminal, or line by line from a pipe.

    Args:
        checkpoint: Folder of a model; by default the bundled one, tiny.
        image: Picture to talk about; the bot speaks first.
        style: How the bot talks: positive/neutral, negative, a trait such as Curious, or none.
        persona: A line about who the bot is; once for each line.
        gender: Control of every reply: f0m0 asks for no gendered words.
        no_guard: Let both sides say everything.
        device: Where the model runs.
    """
    with suppress(KeyboardInterrupt):  # leaving is no mistake
        bot = _load(checkpoint, gender=gender, guard=not no_guard, device=device)
        conversation = _begin(bot, style, persona)
        if image is not None:
            conversation = bot.look(image, conversation)
        # Imported after the model was loaded, which shows that it takes a moment.
        from openmmb.chat.terminal import chat_with

        chat_with(bot, conversation)


@app.command
def reply(
    text: Annotated[Positional[str], arg(metavar="TEXT")],
    checkpoint: CheckpointArg = BUNDLED,
    *,
    image: PathOrNone = None,
    style: Words = None,
    persona: Lines = (),
    gender: Gender = "checkpoint",
    no_guard: Switch = False,
    seed: int = 0,
    json: Switch = False,
    device: Device = "auto",
) -> None:
    """Print one reply.

    Args:
        text: What is said to the bot; empty to let it speak first.
        checkpoint: Folder of a model; by default the bundled one, tiny.
        image: Picture that the text is about.
        style: How the bot talks: positive/neutral, negative, a trait such as Curious, or none.
        persona: A line about who the bot is; once for each line.
        gender: Control of the reply: f0m0 asks for no gendered words.
        no_guard: Let both sides say everything.
        seed: Decides the draws of a search that draws.
        json: Print an object with the reply, its time and length, and the guard's verdicts.
        device: Where the model runs.
    """
    bot = _load(checkpoint, gender=gender, guard=not no_guard, device=device)
    conversation = _begin(bot, style, persona)
    answer = bot.reply(text, image=image, conversation=conversation, seed=seed)
    print(_as_json(answer) if json else printable(answer.text))


@app.command
def features(
    encoder: Annotated[Positional[str], arg(metavar="ENCODER")],
    *,
    images: tuple[Path, ...],
    out: Path,
    batch_size: int = 16,
    flip: Switch = False,
    device: Literal["cpu", "cuda"] = "cpu",
) -> None:
    """Compute image vectors once, to train on them many times.

    Started again after it was stopped, it goes on where it was.

    Args:
        encoder: Name of a picture encoder, such as efficientnet_lite0.
        images: Folders, .txt lists or .tar archives of pictures; a file's name is its image id.
        out: Folder for the vectors.
        batch_size: Pictures encoded together.
        flip: Mirror the pictures, for a second folder that training draws from as well.
        device: Where the encoder runs.
    """
    from openmmb.progress import counting
    from openmmb.vision.encoders import open_encoder
    from openmmb.vision.features import extract

    _require_one("--batch-size", batch_size)
    opened = open_encoder(encoder, device=device)
    with counting("pictures") as progress:
        report = extract(opened, images, out, batch_size=batch_size, flip=flip, progress=progress)
    for line in report.unreadable:
        _complain(f"unreadable: {line}")
    print(
        f"{printable(str(out))}: {report.written} written, {report.present} there before, "
        f"{len(report.unreadable)} unreadable, {report.others} other files left out"
    )


@app.command
def evaluate(
    checkpoint: Annotated[Positional[Path], arg(metavar="CHECKPOINT")],
    recipe: Annotated[Positional[str], arg(metavar="RECIPE")],
    *,
    root: PathOrNone = None,
    features: PathOrNone = None,
    max_examples: int = 1000,
    json: Switch = False,
) -> None:
    """Measure a model on the validation examples of a recipe.

    The recipe says which data and controls; how words and pictures are read is the model's own.
    Prints perplexity for every data set, and BLEU-4 of captions where there are captions: written
    freely, and with the gender control that the model chats with.

    Args:
        checkpoint: Folder of a model, or tiny for the bundled one.
        recipe: A TOML file, or the name of a bundled recipe.
        root: Folder of the data sets, in place of the recipe's data.root.
        features: Folder of image vectors, in place of the recipe's data.features.
        max_examples: Most examples of each data set.
        json: Print one object a line.
    """
    from dataclasses import asdict, replace

    from openmmb import config
    from openmmb.checkpoint import find_checkpoint, load_checkpoint
    from openmmb.eval.evaluate import evaluate as measure
    from openmmb.progress import counting
    from openmmb.train.config import Recipe
    from openmmb.train.examples import some
    from openmmb.train.prepare import prepare

    _require_one("--max-examples", max_examples)
    settings = config.load(Recipe, _find_recipe(recipe))
    loaded = load_checkpoint(find_checkpoint(checkpoint))
    data = replace(
        settings.data,
        encoder=loaded.config.encoder,
        root=settings.data.root if root is None else str(root),
        features=settings.data.features if features is None else str(features),
        mirrored_features=None,
    )
    own = loaded.config
    prepared = prepare(
        replace(settings, start=str(checkpoint), data=data, model=own.model, encode=own.encode)
    )
    tasks = {t.config.name: some(t.valid, max_examples) for t in prepared.tasks if t.valid}
    with counting("captions") as progress:
        for report in measure(loaded, tasks, prepared.valid_encoder, progress=progress):
            print(json_format.dumps(asdict(report)) if json else _as_row(report))


@app.command
def train(recipe: Annotated[Positional[str], arg(metavar="RECIPE")]) -> None:
    """Run a recipe: a TOML file, or the name of a bundled one.

    Any key can be set after it: --optim.lr 1e-4. RECIPE --help lists them.

    Started again after it was stopped, a run goes on where it was.

    Args:
        recipe: The file, or the name without .toml.
    """
    _train([recipe])


@app.command
def convert(
    kind: Annotated[Positional[Literal["parlai", "huggingface"]], arg(metavar="KIND")],
    source: Annotated[Positional[Path], arg(metavar="DIR")],
    out: Annotated[Positional[Path], arg(metavar="OUT")],
    *,
    to: Literal["openmmb", "huggingface"] = "openmmb",
    precision: Literal["stored", "fp32", "fp16", "bf16"] = "stored",
    encoder: str = "faster_r_cnn_152_32x8d",
) -> None:
    """Turn another program's checkpoint into one of ours, or ours into theirs.

    No pickle that would run code is opened. What begins untrained is said at the end.

    Args:
        kind: parlai or huggingface: whose checkpoint it is, or is to be.
        source: Its folder.
        out: Folder of the new checkpoint; one that is there is replaced.
        to: With huggingface: write a text-only model of ours as a Hugging Face Blenderbot.
        precision: Of the weights, as they are stored by default.
        encoder: Picture encoder that a model of text alone is prepared for.
    """
    from openmmb.checkpoint import find_checkpoint
    from openmmb.convert import huggingface, parlai

    stored = None if precision == "stored" else precision
    if to == "huggingface":
        if kind == "parlai":
            raise ConfigError("--to huggingface: of a checkpoint of ours; convert parlai first")
        huggingface.export(find_checkpoint(source), out, precision=stored)
    else:
        room = parlai if kind == "parlai" else huggingface
        for note in room.convert(source, out, precision=stored, encoder=encoder).notes:
            _complain(note)
    print(printable(str(out)))


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command.

    A user's mistake, and what the machine refuses, is one line on standard error and exit code 2.
    """
    args = list(sys.argv[1:] if argv is None else argv) or ["--help"]
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:  # the caller has closed it
            setattr(sys, name, Path(os.devnull).open("w"))  # noqa: SIM115 it stays open
    for stream in (sys.stdin, sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a character is no reason to fail
    try:
        try:
            _run(args)
        finally:
            sys.stdout.flush()
    except OpenMMBError as error:
        _complain(f"openmmb {args[0]}: {error}")
        return 2
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:  # whoever read our output has left
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except OSError as error:
        place = "" if error.filename is None else f"{error.filename}: "
        _complain(f"openmmb {args[0]}: {place}{error.strerror or error}")
        return 2
    return 0


def _run(args: Sequence[str]) -> None:
    if args[0] == "train" and len(args) > 1 and not args[1].startswith("-"):
        _train(args[1:])
    else:
        # Without pairs, a switch has the one flag that changes something.
        config = (tyro.conf.FlagCreatePairsOff,)
        app.cli(prog="openmmb", description=DESCRIPTION, args=args, config=config)


def _train(args: Sequence[str]) -> None:
    from openmmb import config
    from openmmb.train.config import Recipe

    path = _find_recipe(args[0])
    recipe = tyro.cli(
        Recipe,
        default=config.load(Recipe, path),
        args=args[1:],
        prog=f"openmmb train {args[0]}",
    )

    from openmmb.progress import watching
    from openmmb.train.trainer import train as run

    with watching() as watch:
        checkpoint = run(recipe, watch=watch)
    if checkpoint.exists():
        print(checkpoint)
    else:
        _complain("stopped before there was a checkpoint; the same command goes on")


def _find_recipe(name: str) -> Path:
    path = Path(name)
    bundled = RECIPES / f"{name}.toml"
    if path.suffix == ".toml" or path.is_file():
        return path
    if bundled.exists():
        return bundled
    names = ", ".join(sorted(recipe.stem for recipe in RECIPES.glob("*.toml")))
    raise ConfigError(f"{name}: no such recipe; give a .toml file or one of {names}")


def _require_one(flag: str, value: int) -> None:
    if value < 1:
        raise ConfigError(f"{flag}: must be at least 1, got {value}")


def _load(checkpoint: Path, *, gender: Gender, guard: bool, device: Device) -> "Bot":
    from openmmb.progress import waiting

    with waiting("loading"):
        from openmmb.chat.bot import load
        from openmmb.safety.guard import GuardConfig, open_guard

        return load(
            checkpoint,
            gender=None if gender == "none" else gender,
            guard=open_guard(GuardConfig(enabled=guard)),
            device=device,
        )


def _begin(bot: "Bot", style: str | None, persona: Sequence[str]) -> "Conversation":
    from openmmb.chat.conversation import Conversation

    return Conversation(
        style=bot.admit(style or "") or None,
        persona=tuple(filter(None, map(bot.admit, persona))),
    )


def _complain(text: str) -> None:
    print(printable(text), file=sys.stderr)


def _as_row(report: "TaskReport") -> str:
    numbers = f"{report.task:22} {report.examples:6} examples  perplexity {report.perplexity:8.2f}"
    if report.bleu4 is not None:
        numbers += f"  BLEU-4 {100 * report.bleu4:5.2f}"
    if report.bleu4_controlled is not None:
        numbers += f"  with control {100 * report.bleu4_controlled:5.2f}"
    return numbers


def _as_json(reply: "Reply") -> str:
    from dataclasses import asdict

    verdicts = {"user": reply.heard, "reply": reply.said}
    return json_format.dumps(
        {
            "text": reply.text,
            "seconds": round(reply.seconds, 3),
            "tokens": reply.tokens,
            "seed": reply.seed,
            "refused": reply.refused,
            "guard": {side: v and asdict(v) for side, v in verdicts.items()},
        },
        ensure_ascii=False,
    )
