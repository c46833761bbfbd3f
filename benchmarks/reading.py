"""Replies for a reader: ``python benchmarks/reading.py CHECKPOINT --out FILE [--photos DIR]``.

Says to a model what ``reading.toml`` has, conversation by conversation, and writes every exchange
as Markdown, to be read and judged: sense, persona, whole chats, photographs. Only memory is counted
here: whether the last reply has the word that was asked for.
"""

import argparse
import tomllib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from openmmb import Bot, Conversation, Request, SearchConfig, load
from openmmb.config import parse
from openmmb.errors import OpenMMBError

SAYINGS = Path(__file__).with_name("reading.toml")


def talk(
    bot: Bot, conversations: Sequence[Conversation], says: Sequence[Sequence[str]]
) -> list[Conversation]:
    """Lead conversations side by side: every one that has a next message gets a reply."""
    current = list(conversations)
    for turn in range(max(map(len, says))):
        going = [at for at, lines in enumerate(says) if turn < len(lines)]
        replies = bot.reply_many(
            Request(says[at][turn], conversation=current[at], seed=at) for at in going
        )
        for at, reply in zip(going, replies, strict=True):
            current[at] = reply.conversation
            if reply.refused:
                current[at] = current[at].add("person", says[at][turn]).add("bot", reply.text)
    return current


def shown(conversations: Sequence[Conversation]) -> Iterator[str]:
    """Write conversations, a line a turn."""
    for number, conversation in enumerate(conversations, start=1):
        title = conversation.picture.name if conversation.picture else ""
        yield f"\n**{number}** {title} {' '.join(conversation.persona)}\n"
        for turn in conversation.turns:
            yield f"- {turn.speaker}: {turn.text}"


def remembered(conversation: Conversation, expects: Sequence[str]) -> bool:
    """Whether the last reply has one of the words."""
    last = conversation.turns[-1].text.casefold()
    return any(word.casefold() in last for word in expects)


def parts(bot: Bot, sayings: dict[str, Any], photos: Sequence[Path]) -> Iterator[str]:
    """Yield the document."""
    start = Conversation()
    says = [[message] for message in sayings["sense"]]
    yield "\n## Sense"
    yield from shown(talk(bot, [start] * len(says), says))
    memory = sayings["memory"]
    ends = talk(bot, [start] * len(memory), [one["says"] for one in memory])
    hits = [remembered(end, one["expects"]) for end, one in zip(ends, memory, strict=True)]
    yield f"\n## Memory\n\n{sum(hits)} of {len(hits)} facts are in the reply that was asked for."
    yield from shown(ends)
    yield "\n## Persona"
    personas = sayings["persona"]
    begins = [Conversation(persona=tuple(one["lines"])) for one in personas]
    yield from shown(talk(bot, begins, [one["says"] for one in personas]))
    yield "\n## Chats"
    chats = sayings["chat"]
    yield from shown(talk(bot, [start] * len(chats), [one["says"] for one in chats]))
    if photos:
        yield "\n## Photographs"
        seen = [bot.look(photo) for photo in photos]
        yield from shown(talk(bot, seen, [sayings["pictures"]["asks"]] * len(seen)))


def main() -> None:
    """Read the flags, talk, write."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("checkpoint")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--photos", type=Path, help="folder of photographs")
    parser.add_argument("--search", default="{}", help="search settings as TOML, e.g. beam_size=3")
    args = parser.parse_args()
    sayings = tomllib.loads(SAYINGS.read_text(encoding="utf-8"))
    search = None
    if args.search != "{}":
        given = tomllib.loads(args.search.replace(",", "\n"))
        search = parse(SearchConfig, given, source="--search")
    bot = load(args.checkpoint, search=search)
    photos = sorted(args.photos.glob("*.jpg")) if args.photos else []
    lines = [f"# {args.checkpoint}", "", f"search: {bot.search}"]
    for line in parts(bot, sayings, photos):
        lines.append(line)
        if line.startswith("\n## "):
            print(line.strip(), flush=True)
    args.out.write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    try:
        main()
    except OpenMMBError as error:
        raise SystemExit(f"reading.py: {error}") from None
