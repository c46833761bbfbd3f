"""Commands of ParlAI's, understood: ``openmmb parlai``."""

import random
import shlex
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, replace
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Annotated

from tyro.conf import Positional, arg

from openmmb.cli.flags import PathOrNone, Switch, complain
from openmmb.cli.train import run
from openmmb.errors import ConfigError, DataError
from openmmb.text.printable import printable

if TYPE_CHECKING:
    from openmmb.chat.bot import Bot
    from openmmb.parlai.arguments import Given
    from openmmb.parlai.chat import ChatCommand
    from openmmb.parlai.train import TrainCommand
    from openmmb.search.config import SearchConfig
    from openmmb.training.replies.config import Recipe

TRAIN = ("tm", "train", "train_model")
CHAT = ("interactive", "i")
SAFE_CHAT = ("safe_interactive", "safe_local_human")


def parlai(
    command: Annotated[
        Positional[tuple[str, ...]], arg(metavar="COMMAND [FLAG VALUE ...]", help_behavior_hint="")
    ],
    *,
    features: PathOrNone = None,
    dry_run: Switch = False,
) -> None:
    """Do what a command of ParlAI's says, with its own flags.

    tm trains a recipe that says the same; interactive and safe_interactive chat. What a flag means
    otherwise here, or no longer means, is said. COMMAND --help lists the flags that are known.

    Args:
        command: tm, interactive or safe_interactive, and ParlAI's flags.
        features: Folder of image vectors, which ParlAI computes itself.
        dry_run: Print the recipe, or the chat's settings, and do nothing.
    """
    own = [] if features is None else ["--features", str(features)]
    parlai_with([*command, *own, *(["--dry-run"] if dry_run else [])])


def parlai_with(args: Sequence[str]) -> None:
    """Do what ParlAI's command line ``args`` says.

    ``parlai``, or ``python`` and the path of a script, may stand before it.

    Raises:
        ConfigError: The command or a flag is not known, or asks for what there is not.
    """
    from openmmb.parlai.arguments import describe_flags, read_flags

    words = list(args)
    while words and PurePosixPath(words[0]).name in ("parlai", "python", "python3"):
        del words[0]
    if {"-h", "--help"} & set(words):
        print("\n".join(describe_flags()))
        return
    name = _script(words)
    dry_run = any(word in ("--dry-run", "--dry_run") for word in words)
    given = read_flags([word for word in words[1:] if word not in ("--dry-run", "--dry_run")])
    if name in TRAIN:
        _train(given, dry_run=dry_run)
    else:
        _chat(given, safe=name in SAFE_CHAT, dry_run=dry_run)


def _script(words: Sequence[str]) -> str:
    known = (*TRAIN, *CHAT, *SAFE_CHAT)
    name = PurePosixPath(words[0]).name.removesuffix(".py") if words else ""
    if name not in known:
        raise ConfigError(f"{name or 'no command'}: not understood; there are: {', '.join(known)}")
    return name


def _train(given: "Given", *, dry_run: bool) -> None:
    from openmmb.config import dump, parse
    from openmmb.parlai.starts import fit_to_start, read_start
    from openmmb.parlai.train import read_train
    from openmmb.parlai.zoo import come_by
    from openmmb.training.replies.config import Recipe
    from openmmb.training.replies.objective import train

    command = read_train(given)
    start = read_start(command.recipe["start"])
    if start is not None:
        command = fit_to_start(command, start)
    else:
        missing = come_by(command.named, command.recipe["start"])
        if not dry_run:
            raise ConfigError(missing)
        command = replace(command, notes=(*command.notes, f"start: {missing}"))
    recipe = _weigh(parse(Recipe, command.recipe, source="this command"), command)
    if dry_run:
        print(
            "".join(f"# {line}\n" for line in _lines(command.notes)) + "\n" + dump(recipe), end=""
        )
        return
    for line in _lines(command.notes):
        complain(line)
    run(train, recipe)


