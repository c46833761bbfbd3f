"""Counters add up over updates, and begin anew at each record and each better validation."""

import math

from hypothesis import given
from hypothesis import strategies as st

from openmmb.data.batch import Shard
from openmmb.training.run.counters import Progress
from openmmb.training.run.optim import Update

updates = st.builds(
    Update,
    loss=st.sampled_from([1.0, 2.5, math.nan]),
    tokens=st.integers(1, 9),
    norm=st.sampled_from([0.5, math.inf]),
)
SHARDS = [Shard(rows=None, tokens=6, positions=8), Shard(rows=None, tokens=2, positions=8)]


@given(st.lists(updates, min_size=1, max_size=20))
def test_updates_add_up_and_those_left_out_teach_nothing(made: list[Update]) -> None:
    progress = Progress()
    for update in made:
        progress = progress.after_update(update, SHARDS, 0.5)
    learnt = [update for update in made if not update.skipped]
    assert progress.step == len(made)
    assert progress.seconds == progress.recent_seconds == 0.5 * len(made)
    assert progress.tokens == progress.recent_tokens == sum(update.tokens for update in learnt)
    record = progress.recent()
    assert record["padding"] == 0.5
    assert record["loss"] == sum(update.loss for update in learnt) / max(1, progress.tokens)
    anew = progress.after_record()
    assert (anew.recent_loss, anew.recent_tokens, anew.recent_seconds) == (0.0, 0, 0.0)
    assert anew.standing() == progress.standing()


def test_a_validation_is_the_best_if_its_score_is_the_lowest() -> None:
    progress = Progress(step=5).after_validation(3.0)
    assert (progress.best, progress.best_step, progress.bad_validations) == (3.0, 5, 0)
    worse = progress.after_validation(3.0).after_validation(math.nan)
    assert (worse.best, worse.best_step, worse.bad_validations) == (3.0, 5, 2)
    assert worse.after_validation(2.0).bad_validations == 0


def test_only_updates_left_out_in_a_row_are_counted_together() -> None:
    progress = Progress(skipped=3)
    made = progress.after_update(Update(loss=1.0, tokens=2, norm=1.0), [], 0.1)
    assert made.skipped == 0
    left_out = progress.after_update(Update(loss=math.nan, tokens=2, norm=1.0), [], 0.1)
    assert left_out.skipped == 3  # the loop counts it, or finds it no fault
