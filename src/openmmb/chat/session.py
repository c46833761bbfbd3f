"""A person's chat: their conversation, what it was before, and what is said in it."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Final

from openmmb.chat.bot import Bot
from openmmb.chat.conversation import EMPTY, Conversation
from openmmb.chat.exchange import count_read
from openmmb.chat.request import Reply, Request
from openmmb.chat.screen import Screen
from openmmb.errors import ConfigError
from openmmb.safety.counts import Counts

DETERMINED: Final = ("beam", "greedy")
"""Methods of searching that draw nothing, so that a seed changes nothing."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What the last reply answers.

    Attributes:
        request: What the bot was asked.
        conversation: What the reply was added to.
        tries: How many other replies were asked for since.
    """

    request: Request
    conversation: Conversation
    tries: int = 0


@dataclass
class Session:
    """One person's chat.

    Attributes:
        bot: Answers.
        screen: Shows.
        conversation: So far.
        seed: Decides the draws of a search that draws.
        open_bot: Opens another model by its name; None: there is only this one.
        counts: What the guard judged and refused in it.
        earlier: The conversation before each line that changed it, oldest first.
        last: What the last reply answers; None where there is none to ask for again.
    """

    bot: Bot
    screen: Screen
    conversation: Conversation = EMPTY
    seed: int = 0
    open_bot: Callable[[str], Bot] | None = None
    counts: Counts = field(default_factory=Counts)
    earlier: list[Conversation] = field(default_factory=list)
    last: Asked | None = None

    def change(self, conversation: Conversation) -> None:
        """Go on with another conversation, which ``undo`` takes back."""
        if conversation != self.conversation:
            self.earlier.append(self.conversation)
            self.conversation = conversation
            self.last = None

    def say(self, text: str) -> None:
        """Say something to the bot and show its answer."""
        read, total = count_read(text, self.conversation, self.bot.engine, gender=self.bot.gender)
        if read < total:
            self.screen.note(f"the model reads the last {read} of the {total} tokens of this")
        request = Request(text, conversation=self.conversation, seed=self.seed)
        reply = self._ask(request)
        if not reply.refused:
            before = replace(reply.conversation, turns=reply.conversation.turns[:-1])
            self.change(reply.conversation)
            self.last = Asked(request, before)
        self.screen.say(reply.text)

    def describe_picture(self) -> None:
        """Let the bot say something about the picture, whatever was said before."""
        alone = replace(self.conversation, turns=())
        request = Request(conversation=alone, seed=self.seed)
        before, reply = self.conversation, self._ask(request)
        self.conversation = before.add("bot", reply.text)
        self.last = Asked(request, before)
        self.screen.say(reply.text)

    def say_otherwise(self) -> None:
        """Show another reply in the place of the last one.

        Raises:
            ConfigError: There is no reply yet, or no other one.
        """
        if self.last is None:
            raise ConfigError("/retry: there is no reply yet; say something first")
        asked = replace(self.last, tries=self.last.tries + 1)
        seed = asked.request.seed + asked.tries
        draws = self.bot.search.method not in DETERMINED
        wanted = 1 if draws else asked.tries + 1
        reply = self._ask(replace(asked.request, seed=seed, num_replies=wanted))
        text, note = reply.text, f"seed {seed}"
        if not draws:
            if len(reply.others) < asked.tries:
                raise ConfigError("/retry: the model has no other reply; use /undo")
            text = reply.others[asked.tries - 1].text
            note += "; the search of this model draws nothing, so this is its next best reply"
        self.conversation, self.last = asked.conversation.add("bot", text), asked
        self.screen.note(note)
        self.screen.say(text)

    def undo(self) -> str | None:
        """Take back the last change, or else the last exchange; return what had been said.

        Raises:
            ConfigError: There is nothing to take back.
        """
        before, turns = self.conversation, list(self.conversation.turns)
        if self.earlier:
            self.conversation = self.earlier.pop()
        elif turns:  # of a conversation that was begun elsewhere
            last = turns.pop()
            if last.speaker == "bot" and turns and turns[-1].speaker == "person":
                turns.pop()
            self.conversation = replace(self.conversation, turns=tuple(turns))
        else:
            raise ConfigError("/undo: nothing has been said yet")
        self.last = None
        gone = before.turns[len(self.conversation.turns) :]
        return gone[0].text if gone else None

    def _ask(self, request: Request) -> Reply:
        with self.screen.thinking():
            reply = self.bot.reply_many([request])[0]
        self.counts = self.counts.add(
            message=reply.message_verdict, reply=reply.reply_verdict, origin=reply.origin
        )
        return reply
