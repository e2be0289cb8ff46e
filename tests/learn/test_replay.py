"""The same inputs give the same decision, and any change of them or of the log is noticed."""

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from adserver.decide.pipeline import UNPACED, Decider, Pacing
from adserver.domain.decision import THROTTLED_MAX, IdRow, ValueRow
from adserver.domain.errors import Broken
from adserver.domain.policy import DoseSettings, Policy, Thresholds
from adserver.domain.reasons import Reason
from adserver.domain.viewer import ViewerRecord
from adserver.journal.schema import Full, decision_of, decision_row
from adserver.learn.replay import keeps_inputs, replay, replay_inputs
from adserver.viewer.codec import encode, open_record
from tests.decide.small import (
    DECISION_ID,
    NOW_MS,
    campaign,
    columns,
    impression,
    request,
    variant,
)

CAMPAIGNS = [
    campaign(
        f"c{k}",
        *(variant(f"v{k}{i}", [1.0, k - i / 2]) for i in range(3)),
        bid_cpm_micros=1_000_000 * (k + 1),
        priority=5 - k % 2,
        targeting={"device": ["phone"]} if k == 3 else {},
        caps=[{"count": 1, "window_s": 3600}] if k == 2 else [],
    )
    for k in range(5)
]
SNAPSHOTS = {
    rule: columns(
        *CAMPAIGNS,
        policy=Policy(
            exploration=rule,
            gamma_max=20.0,
            epsilon=0.1,
            surprise=0.2,
            surprise_band=0.5,
            threshold=Thresholds(overall=0.3),
            dose=DoseSettings(weight=0.1),
        ),
    )
    for rule in ("greedy", "epsilon_greedy", "inverse_gap")
}
REQUEST = request(device={"type": "phone"}, explain=True)
rules = st.sampled_from(sorted(SNAPSHOTS))
tastes = st.tuples(*[st.floats(-3, 3, width=32)] * 2)
draws = st.floats(0.0, 1.0, exclude_max=True)


def logged(rule="inverse_gap", taste=(1.0, 0.0), draw=0.5, seen=1, pacing=UNPACED):
    """Decide, and journal the decision with its whole inputs."""
    record = ViewerRecord(
        pseudonym_key=bytes(16),
        vector=np.array(taste, np.float32),
        vector_ms=NOW_MS - 1000,
        weight_complete=0.25,
        impressions=[impression(60, "c2", "x")] * seen,
    )
    raw = encode(record)
    snapshot = SNAPSHOTS[rule]
    made = Decider(snapshot).decide(REQUEST, open_record(raw), NOW_MS, DECISION_ID, draw, pacing)
    full = Full(msgspec.json.encode(REQUEST), raw)
    return decision_row(made, REQUEST, ("c", "p", "m"), full=full)


@given(rules, tastes, draws, st.integers(0, 3))
def test_every_decision_replays(rule, taste, draw, seen):
    row = logged(rule, taste, draw, seen)
    (again,) = replay([row])
    assert again.same
    assert again.propensities.tobytes() == again.logged.values[ValueRow.PROPENSITY].tobytes()
    assert all(each.same for each in replay_inputs(row, SNAPSHOTS[rule]))


@given(st.lists(st.tuples(rules, tastes, draws), max_size=6))
def test_many_rows_replay_one_by_one(parts):
    rows = [logged(*part) for part in parts]
    assert [again.logged.chosen for again in replay(rows)] == [row.chosen for row in rows]
    assert all(again.same for again in replay(rows))


def test_who_was_held_back_then_is_held_back_again():
    everyone = SNAPSHOTS["inverse_gap"].campaign_count
    shown_first = int(decision_of(ROW).ids[IdRow.CAMPAIGN, 0])
    pace = np.ones(everyone, np.float32)
    pace[shown_first] = 0.0
    row = logged(pacing=Pacing(pace, 0.25))
    assert row.throttled == [shown_first]
    assert all(each.same for each in replay_inputs(row, SNAPSHOTS["inverse_gap"]))
    forgotten = replace(row, throttled=[])
    assert not all(each.same for each in replay_inputs(forgotten, SNAPSHOTS["inverse_gap"]))


def test_more_held_back_than_a_row_lists_cannot_be_decided_again():
    full = replace(ROW, throttled=list(range(THROTTLED_MAX)))
    assert keeps_inputs(ROW)
    assert not keeps_inputs(full)
    with pytest.raises(Broken, match="were not kept"):
        replay_inputs(full, SNAPSHOTS["inverse_gap"])


def test_gates_are_left_out():
    gate = Decider(SNAPSHOTS["greedy"]).gate(Reason.DEADLINE, NOW_MS, DECISION_ID)
    assert list(replay([decision_row(gate, REQUEST, ("c", "p", "m"))])) == []


def changed(row, value_row, column, by):
    values = np.frombuffer(row.values, np.float32).reshape(len(ValueRow), -1).copy()
    values[value_row, column] += by
    return replace(row, values=values.tobytes())


ROW = logged()


@pytest.mark.parametrize(
    "tampered",
    [
        replace(ROW, chosen=(ROW.chosen + 2) % ROW.shortlisted),
        replace(ROW, draw=0.999),
        replace(ROW, propensity=0.5),
        replace(ROW, p_nothing=0.5),
        replace(ROW, gamma=5.0),
        replace(ROW, epsilon=0.2),
        replace(ROW, dose=9.0),
        changed(ROW, ValueRow.PROPENSITY, 0, 1e-6),
        changed(ROW, ValueRow.RELEVANCE, ROW.chosen, 0.1),
        changed(ROW, ValueRow.BID, ROW.chosen, 9.0),
    ],
)
def test_a_row_that_was_tampered_with_does_not_replay(tampered):
    (again,) = replay([tampered])
    assert not again.same


@pytest.mark.parametrize(
    ("tampered", "what"),
    [
        (replace(ROW, counts=[*ROW.counts[:-1], 1]), "variants left after each stage"),
        (changed(ROW, ValueRow.AFFINITY, 1, 0.1), "scores and propensities"),
        (
            replace(ROW, ids=np.zeros((len(IdRow), ROW.shortlisted), np.int32).tobytes()),
            "shortlist",
        ),
        (replace(ROW, surprise=not ROW.surprise), "surprise"),
        (replace(ROW, time_ms=ROW.time_ms + 86_400_000), "dose"),
        (replace(ROW, ids=b"", values=b"", chosen=-1, reason=Reason.CAPPED), "reason"),
    ],
)
def test_the_whole_inputs_show_what_differs(tampered, what):
    differing = {
        each.what for each in replay_inputs(tampered, SNAPSHOTS["inverse_gap"]) if not each.same
    }
    assert what in differing


def test_what_was_not_kept_cannot_replay():
    with pytest.raises(Broken, match="not kept"):
        replay_inputs(replace(ROW, full=None), SNAPSHOTS["inverse_gap"])
