"""Which requests pass: uniform, and the same each time."""

import numpy as np
from hypothesis import example, given
from hypothesis import strategies as st

from kernels import pacing
from tests.kernels.generated import bitmap, frozen
from tests.naive import pacing as naive

seeds = st.integers(0, 2**64 - 1)


@given(seeds, st.integers(0, 200))
@example(0, 0)
@example(2**64 - 1, 0)
def test_matches_oracle(seed, k):
    assert pacing.hash01(np.uint64(seed), k) == naive.hash01(seed, k)


def test_a_published_value():
    # The first output of SplitMix64 from seed 0 is e220a8397b1dcdaf.
    assert pacing.hash01(np.uint64(0), 0) == (0xE220A8397B1DCDAF >> 11) / 2**53


def test_uniform_over_decisions_and_over_campaigns():
    # 4,000 draws in ten classes: chi-square with 9 degrees of freedom, .1 % point 27.9.
    for draws in (
        [pacing.hash01(np.uint64(seed), 3) for seed in range(4000)],
        [pacing.hash01(np.uint64(1234567), k) for k in range(4000)],
    ):
        counts, _ = np.histogram(draws, 10, (0.0, 1.0))
        assert ((counts - 400) ** 2 / 400).sum() < 27.9


paces = st.one_of(st.sampled_from([0.0, 1.0, 0.5]), st.floats(0, 1, width=32))
campaigns = st.lists(st.tuples(st.booleans(), paces, st.sampled_from([0, 0, 0, 1])), max_size=140)


def held_back(function, rows, seed, room):
    """Return the count, who is held of the matched, and who is listed."""
    n_words = len(rows) // 64 + 1
    wanting = [k for k, row in enumerate(rows) if row[0]]
    held, listed = np.full(len(rows), 7, np.uint8), np.full(room, -1, np.int32)
    count = function(
        bitmap(wanting, n_words),
        frozen([row[1] for row in rows], np.float32),
        frozen([row[2] for row in rows], np.uint8),
        np.uint64(seed),
        held,
        listed,
    )
    return count, held.tolist(), listed.tolist()


@given(campaigns, seeds, st.integers(0, 5))
@example([], 0, 0)
@example([(True, float("nan"), 0)], 0, 1)
@example([(True, 1.0, 1)], 0, 1)
def test_holding_back_matches_oracle(rows, seed, room):
    got = held_back(pacing.hold_back, rows, seed, room)
    assert got == held_back(naive.hold_back, rows, seed, room)


@given(campaigns, seeds)
def test_full_pace_holds_nobody_back_and_none_everybody(rows, seed):
    for pace, count in ((1.0, 0), (0.0, sum(row[0] for row in rows))):
        alike = [(wants, pace, 0) for wants, _, _ in rows]
        assert held_back(pacing.hold_back, alike, seed, 0)[0] == count


@given(campaigns, seeds)
def test_a_faster_pace_lets_pass_whoever_passed_before(rows, seed):
    faster = [(wants, min(1.0, 2 * pace), closed) for wants, pace, closed in rows]
    _, _, before = held_back(pacing.hold_back, rows, seed, 140)
    _, _, after = held_back(pacing.hold_back, faster, seed, 140)
    assert set(after) <= set(before)
