"""ParlAI's command lines: which flags there are, and what they say.

A flag is known by its long name without dashes, ``batchsize``; ``-bs``, ``--batchsize``,
``--validation_patience`` and ``-lr=1e-6`` are all understood, as ParlAI understands them. Where a
flag is given twice, the last one counts.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from openmmb.errors import ConfigError, shorten, unknown
from openmmb.parlai.flag_table import FLAGS, SHORT, Flag


@dataclass(frozen=True)
class Given:
    """The flags of one command.

    Attributes:
        values: What each says, by long name.
        spelled: How it was written, for messages.
    """

    values: Mapping[str, Any]
    spelled: Mapping[str, str] = field(repr=False)

    def get(self, name: str, default: Any = None) -> Any:
        """Return what a flag says, or what its absence means."""
        return self.values.get(name, default)

    def need(self, name: str, why: str) -> Any:
        """Return what a flag says.

        Raises:
            ConfigError: It is missing.
        """
        if self.values.get(name) is None:
            raise ConfigError(f"--{name}: missing; {why}")
        return self.values[name]

    def settings(self) -> dict[str, Any]:
        """Return the settings that single flags decide, by their dotted keys."""
        return {FLAGS[name].key: value for name, value in self.values.items() if FLAGS[name].key}

    def notes(self) -> list[str]:
        """Say of each flag that means nothing here why that is so."""
        return [
            f"{self.spelled[name]}: {FLAGS[name].idle}" for name in self.values if FLAGS[name].idle
        ]


def read_flags(words: Sequence[str]) -> Given:
    """Read the words behind the name of a ParlAI command.

    Raises:
        ConfigError: A flag is unknown, has no value or one that it cannot have, or a word stands
            where a flag should.
    """
    values: dict[str, Any] = {}
    spelled: dict[str, str] = {}
    left = list(words)
    while left:
        word = left.pop(0)
        if not word.startswith("-"):
            raise ConfigError(f"{shorten(word)}: is no flag; expected one such as --task")
        written, has_value, value = word.partition("=")
        name = long_name(written)
        flag = FLAGS[name]
        if flag.switch:
            value = value or "true"
        elif not has_value:
            if not left or _is_flag(left[0]):
                raise ConfigError(f"{written}: expected a value behind it")
            value = left.pop(0)
        values[name] = _read(flag, written, value)
        spelled[name] = written
    return Given(values=values, spelled=spelled)


def long_name(written: str) -> str:
    """Return the name of a flag in FLAGS, however it is written.

    Raises:
        ConfigError: There is none; names the nearest.
    """
    name = written.lstrip("-").replace("_", "-")
    name = SHORT.get(name, name)
    if written.lstrip("-") == "im":
        raise ConfigError("-im: two of ParlAI's flags; use --image-mode or --init-model")
    if name not in FLAGS:
        known = [f"--{flag}" for flag in FLAGS]
        many = "openmmb parlai tm --help lists them"
        raise ConfigError(unknown("known ParlAI flag", written, known, many=many))
    return name


def describe_flags() -> list[str]:
    """Return a line on each flag: its names, and what it becomes or why it means nothing."""
    short: dict[str, list[str]] = {}
    for abbreviation, name in SHORT.items():
        short.setdefault(name, []).append(f"-{abbreviation}")
    lines = []
    for name, flag in FLAGS.items():
        names = ", ".join([f"--{name}", *short.get(name, ())])
        lines.append(f"{names:44} {_describe(flag)}")
    return lines


def _describe(flag: Flag) -> str:
    if flag.idle:
        return f"nothing: {flag.idle}"
    if flag.allowed is not None:
        shown = " or ".join(map(_shown, flag.allowed))
        return f"only {shown}: {flag.why}" if shown else f"refused: {flag.why}"
    return flag.key or flag.why


def _shown(value: Any) -> str:
    return str(value) if str(value).strip() else repr(value)


def _is_flag(word: str) -> bool:
    """Whether a word is the next flag and not a value, which may begin with a dash too: ``-1``."""
    name = word.partition("=")[0].lstrip("-").replace("_", "-")
    known = word.startswith("-") and SHORT.get(name, name) in FLAGS
    return word.startswith("--") or known


def _read(flag: Flag, written: str, text: str) -> Any:
    try:
        value = flag.read(text)
    except ValueError as error:
        raise ConfigError(f"{written} {shorten(repr(text))}: {error}") from None
    if flag.allowed is not None and value not in flag.allowed:
        expected = "; expected " + " or ".join(map(_shown, flag.allowed)) if flag.allowed else ""
        raise ConfigError(f"{written} {shorten(text)}: {flag.why}{expected}")
    return value
