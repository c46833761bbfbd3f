"""From a function that gives next-token logits to replies.

Sizes: B inputs, K beams, V vocabulary, S context tokens, L tokens so far.
"""

from collections.abc import Sequence
from typing import Protocol

import torch
from torch import Tensor

from openmmb.errors import CheckpointError
from openmmb.search import constraints
from openmmb.search.beam import choose_best, choose_likeliest
from openmmb.search.config import SearchConfig
from openmmb.search.constraints import BANNED, Constraint
from openmmb.search.hypothesis import Choice, Hypothesis, Trace
from openmmb.search.sample import draw_nucleus, draw_top_k
from openmmb.search.wide import log_sum_exp


class Step(Protocol):
    """The network, one token further."""

    def __call__(self, tokens: Tensor, parents: Tensor, /) -> Tensor:
        """Say what may come next.

        B and K stay the same throughout a search: beams and inputs that are done go on as rows
        that nobody reads.

        Args:
            tokens: (B, K) int64, the newest token of each beam; start tokens at first.
            parents: (B, K) int64, which beam of the step before each one continues; at first
                each continues itself.

        Returns:
            Logits (B, K, V) float, which the search overwrites, and no longer needs once it asks
            for the next step.
        """
        ...


@torch.inference_mode()
def search(
    step: Step,
    context: Tensor,
    config: SearchConfig,
    *,
    start_id: int | Tensor,
    end_id: int,
    banned_ids: Sequence[int] = (),
    rules: Sequence[Constraint] = (),
    generators: Sequence[torch.Generator] | None = None,
) -> list[list[Hypothesis]]:
    """Find replies, token for token as ParlAI's ``TreeSearch`` does.

    Args:
        step: The network; called at most ``config.max_length`` times.
        context: (B, S) int64, what replies must not repeat n-grams of, on the device of the
            logits. ParlAI's ends with the end token and padding; see ``no_context_ngram``.
        config: How to search.
        start_id: Comes before every reply; or (B,) int64, before that to each input.
        end_id: Ends a reply.
        banned_ids: Tokens that are no part of a reply, such as the start token: they get no
            probability. What ``rules`` and ``config`` ban keeps the share that it has of it.
        rules: Further constraints.
        generators: For the methods that draw, one for each input: what an input draws is then the
            same alone and beside any others. None draws from PyTorch's own, input after input.

    Returns:
        Hypotheses of each input, at least one, best first.

    Raises:
        ValueError: ``context`` is not of two dimensions, the end token is banned, or there are
            more or fewer generators than inputs.
        CheckpointError: The network gives logits that are no numbers.
    """
    if context.dim() != 2:
        raise ValueError(f"context is {tuple(context.shape)}, expected (B, S)")
    if end_id in banned_ids:
        raise ValueError(f"banned_ids hold the end token {end_id}; no reply could end")
    if generators is not None and len(generators) != len(context):
        raise ValueError(
            f"{len(generators)} generators for {len(context)} inputs; expected one each"
        )
    B, K = len(context), config.num_beams
    rules = [*_rules(config, context, end_id), *rules]
    banned = torch.tensor(banned_ids, dtype=torch.int64, device=context.device)
    trace = Trace(B, K, end_id=end_id, device=context.device)
    prefixes = torch.zeros(B, K, config.max_length + 1, dtype=torch.int64, device=context.device)
    prefixes[..., 0] = torch.as_tensor(start_id, device=context.device).expand(B)[:, None]
    scores = _first_scores(config, B, context.device)
    tokens, parents = prefixes[..., 0], torch.arange(K, device=context.device).expand(B, K)
    done = [False] * B
    for length in range(1, config.max_length + 1):
        logits = step(tokens, parents).float()
        if config.temperature != 1:
            logits.div_(config.temperature)
        logits.index_fill_(-1, banned, BANNED)
        log_total = log_sum_exp(logits)
        finite = log_total.isfinite().flatten(1).all(1)
        if not finite.all() and not all(finite[row] for row in range(B) if not done[row]):
            raise CheckpointError(
                f"the network's logits for token {length} of a reply are not all finite numbers; "
                "its weights are too large, or damaged"
            )
        for rule in rules:
            rule(prefixes[..., :length], logits)
        choice = _choose(config, length - 1, logits, log_total, scores, done, generators)
        tokens, parents = choice.tokens, choice.parents
        _append(prefixes, length, tokens, parents)
        trace.add(choice)
        done = trace.done.tolist()  # the one answer that a step waits for
        if all(done):
            break
        scores = choice.scores.masked_fill(tokens == end_id, BANNED)  # what ended goes no further
    return trace.hypotheses(length_penalty=config.length_penalty)


def _rules(config: SearchConfig, context: Tensor, end_id: int) -> list[Constraint]:
    rules: list[Constraint] = []
    if config.method != "greedy" and config.min_length:
        rules.append(constraints.min_length(config.min_length, end_id))
    if config.block_ngram:
        rules.append(constraints.no_repeated_ngram(config.block_ngram))
    if config.block_context_ngram:
        rules.append(constraints.no_context_ngram(config.block_context_ngram, context))
    return rules


def _draws(config: SearchConfig, num_tokens: int) -> bool:
    """Whether the token after ``num_tokens`` is drawn."""
    if config.method == "delayed_beam":
        return num_tokens < config.beam_delay
    return config.method in ("topk", "nucleus")


def _first_scores(config: SearchConfig, num_inputs: int, device: torch.device) -> Tensor:
    """Scores (B, K) of the empty hypotheses.

    They are all the same, so a beam search may go on from only one, or it would keep K copies.
    """
    scores = torch.zeros(num_inputs, config.num_beams, device=device)
    if not _draws(config, 0):
        scores[:, 1:] = -torch.inf
    return scores


def _choose(
    config: SearchConfig,
    num_tokens: int,
    logits: Tensor,
    log_total: Tensor,
    scores: Tensor,
    done: Sequence[bool],
    generators: Sequence[torch.Generator] | None,
) -> Choice:
    if config.method == "greedy":
        return choose_likeliest(logits, log_total, scores)
    if not _draws(config, num_tokens):
        return choose_best(logits, log_total, scores)
    if config.method == "nucleus":
        return draw_nucleus(logits, scores, config.top_p, done=done, generators=generators)
    return draw_top_k(logits, log_total, scores, config.top_k, done=done, generators=generators)


def _append(prefixes: Tensor, length: int, tokens: Tensor, parents: Tensor) -> None:
    """Let every beam of ``prefixes`` (B, K, L) continue its parent's prefix with its token."""
    beams = parents[..., None].expand(-1, -1, length)
    prefixes[..., :length] = prefixes[..., :length].gather(1, beams)
    prefixes[..., length] = tokens
