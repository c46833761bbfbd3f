"""Talking to a model over HTTP: ``openmmb serve``."""

import inspect
import json
import os
import signal
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import fields, is_dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from tyro.conf import OmitArgPrefixes

from openmmb.cli.flags import DEFAULT_CHECKPOINT, CheckpointArg, PathOrNone, Switch, Words
from openmmb.cli.safety import DEFAULT_GUARD, GuardArg, GuardFlags
from openmmb.cli.talk import DEFAULT_BOT, BotArg, BotFlags
from openmmb.errors import ConfigError
from openmmb.files import read_text
from openmmb.serve.config import ServeConfig

if TYPE_CHECKING:
    from openmmb.serve.service import Hosted

LimitsArg = Annotated[ServeConfig, OmitArgPrefixes]
DEFAULT_LIMITS = ServeConfig()
CHECKPOINT = "OPENMMB_CHECKPOINT"
"""Variable that names a checkpoint where the command line does not."""


def serve(
    checkpoint: CheckpointArg = DEFAULT_CHECKPOINT,
    *,
    host: str = "127.0.0.1",
    port: int = 8000,
    alias: Words = None,
    api_key_file: PathOrNone = None,
    ray: Switch = False,
    replicas: int = 1,
    max_replicas: int = 4,
    openapi: Switch = False,
    limits: LimitsArg = DEFAULT_LIMITS,
    bot: BotArg = DEFAULT_BOT,
    guard: GuardArg = DEFAULT_GUARD,
) -> None:
    """Serve a model over HTTP: a page to talk on, and the protocol of OpenAI's clients.

    Each flag can be an environment variable too: OPENMMB_PORT=80 is --port 80.

    Args:
        checkpoint: Folder of a model, or its ORG/NAME on the hub; by default the bundled small.
        host: Address to listen at; 0.0.0.0 for all of this machine's.
        port: Port to listen at; 0 for any that is free.
        alias: What clients call the model; by default what CHECKPOINT calls it.
        api_key_file: File of keys, one on each line, beside those of --api-key.
        ray: Serve from several copies with Ray Serve, on this machine or on its cluster.
        replicas: With --ray, least number of copies.
        max_replicas: With --ray, largest number of copies; there are more when requests wait.
        openapi: Print the description of the protocol as JSON, and serve nothing.
        limits: What is allowed.
        bot: Who the bot is and how it talks, where a request does not say.
        guard: What both sides may not say.
    """
    try:
        from openmmb.serve.server import serve as run
        from openmmb.serve.service import is_loading
    except ModuleNotFoundError as error:
        raise ConfigError(f"needs {error.name}; use pip install 'openmmb[serve]'") from None
    if openapi:
        print(_describe())
        return
    if api_key_file is not None:
        limits = replace(limits, api_key=(*limits.api_key, *_read_keys(api_key_file)))
    if checkpoint == DEFAULT_CHECKPOINT:
        checkpoint = Path(os.environ.get(CHECKPOINT) or checkpoint)

    def load() -> "Hosted":
        return _load(checkpoint, alias, bot, guard)

    if ray:
        from openmmb.serve.cluster import serve_on_ray

        signal.signal(signal.SIGTERM, signal.default_int_handler)
        with suppress(KeyboardInterrupt):
            serve_on_ray(
                load,
                limits,
                host=host,
                port=port,
                replicas=replicas,
                max_replicas=max(replicas, max_replicas),
                on_start=_greet,
            )
        return
    # The server's own handlers finish what is at hand, and then call this one.
    signal.signal(signal.SIGTERM, lambda *_: None)
    with suppress(KeyboardInterrupt):  # leaving is no mistake
        run(load, limits, host=host, port=port, on_start=_greet)
    if is_loading():
        sys.stdout.flush()
        os._exit(0)  # nobody waits for it


def from_environment(args: Sequence[str], variables: Mapping[str, str]) -> list[str]:
    """Put flags from environment variables before those of the command line, which win.

    A flag that can be given several times has one value on each line of its variable.
    """
    flags = []
    for name, default in _flags():
        value = variables.get(f"OPENMMB_{name.upper()}", "")
        flag = f"--{name.replace('_', '-')}"
        if not value or any(one == flag or one.startswith(f"{flag}=") for one in args):
            continue
        if isinstance(default, tuple):
            flags += [f"{flag}={line}" for line in value.splitlines()]
        elif default is False:
            flags += [flag] if value.lower() in ("1", "true", "yes") else []
        else:
            flags.append(f"{flag}={value}")
    return [*flags, *args]


def _flags() -> Iterator[tuple[str, Any]]:
    """Yield each flag of the command and its default."""
    for parameter in inspect.signature(serve).parameters.values():
        if parameter.name == "checkpoint":
            continue
        if is_dataclass(parameter.default):
            for field in fields(parameter.default):
                yield field.name, getattr(parameter.default, field.name)
        else:
            yield parameter.name, parameter.default


def _load(checkpoint: Path, alias: str | None, bot: BotFlags, guard: GuardFlags) -> "Hosted":
    from openmmb.checkpoint import find_checkpoint
    from openmmb.serve.service import Hosted

    loaded = bot.load(checkpoint, guard, pictures="installed")
    card = find_checkpoint(checkpoint) / "README.md"
    by_name = not checkpoint.exists()  # a bundled one, or one of the hub
    return Hosted(
        loaded,
        name=alias or (str(checkpoint) if by_name else None),
        frame=bot.begin(loaded),
        card=read_text(card) if card.is_file() else "",
    )


def _read_keys(path: Path) -> list[str]:
    keys = [line.strip() for line in read_text(path).splitlines()]
    keys = [key for key in keys if key and not key.startswith("#")]
    if not keys:
        raise ConfigError(f"{path}: expected a key on each line, got none")
    return keys


def _greet(url: str) -> None:
    print(f"{url} is the page, {url}/v1 what clients call. Ctrl-C ends the server.", flush=True)


def _describe() -> str:
    """Return the OpenAPI document; no model is loaded for it."""
    from openmmb.serve.app import create_app

    def nobody() -> "Hosted":
        raise AssertionError("nothing is served")

    return json.dumps(create_app(nobody).openapi())
