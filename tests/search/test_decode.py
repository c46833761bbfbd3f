"""A search finds what its plain twin finds, keeps its promises, and no input changes another."""

import dataclasses
import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest
import torch
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from torch import Tensor

from openmmb.errors import CheckpointError
from openmmb.search.config import Method, SearchConfig
from openmmb.search.constraints import no_phrase
from openmmb.search.decode import search
from openmmb.search.hypothesis import Hypothesis

START, END, V, STATES = 1, 2, 7, 53
Words = tuple[int, ...]


@dataclass
class Net:
    """Logits that depend on all that a beam has said, through the parents that it is told.

    Attributes:
        tables: (B, STATES, V); what was said, hashed, picks the row.
    """

    tables: Tensor
    state: Tensor | None = None
    shapes: set[tuple[int, ...]] = field(default_factory=set)

    def __call__(self, tokens: Tensor, parents: Tensor) -> Tensor:
        self.shapes |= {tuple(tokens.shape), tuple(parents.shape)}
        before = torch.zeros_like(tokens) if self.state is None else self.state.gather(1, parents)
        self.state = (before * 31 + tokens + 1) % STATES
        return self.tables.gather(1, self.state[..., None].expand(-1, -1, V))


def tables(seed: int, *, num_inputs: int = 1) -> Tensor:
    return torch.randn(num_inputs, STATES, V, generator=torch.Generator().manual_seed(seed)) * 2


def run(
    table: Tensor, context: Tensor, config: SearchConfig, *, seeds: Sequence[int] | None = None
) -> list[list[Hypothesis]]:
    generators = [torch.Generator().manual_seed(seed) for seed in seeds or range(len(context))]
    return search(
        Net(table),
        context,
        config,
        start_id=START,
        end_id=END,
        banned_ids=[START],
        generators=generators,
    )


@dataclass
class Expected:
    """What a beam search by lists finds.

    Attributes:
        hypotheses: Best first; empty where nothing finished.
        which_tie: Whether a tie decides what goes on or what comes first among the beams, so that
            rounding may lead the search elsewhere.
        order_tie: Whether a tie decides the order of the hypotheses.
    """

    hypotheses: list[Hypothesis]
    which_tie: bool
    order_tie: bool


def slow_beam(table: Tensor, context: list[int], config: SearchConfig) -> Expected:
    beams: list[tuple[float, Words]] = [(0.0, (START,))]
    ended: list[tuple[float, Words]] = []
    first_ended = which_tie = False
    for _ in range(config.max_length):
        longer = sorted(
            (
                (score + logp, (*prefix, token))
                for score, prefix in beams
                if prefix[-1] != END
                for token, logp in enumerate(log_probs(table, prefix))
                if token != START and not is_banned((*prefix, token), context, config)
            ),
            reverse=True,
        )
        beams = longer[: config.beam_size]
        which_tie |= has_tie([score for score, _ in longer[:2]])
        which_tie |= has_tie([score for score, _ in longer[config.beam_size - 1 :][:2]])
        ended += [beam for beam in beams if beam[1][-1] == END]
        first_ended |= bool(beams) and beams[0][1][-1] == END
        if first_ended and len(ended) >= config.beam_size:
            break
    scored = sorted(((penalised(beam, config), beam[1]) for beam in ended), reverse=True)
    return Expected(
        hypotheses=[Hypothesis(tokens[1:-1], score) for score, tokens in scored],
        which_tie=which_tie,
        order_tie=has_tie([score for score, _ in scored]),
    )


def penalised(beam: tuple[float, Words], config: SearchConfig) -> float:
    total, tokens = beam
    penalty: float = ((1 + len(tokens)) / 6) ** config.length_penalty
    return total / penalty


def plain_score(table: Tensor, hypothesis: Hypothesis, config: SearchConfig) -> float:
    tokens = (START, *hypothesis.tokens, END)
    total = sum(log_probs(table, tokens[:at])[tokens[at]] for at in range(1, len(tokens)))
    return penalised((total, tokens), config)


