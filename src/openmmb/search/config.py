"""How a reply is searched for; the defaults are those of Multi-Modal BlenderBot."""

from typing import Literal

from openmmb.config import config, require

Method = Literal["beam", "greedy", "topk", "nucleus", "delayed_beam"]

MOST_TOKENS = 32768
"""Upper bound of the tokens of all hypotheses of an input together, and of every length: the
settings come with checkpoints, which can be anybody's, and more would take minutes a reply."""


@config
class SearchConfig:
    """How a reply is searched for.

    Raises:
        ValueError: A value is out of its range, or `min_length` leaves no token to end with.
    """

    method: Method = "beam"
    """How the next tokens are chosen: the likeliest beams together (`beam`), the likeliest token
    (`greedy`), a draw from the `top_k` likeliest (`topk`), a draw from the likeliest that
    make up `top_p` (`nucleus`), or draws first and a beam afterwards (`delayed_beam`)."""

    beam_size: int = 10
    """Number of hypotheses that grow side by side for each input. Methods that draw let each grow
    on its own and put the likeliest first, so 1 gives a fair sample. Greedy search always has 1."""

    min_length: int = 20
    """Least number of tokens before the end token. Greedy search ignores it."""

    max_length: int = 128
    """Largest number of tokens of a reply, its end token included."""

    block_ngram: int = 3
    """Length of the n-grams that must not occur twice in a reply, in tokens; 0 turns it off."""

    block_context_ngram: int = 3
    """Length of the n-grams of the context that must not occur in a reply; 0 turns it off."""

    block_full_context: bool = False
    """Count as context the whole conversation, also turns that were cut off before the model reads
    it (ParlAI's `--beam-block-full-context`)."""

    length_penalty: float = 0.65
    """Exponent of the length that scores are divided by: a higher one prefers longer replies."""

    prior_weight: float = 0.0
    """How much of a hypothesis's log-probability where nothing was said, shown or told of a persona
    is taken off its score: what fits everywhere falls behind what fits here; 0 turns it off."""

    temperature: float = 1.0
    """Number that logits are divided by: below 1 sharpens the choice, above 1 flattens it."""

    top_k: int = 10
    """Number of likeliest tokens that `topk` and `delayed_beam` draw from."""

    top_p: float = 0.9
    """Total probability of the likeliest tokens that `nucleus` draws from."""

    beam_delay: int = 30
    """Number of tokens that `delayed_beam` draws before it becomes a beam search."""

    def __post_init__(self) -> None:
        for name in ("beam_size", "max_length", "top_k"):
            self._require_within(name, 1)
        for name in ("min_length", "block_ngram", "block_context_ngram", "beam_delay"):
            self._require_within(name, 0)
        penalty, temperature = self.length_penalty, self.temperature
        require("length_penalty", penalty, "from -100 to 100", holds=-100 <= penalty <= 100)
        require(
            "temperature", temperature, "from 0.0001 to 10000", holds=1e-4 <= temperature <= 1e4
        )
        prior = self.prior_weight
        require("prior_weight", prior, "at least 0 and below 1", holds=0 <= prior < 1)
        require("top_p", self.top_p, "above 0 and at most 1", holds=0 < self.top_p <= 1)
        if self.num_beams * self.max_length > MOST_TOKENS:
            raise ValueError(
                f"beam_size is {self.beam_size} and max_length is {self.max_length}; their product "
                f"must be at most {MOST_TOKENS}"
            )
        if self.method != "greedy" and self.min_length >= self.max_length:
            raise ValueError(
                f"min_length is {self.min_length} and max_length is {self.max_length}; "
                "min_length must be below max_length, which counts the end token too"
            )

    @property
    def num_beams(self) -> int:
        """K: hypotheses that grow side by side for each input."""
        return 1 if self.method == "greedy" else self.beam_size

    def _require_within(self, name: str, least: int) -> None:
        value = getattr(self, name)
        holds = least <= value <= MOST_TOKENS
        require(name, value, f"from {least} to {MOST_TOKENS}", holds=holds)
