"""What steers a reply, read off the reply: its gendered words, its style's polarity.

Each function is pure: the same example, seed and epoch give the same result.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from importlib import resources

from openmmb.config import config, require
from openmmb.data.draw import pick, uniform
from openmmb.data.example import Example
from openmmb.text.gender import GENDER_RULES, GenderWords, open_gender_words

POSITIVE, NEGATIVE = "positive/neutral", "negative"
"""The two polarities, in the original's words."""


@config
class ControlsConfig:
    """Which controls examples get.

    Raises:
        ValueError: A value is out of its range, or two do not fit each other.
    """

    gender: bool = False
    """Give every example the token of its reply's gendered words."""
    gender_rule: str = "words"
    """`words`: whole words; `parlai`: the original's rule with its quirks."""
    gender_words: str | None = None
    """Folder of the original's lists of words (`openmmb data fetch gender_words`); None: the
    lists that come with the package."""
    category_frac: float = 0.75
    """Share of picture dialogues whose styles become their polarity, for both speakers."""
    question_frac: float = 0.0
    """Share of captions that answer a question about the picture instead of opening."""
    picture_style_frac: float = 0.0
    """Share of the replies about a picture that have no style, captions above all, which get
    `positive/neutral`."""

    def __post_init__(self) -> None:
        for name in ("category_frac", "question_frac", "picture_style_frac"):
            require(name, getattr(self, name), "from 0 to 1", holds=0 <= getattr(self, name) <= 1)
        if self.gender_rule not in GENDER_RULES:
            raise ValueError(
                f"gender_rule must be one of {', '.join(GENDER_RULES)}, got {self.gender_rule!r}"
            )


def plain_controls(*, gender: bool) -> ControlsConfig:
    """Return the controls that examples get where no recipe says which: styles stay as they are."""
    return ControlsConfig(gender=gender, category_frac=0.0)


@dataclass(frozen=True, slots=True)
class Controls:
    """Add controls to examples.

    Attributes:
        config: Which ones.
        polarities: Style -> its polarity; a style that is not in it stays as it is.
        seed: With the epoch, decides every draw.

    Raises:
        DataError: The lists of gendered words are missing or malformed.
    """

    config: ControlsConfig
    polarities: Mapping[str, str]
    seed: int

    def __post_init__(self) -> None:
        self._words()

    def apply(self, example: Example, epoch: int) -> Example:
        """Return the example with its controls for this epoch."""
        key = (self.seed, epoch, example.task, example.conversation)
        style = example.style
        context = example.context
        if style is not None:
            style = self._style(style, *key)
        elif example.image_id is not None:
            styled = uniform("caption style", *key) < self.config.picture_style_frac
            style = POSITIVE if styled else None
        if example.references:  # a caption
            context = self._asked(*key) or context
        steered = replace(example, style=style, context=context, gender=None)
        if not self.config.gender:
            return steered
        rule, words = GENDER_RULES[self.config.gender_rule], self._words()
        others = example.references or example.following[1::2]
        return replace(
            steered,
            gender=rule(example.reply, words),
            more_genders=tuple(rule(other, words) for other in others),
        )

    def _words(self) -> GenderWords | None:
        folder = self.config.gender_words
        return None if folder is None else open_gender_words(folder)

    def _style(self, style: str, *key: str | int) -> str:
        """Put the polarity for the trait, for both speakers of a dialogue or for neither.

        ParlAI (#3132) draws once for each dialogue and keeps that for the whole run; here each
        epoch draws anew, in the same share.
        """
        swapped = uniform("polarity", *key) < self.config.category_frac
        return self.polarities.get(style, style) if swapped else style

    def _asked(self, *key: str | int) -> tuple[str, ...]:
        if uniform("question", *key) >= self.config.question_frac:
            return ()
        questions = picture_questions()
        return (questions[pick(len(questions), "which question", *key)],)


def with_gender(example: Example, gender: str | None) -> Example:
    """Return the example with one gender control for all its replies, whatever words they have."""
    others = () if gender is None else (gender,) * len(example.more_genders)
    return replace(example, gender=gender, more_genders=others)


@cache
def picture_questions() -> tuple[str, ...]:
    """Return the ways a person asks what a picture shows."""
    text = (resources.files("openmmb.data") / "questions.txt").read_text(encoding="utf-8")
    return tuple(line for line in text.splitlines() if line)
