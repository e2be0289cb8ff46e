"""A flip is right when pulling the lever flips the answer, and a little less does not."""

import math
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from adserver.decide.flip import BEYOND, Preference, flip
from adserver.domain.decision import IdRow, ValueRow, gated
from adserver.domain.policy import DoseSettings, Policy, Thresholds
from adserver.domain.reasons import Reason
from tests.decide.small import campaign, columns, decide, impression, variant, viewer

UNDER = 20 * BEYOND
"""Less than this is rounding of the float32 columns."""


def made(vector, bids, bar, seen, tiers=(5, 5, 5)):
    campaigns = [
        campaign(
            f"c{i}",
            variant(f"v{i}", [math.cos(i), math.sin(i)]),
            bid_cpm_micros=bid,
            priority=tier,
        )
        for i, (bid, tier) in enumerate(zip(bids, tiers, strict=True))
    ]
    policy = Policy(threshold=Thresholds(overall=bar), dose=DoseSettings(weight=0.05))
    impressions = [impression(1, "x", "y")] * seen
    return decide(columns(*campaigns, policy=policy), who=viewer(vector, impressions=impressions))


def pull(decision, lever, by):
    """Apply a pull to the decision's own columns; return what greedy makes of it."""
    preferred = Preference(decision).best()
    target = preferred
    if preferred < 0:
        target = int(np.argmax(Preference(decision).margins))
    if lever == "dose":
        decision.dose += by
    else:
        row = {
            "threshold": ValueRow.THRESHOLD,
            "relevance": ValueRow.RELEVANCE,
            "bid": ValueRow.BID,
        }[lever]
        values = decision.values.astype(float)
        values[row, target] += by
        decision = SimpleNamespace(
            values=values, ids=decision.ids, dose_part=decision.dose_part, rules=decision.rules
        )
    return Preference(decision).best()


@settings(deadline=None, max_examples=60)
@given(
    vector=st.tuples(st.floats(-2, 2, width=32), st.floats(-2, 2, width=32)),
    bids=st.tuples(*[st.sampled_from([0, 1_000_000, 3_000_000, 4_500_000])] * 3),
    tiers=st.tuples(*[st.sampled_from([1, 5])] * 3),
    bar=st.floats(-0.5, 0.9),
    seen=st.integers(0, 5),
)
def test_every_lever_flips_and_none_is_longer_than_it_must_be(vector, bids, tiers, bar, seen):
    for lever in ("threshold", "relevance", "dose", "bid"):
        decision = made(vector, bids, bar, seen, tiers)
        levers = flip(decision)["levers"]
        if lever not in levers:
            continue
        by, then = levers[lever]["by"], levers[lever]["then"]
        before = Preference(decision).best()
        assume(abs(by) > UNDER)
        assert then != before
        assert pull(decision, lever, by) == then, lever
        again = made(vector, bids, bar, seen, tiers)
        assert pull(again, lever, by * 0.98) == before, lever


def shortlisted(*arms, dose_part=0.0):
    """Return what a flip reads of a decision whose arms are (relevance, bid, tier)."""
    values = np.zeros((len(ValueRow), len(arms)))
    ids = np.zeros((len(IdRow), len(arms)), int)
    for j, (relevance, bid, tier) in enumerate(arms):
        values[ValueRow.RELEVANCE, j], values[ValueRow.BID, j] = relevance, bid
        ids[IdRow.TIER, j] = tier
    rules = SimpleNamespace(dose_weight=0.1)
    return SimpleNamespace(values=values, ids=ids, dose_part=dose_part, rules=rules)


def test_a_dose_hits_the_dear_and_barely_relevant_first():
    # Worth .8 and .6; with every margin .05 lower .6 and .5, at .15 lower .2 and .4.
    found = flip(shortlisted((0.2, 4.0, 5), (0.3, 2.0, 5)))
    assert found["levers"]["dose"]["then"] == 1
    assert found["levers"]["dose"]["by"] == pytest.approx(0.1 / 0.1, abs=1e-4)
    # And of an earlier tier, whose last arm is gone before those of the next.
    found = flip(shortlisted((0.2, 4.0, 1), (0.3, 2.0, 5)))
    assert found["levers"]["dose"]["then"] == 1
    assert found["levers"]["dose"]["by"] == pytest.approx(0.2 / 0.1, abs=1e-4)


def test_a_dose_that_is_less_lets_the_first_tier_in_before_the_second():
    found = flip(shortlisted((0.1, 4.0, 5), (0.1, 2.0, 1), dose_part=0.2))
    assert found["preferred"] == -1
    assert found["levers"]["dose"]["then"] == 1
    assert found["levers"]["threshold"]["then"] == 0


def test_nothing_shortlisted_has_no_lever():
    decision = gated(bytes(16), 0, Reason.NO_CANDIDATES, drawn=True)
    assert flip(decision) is None


def test_the_smallest_lever_moves_the_margin_least():
    found = flip(made((1.0, 0.0), (1_000_000,) * 3, -1.0, 0))
    # A rival stands nearer than the bar, so losing to it is a shorter way than losing to nothing.
    assert found["smallest"] != "dose"
    assert found["levers"]["relevance"]["by"] == -found["levers"]["threshold"]["by"]
    alone = flip(decide(columns(campaign("c", variant("v", [1.0, 0.0])))))
    assert alone["smallest"] != "bid"
    assert alone["levers"]["threshold"]["then"] == -1
