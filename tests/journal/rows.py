"""Rows to write and read back."""

import struct
import zlib
from typing import NamedTuple

import numpy as np
from hypothesis import strategies as st

from adserver.domain.decision import NOTHING, Decision, Exploration, Moment, Rules
from adserver.domain.event import EventType
from adserver.domain.reasons import Reason
from adserver.domain.request import AdRequest, Content, Device, Geo
from adserver.journal.framing import MAGIC, Framer
from adserver.journal.schema import Context, DecisionRow, EventRow, Full, decision_row

NOW_MS = 1_785_000_000_000
VERSIONS = ("c-1", "p-1", "m-1")
REQUEST = AdRequest(
    "trailer-preroll",
    content=Content(categories=("IAB1-5", "IAB1-7"), language="nl"),
    device=Device(type="phone"),
    geo=Geo(country="NL", city="Rotterdam"),
)


def id_of(number):
    return number.to_bytes(16, "big")


def decision(number=1, width=3, *, shown=True, time_ms=NOW_MS):
    """Make a decision, as a decider does."""
    ids = np.arange(3 * 64, dtype="<i4").reshape(3, 64) + number
    values = np.arange(8 * 64, dtype="<f4").reshape(8, 64) / 7 + number
    return Decision(
        decision_id=id_of(number),
        time_ms=time_ms,
        draw=0.25,
        moment=Moment(167, "buy", 0.75, "request"),
        rules=Rules(
            dose_weight=0.05,
            annoyance_cost=3.0,
            exploration=Exploration.INVERSE_GAP,
            gamma=300.0,
            epsilon=0.02,
            surprise_band=0.25,
        ),
        chosen=0 if shown else NOTHING,
        reason=None if shown else Reason.BELOW_THRESHOLD,
        drawn=True,
        packed=ids[:, :width].tobytes() + values[:, :width].tobytes(),
        throttled=[],
        counts=(9066, 9000, 800, 700, 600, 500, 400),
        shortlisted=width,
        variant=number,
        campaign=number + 1,
        relevance=0.5,
        threshold=0.25,
        propensity=0.5,
        p_nothing=0.125,
        rest_best_relevance=0.5,
        rest_best_p_complete=0.75,
        dose=1.5,
        surprise_share=0.02,
        surprise=False,
        surprise_allowed=False,
    )


class Offered(NamedTuple):
    """A decision that knows its row, as a request hands it to the journal."""

    made: Decision
    request: AdRequest = REQUEST
    full: Full | None = None

    def row(self):
        """Make the row."""
        return decision_row(self.made, self.request, VERSIONS, full=self.full)


def offered(number=1, time_ms=NOW_MS, width=3, **more):
    return Offered(decision(number, width, time_ms=time_ms), **more)


def shown(number=1, time_ms=NOW_MS, width=3):
    return offered(number, time_ms, width).row()


def refused(number=1, time_ms=NOW_MS):
    return Offered(decision(number, 0, shown=False, time_ms=time_ms)).row()


def event(number=1, kind=EventType.IMPRESSION, time_ms=NOW_MS + 1000):
    return EventRow(id_of(number), kind, time_ms, None, 1, 2, "v", "trailer-preroll")


def framed(*rows):
    return Framer().frame(rows)


def block(payload, rows=1, version=1):
    """Frame a payload by hand: the layout's second description."""
    checked = struct.pack("<HHI", version, rows, len(payload))
    return MAGIC + struct.pack("<I", zlib.crc32(checked + payload)) + checked + payload


texts = st.text(st.characters(codec="utf-8"), max_size=20)
floats = st.floats(allow_nan=False)
times = st.integers(0, 2**45)
id_bytes = st.binary(min_size=16, max_size=16)
contexts = st.builds(
    Context,
    intent=st.none() | texts,
    urgency=st.none() | floats,
    moment_source=st.none() | texts,
    device=st.none() | texts,
    country=st.none() | texts,
    hour_of_week=st.integers(-1, 167),
    categories=st.lists(texts, max_size=3).map(tuple),
    cattax=st.integers(0, 65_535),
    language=st.none() | texts,
)


def rows_of_width(width):
    """Any decision that shortlisted so many."""
    return st.builds(
        DecisionRow,
        decision_id=id_bytes,
        time_ms=times,
        chosen=st.integers(-1, 31),
        reason=st.integers(0, 2**31 - 1),
        draw=floats,
        propensity=st.none() | floats,
        pseudonym=st.none() | id_bytes,
        placement=texts,
        context=contexts,
        versions=st.tuples(texts, texts, texts),
        gamma=floats,
        epsilon=floats,
        surprise_share=floats,
        surprise_band=floats,
        annoyance_cost=floats,
        dose_weight=floats,
        dose=floats,
        p_nothing=floats,
        ids=st.binary(min_size=12 * width, max_size=12 * width),
        values=st.binary(min_size=32 * width, max_size=32 * width),
        counts=st.lists(st.integers(0, 2**62), min_size=7, max_size=7),
        rest_best_relevance=floats,
        rest_best_p_complete=floats,
        full=st.none() | st.builds(Full, st.binary(max_size=99), st.none() | st.binary()),
    )


# Made once: a strategy that is made for every row takes ten times as long to draw from.
of_width = [rows_of_width(width) for width in range(5)]
decision_rows = st.integers(0, 4).flatmap(of_width.__getitem__)
keys = st.integers(1, 2**32 - 1)
event_rows = st.builds(
    EventRow,
    decision_id=id_bytes,
    time_ms=times,
    pseudonym=st.none() | id_bytes,
    campaign_key=keys,
    creative_key=keys,
    variant=texts,
)
rows = decision_rows | event_rows
