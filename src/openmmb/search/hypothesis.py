"""The hypotheses of a search, and the record of its steps from which they are read.

Sizes: B inputs, K beams, T steps, N finished hypotheses.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from openmmb.search.constraints import BANNED

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float32]
Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Hypothesis:
    """One reply as token ids.

    Attributes:
        tokens: Without the start token and without the end token.
        score: Log-probability divided by the length penalty; higher is better.
        finished: False where no hypothesis of the input reached its end token in time; this one
            was cut, and the end token took the place of its last token.
    """

    tokens: tuple[int, ...]
    score: float
    finished: bool = True


def length_divisor(length: int | Ints, penalty: float) -> npt.NDArray[np.float64]:
    """Return what log-probabilities are divided by, ((1 + length) / 6) ** penalty.

    As Wu et al. (2016) and ParlAI have it; the length counts the start and the end token.
    """
    return np.power((1 + np.asarray(length)) / 6, penalty, dtype=np.float64)


@dataclass(frozen=True, slots=True)
class Choice:
    """What the beams become in one step, best first where a beam search chose.

    Attributes:
        parents: (B, K) int64, which beam of the step before each one continues.
        tokens: (B, K) int64, with which token.
        scores: (B, K) float, log-probability of the whole hypothesis.
    """

    parents: Tensor
    tokens: Tensor
    scores: Tensor


class Trace:
    """The steps of a search, kept on its device, and which inputs are still to be searched.

    The rules are ParlAI's. A beam that chose the end token is a finished hypothesis unless its
    score says that it is dead. An input is done, and no more of it finishes, when its first beam
    has ended at some step and K of its hypotheses have finished.

    Attributes:
        done: (B,) bool.
    """

    def __init__(self, num_inputs: int, num_beams: int, *, end_id: int, device: torch.device):
        self.end_id = end_id
        self.num_beams = num_beams
        self.steps: list[Choice] = []
        self.ended: list[Tensor] = []
        self.num_ended = torch.zeros(num_inputs, dtype=torch.int64, device=device)
        self.first_ended = torch.zeros(num_inputs, dtype=torch.bool, device=device)
        self.done = torch.zeros_like(self.first_ended)

    def add(self, choice: Choice) -> None:
        """Record a step and bring ``done`` up to date."""
        at_end = choice.tokens == self.end_id
        ended = at_end & (choice.scores > BANNED) & ~self.done[:, None]
        self.steps.append(choice)
        self.ended.append(ended)
        self.num_ended += ended.sum(-1)
        self.first_ended |= at_end[:, 0]
        self.done |= self.first_ended & (self.num_ended >= self.num_beams)

    def hypotheses(self, *, length_penalty: float) -> list[list[Hypothesis]]:
        """Every finished hypothesis of each input, best first; equal scores in order of finding."""
        tokens = _ints([choice.tokens for choice in self.steps])
        parents = _ints([choice.parents for choice in self.steps])
        totals: Floats = torch.stack([choice.scores for choice in self.steps]).cpu().numpy()
        ended: Bools = torch.stack(self.ended).cpu().numpy()
        finished = np.any(ended, axis=(0, 2))
        ended[-1, ~finished, 0] = True  # the best there is, cut: its last token becomes the end
        row, when, slot = ended.transpose(1, 0, 2).nonzero()  # (N,) each, inputs together
        length = when + 2  # when counts steps from 0
        scores = totals[when, row, slot] / length_divisor(length, length_penalty)
        paths = _follow_back(tokens, parents, when, row, slot)
        hypotheses: list[list[Hypothesis]] = [[] for _ in finished]
        for at in np.lexsort((-scores, row)):  # stable
            ids = tuple(paths[at, : when[at]].tolist())
            full = bool(finished[row[at]])
            hypotheses[row[at]].append(Hypothesis(ids, float(scores[at]), finished=full))
        return hypotheses


def _follow_back(tokens: Ints, parents: Ints, when: Ints, row: Ints, slot: Ints) -> Ints:
    """Tokens on the way to beam ``slot`` of input ``row`` at step ``when``: (N, T).

    What follows ``when`` means nothing.
    """
    path = np.zeros((len(row), len(tokens)), dtype=np.int64)
    for step in range(len(tokens) - 1, -1, -1):
        path[:, step] = tokens[step, row, slot]
        slot = np.where(step <= when, parents[step, row, slot], slot)
    return path


def _ints(steps: list[Tensor]) -> Ints:
    """One (B, K) a step -> (T, B, K)."""
    array: Ints = torch.stack(steps).cpu().numpy()
    return array
