"""Searches of ParlAI 1.7.2's own classes over random tables come out token for token.

``data/parlai.json`` holds one search a line: its options, the number of steps that it took and
all its hypotheses with start and end token; ``data/parlai.safetensors`` the log-probabilities of
each step, which are those of a beam whatever that beam has said.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from openmmb.search.config import SearchConfig
from openmmb.search.constraints import Constraint, min_length
from openmmb.search.decode import search

DATA = Path(__file__).parent / "data"
CASES: list[dict[str, Any]] = json.loads((DATA / "parlai.json").read_text(encoding="utf-8"))
TABLES = load_file(DATA / "parlai.safetensors")
CONTEXT = torch.tensor([[5, 6, 7, 8, 5, 9, 10, 11, 6, 7, 12, 13, 14, 15, 5, 6, 2, 0, 0, 0]])
START, END = 1, 2
METHODS = {"delayedbeam": "delayed_beam"}


@dataclass
class Table:
    """Gives the log-probabilities of one step after the other."""

    rows: Tensor
    steps: int = 0

    def __call__(self, tokens: Tensor, parents: Tensor) -> Tensor:
        self.steps += 1
        return self.rows[None, self.steps - 1].clone()


def set_up(case: dict[str, Any]) -> tuple[SearchConfig, list[Constraint]]:
    """The minimum length is a rule here: greedy search and short searches have one in these."""
    config = SearchConfig(
        method=METHODS.get(case["method"], case["method"]),
        beam_size=case["beam_size"],
        min_length=0,
        max_length=case["max_length"],
        block_ngram=max(0, case["block_ngram"]),
        block_context_ngram=max(0, case["context_block_ngram"]),
        length_penalty=case["length_penalty"],
        top_k=case.get("k", 10),
        top_p=case.get("p", 0.9),
        beam_delay=case.get("delay", 30),
    )
    return config, [min_length(case["min_length"], END)]


def name(case: dict[str, Any]) -> str:
    keys = ("method", "beam_size", "min_length", "block_ngram", "context_block_ngram")
    return "-".join(str(case[key]) for key in keys) + f"-{case['seed']}"


@pytest.mark.parametrize("at", range(len(CASES)), ids=[name(case) for case in CASES])
def test_search_equals_parlai(at: int) -> None:
    case, table = CASES[at], Table(TABLES[str(at)])
    config, rules = set_up(case)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(case["seed"])
        found = search(table, CONTEXT, config, start_id=START, end_id=END, rules=rules)[0]
    assert table.steps == case["steps"]
    assert all(h.finished for h in found) == case["finished"]
    assert [h.score for h in found] == pytest.approx(case["scores"], rel=1e-6, abs=1e-4)
    # Where all was banned, a beam search chooses among equals, which is torch.topk's own affair.
    if case["method"] != "beam" or case["scores"][0] > -1e19:
        assert [[START, *h.tokens, END] for h in found] == case["tokens"]


def test_every_method_is_among_the_cases() -> None:
    assert {case["method"] for case in CASES} == {
        "beam",
        "greedy",
        "topk",
        "nucleus",
        "delayedbeam",
    }
