"""Known outcomes stand for those that were lost, so that what is lost more often counts no less."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from adserver.domain.event import EventType
from adserver.journal.columns import columns
from adserver.journal.observed import UNKNOWN_SHARE_MAX, Observed
from adserver.journal.outcomes import Outcome, Place, Resolved
from adserver.worlds.dice import throw
from tests.journal import rows as make

DEVICES = ("phone", "tv", None)
BEGUN = 1 << EventType.IMPRESSION


def batch_of(*made):
    """Return a batch of (outcome, placement, device)."""
    rows = []
    for number, (outcome, placement, device) in enumerate(made):
        row = make.shown(number) if outcome else make.refused(number)
        context = replace(row.context, device=device)
        rows.append(replace(row, placement=placement, context=context))
    outcomes = np.array([outcome for outcome, _, _ in made], np.int8)
    silent = (outcomes == Outcome.UNPLAYED) | (outcomes == Outcome.NOTHING)
    return Resolved(
        columns=columns(rows),
        outcome=outcomes,
        events=np.where(silent, 0, BEGUN).astype(np.int32),
        watched_ms=np.full(len(rows), -1),
        ended_by=np.zeros(len(rows), np.int8),
        settled=True,
        end=Place(0, 0, 0, 0),
    )


def watch(*batches):
    observed = Observed()
    for batch in batches:
        observed.add(batch)
    return observed


def test_what_is_lost_is_made_up_for_by_its_like():
    tv = [(Outcome.COMPLETED, "home", "tv")] * 3 + [(Outcome.UNKNOWN, "home", "tv")]
    phone = [(Outcome.SKIPPED, "home", "phone")] * 8
    rest = [
        (Outcome.UNPLAYED, "home", "tv"),
        (Outcome.NOTHING, "home", "tv"),
        (Outcome.PLAYING, "home", "tv"),
    ]
    batch = batch_of(*tv, *phone, *rest)
    observed = watch(batch)
    weights = observed.weights(batch)
    assert weights.tolist() == [4 / 3] * 3 + [0.0] + [1.0] * 8 + [1.0, 1.0, 0.0]
    assert (observed.begun, observed.unknown) == (12, 1)


made = st.tuples(st.sampled_from(Outcome), st.sampled_from("ab"), st.sampled_from(DEVICES))


@given(st.lists(made, max_size=30), st.lists(made, max_size=30))
def test_the_weights_of_each_placement_and_device_add_up_to_all_that_was_resolved(one, two):
    batches = [batch_of(*each) for each in (one, two) if each]
    observed = watch(*batches)
    total, resolved, known = Counter(), Counter(), Counter()
    for batch in batches:
        for row, outcome, weight in zip(
            batch.rows, batch.outcome, observed.weights(batch), strict=True
        ):
            cell = (row.placement, row.context.device)
            total[cell] += weight
            resolved[cell] += outcome != Outcome.PLAYING
            known[cell] += outcome in {Outcome.COMPLETED, Outcome.SKIPPED}
    for cell, count in resolved.items():
        if known[cell]:
            assert total[cell] == pytest.approx(count)


def test_a_mean_is_right_again_where_losses_depend_on_the_device():
    """Phones lose a quarter of their ends and complete less; seeded, 4 standard errors."""
    dice = throw(7)
    n, ends = 20_000, (Outcome.SKIPPED, Outcome.COMPLETED)
    phone = dice.random(n) < 0.5
    completes = dice.random(n) < np.where(phone, 0.2, 0.8)
    lost = dice.random(n) < np.where(phone, 0.25, 0.01)
    batch = batch_of(
        *(
            (
                Outcome.UNKNOWN if lost[i] else ends[int(completes[i])],
                "home",
                "phone" if phone[i] else "tv",
            )
            for i in range(n)
        )
    )
    weights = watch(batch).weights(batch)
    error = 4 * np.sqrt(0.25 / n)
    assert weights @ batch.complete / weights.sum() == pytest.approx(completes.mean(), abs=error)
    naive = batch.complete[batch.known].mean()
    assert abs(naive - completes.mean()) > error, "without weights it is off"


def test_too_many_unknown_are_refused():
    known, unknown = (Outcome.COMPLETED, "home", "tv"), (Outcome.UNKNOWN, "home", "tv")
    assert UNKNOWN_SHARE_MAX == 0.1
    assert watch(batch_of(*[known] * 9, unknown)).refusal is None
    assert "18.2%" in watch(batch_of(*[known] * 9, unknown, unknown)).refusal
    assert Observed().refusal is None


def test_where_nothing_was_ever_known_nothing_can_be_made_up_for():
    batch = batch_of(*[(Outcome.COMPLETED, "home", "tv")] * 20, (Outcome.UNKNOWN, "home", None))
    assert watch(batch).refusal == "no end was ever heard of: home on an unnamed device"
