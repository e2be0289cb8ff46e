"""Who is held back by budget or pacing: counted, listed, and as if not in the catalogue."""

import numpy as np
import pytest

from adserver.decide.pipeline import Decider, Pacing
from adserver.domain.decision import THROTTLED_MAX
from adserver.domain.reasons import Reason, Stage
from tests.decide.small import DECISION_ID, NOW_MS, campaign, columns, request, shown, variant

DRAMA = campaign("drama", variant("rain", [1.0, 0.0]), variant("sun", [0.0, 1.0]))
COMEDY = campaign("comedy", variant("pie", [0.5, 0.5]), bid_cpm_micros=1_000_000)


def decide(snapshot, *pace, draw=0.25, **parts):
    pacing = Pacing(np.array(pace, np.float32), draw)
    return Decider(snapshot).decide(request(**parts), None, NOW_MS, DECISION_ID, 0.5, pacing)


def test_a_closed_campaign_is_as_one_that_is_not_there():
    held, absent = decide(columns(DRAMA, COMEDY), 0.0, 1.0), decide(columns(COMEDY), 1.0)
    assert held.throttled == [0]
    assert absent.throttled == []
    assert held.values.tolist() == absent.values.tolist()
    assert held.propensity == absent.propensity
    assert shown(columns(DRAMA, COMEDY), held) == "pie"
    assert held.counts[Stage.BUDGET] - held.counts[Stage.BUDGET + 1] == 2


def test_the_last_candidate_that_falls_to_the_budget_names_it_as_the_reason():
    decision = decide(columns(DRAMA), 0.0)
    assert (decision.reason, decision.propensity, decision.throttled) == (Reason.BUDGET, 1.0, [0])


def test_one_campaign_passes_with_its_pace_over_decisions():
    snapshot = columns(DRAMA, COMEDY)
    decider = Decider(snapshot)
    pace = np.array([0.3, 0.8], np.float32)
    draws = np.random.default_rng(5).random(3000)  # noqa: TID251
    held = [
        decider.decide(
            request(), None, NOW_MS, DECISION_ID, 0.5, Pacing(pace, float(draw))
        ).throttled
        for draw in draws
    ]
    # A standard deviation is .008; the two are held back independently of each other.
    assert np.mean([0 in each for each in held]) == pytest.approx(0.7, abs=0.03)
    assert np.mean([1 in each for each in held]) == pytest.approx(0.2, abs=0.03)
    assert np.mean([each == [0, 1] for each in held]) == pytest.approx(0.14, abs=0.03)


def test_below_the_floor_is_not_held_back_by_pacing():
    floor = [{"id": "home", "floor_cpm_micros": 2_000_000}]
    decision = decide(columns(DRAMA, COMEDY, placements=floor), 1.0, 0.0)
    assert decision.throttled == []
    assert decision.counts[Stage.BUDGET] - decision.counts[Stage.BUDGET + 1] == 1


def test_who_does_not_want_the_request_is_not_held_back():
    abroad = {**COMEDY, "targeting": {"country": ["FR"]}}
    assert decide(columns(DRAMA, abroad), 0.0, 0.0).throttled == [0]


def test_the_list_ends_where_a_row_has_no_room_for_more():
    many = [campaign(f"c{k}", variant(f"v{k}", [1.0, 0.0])) for k in range(THROTTLED_MAX + 9)]
    decision = decide(columns(*many), *[0.0] * len(many))
    assert decision.throttled == list(range(THROTTLED_MAX))
    assert decision.reason is Reason.BUDGET


def test_a_request_without_pacing_forgets_the_one_before():
    snapshot = columns(DRAMA)
    decider = Decider(snapshot)
    closed = Pacing(np.zeros(1, np.float32), 0.0)
    assert decider.decide(request(), None, NOW_MS, DECISION_ID, 0.5, closed).throttled == [0]
    free = decider.decide(request(), None, NOW_MS, DECISION_ID, 0.5)
    assert free.throttled == []
    assert free.shown
    decider.decide(request(), None, NOW_MS, DECISION_ID, 0.5, closed)
    assert decider.gate(Reason.DEADLINE, NOW_MS, DECISION_ID).throttled == []
    assert decider.decide(request(placement="x"), None, NOW_MS, DECISION_ID, 0.5).throttled == []
