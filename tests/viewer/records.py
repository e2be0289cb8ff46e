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
TIMES_MS = st.integers(0, 4_000_000_000_000)
FLOATS = st.floats(allow_nan=False, allow_infinity=False, width=32)


@st.composite
def impressions(draw) -> Impression:
    return Impression(
        time_s=draw(st.integers(EPOCH_2020_S, EPOCH_2020_S + TIME_MASK)),
        campaign=draw(KEYS),
        creative=draw(KEYS),
        surprise=draw(st.booleans()),
    )


@st.composite
def suppressions(draw) -> Suppression:
    return Suppression(
        kind=draw(st.sampled_from(SuppressionKind)),
        cause=draw(st.sampled_from(SuppressionCause)),
        until_s=draw(st.integers(0, FOREVER_S)),
        keys=draw(st.lists(KEYS, max_size=6)),
    )


@st.composite
def records(draw) -> ViewerRecord:
    """Every record the layout can hold, impressions oldest first."""
    intent = draw(st.integers(0, len(INTENTS)))
    seen = draw(st.lists(impressions(), max_size=6))
    return ViewerRecord(
        pseudonym_key=draw(st.binary(min_size=16, max_size=16)),
        vector=draw(arrays(np.float32, st.integers(1, 8), elements=FLOATS)),
        vector_ms=draw(TIMES_MS),
        weight_complete=draw(FLOATS),
        weight_annoyed=draw(FLOATS),
        last_seen_ms=draw(TIMES_MS),
        intent=intent,
        intent_ms=draw(TIMES_MS) if intent else 0,
        opted_out=draw(st.booleans()),
        impressions=sorted(seen, key=lambda impression: impression.time_s),
        suppressions=draw(st.lists(suppressions(), max_size=4)),
    )


def plain(record: ViewerRecord) -> dict[str, Any]:
    """Give every field a type that compares with ``==``."""
    return structs.asdict(record) | {"vector": record.vector.tolist()}
