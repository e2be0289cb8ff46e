"""What was evaluated is what is served: the report's formula against the decision kernel."""

import numpy as np
import pytest
from msgspec.structs import replace

from adserver.catalogue.build import build
from adserver.catalogue.columns import Versions
from adserver.decide.pipeline import Decider
from adserver.domain.decision import PER_CAMPAIGN_MAX, SHORTLIST_MAX, IdRow, ValueRow
from adserver.domain.policy import Policy
from adserver.domain.request import AdRequest, Content
from adserver.learn.evaluate import predict, relevance
from adserver.learn.history import Part
from adserver.viewer.codec import encode, open_record
from adserver.worlds.load import build_world
from tests.worlds.seeded import CLOCK_MS, prepared

REQUEST = AdRequest("trailer-preroll", content=Content(categories=("IAB1-5",)))


@pytest.fixture(scope="module")
def world():
    return build_world("synthetic", 6)


@pytest.fixture(scope="module")
def ready(world):
    return prepared(world)


@pytest.fixture(scope="module")
def decider(world, ready):
    columns = build(
        world.catalogue,
        Policy(),
        ready.model,
        Versions("c", "p", "m"),
        {},
        {},
        vectors=ready.vectors,
    )
    return Decider(columns)


@pytest.mark.parametrize("v", [0, 17, 399])
def test_a_decision_shortlists_what_the_reports_formula_ranks_first(world, ready, decider, v):
    records = list(ready.records.values())
    history = world.history
    every = np.arange(history.variant_count, dtype=np.int32)
    pairs = replace(history, viewer=np.full(len(every), v, np.int32), variant=every)
    ids = (world.campaign_ids, world.variant_ids)
    p = predict(ready.model, ids, ready.vectors, records, pairs)
    seen = set(history.variant[(history.viewer == v) & (history.part < Part.LAST)].tolist())
    best: list[int] = []
    taken = [0] * history.campaign_count
    for i in np.argsort(-relevance(p)).tolist():
        if i not in seen and taken[history.campaign[i]] < PER_CAMPAIGN_MAX:
            taken[history.campaign[i]] += 1
            best.append(i)

    decision = decider.decide(REQUEST, open_record(encode(records[v])), CLOCK_MS, bytes(16), 0.5)
    shortlist = decision.ids[IdRow.VARIANT]
    assert shortlist.tolist() == best[:SHORTLIST_MAX]
    found = decision.values[[ValueRow.P_COMPLETE, ValueRow.P_ANNOYED]]
    assert found == pytest.approx(p[:, shortlist], abs=1e-5)


def test_what_a_viewer_has_seen_is_not_shown_again(world, ready, decider):
    history = world.history
    for v, record in enumerate(list(ready.records.values())[:20]):
        who = open_record(encode(record))
        decision = decider.decide(REQUEST, who, CLOCK_MS, bytes(16), 0.5)
        seen = set(history.variant[(history.viewer == v) & (history.part < Part.LAST)].tolist())
        assert not seen & set(decision.ids[IdRow.VARIANT].tolist())