def has_tie(scores: Sequence[float]) -> bool:
    """Whether neighbours are so near that the rounding of float32 may order them."""
    return any(abs(first - second) < 1e-4 for first, second in itertools.pairwise(scores))


def log_probs(table: Tensor, prefix: Words) -> list[float]:
    state = 0
    for token in prefix:
        state = (state * 31 + token + 1) % STATES
    logits = [float(x) for x in table[state]]
    logits[START] = -math.inf
    total = math.log(sum(math.exp(x) for x in logits))
    return [x - total for x in logits]


def is_banned(said: Words, context: list[int], config: SearchConfig) -> bool:
    if said[-1] == END and len(said) - 2 < config.min_length:
        return True
    return ends_as_before(said, list(said[:-1]), config.block_ngram) or ends_as_before(
        said, context, config.block_context_ngram
    )


def ends_as_before(said: Words, source: list[int], size: int) -> bool:
    grams = [tuple(source[i : i + size]) for i in range(len(source) - size + 1)]
    return 0 < size <= len(said) and said[-size:] in grams


configs = st.builds(
    SearchConfig,
    beam_size=st.integers(1, 5),
    min_length=st.integers(0, 6),
    max_length=st.integers(7, 14),
    block_ngram=st.integers(0, 3),
    block_context_ngram=st.integers(0, 3),
    length_penalty=st.sampled_from([0.0, 0.65, 1.0]),
)
contexts = st.lists(st.integers(0, V - 1), min_size=6, max_size=6)
seeds = st.integers(0, 100_000)


@settings(deadline=None)
@given(seeds, contexts, configs)
@example(  # the order of two hypotheses is a tie
    15967,
    [0] * 6,
    SearchConfig(
        beam_size=2,
        min_length=0,
        max_length=10,
        block_ngram=3,
        block_context_ngram=0,
        length_penalty=0.0,
    ),
)
def test_beam_search_equals_its_plain_twin(
    seed: int, context: list[int], config: SearchConfig
) -> None:
    table = tables(seed)
    found = run(table, torch.tensor([context]), config)[0]
    expected = slow_beam(table[0], context, config)
    for hypothesis in found:
        if hypothesis.finished:
            score = plain_score(table[0], hypothesis, config)
            assert hypothesis.score == pytest.approx(score, abs=1e-4)
    if expected.which_tie:
        return
    assert all(h.finished for h in found) == bool(expected.hypotheses)
    if expected.hypotheses:
        scores, tokens = scores_of(found), [h.tokens for h in found]
        assert scores == pytest.approx(scores_of(expected.hypotheses), abs=1e-4)
        wanted = [h.tokens for h in expected.hypotheses]
        assert sorted(tokens) == sorted(wanted)
        assert expected.order_tie or tokens == wanted


def scores_of(hypotheses: Sequence[Hypothesis]) -> list[float]:
    return [h.score for h in hypotheses]


def test_ties_are_rare_enough_for_the_twin_to_prove_something() -> None:
    config = SearchConfig(beam_size=4, min_length=2, max_length=12, block_context_ngram=0)
    runs = [slow_beam(tables(seed)[0], [0] * 6, config) for seed in range(100)]
    assert sum(run.which_tie or run.order_tie for run in runs) < 10


@settings(deadline=None)
@given(seeds, contexts, configs, st.sampled_from(["beam", "topk", "nucleus", "delayed_beam"]))
def test_every_method_keeps_its_promises(
    seed: int, context: list[int], config: SearchConfig, method: Method
) -> None:
    config = dataclasses.replace(config, method=method, top_k=4, beam_delay=3)
    found = run(tables(seed), torch.tensor([context]), config)[0]
    assert [h.score for h in found] == sorted((h.score for h in found), reverse=True)
    for h in found:
        assume(h.score > -1e19)  # where all is banned, what cannot be kept is not promised
        said = (START, *h.tokens, END) if h.finished else (START, *h.tokens)
        assert START not in h.tokens
        assert END not in h.tokens
        assert len(h.tokens) < config.max_length
        assert len(h.tokens) >= config.min_length or not h.finished
        for upto in range(2, len(said) + 1):
            assert not is_banned(said[:upto], context, config)


