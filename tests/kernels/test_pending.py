"""The pending kernels: as the oracle for one process, and laws about what is counted."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from kernels import pending
from kernels.pending import (
    BUCKET_WORDS,
    BUSY,
    CHANGED,
    CLAIMED,
    COUNT_AT,
    COUNT_MAX,
    LIFE_S,
    LOCK,
    N_ENTRIES,
    STALE_MS,
    STAMP,
)
from tests.naive import pending as naive

NOW_MS = 1_790_000_000_000
AT = BUCKET_WORDS
LIFE_MS = LIFE_S * 1000

viewers = st.sampled_from([1, 2, 2**23 - 1])
things = st.sampled_from([1 << 32 | 5, 1 << 32 | 6, -(2**63) + 1, -1])
flags = st.integers(0, 1)
waits = st.sampled_from([0, 1, 999, 1000, LIFE_MS // 3, LIFE_MS - 1, LIFE_MS])
steps = st.lists(
    st.tuples(
        st.sampled_from(["look", "claim", "late", "give_back"]), viewers, things, flags, waits
    ),
    max_size=40,
)


def fresh():
    return np.zeros(3 * BUCKET_WORDS, np.int64)


def found_array():
    return np.zeros(1 + 2 * N_ENTRIES, np.int64)


def take(module, words, step, now_ms):
    what, viewer, keys, surprise, _ = step
    found = found_array() if module is pending else [0] * (1 + 2 * N_ENTRIES)
    if what == "look":
        count = module.look(words, AT, viewer, now_ms, found)
        return count, [int(word) for word in found[: 1 + 2 * count]]
    if what == "give_back":
        return module.give_back(words, AT, viewer, keys, surprise, now_ms)
    stamp = int(words[AT + STAMP]) - (what == "late")
    return module.claim(words, AT, viewer, keys, surprise, now_ms, stamp)


@given(steps)
def test_as_the_oracle(script):
    words, plain, now_ms = fresh(), [0] * (3 * BUCKET_WORDS), NOW_MS
    for step in script:
        now_ms += step[-1]
        assert take(pending, words, step, now_ms) == take(naive, plain, step, now_ms)
        assert words.tolist() == plain
    assert not words[:AT].any(), "the neighbours are left alone"
    assert not words[AT + BUCKET_WORDS :].any()


def counted(words, viewer, now_ms):
    found = found_array()
    n_entries = pending.look(words, AT, viewer, now_ms, found)
    return sum(int(found[1 + 2 * i]) >> COUNT_AT & COUNT_MAX for i in range(n_entries))


def claimed(words, viewer, keys, now_ms, surprise=0):
    return pending.claim(words, AT, viewer, keys, surprise, now_ms, int(words[AT + STAMP]))


@given(st.lists(st.tuples(viewers, things, flags), max_size=7, unique=True))
def test_everything_claimed_counts_until_it_lapses_or_is_given_back(shown):
    words = fresh()
    for viewer, keys, surprise in shown:
        assert claimed(words, viewer, keys, NOW_MS, surprise) == CLAIMED
    total = sum(counted(words, viewer, NOW_MS + LIFE_MS - 1) for viewer in (1, 2, 2**23 - 1))
    assert total == len(shown)
    for viewer, keys, surprise in shown[:3]:
        assert pending.give_back(words, AT, viewer, keys, surprise, NOW_MS) == 1
        assert pending.give_back(words, AT, viewer, keys, surprise, NOW_MS) == 0
    total = sum(counted(words, viewer, NOW_MS + LIFE_MS - 1) for viewer in (1, 2, 2**23 - 1))
    assert total == len(shown[3:])
    assert all(counted(words, viewer, NOW_MS + LIFE_MS) == 0 for viewer in (1, 2, 2**23 - 1))


def test_a_claim_after_a_stale_look_is_refused_and_counts_nothing():
    words = fresh()
    assert claimed(words, 1, 5, NOW_MS) == CLAIMED
    assert pending.claim(words, AT, 1, 5, 0, NOW_MS, 0) == CHANGED
    assert counted(words, 1, NOW_MS) == 1


def test_the_same_thing_is_counted_up_to_a_limit():
    words = fresh()
    for _ in range(200):
        claimed(words, 1, 5, NOW_MS)
    assert counted(words, 1, NOW_MS) == COUNT_MAX


def test_in_a_full_bucket_the_one_that_ends_first_makes_room():
    words = fresh()
    for number in range(N_ENTRIES + 1):
        claimed(words, 1, number + 1, NOW_MS + 1000 * (number > 0))
    found = found_array()
    assert pending.look(words, AT, 1, NOW_MS + 1000, found) == N_ENTRIES
    assert sorted(found[2::2].tolist()) == list(range(2, N_ENTRIES + 2))


def test_a_lock_that_is_held_is_respected_until_nobody_can_be_holding_it():
    words = fresh()
    words[AT + LOCK] = NOW_MS
    assert claimed(words, 1, 5, NOW_MS + STALE_MS) == BUSY
    assert pending.look(words, AT, 1, NOW_MS, found_array()) == BUSY
    assert pending.give_back(words, AT, 1, 5, 0, NOW_MS) == BUSY
    assert words[AT + LOCK] == NOW_MS
    assert claimed(words, 1, 5, NOW_MS + STALE_MS + 1) == CLAIMED
    words[AT + LOCK] = NOW_MS + 2 * STALE_MS  # a clock that was set back
    assert counted(words, 1, NOW_MS) == 1
    assert words[AT + LOCK] == 0
