"""The lever ``cap`` is right when raising the caps by it flips the answer, and by one less not."""

import copy

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adserver.decide.explain import explain
from adserver.decide.flip import Preference
from adserver.decide.pipeline import UNPACED, Decider, Pacing
from adserver.decide.uncapped import Uncapped
from adserver.domain.decision import THROTTLED_MAX, IdRow
from adserver.domain.policy import Cap, DoseSettings, Policy, Thresholds, ViewerCaps
from tests.decide.small import (
    DECISION_ID,
    NOW_MS,
    campaign,
    columns,
    decide,
    impression,
    request,
    variant,
    viewer,
)

HOUR, DAY = 3_600, 86_400
WINDOWS = (HOUR, DAY)


def policy_of(viewer_caps, dose=0.02):
    caps = ViewerCaps(viewer=tuple(Cap(count, window) for count, window in viewer_caps))
    return Policy(threshold=Thresholds(overall=0.1), dose=DoseSettings(weight=dose), caps=caps)


def world(caps, bids=(1, 2, 3), tiers=(5, 5, 5)):
    """Three campaigns of two creatives each, and the caps of each as (count, window, per)."""
    return [
        campaign(
            f"c{k}",
            variant(f"v{k}0", [1.0, 0.3 * k]),
            variant(f"v{k}1", [0.3 * k, 1.0]),
            bid_cpm_micros=bid * 1_000_000,
            priority=tier,
            caps=[{"count": n, "window_s": window, "per": per} for n, window, per in own],
        )
        for k, (own, bid, tier) in enumerate(zip(caps, bids, tiers, strict=True))
    ]


def preferred(snapshot, decision):
    best = Preference(decision).best()
    if best < 0:
        return None
    return snapshot.texts["variant"][int(decision.ids[IdRow.VARIANT, best])].decode()


def lever(snapshot, who, pacing=None):
    decider = Decider(snapshot)
    paced = {} if pacing is None else {"pacing": pacing}
    decision = decider.decide(request(), who, NOW_MS, DECISION_ID, 0.5, **paced)
    freed = Uncapped(snapshot).decide(decision, request(), who, house_only=False)
    told = explain(snapshot, decision, request(), who, uncapped=freed)["flip"]
    return preferred(snapshot, decision), told


def raised(campaigns, viewer_caps, seen, then, by):
    """Raise by so much every cap that binds the variant, counted here impression by impression."""
    mine, which = int(then[1]), f"{then}-creative"
    campaigns = copy.deepcopy(campaigns)
    for cap in campaigns[mine]["caps"]:
        count = sum(
            age < cap["window_s"]
            and name == f"c{mine}"
            and (cap["per"] == "campaign" or creative == which)
            for age, name, creative in seen
        )
        cap["count"] += by if count >= cap["count"] else 0
    viewer_caps = [
        (count + (by if sum(age < window for age, *_ in seen) >= count else 0), window)
        for count, window in viewer_caps
    ]
    return campaigns, [(max(count, 1), window) for count, window in viewer_caps]


cap_rows = st.tuples(
    st.integers(1, 3), st.sampled_from(WINDOWS), st.sampled_from(["campaign", "creative"])
)
sights = st.tuples(
    st.sampled_from([60, 2 * HOUR, 2 * DAY]), st.integers(0, 2), st.integers(0, 1)
).map(lambda it: (it[0], f"c{it[1]}", f"v{it[1]}{it[2]}-creative"))


