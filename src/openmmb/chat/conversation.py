"""A conversation as a value: each turn that is added makes a new one.

Nothing that talks keeps a conversation of its own, so any number of them can share a bot, and
going back to an earlier one is keeping it.
"""

import hashlib
import json
from dataclasses import dataclass, field, replace
from typing import Any, Final, Literal, get_args

from torch import Tensor

from openmmb.chat.strict import (
    name_type,
    parse_json,
    quote,
    read_vectors,
    require_items,
    require_list,
    require_object,
    require_short_text,
    require_text,
    write_vectors,
)
from openmmb.errors import ConfigError, unknown

Speaker = Literal["person", "bot"]
NO_STYLE = "none"
"""The style that asks for none, also where a checkpoint has one of its own for pictures."""
MAX_TURNS: Final = 10_000
"""Most turns of a conversation that is read from JSON."""
MAX_PERSONA: Final = 1_000
"""Most lines of its persona."""


@dataclass(frozen=True, slots=True)
class Shown:
    """Which picture was looked at when something was said.

    Attributes:
        name: For people.
        digest: Which picture it is: a hash of its pixels.

    Raises:
        ConfigError: One of them is no string.
    """

    name: str
    digest: str

    def __post_init__(self) -> None:
        require_text("shown", self.name)
        require_text("shown", self.digest)


