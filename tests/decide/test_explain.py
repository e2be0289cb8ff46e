"""Explanations add up, name who came second, and say what they do not know."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adserver.decide.explain import explain
from adserver.domain.decision import ValueRow
from adserver.domain.model import Calibrator, Head, Model
from adserver.domain.policy import Policy
from tests.decide.small import MODEL, campaign, columns, decide, request, variant, viewer

RICH = campaign("rich", variant("a", [0.9, 0.1]), bid_cpm_micros=9_000_000)
POOR = campaign("poor", variant("b", [1.0, 0.0]), bid_cpm_micros=1_000_000)
FIRST = campaign("first", variant("c", [0.5, 0.5]), priority=1)
LAST = campaign("last", variant("d", [1.0, 0.1]), house=True)
TASTE = (1.0, 0.0)


def told(snapshot, who=None, **parts):
    made = decide(snapshot, who=who)
    return made, explain(snapshot, made, request(), who, **parts)


def test_second_is_who_would_be_shown_otherwise():
    _, both = told(columns(RICH, POOR), viewer(TASTE))
    assert both["candidates"][0]["variant"] == "b", "the most relevant"
    assert both["runner_up"] == "b"
    made, tiers = told(columns(RICH, POOR, FIRST, LAST), viewer(TASTE))
    assert tiers["candidates"][made.chosen]["variant"] == "c"
    assert tiers["runner_up"] == "a", "of the next tier, by margin and bid"
    _, alone = told(columns(RICH), viewer(TASTE))
    assert alone["runner_up"] is None


def test_who_came_second_to_nothing_is_the_next_in_relevance():
    made, nothing = told(columns(RICH, POOR), viewer((-3.0, -3.0)))
    assert not made.shown
    assert nothing["runner_up"] == nothing["candidates"][1]["variant"]


def test_priority_house_and_bid_are_told():
    _, all_four = told(columns(RICH, POOR, FIRST, LAST), viewer(TASTE))
    rows = {row["variant"]: row for row in all_four["candidates"]}
    assert (rows["c"]["priority"], rows["c"]["house"]) == (1, False)
    assert (rows["d"]["priority"], rows["d"]["house"]) == (5, True)
    assert (rows["a"]["bid_cpm"], rows["b"]["bid_cpm"]) == (9.0, 1.0)


def sums(candidate):
    """Return both heads' probabilities from the terms alone."""
    p = []
    for head in ("complete", "annoyed"):
        calibrator = candidate["calibrator"][head]
        z = sum(candidate["terms"][head].values())
        p.append(1 / (1 + math.exp(-(calibrator["a"] * z + calibrator["b"]))))
    return p


@given(
    st.tuples(*[st.floats(-50, 50, width=32)] * 2),
    st.floats(-40, 40),
    st.floats(-40, 40),
)
def test_with_or_without_the_record_the_terms_add_up(taste, complete, annoyed):
    snapshot = columns(RICH, POOR)
    who = viewer(taste, weight_complete=complete, weight_annoyed=annoyed)
    made, known = told(snapshot, who)
    left = explain(snapshot, made, request(), None, whole=False)
    for j, (with_record, without) in enumerate(
        zip(known["candidates"], left["candidates"], strict=True)
    ):
        logged = [float(made.values[row, j]) for row in (ValueRow.P_COMPLETE, ValueRow.P_ANNOYED)]
        assert sums(with_record) == pytest.approx(logged, abs=1e-5)
        assert sums(without) == pytest.approx(logged, abs=1e-5)
        assert "remainder" not in with_record["terms"]["complete"]
        assert "viewer" not in without["terms"]["complete"]


def test_what_is_left_is_the_viewers_weight():
    who = viewer(TASTE, weight_complete=0.75, weight_annoyed=-0.5)
    snapshot = columns(RICH)
    made = decide(snapshot, who=who)
    (candidate,) = explain(snapshot, made, request(), None, whole=False)["candidates"]
    assert candidate["terms"]["complete"]["remainder"] == pytest.approx(0.75, abs=1e-4)
    assert candidate["terms"]["annoyed"]["remainder"] == pytest.approx(-0.5, abs=1e-4)


def test_a_calibrator_that_ignores_the_terms_leaves_nothing():
    flat = Model(complete=Head(calibrator=Calibrator(a=0.0, b=0.5)), annoyed=MODEL.annoyed)
    _, left = told(columns(RICH, model=flat, policy=Policy(annoyance_cost=0.0)), whole=False)
    assert sums(left["candidates"][0])[0] == pytest.approx(0.6224593)
