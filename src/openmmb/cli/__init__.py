"""The commands. Each imports what it needs when it runs, so that help answers at once."""

import io
import os
import sys
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

import tyro
from tyro.extras import SubcommandApp

from openmmb.cli import (
    convert,
    data,
    estimate,
    evaluate,
    features,
    parlai,
    plot,
    safety,
    talk,
    train,
)
from openmmb.cli.flags import complain
from openmmb.errors import OpenMMBError

DESCRIPTION = "Multi-Modal BlenderBot: chat about a picture and about anything else."

COMMANDS = (
    talk.chat,
    talk.reply,
    safety.safety,
    data.data,
    features.features,
    train.train,
    estimate.estimate,
    plot.plot,
    evaluate.evaluate,
    convert.convert,
    parlai.parlai,
)
"""In the order of the help."""


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
        place = "" if error.filename is None else f"{error.filename}: "
        complain(f"openmmb {args[0]}: {place}{error.strerror or error}")
        return 2
    return 0


def _run(args: Sequence[str]) -> None:
    if args[0] == "--version":
        print(f"openmmb {version('openmmb')}")
    elif args[0] == "train" and len(args) > 1 and not args[1].startswith("-"):
        train.train_with(args[1:])
    elif args[0] == "parlai" and len(args) > 1 and args[1] not in ("-h", "--help"):
        parlai.parlai_with(args[1:])
    else:
        app = SubcommandApp()
        for command in COMMANDS:
            app.command(command)
        # Without pairs, a switch has the one flag that changes something.
        config = (tyro.conf.FlagCreatePairsOff,)
        app.cli(prog="openmmb", description=DESCRIPTION, args=args, config=config)