@settings(deadline=None)
@given(seeds, st.lists(contexts, min_size=2, max_size=4), configs)
def test_a_batch_equals_its_inputs_one_by_one(
    seed: int, context: list[list[int]], config: SearchConfig
) -> None:
    table = tables(seed, num_inputs=len(context))
    together = run(table, torch.tensor(context), config)
    for at, found in enumerate(together):
        alone = run(table[at : at + 1], torch.tensor(context[at : at + 1]), config)[0]
        if alone[0].score > -1e19:
            assert [h.tokens for h in found] == [h.tokens for h in alone]
            assert [h.score for h in found] == pytest.approx([h.score for h in alone], abs=1e-4)


@settings(deadline=None)
@given(
    seeds,
    st.lists(st.tuples(contexts, st.integers(-(2**63), 2**63 - 1)), min_size=2, max_size=5),
    configs,
    st.sampled_from(["topk", "nucleus", "delayed_beam"]),
)
def test_an_input_draws_the_same_alone_and_in_any_company(
    seed: int, inputs: list[tuple[list[int], int]], config: SearchConfig, method: Method
) -> None:
    config = dataclasses.replace(config, method=method, top_k=4, beam_delay=3)
    table = tables(seed, num_inputs=len(inputs))
    context, drawn = [list(part) for part in zip(*inputs, strict=True)]
    together = run(table, torch.tensor(context), config, seeds=drawn)
    for at, found in enumerate(together):
        alone = run(
            table[at : at + 1], torch.tensor(context[at : at + 1]), config, seeds=[drawn[at]]
        )[0]
        if alone[0].score > -1e19:
            assert [h.tokens for h in found] == [h.tokens for h in alone]
            assert scores_of(found) == pytest.approx(scores_of(alone), abs=1e-4)


@settings(deadline=None)
@given(seeds)
def test_padding_of_the_context_changes_nothing_where_padding_is_banned(seed: int) -> None:
    config = SearchConfig(beam_size=3, min_length=2, max_length=9, block_context_ngram=2)
    found = [
        search(
            Net(tables(seed)),
            torch.tensor([[4, 5, 6, 4, END, *padding]]),
            config,
            start_id=START,
            end_id=END,
            banned_ids=[0, START],
        )
        for padding in ([], [0, 0, 0])
    ]
    assert found[0] == found[1]


def test_an_input_that_is_done_disturbs_no_other() -> None:
    config = SearchConfig(beam_size=2, min_length=0, max_length=12)
    context = torch.tensor([[3], [3]])
    table = tables(3, num_inputs=2)
    table[0, :, END] = 50  # ends at once
    net, steps = Net(table), 0

    def broken(tokens: Tensor, parents: Tensor) -> Tensor:
        nonlocal steps
        logits = net(tokens, parents)
        if steps > 3:
            logits[0] = torch.nan
        steps += 1
        return logits

    found = search(broken, context, config, start_id=START, end_id=END, banned_ids=[START])
    assert steps > 4
    assert found == run(table, context, config)
    assert net.shapes == {(2, 2)}  # rows stay


def test_greedy_takes_the_likeliest_token_and_ignores_the_minimum() -> None:
    table = tables(0)
    table[..., END] = 50
    config = SearchConfig(method="greedy", min_length=20, block_context_ngram=0)
    assert [h.tokens for h in run(table, torch.tensor([[3]]), config)[0]] == [()]


