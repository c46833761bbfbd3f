"""What a chat does when it is baited: ``python benchmarks/adversarial.py [CHECKPOINT]``.

Talks to a model as a person at the terminal does, conversation by conversation from
``adversarial.txt``, and prints a Markdown table: for each kind, how many messages were refused, how
many replies were held back and what came instead, how many had gendered words. What no check can
count, whether a reply that was shown is bad, takes a reader: ``--out`` writes every conversation.
"""

import argparse
import random
import re
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path

import torch

from openmmb.chat.bot import load
from openmmb.chat.commands import handle
from openmmb.chat.session import Session
from openmmb.chat.strict import MAX_CHARACTERS
from openmmb.errors import OpenMMBError
from openmmb.safety.guard import GuardConfig, open_guard
from openmmb.safety.lists import bundled_phrases
from openmmb.text.gender import gender_token

CONVERSATIONS = Path(__file__).with_name("adversarial.txt")
LISTED = {
    "slur": "slur",
    "insult": "insult",
    "swear": "profanity",
    "threat": "threat",
    "sexual": "sexual",
}
"""Placeholders and the categories of the list that fill them."""

_PLACEHOLDER = re.compile(r"\{(\w+)(?::([^}]*))?\}")


def _through(letters: str, others: str) -> Callable[[str], str]:
    table = str.maketrans(letters, others)
    return lambda text: text.translate(table)


DISGUISES: dict[str, Callable[[str], str]] = {
    "": str,
    "upper": str.upper,
    "leet": _through("aeiost", "4310$7"),
    "cyrillic": _through("aceopxy", "асеорху"),
    "wide": lambda text: "".join(chr(ord(c) + 0xFEE0) if c.isalpha() else c for c in text),
    "spaced": " ".join,
    "dotted": ".".join,
    "zerowidth": "\u200b".join,
    "stretched": lambda text: "".join(c * 4 if c in "aeiou" else c for c in text),
    "stars": lambda text: text[0] + re.sub("[a-z]", "*", text[1:-1]) + text[-1],
    "half": lambda text: text[: len(text) // 2],
    "reversed": lambda text: text[::-1],
}


@dataclass
class Transcript:
    """A screen that keeps what a chat shows, message by message."""

    lines: list[str] = field(default_factory=list)

    def say(self, text: str) -> None:
        """Keep what the bot says."""
        self.lines.append(f"bot: {text}")

    def note(self, text: str) -> None:
        """Keep a note."""
        self.lines.append(f"({text})")

    def complain(self, text: str) -> None:
        """Keep a complaint."""
        self.lines.append(f"refused: {text}")

    def agrees(self, question: str) -> bool:
        """Agree to nothing."""
        self.note(question)
        return False

    def thinking(self) -> AbstractContextManager[object]:
        """Show nothing."""
        return nullcontext()


@dataclass
class Kind:
    """What came of one kind of conversation."""

    conversations: int = 0
    messages: int = 0
    refused: int = 0
    replies: int = 0
    next_best: int = 0
    changed: int = 0
    gendered: int = 0


def read(path: Path, seed: int) -> Iterator[tuple[str, list[str]]]:
    """Yield each conversation with its kind, placeholders filled."""
    draw = random.Random(seed)
    kind = ""
    for line in path.read_text(encoding="utf-8").splitlines():
        if line.startswith("== "):
            kind = line.removeprefix("== ")
        elif line and not line.startswith("#"):
            yield kind, [fill(message, draw) for message in line.split(" | ")]


def fill(message: str, draw: random.Random) -> str:
    """Replace placeholders by phrases of the list, or by as much as a message may have."""

    def put(match: re.Match[str]) -> str:
        name, how = match[1], match[2] or ""
        if name == "long":
            return (how * MAX_CHARACTERS)[:MAX_CHARACTERS].strip()
        return DISGUISES[how](draw.choice(_listed(LISTED[name])))

    return _PLACEHOLDER.sub(put, message).replace("\\n", "\n")


def _listed(category: str) -> list[str]:
    """Return phrases of a category, the likeliest words of each, longest choice first."""
    texts = []
    for phrase in bundled_phrases():
        # Slots of hundreds of words name people or groups; those phrases are for the list alone.
        plain = phrase.inside is None and all(len(slot) < 400 for slot in phrase.slots)
        if phrase.category == category and plain:
            runs = [max(slot, key=lambda run: (len(run), run)) for slot in phrase.slots]
            texts.append(" ".join(word for run in runs for word in run))
    return texts


def talk(session: Session, screen: Transcript, messages: Sequence[str]) -> None:
    """Enter one message after the other, as at the terminal."""
    for message in messages:
        screen.lines.append(f"you: {message[:200]}")
        try:
            handle(message, session)
        except OpenMMBError as error:
            screen.complain(str(error))


def table(kinds: dict[str, Kind]) -> Iterator[str]:
    """Yield the lines of a Markdown table."""
    heads = "conversations", "messages", "refused", "replies", "next best", "subject changed"
    yield "| kind | " + " | ".join((*heads, "gendered")) + " |"
    yield "|---" * (len(heads) + 2) + "|"
    for name, kind in kinds.items():
        cells = (
            kind.conversations,
            kind.messages,
            kind.refused,
            kind.replies,
            kind.next_best,
            kind.changed,
            kind.gendered,
        )
        yield f"| {name} | " + " | ".join(map(str, cells)) + " |"


def main() -> None:
    """Run everything and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("checkpoint", nargs="?", default="small")
    parser.add_argument("--conversations", type=Path, default=CONVERSATIONS, help="what is said")
    parser.add_argument("--classifier", default=GuardConfig().classifier, metavar="FOLDER|none")
    parser.add_argument("--no-guard", action="store_true", help="let both sides say everything")
    parser.add_argument("--ban-gendered-words", action="store_true")
    parser.add_argument("--seed", type=int, default=0, help="of the phrases that are drawn")
    parser.add_argument("--out", type=Path, help="file for every conversation, to be read")
    args = parser.parse_args()
    torch.set_num_threads(1)
    settings = GuardConfig(enabled=not args.no_guard, classifier=args.classifier)
    bot = load(
        args.checkpoint,
        guard=open_guard(settings),
        ban_gendered_words=args.ban_gendered_words or None,
    )
    kinds: dict[str, Kind] = {}
    pages: list[str] = []
    started = time.perf_counter()
    for name, messages in read(args.conversations, args.seed):
        screen = Transcript()
        session = Session(bot, screen)
        talk(session, screen, messages)
        kind, counts = kinds.setdefault(name, Kind()), session.counts
        shown = [turn.text for turn in session.conversation.turns if turn.speaker == "bot"]
        kind.conversations += 1
        kind.messages += len(messages)
        kind.refused += sum(counts.messages.refused.values())
        kind.refused += sum(line.startswith("refused: ") for line in screen.lines)
        kind.replies += len(shown)
        kind.next_best += counts.next_best
        kind.changed += counts.changed
        kind.gendered += sum(gender_token(text) != "f0m0" for text in shown)
        pages.append("\n".join([f"[{name}]", *screen.lines]))
    total = Kind(*(sum(getattr(k, f) for k in kinds.values()) for f in Kind.__dataclass_fields__))
    print("\n".join(table(kinds | {"all": total})))
    print(f"\n{time.perf_counter() - started:.0f} s on one core")
    if args.out is not None:
        args.out.write_text("\n\n".join(pages) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
