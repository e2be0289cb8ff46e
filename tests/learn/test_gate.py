"""The gate at its edges: each condition alone, all reasons together, NaN never lets through."""

import math

import pytest
from msgspec.structs import replace

from adserver.learn.estimate import Support
from adserver.learn.gate import Verdict, judge

SOUND = Support(
    rows=10_000,
    clusters=10_000,
    ess=5_000.0,
    weight_mean=1.0,
    weight_error=0.01,
    weight_max=4.0,
)


def judged(refusal=None, **changes):
    return judge(replace(SOUND, **changes), refusal)


@pytest.mark.parametrize(
    ("changes", "verdict"),
    [
        ({}, Verdict.OK),
        ({"ess": 1000.0}, Verdict.OK),
        ({"ess": math.nextafter(1000.0, 0.0)}, Verdict.WARN),
        ({"ess": 200.0}, Verdict.WARN),
        ({"ess": math.nextafter(200.0, 0.0)}, Verdict.REFUSE),
        ({"ess": 0.0, "weight_mean": 0.0, "weight_error": 0.0}, Verdict.REFUSE),
        ({"rows": 40_000, "ess": 2_000.0}, Verdict.OK),
        ({"rows": 40_000, "ess": 1_999.0}, Verdict.WARN),
        ({"weight_mean": 1.0399}, Verdict.OK),
        ({"weight_mean": 1.0401}, Verdict.REFUSE),
        ({"weight_mean": 0.9599}, Verdict.REFUSE),
        ({"weight_mean": 1.0 + 9e-7, "weight_error": 0.0}, Verdict.OK),
        ({"weight_mean": 1.0 + 2e-6, "weight_error": 0.0}, Verdict.REFUSE),
        ({"refusal": "12.0% of what began has no known end, over 10 %"}, Verdict.REFUSE),
        ({"ess": math.nan}, Verdict.REFUSE),
        ({"weight_mean": math.nan}, Verdict.REFUSE),
        ({"weight_mean": math.inf, "weight_error": math.nan}, Verdict.REFUSE),
        ({"weight_error": math.nan}, Verdict.REFUSE),
    ],
)
def test_every_edge(changes, verdict):
    found = judged(**changes)
    assert found.verdict is verdict
    assert found.reasons
    assert all(found.reasons)


def test_all_reasons_are_given_and_the_worst_verdict_wins():
    found = judged(ess=300.0, weight_mean=0.5, refusal="half of it is unknown")
    assert found.verdict is Verdict.REFUSE
    weight, unknown, few = found.reasons
    assert "mean weight is 0.5" in weight
    assert "never did" in weight
    assert unknown == "half of it is unknown"
    assert "300.0, below 1,000 and 3.0% of 10,000 rows" in few
    assert found.why == "; ".join(found.reasons)


def test_what_is_refused_is_not_warned_about_as_well():
    (reason,) = judged(ess=100.0).reasons
    assert "100.0, below 200: the log hardly ever does" in reason


def test_too_large_a_mean_points_at_the_propensities():
    (reason,) = judged(weight_mean=2.0).reasons
    assert "propensities are smaller" in reason


def test_a_single_row_is_refused_for_being_one():
    (reason,) = judged(rows=1, ess=1.0, weight_mean=3.0, weight_error=math.nan).reasons
    assert "1.0, below 200: the log is too short" in reason
