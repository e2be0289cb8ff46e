"""Viewer records for tests: drawn by Hypothesis, built by hand, compared field by field."""

from typing import Any

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from msgspec import structs

from adserver.domain.viewer import (
    FOREVER_S,
    Impression,
    Suppression,
    SuppressionCause,
    SuppressionKind,
    ViewerRecord,
)
from adserver.viewer.codec import EPOCH_2020_S, TIME_MASK
from adserver.viewer.line import INTENTS

KEYS = st.integers(1, 0xFFFFFFFF)
TIMES_S = st.integers(EPOCH_2020_S, EPOCH_2020_S + TIME_MASK)
TIMES_MS = st.integers(0, 4_000_000_000_000)
FLOATS = st.floats(allow_nan=False, allow_infinity=False, width=32)


@st.composite
def impressions(draw) -> Impression:
    return Impression(
        time_s=draw(TIMES_S),
        campaign=draw(KEYS),
        creative=draw(KEYS),
        surprise=draw(st.booleans()),
    )


KINDS = st.sampled_from(SuppressionKind)
CAUSES = st.sampled_from(SuppressionCause)
UNTIL_S = st.integers(0, FOREVER_S)
SOME_KEYS = st.lists(KEYS, max_size=6)


@st.composite
def suppressions(draw) -> Suppression:
    return Suppression(
        kind=draw(KINDS), cause=draw(CAUSES), until_s=draw(UNTIL_S), keys=draw(SOME_KEYS)
    )


# Made once: what is made for every record takes longer than drawing from it.
INTENT = st.integers(0, len(INTENTS))
SEEN = st.lists(impressions(), max_size=6)
SUPPRESSED = st.lists(suppressions(), max_size=4)
PSEUDONYM_KEYS = st.binary(min_size=16, max_size=16)
VECTORS = arrays(np.float32, st.integers(1, 8), elements=FLOATS)


@st.composite
def records(draw) -> ViewerRecord:
    """Every record the layout can hold, impressions oldest first."""
    intent = draw(INTENT)
    seen = draw(SEEN)
    return ViewerRecord(
        pseudonym_key=draw(PSEUDONYM_KEYS),
        vector=draw(VECTORS),
        vector_ms=draw(TIMES_MS),
        weight_complete=draw(FLOATS),
        weight_annoyed=draw(FLOATS),
        last_seen_ms=draw(TIMES_MS),
        intent=intent,
        intent_ms=draw(TIMES_MS) if intent else 0,
        opted_out=draw(st.booleans()),
        impressions=sorted(seen, key=lambda impression: impression.time_s),
        suppressions=draw(SUPPRESSED),
    )


def plain(record: ViewerRecord) -> dict[str, Any]:
    """Give every field a type that compares with ``==``."""
    return structs.asdict(record) | {"vector": record.vector.tolist()}
