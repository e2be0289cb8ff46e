"""The judge: its figures against their definitions, and what it will not tell."""

import math

import numpy as np
import pytest
from msgspec.structs import replace

from adserver.domain.decision import NOTHING, Exploration, ValueRow
from adserver.journal.columns import columns
from adserver.journal.schema import Context, DecisionRow
from adserver.learn import judge
from adserver.learn.judge import JUDGED_MIN, Judge
from adserver.worlds.dice import throw

WIDTH = 5
ROW = DecisionRow(
    decision_id=bytes(16),
    time_ms=0,
    chosen=0,
    reason=0,
    drawn=True,
    draw=0.5,
    propensity=0.5,
    surprise=False,
    surprise_allowed=False,
    pseudonym=None,
    placement="home",
    context=Context(None, None, None, None, None, 0, (), 1, None),
    versions=("c", "p", "m"),
    exploration=Exploration.INVERSE_GAP,
    gamma=20.0,
    epsilon=0.1,
    surprise_share=0.05,
    surprise_band=2.0,
    annoyance_cost=3.0,
    dose_weight=0.0,
    dose=0.0,
    p_nothing=0.0,
    ids=np.zeros((3, WIDTH), "<i4").tobytes(),
    values=b"",
    counts=[1] * 7,
    rest_best_relevance=0.0,
    rest_best_p_complete=0.0,
)


def shortlist(relevance):
    """Return the row of a decision over these candidates, with what was really drawn from."""
    values = np.zeros((len(ValueRow), len(relevance)), "<f4")
    values[ValueRow.RELEVANCE] = relevance
    row = replace(ROW, values=values.tobytes())
    p, nothing = drawn_from(row, relevance)
    values[ValueRow.PROPENSITY] = p
    return replace(row, values=values.tobytes(), p_nothing=float(nothing))


def drawn_from(row, relevance):
    """Return what the rules of a row would draw from under other relevances."""
    logged = columns([row])
    values = logged.values.copy()
    values[ValueRow.RELEVANCE] = relevance
    p, nothing = np.zeros(WIDTH, np.float32), np.zeros(1)
    settings = judge._settings(logged)  # noqa: SLF001  (the rules of the row, as the judge reads them)
    judge.redraw(logged.start, logged.ids, values, settings, p, nothing)
    return p, nothing[0]


@pytest.mark.parametrize("seed", range(20))
def test_the_advantage_is_on_average_the_true_one(seed):
    """Over everything that could have been drawn, whatever the model in force predicted."""
    dice = throw(seed)
    predicted, learnt, truth = (dice.uniform(-1.0, 1.0, WIDTH) for _ in range(3))
    row = shortlist(predicted)
    mu = np.frombuffer(row.values, "<f4").reshape(len(ValueRow), -1)[ValueRow.PROPENSITY]
    pi, _ = drawn_from(row, learnt.astype(np.float32))
    expected = float((pi - mu) @ truth)
    mean = 0.0
    for arm in range(NOTHING, WIDTH):
        chance = row.p_nothing if arm == NOTHING else mu[arm]
        reward = 0.0 if arm == NOTHING else truth[arm]
        one = columns([replace(row, chosen=arm, reason=0 if arm >= 0 else 9)])
        advantage, strange = judge._advantage(  # noqa: SLF001  (its law is tested, not its use)
            one, learnt.astype(np.float32), np.array([reward])
        )
        mean += chance * advantage[0]
        assert strange[0] == pytest.approx(0.0, abs=1e-6)
    assert mean == pytest.approx(expected, abs=1e-5)


def remembered(count=JUDGED_MIN, day=3, **given):
    """Return decisions as a judge remembers them; half completed, both models saying so."""
    seen = np.zeros((count, judge.N_COLUMNS))
    seen[:, judge.DAY] = day
    seen[:, judge.COMPLETE] = np.arange(count) % 2
    seen[:, judge.LEARNT_COMPLETE : judge.GAIN_LEARNT] = 0.5
    seen[:, [judge.GAIN_LEARNT, judge.GAIN_FORCE, judge.GAIN_WEIGHT]] = 1.0
    seen[:, [judge.BEGUN, judge.KNOWN]] = 1.0
    for name, column in given.items():
        seen[:, getattr(judge, name.upper())] = column
    return seen


def verdict(*parts):
    return Judge("m", np.concatenate(parts)).verdict()


def test_figures_by_hand():
    found = verdict(remembered(learnt_complete=0.8, learnt_annoyed=0.1, reward=0.25))
    half = (math.log(0.8) + math.log(0.2)) / 2
    assert found.learnt.log_loss == pytest.approx(-half - math.log(0.9))
    assert found.in_force.log_loss == pytest.approx(2 * math.log(2))
    assert found.learnt.ece_complete == pytest.approx(0.3)
    assert found.learnt.ece_annoyed == pytest.approx(0.1)
    assert found.in_force.ece_complete == pytest.approx(0.0)
    assert found.in_force.value == pytest.approx(0.25)
    assert (found.decisions, found.outcomes, found.day) == (JUDGED_MIN, JUDGED_MIN, "1970-01-04")


@pytest.mark.parametrize(
    ("given", "worse", "words"),
    [
        ({}, False, "no different"),
        ({"learnt_annoyed": 0.4}, False, "better"),
        ({"learnt_annoyed": 0.6}, True, "worse"),
        ({"advantage": 0.1}, False, "better"),
        ({"advantage": -0.1}, True, "worse"),
        ({"advantage": np.tile([-3.0, 2.9], JUDGED_MIN // 2)}, False, "no different"),
    ],
)
def test_worse_is_by_more_than_a_standard_error(given, worse, words):
    found = verdict(remembered(**given))
    assert found.worse is worse
    assert words in found.why


def test_the_newest_day_with_enough_is_judged():
    old, new = remembered(day=3, learnt_annoyed=0.9), remembered(day=4)
    few = remembered(JUDGED_MIN - 1, day=5, learnt_annoyed=0.9)
    assert verdict(old, new, few).day == "1970-01-05"
    assert not verdict(old, new, few).worse
    assert verdict(few) is None
    assert Judge("m").verdict() is None


def test_nothing_that_was_not_explored_is_told():
    alike = verdict(remembered())
    assert (alike.learnt.ndcg, alike.in_force.ndcg) == (None, None)
    told = verdict(remembered(gain_weight=1.0 + np.arange(JUDGED_MIN), gain_learnt=0.5))
    assert (told.learnt.ndcg, told.in_force.ndcg) == (0.5, 1.0)
    unheard = verdict(remembered(advantage=1.0, unsupported=0.06))
    assert (unheard.value_difference, unheard.learnt.value) == (None, None)
    assert "value not told" in unheard.why


def test_unknown_ends_are_stood_for_by_their_like():
    """One device loses nine of ten ends, and what is heard of it is bad."""
    fine = remembered(180, reward=1.0, stratum=1)
    lossy = remembered(20, reward=-1.0, stratum=2, known=np.arange(20) % 10 == 0)
    lossy[lossy[:, judge.KNOWN] == 0, judge.COMPLETE] = np.nan
    found = verdict(fine, lossy)
    assert found.in_force.value == pytest.approx((180 - 20) / 200)
    assert found.outcomes == 182
    worse = remembered(40, stratum=2, known=np.arange(40) % 10 == 0)
    assert verdict(fine, worse).value_difference is None
    silent = remembered(5, stratum=3, known=0.0)
    assert verdict(fine, silent).value_difference is None
    assert verdict(fine).value_difference is not None