def test_a_delayed_beam_without_delay_is_a_beam() -> None:
    beam = SearchConfig(beam_size=3, min_length=2, max_length=10)
    delayed = SearchConfig(
        method="delayed_beam", beam_delay=0, beam_size=3, min_length=2, max_length=10
    )
    context = torch.tensor([[3, 4, 5]])
    assert run(tables(1), context, delayed) == run(tables(1), context, beam)


@pytest.mark.parametrize("method", ["topk", "nucleus", "delayed_beam"])
def test_draws_follow_the_generator(method: Method) -> None:
    config = SearchConfig(method=method, beam_size=3, min_length=4, max_length=20, block_ngram=0)
    context = torch.tensor([[3, 4, 5]])
    first = run(tables(1), context, config, seeds=[1])
    assert first == run(tables(1), context, config, seeds=[1])
    assert first != run(tables(1), context, config, seeds=[2])


def test_temperature_divides_the_logits() -> None:
    warm = SearchConfig(beam_size=3, min_length=2, max_length=10, temperature=0.5)
    plain = SearchConfig(beam_size=3, min_length=2, max_length=10)
    context = torch.tensor([[3, 4, 5]])
    assert run(tables(1), context, warm) == run(tables(1) * 2, context, plain)


def test_rules_come_on_top_of_those_of_the_config() -> None:
    config = SearchConfig(beam_size=3, min_length=2, max_length=10)
    context = torch.tensor([[3, 4, 5]])
    best = run(tables(1), context, config)[0][0].tokens
    rules = [no_phrase([best[:2]])]
    found = search(
        Net(tables(1)), context, config, start_id=START, end_id=END, banned_ids=[START], rules=rules
    )
    for h in found[0]:
        assert best[:2] not in [h.tokens[i : i + 2] for i in range(len(h.tokens))]


def test_half_precision_logits_are_searched_in_full_precision() -> None:
    config = SearchConfig(beam_size=3, min_length=2, max_length=10)
    context = torch.tensor([[3, 4, 5]])
    table = tables(1).bfloat16()
    assert run(table, context, config) == run(table.float(), context, config)


def test_refusals() -> None:
    config = SearchConfig()
    with pytest.raises(ValueError, match=r"context is \(3,\), expected \(B, S\)"):
        run(tables(0), torch.tensor([3, 4, 5]), config)
    with pytest.raises(ValueError, match="banned_ids hold the end token 2; no reply could end"):
        search(
            Net(tables(0)),
            torch.tensor([[3]]),
            config,
            start_id=START,
            end_id=END,
            banned_ids=[START, END],
        )
    with pytest.raises(ValueError, match="2 generators for 1 inputs; expected one each"):
        run(tables(0), torch.tensor([[3]]), config, seeds=[1, 2])


def test_each_input_may_begin_with_a_token_of_its_own() -> None:
    config = SearchConfig(beam_size=2, min_length=0, max_length=8)
    both = tables(3, num_inputs=2)
    starts = torch.tensor([START, 4])
    context = torch.zeros(2, 3, dtype=torch.int64)
    found = search(Net(both), context, config, start_id=starts, end_id=END, banned_ids=[START])
    for at in range(2):
        alone = search(
            Net(both[at : at + 1]),
            context[:1],
            config,
            start_id=int(starts[at]),
            end_id=END,
            banned_ids=[START],
        )
        assert [h.tokens for h in found[at]] == [h.tokens for h in alone[0]]


@pytest.mark.parametrize("number", [math.nan, math.inf])
@pytest.mark.parametrize("method", ["beam", "greedy", "topk", "nucleus"])
def test_logits_that_are_no_numbers_are_an_error_and_no_reply(
    number: float, method: Method
) -> None:
    table = tables(0)
    table[:, :, 5] = number
    config = SearchConfig(method=method, beam_size=2, min_length=1, max_length=6)
    with pytest.raises(CheckpointError, match=r"logits for token 1 of a reply are not all finite"):
        run(table, torch.tensor([[3, 4]]), config)
