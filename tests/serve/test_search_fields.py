"""The fields of a request decide how its reply is searched for, within what the server allows."""

from dataclasses import replace
from typing import Any

import pytest

from openmmb.search.config import SearchConfig
from openmmb.serve.config import ServeConfig
from openmmb.serve.failures import RequestFailure
from openmmb.serve.protocol import ChatRequest
from openmmb.serve.search_fields import count_replies, plan_search

BASE = SearchConfig(beam_size=10, min_length=8, max_length=60)
LIMITS = ServeConfig()
MESSAGES: Any = [{"role": "user", "content": "Hi"}]


def plan(base: SearchConfig = BASE, **fields: Any) -> SearchConfig:
    return plan_search(ChatRequest(messages=MESSAGES, **fields), base, LIMITS)


@pytest.mark.parametrize(
    ("fields", "changed"),
    [
        ({}, {}),
        ({"temperature": 0.0}, {}),
        ({"temperature": 1e-12}, {}),
        ({"temperature": 0.5}, {"temperature": 0.5}),
        ({"top_p": 1.0, "top_k": -1}, {}),
        ({"top_p": 0.8}, {"method": "nucleus", "top_p": 0.8, "beam_size": 1}),
        ({"top_k": 5}, {"method": "topk", "top_k": 5, "beam_size": 1}),
        ({"top_k": 5, "n": 4}, {"method": "topk", "top_k": 5, "beam_size": 4}),
        ({"top_p": 0.8, "best_of": 3}, {"method": "nucleus", "top_p": 0.8, "beam_size": 3}),
        ({"top_p": 0.8, "temperature": 0.0}, {"method": "greedy"}),
        ({"use_beam_search": False}, {"method": "nucleus", "beam_size": 1}),
        ({"use_beam_search": True, "best_of": 4}, {"beam_size": 4}),
        ({"beam_size": 4, "n": 4}, {"beam_size": 4}),
        ({"max_tokens": 20}, {"max_length": 20}),
        ({"max_completion_tokens": 5}, {"max_length": 5, "min_length": 4}),
        ({"max_completion_tokens": 1}, {"max_length": 1, "min_length": 0}),
        ({"max_tokens": 7, "max_completion_tokens": 7}, {"max_length": 7, "min_length": 6}),
        ({"max_tokens": 100000}, {}),
        ({"min_tokens": 0}, {"min_length": 0}),
        ({"length_penalty": 0.0}, {"length_penalty": 0.0}),
        ({"block_ngram": 0}, {"block_ngram": 0}),
        ({"block_context_ngram": 2}, {"block_context_ngram": 2}),
    ],
)  # fmt: skip
def test_a_field_changes_what_it_says(fields: dict[str, Any], changed: dict[str, Any]) -> None:
    assert plan(**fields) == replace(BASE, **changed)


def test_a_draw_of_the_checkpoints_own_goes_on_unless_the_likeliest_is_asked_for() -> None:
    drawing = replace(BASE, method="topk", beam_size=2)
    assert plan(drawing) == drawing
    assert plan(drawing, temperature=0.0).method == "greedy"
    assert plan(drawing, use_beam_search=True).method == "beam"


@pytest.mark.parametrize(
    ("fields", "param", "message"),
    [
        ({"top_p": 0.5, "top_k": 5}, "top_k", "together with top_p"),
        ({"use_beam_search": True, "top_k": 5}, "top_k", "a beam draws nothing"),
        ({"use_beam_search": True, "top_p": 0.5}, "top_p", "a beam draws nothing"),
        ({"beam_size": 3, "best_of": 4}, "best_of", "contradicts beam_size"),
        ({"beam_size": 21}, "beam_size", "at most 20, got 21"),
        ({"best_of": 2, "n": 3}, "best_of", "at least n, which is 3, got 2"),
        ({"n": 11}, "n", "at most 10, got 11"),
        ({"n": 2, "top_p": 0.5, "temperature": 0.0}, "n", "the likeliest reply is one"),
        ({"max_tokens": 5, "max_completion_tokens": 6}, "max_tokens", "contradicts"),
        ({"min_tokens": 60}, "min_tokens", "expected less than the longest reply, 60"),
        ({"min_tokens": 5, "max_tokens": 5}, "min_tokens", "got 5"),
    ],
)
def test_what_cannot_be_is_refused_by_name(
    fields: dict[str, Any], param: str, message: str
) -> None:
    with pytest.raises(RequestFailure, match=message) as failure:
        plan(**fields)
    assert failure.value.param == param
    assert str(failure.value).startswith(f"{param}: ")


def test_several_replies_are_as_many_as_are_allowed() -> None:
    assert count_replies(ChatRequest(messages=MESSAGES), LIMITS) == 1
    assert count_replies(ChatRequest(messages=MESSAGES, n=10), LIMITS) == 10
    few = ServeConfig(max_beams=3)
    with pytest.raises(RequestFailure, match="at most 3"):
        count_replies(ChatRequest(messages=MESSAGES, n=4), few)
    assert plan_search(ChatRequest(messages=MESSAGES, n=3), BASE, few).beam_size == 3


def test_a_search_of_the_checkpoints_own_is_no_wider_than_is_allowed() -> None:
    few = ServeConfig(max_beams=4)
    assert plan_search(ChatRequest(messages=MESSAGES), BASE, few).beam_size == 4
    narrow = replace(BASE, beam_size=2)
    assert plan_search(ChatRequest(messages=MESSAGES), narrow, few).beam_size == 2
    assert plan_search(ChatRequest(messages=MESSAGES, n=3), narrow, few).beam_size == 3
