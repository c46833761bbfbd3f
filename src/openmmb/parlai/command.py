"""A whole command of ParlAI's: what is asked for, shown as this project's settings or done."""

import shlex
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass, replace
from pathlib import Path, PurePosixPath

from openmmb.config import dump, parse
from openmmb.errors import ConfigError, shorten
from openmmb.parlai.arguments import Given, describe_flags, read_flags
from openmmb.parlai.chat_flags import ChatCommand, read_chat
from openmmb.parlai.epochs import fit_to_data
from openmmb.parlai.fit import check_shape, check_tokenizer, fit_to_start, read_start
from openmmb.parlai.personas import draw_persona
from openmmb.parlai.train_flags import read_train
from openmmb.parlai.zoo import explain_missing
from openmmb.search.config import SearchConfig
from openmmb.text.printable import printable
from openmmb.training.replies.config import Recipe

NO_CLASSIFIER = "none"
"""What ``--classifier`` says for lists of phrases alone."""
TRAIN = ("tm", "train", "train_model")
CHAT = ("interactive", "i")
SAFE_CHAT = ("safe_interactive", "safe_local_human")
DRY_RUN = ("--dry-run", "--dry_run")
"""The one flag that ParlAI does not have: print the settings and do nothing."""


@dataclass(frozen=True)
class Console:
    """How a command speaks to whoever gave it, and runs what takes long.

    Attributes:
        show: Prints what was asked for.
        note: Says one line on what is other than in ParlAI.
        waiting: Is entered while something takes a moment.
        train: Runs a recipe.
    """

    show: Callable[[str], None]
    note: Callable[[str], None]
    waiting: Callable[[str], AbstractContextManager[None]]
    train: Callable[[Recipe], None]


def run_command(args: Sequence[str], console: Console) -> None:
    """Do what ParlAI's command line ``args`` says.

    ``parlai``, or ``python`` and the path of a script, may stand before it.

    Raises:
        ConfigError: The command or a flag is unknown, or asks for what does not exist here.
    """
    words = list(args)
    while words and PurePosixPath(words[0]).name in ("parlai", "python", "python3"):
        del words[0]
    if {"-h", "--help"} & set(words):
        console.show("\n".join(describe_flags()))
        return
    name = _script(words)
    dry_run = any(word in DRY_RUN for word in words)
    given = read_flags([word for word in words[1:] if word not in DRY_RUN])
    if name in TRAIN:
        _train(given, console, dry_run=dry_run)
    else:
        command = read_chat(given, safe=name in SAFE_CHAT)
        check_tokenizer(given, command.checkpoint)
        _chat(command, console, dry_run=dry_run)


def _script(words: Sequence[str]) -> str:
    known = (*TRAIN, *CHAT, *SAFE_CHAT)
    name = PurePosixPath(words[0]).name.removesuffix(".py") if words else ""
    if name not in known:
        shown = repr(shorten(name)) if name else "no command"
        raise ConfigError(f"{shown}: expected one of {', '.join(known)}")
    return name


def _train(given: Given, console: Console, *, dry_run: bool) -> None:
    command = read_train(given)
    start = read_start(command.recipe["start"])
    if start is not None:
        check_tokenizer(given, command.recipe["start"])
        command = fit_to_start(command, start)
    else:
        missing = explain_missing(command.named, command.recipe["start"])
        if not dry_run:
            raise ConfigError(missing)
        command = replace(command, notes=(*command.notes, f"start: {missing}"))
    recipe = fit_to_data(parse(Recipe, command.recipe, source="this command"), command)
    notes = _lines(command.notes)
    if dry_run:
        console.show("\n".join([*(f"# {line}" for line in notes), "", dump(recipe).rstrip("\n")]))
        return
    for line in notes:
        console.note(line)
    console.train(recipe)


def _chat(command: ChatCommand, console: Console, *, dry_run: bool) -> None:
    start = read_start(command.checkpoint)
    own = SearchConfig() if start is None else start.search
    if start is not None:
        check_shape(command.shape, start, command.checkpoint)
    search = parse(SearchConfig, asdict(own) | command.search, source="search")
    if dry_run:
        console.show(_describe_chat(command, search))
        return
    if start is None:
        raise ConfigError(explain_missing(command.named, command.checkpoint))
    for line in _lines(command.notes):
        console.note(line)
    _talk(command, search, console)


def _describe_chat(command: ChatCommand, search: SearchConfig) -> str:
    """Return the command of this project's that says the same."""
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
    words += [] if command.guard else ["--no-guard"]
    words += [] if command.classifier else ["--classifier", NO_CLASSIFIER]
    chat = printable(shlex.join(words))
    return "\n".join([*(f"# {line}" for line in lines), chat])


def _talk(command: ChatCommand, search: SearchConfig, console: Console) -> None:
    with console.waiting("loading"):
        from openmmb.chat.bot import load
        from openmmb.chat.conversation import Conversation
        from openmmb.safety.guard import GuardConfig, open_guard

        judged = GuardConfig(enabled=command.guard)
        if not command.classifier:
            judged = replace(judged, classifier=NO_CLASSIFIER)
        bot = load(
            command.checkpoint,
            search=search,
            gender=None if command.gender == "checkpoint" else command.gender,
            guard=open_guard(judged),
        )
    persona: tuple[str, ...] = ()
    if command.persona_root is not None:
        persona, note = draw_persona(Path(command.persona_root), bot)
        console.note(note)
    # Imported after the model was loaded, which shows that it takes a moment.
    from openmmb.chat.terminal import chat_with

    if not chat_with(bot, Conversation(persona=persona)):
        raise SystemExit(1)


def _lines(notes: Sequence[str]) -> list[str]:
    return [printable(note).replace("\n", " ") for note in notes]
