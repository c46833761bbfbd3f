"""The commands. Each imports what it needs when it runs, so that help answers at once."""

import io
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import tyro
from tyro.extras import SubcommandApp

from openmmb.cli import (
    convert,
    data,
    estimate,
    evaluate,
    features,
    hub,
    parlai,
    plot,
    safety,
    serve,
    talk,
    train,
)
from openmmb.cli.flags import complain
from openmmb.errors import OpenMMBError

DESCRIPTION = "Multi-Modal BlenderBot: chat about a picture and about anything else."

COMMANDS: dict[str, Callable[..., None]] = {
    "chat": talk.chat,
    "reply": talk.reply,
    "serve": serve.serve,
    "safety": safety.safety,
    "data": data.data,
    "features": features.features,
    "train": train.train,
    "estimate": estimate.estimate,
    "plot": plot.plot,
    "evaluate": evaluate.evaluate,
    "convert": convert.convert,
    "push": hub.push,
    "parlai": parlai.parlai,
}
"""The commands, in the order in which help lists them."""
OPEN_ENDED: dict[str, Callable[[Sequence[str]], None]] = {
    "train": train.train_with,
    "parlai": parlai.parlai_with,
}
"""Commands whose flags depend on the word behind them: they read the rest of the line themselves,
from that word on."""


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
        complain(f"openmmb {args[0]}: {error}")
        return 2
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:  # whoever read our output has left
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except OSError as error:
        where = "" if error.filename is None else f"{error.filename}: "
        complain(f"openmmb {args[0]}: {where}{error.strerror or error}")
        return 2
    return 0


def _run(args: Sequence[str]) -> None:
    name, *rest = args
    if name == "--version":
        from importlib.metadata import version

        print(f"openmmb {version('openmmb')}")
    elif name in OPEN_ENDED and rest and rest[0] not in ("-h", "--help"):
        OPEN_ENDED[name](rest)
    else:
        if name == "serve":
            args = [name, *serve.from_environment(rest, os.environ)]
        app = SubcommandApp()
        for command in COMMANDS.values():
            app.command(command)
        # Without pairs, a switch has the one flag that changes something.
        config = (tyro.conf.FlagCreatePairsOff,)
        app.cli(prog="openmmb", description=DESCRIPTION, args=args, config=config)
