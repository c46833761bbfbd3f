"""A persona for the bot, drawn from a data set as ParlAI's interactive world does."""

import random
from contextlib import suppress
from pathlib import Path

from openmmb.chat.bot import Bot
from openmmb.errors import ConfigError, DataError
from openmmb.tasks import open_task


def draw_persona(root: Path, bot: Bot) -> tuple[tuple[str, ...], str]:
    """Draw who the bot is, among the personas that the guard lets pass.

    Args:
        root: Folder of the data sets.
        bot: Judges the lines.

    Returns:
        The lines, none where none could be drawn, and a note that says which or why.
    """
    try:
        examples = open_task("blended_skill_talk", root).examples("train")
        personas = list(dict.fromkeys(example.persona for example in examples if example.persona))
    except DataError as error:
        return (), f"persona: none is drawn: {error}; use --datapath to name the data sets' folder"
    random.shuffle(personas)
    for persona in personas:
        with suppress(ConfigError):
            lines = tuple(bot.admit(line) for line in persona)
            return lines, "persona: " + " ".join(lines)
    return (), "persona: none is drawn: the guard refuses them all"
