"""The commands. Each is imported when it runs, and nothing before: help answers at once."""

import atexit
import gc
import importlib
import io
import os
import sys
import textwrap
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from openmmb.errors import ConfigError, OpenMMBError, unknown
from openmmb.text.printable import printable

DESCRIPTION: Final = "Multi-Modal BlenderBot: chat about a picture and about anything else."


class Command(NamedTuple):
    """Where a command is, and what help says of it."""

    module: str
    """Its file here; the function is called as the command is."""
    summary: str
    """What its docstring begins with."""
    reads_line: bool = False
    """Whether its flags depend on the word behind it: from that word on, the function that ends in
    ``_with`` reads the rest of the line itself."""


COMMANDS: Final = {
    "chat": Command("talk", "Chat in the terminal, or line by line from a pipe."),
    "reply": Command("talk", "Print one reply."),
    "serve": Command(
        "serve",
        "Serve a model over HTTP: a page to talk on, and the protocol of OpenAI's clients.",
    ),
    "safety": Command("safety", "Judge a text as the guard of a chat does, and say why."),
    "data": Command(
        "data", "Data sets: what there is, fetching them, looking at them, judging your own."
    ),
    "features": Command("features", "Compute image vectors once, to train on them many times."),
    "train": Command(
        "train", "Run a recipe: a TOML file, or the name of a bundled one.", reads_line=True
    ),
    "estimate": Command(
        "estimate",
        "Compute the memory and the time that an update of a recipe takes on each device.",
    ),
    "plot": Command("plot", "Draw the curves of one or more training runs over each other."),
    "evaluate": Command(
        "evaluate",
        "Measure a model on what a recipe keeps for validation, or on a split of data sets.",
    ),
    "convert": Command(
        "convert", "Turn another program's checkpoint into one of ours, or ours into theirs."
    ),
    "push": Command(
        "hub", "Upload a checkpoint to the Hugging Face hub, and print its address there."
    ),
    "parlai": Command("parlai", "Run a command of ParlAI's, with its own flags.", reads_line=True),
}
"""The commands, in the order in which help lists them."""
_HELP: Final = ("-h", "--help")
_COLLECT_AFTER: Final = 100_000
"""Objects, made and not freed, after which the garbage collector looks at the newest. What is
imported is never garbage: at Python's 700, a fifth of a second goes into looking at PyTorch."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command.

    A user's mistake, and what the machine refuses, is one line on standard error and exit code 2.
    """
    args = list(sys.argv[1:] if argv is None else argv) or ["--help"]
    gc.set_threshold(_COLLECT_AFTER, 50, 100)
    atexit.unregister(gc.freeze)
    atexit.register(gc.freeze)  # the end of the process frees what is left
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
        _complain(f"openmmb {args[0]}: {_on_its_line(str(error), args)}")
        return 2
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:  # whoever read our output has left
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except OSError as error:
        where = "" if error.filename is None else f"{error.filename}: "
        _complain(f"openmmb {args[0]}: {where}{error.strerror or error}")
        return 2
    return 0


def _run(args: Sequence[str]) -> None:
    name, *rest = args
    if name == "--version":
        from importlib.metadata import version

        print(f"openmmb {version('openmmb')}")
    elif name in _HELP:
        print(_help())
    elif name not in COMMANDS:
        raise ConfigError(unknown("command", name, COMMANDS))
    else:
        _run_command(name, rest)


def _run_command(name: str, args: Sequence[str]) -> None:
    command = COMMANDS[name]
    module = importlib.import_module(f"openmmb.cli.{command.module}")
    if command.reads_line and args and args[0] not in _HELP:
        getattr(module, f"{name}_with")(args)
        return
    import tyro

    if name == "serve":
        args = module.from_environment(args, os.environ)
    run: Callable[..., None] = getattr(module, name)
    # Without pairs, a switch has the one flag that changes something.
    config = (tyro.conf.FlagCreatePairsOff,)
    tyro.cli(run, prog=f"openmmb {name}", args=args, config=config)


def _help() -> str:
    width = max(map(len, COMMANDS))
    listed = []
    for name, command in COMMANDS.items():
        first, *rest = textwrap.wrap(command.summary, 76 - width)
        listed.append(f"  {name:{width}}  {first}")
        listed += [" " * (width + 4) + line for line in rest]
    commands = "\n".join(listed)
    return f"""usage: openmmb [-h] [--version] COMMAND ...

{DESCRIPTION}

{commands}

openmmb COMMAND --help says what a command does and which flags it has."""


def _on_its_line(message: str, args: Sequence[str]) -> str:
    """Return a message in which names with line breaks do not break its line."""
    for arg in args:
        if "\n" in arg:
            message = message.replace(arg, arg.replace("\n", "\\n"))
    return message


def _complain(text: str) -> None:
    print(printable(text), file=sys.stderr)