def _weigh(recipe: "Recipe", command: "TrainCommand") -> "Recipe":
    """Fit what ParlAI says in shares and epochs to the sizes of the data sets, which are read."""
    from openmmb.tasks.mixture import read_train as read_examples

    if command.epochs is None and command.shares is None:
        return recipe
    root = Path(recipe.data.root)
    sizes = [len(read_examples(task, root)) for task in recipe.tasks]
    if command.shares is not None:
        drawn = [sum(sizes) * share / sum(command.shares) for share in command.shares]
        tasks = tuple(
            replace(task, weight=count / size)
            for task, count, size in zip(recipe.tasks, drawn, sizes, strict=True)
        )
        recipe = replace(recipe, tasks=tasks)
    if command.epochs is not None:
        of_update = recipe.data.batch_size * recipe.data.accumulate
        steps = max(1, round(command.epochs * sum(sizes) / of_update))
        schedule = replace(recipe.schedule, max_steps=min(steps, recipe.schedule.max_steps))
        recipe = replace(recipe, schedule=schedule)
    return recipe


def _chat(given: "Given", *, safe: bool, dry_run: bool) -> None:
    from openmmb.config import parse
    from openmmb.parlai.chat import read_chat
    from openmmb.parlai.starts import check_shape, read_start
    from openmmb.parlai.zoo import come_by
    from openmmb.search.config import SearchConfig

    command = read_chat(given, safe=safe)
    start = read_start(command.checkpoint)
    own = SearchConfig() if start is None else start.search
    if start is not None:
        check_shape(command.shape, start, command.checkpoint)
    search = parse(SearchConfig, asdict(own) | command.search, source="search")
    if dry_run:
        _show(command, search)
        return
    if start is None:
        raise ConfigError(come_by(command.named, command.checkpoint))
    for line in _lines(command.notes):
        complain(line)
    _talk(command, search)


def _show(command: "ChatCommand", search: "SearchConfig") -> None:
    """Print the command of this project's that says the same."""
    from openmmb.config import dump

    words = ["openmmb", "chat", command.checkpoint, "--gender", command.gender]
    lines = [*_lines(command.notes)]
    if command.persona_root is not None:
        lines.append(
            f"persona: drawn from {command.persona_root}/blended_skill_talk; --persona LINE"
        )
    if command.search:
        lines += [
            "search, as [search] of the checkpoint's config.toml:",
            *dump(search).splitlines(),
        ]
    print("\n".join(f"# {line}" for line in lines))
    print(printable(shlex.join(words if command.guard else [*words, "--no-guard"])))


def _talk(command: "ChatCommand", search: "SearchConfig") -> None:
    from openmmb.chat.conversation import Conversation
    from openmmb.cli.progress import waiting

    with waiting("loading"):
        from openmmb.chat.bot import load
        from openmmb.safety.guard import GuardConfig, open_guard

        bot = load(
            command.checkpoint,
            search=search,
            gender=None if command.gender == "none" else command.gender,
            guard=open_guard(GuardConfig(enabled=command.guard)),
        )
    persona: tuple[str, ...] = ()
    if command.persona_root is not None:
        persona = _draw_persona(Path(command.persona_root), bot)
    # Imported after the model was loaded, which shows that it takes a moment.
    from openmmb.chat.terminal import chat_with

    chat_with(bot, Conversation(persona=persona))


def _draw_persona(root: Path, bot: "Bot") -> tuple[str, ...]:
    """Draw who the bot is, as ParlAI's world does, among what the guard lets pass."""
    from openmmb.tasks import open_task

    try:
        examples = open_task("blended_skill_talk", root).examples("train")
        personas = list(dict.fromkeys(example.persona for example in examples if example.persona))
    except DataError as error:
        complain(f"persona: none is drawn: {error}; --datapath names the folder of the data sets")
        return ()
    random.shuffle(personas)
    for persona in personas:
        with suppress(ConfigError):
            lines = tuple(bot.admit(line) for line in persona)
            complain("persona: " + " ".join(lines))
            return lines
    complain("persona: none is drawn: the guard refuses them all")
    return ()


def _lines(notes: Sequence[str]) -> list[str]:
    return [printable(note).replace("\n", " ") for note in notes]
