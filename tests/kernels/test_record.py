"""What a decision reads of a viewer record, as the oracles read it."""

import math
import struct

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from kernels import record
from tests.kernels.generated import frozen
from tests.kernels.test_dosage import NOW_S
from tests.naive import record as naive

NOW_MS = 1000 * NOW_S


def record_of(taste, state, *, opted_out=0, age_ms=0, weights=(0.0, 0.0)):
    """Lay a record out by hand: the layout's second description."""
    header = struct.pack(
        "<HHHH16sqqqffI",
        *(1, len(taste), opted_out, 0, bytes(16), NOW_MS - age_ms, 0, 0, *weights, len(state)),
    )
    raw = header + np.asarray(taste, "<f4").tobytes() + np.asarray(state, "<u4").tobytes()
    return frozen(np.frombuffer(raw, np.uint32), np.uint32)


@given(st.lists(st.integers(0, 40), min_size=0, max_size=30), st.integers(0, 3))
def test_soundness_matches_oracle(words, dim):
    header = [1 | dim << 16, *[0] * 14]
    for some in (words, [*header, *[0] * dim, *words]):
        got = record.is_sound(frozen(some, np.uint32))
        assert got == naive.is_sound(some)


@given(st.integers(-(10**6), 10**12), st.floats(1.0, 1e7))
def test_fading_matches_oracle(age_ms, half_life_s):
    got = record.fading(age_ms, half_life_s)
    assert math.isclose(got, naive.fading(age_ms, half_life_s), rel_tol=1e-9, abs_tol=1e-300)


tastes = st.lists(st.floats(-10, 10, width=32), max_size=70)


@given(tastes, st.floats(0, 1))
def test_affinity_scale_matches_oracle(taste, fade):
    got = record.affinity_scale(frozen(taste, np.float32), fade)
    assert math.isclose(got, naive.affinity_scale(taste, fade), rel_tol=1e-9)
