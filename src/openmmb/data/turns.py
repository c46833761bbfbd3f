"""Examples as one sequence in which every turn is marked by who speaks: for decoder-only networks.

A context reads, from the left: the style, the persona's lines, what the picture encoder has
recognised, the turns so far; a special token stands before each and the end token after it. A turn
of the one who replies begins with the start token and, where there is one, the gender control; any
other turn with the token of a person. So a reply is marked as the turns before it are, all replies
of a conversation can be learnt in one row, and a control steers the turn that it begins.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from openmmb.data.example import Example
from openmmb.text.tokenizer import OBJECTS, PERSON, PERSONA, STYLE, Tokenizer


@dataclass(frozen=True, slots=True)
class Replies:
    """What is learnt behind one context.

    Attributes:
        ids: Tokens after the start token that begins each block.
        targets: For each, whether it is to be predicted; what others say and controls are not.
        blocks: For each, its block: blocks are replies to the same context that do not see each
            other.
    """

    ids: tuple[int, ...]
    targets: tuple[bool, ...]
    blocks: tuple[int, ...]


def encode_turns(
    example: Example, tokenizer: Tokenizer, *, max_context: int, max_pinned: int
) -> list[int]:
    """Turn everything that comes before a reply into at most ``max_context`` ids.

    Where it is too long, the oldest turns go, whole; of a single turn that is too long its
    beginning goes. What stands before the turns is cut to ``max_pinned`` on the right.
    """
    pinned = _pinned(example, tokenizer)[:max_pinned]
    length = max_context - len(pinned)
    own = [tokenizer.start_id, *_control(example.gender, tokenizer)]
    turns: list[int] = []
    for age, text in enumerate(reversed(example.context)):
        begin = own if age % 2 else [tokenizer.special_id(PERSON)]
        words = tokenizer.encode(text)
        space = length - len(turns) - len(begin) - 1
        if space < len(words):
            if not turns and space > 0:
                turns = [*begin, *words[-space:], tokenizer.end_id]
            break
        turns = [*begin, *words, tokenizer.end_id, *turns]
    return [*pinned, *turns]


def encode_replies(example: Example, tokenizer: Tokenizer, *, max_reply: int) -> Replies:
    """Turn an example's reply, and what is learnt beside it, into at most ``max_reply`` ids.

    Turns that follow it come after it in the same block, the other speaker's among them; other
    replies that are as good are blocks of their own, of which those that fit whole are taken.
    """
    ids: list[int] = []
    targets: list[bool] = []
    blocks: list[int] = []
    for number, block in enumerate(_blocks(example, tokenizer)):
        if number and len(ids) + len(block) > max_reply:
            break
        kept = block[: max_reply - len(ids)]
        ids += [token for token, _ in kept]
        targets += [is_target for _, is_target in kept]
        blocks += [number] * len(kept)
    return Replies(tuple(ids), tuple(targets), tuple(blocks))


def begin_reply(example: Example, tokenizer: Tokenizer) -> list[int]:
    """Return the ids that begin the reply to an example: the start token and its control."""
    return [tokenizer.start_id, *_control(example.gender, tokenizer)]


def _pinned(example: Example, tokenizer: Tokenizer) -> list[int]:
    lines: list[tuple[str, str]] = []
    if example.style is not None:
        lines.append((STYLE, example.style))
    lines += [(PERSONA, line) for line in example.persona]
    if example.objects:
        lines.append((OBJECTS, ", ".join(example.objects)))
    return [
        token
        for mark, text in lines
        for token in (tokenizer.special_id(mark), *tokenizer.encode(text), tokenizer.end_id)
    ]


def _blocks(example: Example, tokenizer: Tokenizer) -> Iterator[list[tuple[int, bool]]]:
    """Yield each block's ids, and whether they are targets."""
    genders = (example.gender, *example.more_genders)
    if example.references:
        alternatives = (example.reply, *example.references)
        for at, text in enumerate(alternatives):
            yield _turn(text, _control(_at(genders, at), tokenizer), tokenizer)
        return
    block = _turn(example.reply, _control(example.gender, tokenizer), tokenizer)
    for at, text in enumerate(example.following, start=1):
        if at % 2:
            other = [tokenizer.special_id(PERSON), *tokenizer.encode(text), tokenizer.end_id]
            block += [(token, False) for token in other]
        else:
            control = _control(_at(genders, at // 2), tokenizer)
            block += _turn(text, [tokenizer.start_id, *control], tokenizer)
    yield block


def _turn(text: str, begin: Sequence[int], tokenizer: Tokenizer) -> list[tuple[int, bool]]:
    learnt = [*tokenizer.encode(text), tokenizer.end_id]
    return [*((token, False) for token in begin), *((token, True) for token in learnt)]


def _control(gender: str | None, tokenizer: Tokenizer) -> list[int]:
    return [] if gender is None else [tokenizer.special_id(gender)]


def _at(genders: Sequence[str | None], at: int) -> str | None:
    return genders[at] if at < len(genders) else None