@settings(deadline=None, max_examples=120)
@given(
    taste=st.tuples(*[st.floats(-1, 2, width=32)] * 2),
    caps=st.tuples(*[st.lists(cap_rows, max_size=2)] * 3),
    viewer_caps=st.lists(st.tuples(st.integers(1, 4), st.sampled_from(WINDOWS)), max_size=2),
    bids=st.tuples(*[st.integers(0, 3)] * 3),
    tiers=st.tuples(*[st.sampled_from([1, 5])] * 3),
    seen=st.lists(sights, max_size=6),
)
def test_raising_the_caps_by_it_flips_and_one_less_does_not(
    taste, caps, viewer_caps, bids, tiers, seen
):
    campaigns = world(caps, bids, tiers)
    snapshot = columns(*campaigns, policy=policy_of(viewer_caps))
    who = viewer(taste, impressions=[impression(*each) for each in seen])
    before, told = lever(snapshot, who)
    pull = (told or {"levers": {}})["levers"].get("cap")
    freed = columns(*world([[]] * 3, bids, tiers), policy=policy_of([]))
    best = preferred(freed, decide(freed, who=who))
    if pull is None:
        assert best == before, "no cap stood between"
        return
    assert (told["preferred"], pull["then"]) == (before, best)
    assert before != best
    assert pull["by"] >= 1
    for by, flips in ((pull["by"], True), (pull["by"] - 1, False)):
        less, viewers = raised(campaigns, viewer_caps, seen, best, by)
        pulled = columns(*less, policy=policy_of(viewers))
        assert (preferred(pulled, decide(pulled, who=who)) == best) is flips


def test_everything_capped_has_the_cap_alone():
    snapshot = columns(*world([[]] * 3), policy=policy_of([(2, DAY)], dose=0.0))
    who = viewer((2.0, 0.0), impressions=[impression(60, "other", "x")] * 4)
    before, told = lever(snapshot, who)
    assert before is None
    best = columns(*world([[]] * 3), policy=policy_of([], dose=0.0))
    then = preferred(best, decide(best, who=who))
    assert told == {
        "preferred": None,
        "smallest": "cap",
        "levers": {"cap": {"by": 3, "then": then}},
    }


def test_beside_others_the_smallest_is_one_that_moves_the_margin():
    campaigns = world([[], [], [(1, DAY, "creative")]])
    who = viewer((1.0, 1.0), impressions=[impression(60, "c2", "v20-creative")] * 2)
    free = columns(*world([[]] * 3), policy=policy_of([]))
    assert preferred(free, decide(free, who=who)) == "v20"
    _, told = lever(columns(*campaigns, policy=policy_of([])), who)
    assert told["levers"]["cap"] == {"by": 2, "then": "v20"}
    assert told["smallest"] != "cap"


def test_who_is_held_back_by_pacing_stays_so():
    snapshot = columns(*world([[], [], [(1, DAY, "campaign")]]), policy=policy_of([]))
    who = viewer((1.0, 1.0), impressions=[impression(60, "c2", "v20-creative")])
    assert lever(snapshot, who)[1]["levers"]["cap"]["then"][1] == "2"
    held = Pacing(np.array([1.0, 1.0, 0.0], np.float32), 0.5)
    assert "cap" not in lever(snapshot, who, held)[1]["levers"]


@pytest.mark.parametrize("listed", [THROTTLED_MAX - 1, THROTTLED_MAX])
def test_what_was_held_back_beyond_the_list_is_not_guessed(listed):
    snapshot = columns(*world([[(1, DAY, "campaign")]] * 3), policy=policy_of([]))
    who = viewer((1.0, 1.0), impressions=[impression(60, "c2", "v20-creative")])
    decision = decide(snapshot, who=who)
    decision.throttled = [0] * listed
    freed = Uncapped(snapshot).decide(decision, request(), who, house_only=False)
    assert (freed is None) is (listed == THROTTLED_MAX)


def test_where_no_cap_kept_anything_out_nothing_is_decided_again():
    snapshot = columns(*world([[(9, DAY, "campaign")]] * 3))
    decision = decide(snapshot, who=viewer((1.0, 1.0)))
    assert Uncapped(snapshot).decide(decision, request(), None, house_only=False) is None


def test_who_may_not_be_advertised_to_is_not_told_of_what_is_sold():
    own = campaign("own", variant("o", [1.0, 1.0]), house=True)
    snapshot = columns(own, *world([[(1, DAY, "campaign")]] * 3), policy=policy_of([]))
    who = viewer((1.0, 1.0), impressions=[impression(60, "c2", "v20-creative")])
    made = Decider(snapshot).decide(
        request(), who, NOW_MS, DECISION_ID, 0.5, UNPACED, house_only=True
    )
    freed = Uncapped(snapshot).decide(made, request(), who, house_only=True)
    assert preferred(snapshot, made) == preferred(snapshot, freed) == "o"
    assert "cap" not in explain(snapshot, made, request(), who, uncapped=freed)["flip"]["levers"]