@dataclass(frozen=True, slots=True)
class Turn:
    """Something that was said.

    Attributes:
        speaker: Who said it, ``person`` or ``bot``.
        text: What was said.
        shown: Which picture was looked at then; None: none.

    Raises:
        ConfigError: The speaker is neither ``person`` nor ``bot``, or the text is no string.
    """

    speaker: Speaker
    text: str
    shown: Shown | None = None

    def __post_init__(self) -> None:
        if self.speaker not in get_args(Speaker):
            raise ConfigError(f"turn: {unknown('speaker', str(self.speaker), get_args(Speaker))}")
        require_text("turn", self.text)
        shown: Any = self.shown
        if shown is not None and not isinstance(shown, Shown):
            raise ConfigError(
                f"turn: expected shown=Shown(name, digest), got {name_type(shown)}; "
                "use conversation.add(speaker, text)"
            )


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture as a model sees it; two are equal if name, pixels and encoder are.

    Attributes:
        name: For people.
        vectors: (I, F) image vectors.
        digest: Which picture it is: a hash of its pixels; by default, of its vectors.
        encoder: Name of the picture encoder that the vectors are of; empty if it is not known.

    Raises:
        ConfigError: The name is no string, or the vectors are no tensor (I, F) of floats.
    """

    name: str
    vectors: Tensor = field(repr=False, compare=False)
    digest: str = ""
    encoder: str = ""

    def __post_init__(self) -> None:
        require_text("picture", self.name)
        vectors: Any = self.vectors
        if not isinstance(vectors, Tensor):
            raise ConfigError(
                f"picture: expected image vectors, a tensor (I, F), got {name_type(vectors)}; "
                "use bot.look(image) to make a picture"
            )
        if vectors.dim() != 2 or not vectors.is_floating_point():
            raise ConfigError(
                f"picture: expected image vectors (I, F) of floats, got {tuple(vectors.shape)} "
                f"of {vectors.dtype}"
            )
        if not self.digest:
            object.__setattr__(self, "digest", hash_vectors(vectors))


@dataclass(frozen=True, slots=True)
class Conversation:
    """What was said so far and what frames it.

    Attributes:
        turns: Oldest first; any iterable of turns will do.
        persona: Lines that say who the bot is; a string is one line.
        style: How the bot talks, ``NO_STYLE`` for none; None leaves it to the checkpoint.
        picture: What is being looked at, shown to the model at every turn.

    Raises:
        ConfigError: One of them is of another type.
    """

    turns: tuple[Turn, ...] = ()
    persona: tuple[str, ...] = ()
    style: str | None = None
    picture: Picture | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "turns", _turns(self.turns))
        object.__setattr__(self, "persona", _persona(self.persona))
        if self.style is not None:
            require_text("style", self.style)
        picture: Any = self.picture
        if picture is not None and not isinstance(picture, Picture):
            raise ConfigError(
                f"picture: expected a Picture, got {name_type(picture)}; "
                "use bot.look(image, conversation)"
            )

    def add(self, speaker: Speaker, text: str) -> "Conversation":
        """Return the conversation with one turn more, said while its picture is looked at."""
        picture = self.picture
        shown = None if picture is None else Shown(picture.name, picture.digest)
        return replace(self, turns=(*self.turns, Turn(speaker, text, shown)))

    def texts(self) -> tuple[str, ...]:
        """Return what was said, without who said it: all that the model reads."""
        return tuple(turn.text for turn in self.turns)

    def to_json(self) -> str:
        """Write all of it as JSON, which ``from_json`` reads.

        The picture is written as what the model sees of it, its vectors: nobody can look at it in
        the file, and nothing but the file has to be kept. Each turn has the name and the digest of
        the picture that was looked at then.
        """
        picture = self.picture
        return json.dumps(
            {
                "turns": [_write_turn(turn) for turn in self.turns],
                "persona": list(self.persona),
                "style": self.style,
                "picture": None if picture is None else _write_picture(picture),
            },
            ensure_ascii=False,
            indent=2,
        )

    @staticmethod
    def from_json(text: str) -> "Conversation":
        """Read what ``to_json`` wrote: an equal conversation, with the same picture.

        Nothing in it is judged yet: a bot does that before it answers in it, and
        ``Bot.admit_conversation`` does it at once.

        Raises:
            ConfigError: It is not such JSON, or something in it is too long; says where and what.
        """
        data = parse_json("conversation", text)
        known = ("turns", "persona", "style", "picture")
        keys = require_object("conversation", data, known, optional=known[1:])
        rows = require_list("turns", keys["turns"], longest=MAX_TURNS)
        lines = require_list("persona", keys.get("persona", []), longest=MAX_PERSONA)
        style, picture = keys.get("style"), keys.get("picture")
        return Conversation(
            turns=tuple(_read_turn(f"turns.{at}", row) for at, row in enumerate(rows)),
            persona=tuple(require_short_text(f"persona.{at}", x) for at, x in enumerate(lines)),
            style=None if style is None else require_short_text("style", style),
            picture=None if picture is None else _read_picture(picture),
        )


def hash_vectors(vectors: Tensor) -> str:
    """Return a hash of image vectors (I, F)."""
    return hashlib.sha256(f"{tuple(vectors.shape)} {write_vectors(vectors)}".encode()).hexdigest()


def _turns(given: Any) -> tuple[Turn, ...]:
    turns = require_items("turns", given, "Turn objects")
    for turn in turns:
        if not isinstance(turn, Turn):
            raise ConfigError(
                f"turns: expected Turn objects, got {name_type(turn)}; "
                'use Turn("person", text) and Turn("bot", text)'
            )
    return turns


def _persona(given: Any) -> tuple[str, ...]:
    lines = (given,) if isinstance(given, str) else require_items("persona", given, "strings")
    return tuple(require_text("persona", line) for line in lines)


def _write_turn(turn: Turn) -> dict[str, Any]:
    written: dict[str, Any] = {"speaker": turn.speaker, "text": turn.text}
    if turn.shown is not None:
        written["shown"] = {"name": turn.shown.name, "digest": turn.shown.digest}
    return written


def _read_turn(key: str, data: Any) -> Turn:
    values = require_object(key, data, ("speaker", "text", "shown"), optional=("shown",))
    speaker, text = values["speaker"], require_short_text(f"{key}.text", values["text"])
    if speaker not in ("person", "bot"):
        raise ConfigError(f"{key}.speaker: expected 'person' or 'bot', got {quote(speaker)}")
    if values.get("shown") is None:
        return Turn(speaker, text)
    known = ("name", "digest")
    shown = require_object(f"{key}.shown", values["shown"], known)
    name, digest = (
        require_short_text(f"{key}.shown.{field_name}", shown[field_name]) for field_name in known
    )
    return Turn(speaker, text, Shown(name, digest))


def _write_picture(picture: Picture) -> dict[str, Any]:
    return {
        "name": picture.name,
        "digest": picture.digest,
        "encoder": picture.encoder,
        "shape": list(picture.vectors.shape),
        "vectors": write_vectors(picture.vectors),
    }


def _read_picture(data: Any) -> Picture:
    known = ("name", "digest", "encoder", "shape", "vectors")
    values = require_object("picture", data, known)
    name, digest, encoder = (require_short_text(f"picture.{key}", values[key]) for key in known[:3])
    vectors = read_vectors("picture", values["shape"], values["vectors"])
    return Picture(name=name, vectors=vectors, digest=digest, encoder=encoder)


EMPTY = Conversation()
"""Before anything is said."""
