"""The separation kernel: as its oracle, symmetric where the catalogue is, and nothing left over."""

from dataclasses import dataclass

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from kernels import dosage, separation
from kernels.lookup import make_lookup
from tests.kernels.generated import bitmap, frozen, randoms
from tests.kernels.test_dosage import (
    EMPTY,
    KEYS,
    NOW_S,
    cut_states,
    states,
    wild_states,
    words_of,
)
from tests.naive import separation as naive

WINDOW_S = separation.SEPARATION_S


@dataclass
class Market:
    """What the kernel is told of a catalogue, and its buffers."""

    bitmaps: np.ndarray
    rivals: np.ndarray
    rival_start: np.ndarray
    matched: np.ndarray
    campaign_keys: np.ndarray

    def __post_init__(self):
        """Make the buffers."""
        self.order = make_lookup(self.campaign_keys)
        self.order.flags.writeable = False

    def inputs(self, state):
        """Return the kernel's inputs, in order."""
        told = self.bitmaps, self.rivals, self.rival_start, self.matched
        return state, NOW_S, *told, self.campaign_keys, self.order

    def marked(self, state, kernel=separation.keep_apart):
        """Return the flags, over nothing, and the campaigns touched."""
        n = len(self.campaign_keys)
        flags, touched = np.zeros(n, np.uint8), np.zeros(2 + n, np.int32)
        kernel(*self.inputs(state), flags, touched)
        assert not touched[1]
        assert len(set(touched[2 : 2 + touched[0]].tolist())) == touched[0]
        return flags.tolist(), set(touched[2 : 2 + touched[0]].tolist())


def market_of(campaign_keys, rows_of, members, matched=None):
    """Return the market of bitmap rows as lists of campaigns, and each campaign's rows."""
    n = len(campaign_keys)
    n_words = n // 64 + 1
    return Market(
        frozen([bitmap(row, n_words) for row in members], np.uint64, (len(members), n_words)),
        frozen([row for rows in rows_of for row in rows], np.int32),
        frozen(np.cumsum([0, *map(len, rows_of)]), np.int32),
        bitmap(range(n) if matched is None else matched, n_words),
        frozen(campaign_keys, np.uint32),
    )


@st.composite
def markets(draw):
    random = draw(randoms)
    n = draw(st.sampled_from((0, 1, 2, 5, 70)))
    n_rows = draw(st.integers(1, 4))
    members = [[k for k in range(n) if random.random() < 0.4] for _ in range(n_rows)]
    return market_of(
        [random.choice(KEYS) for _ in range(n)],
        [[row for row in range(n_rows) if random.random() < 0.3] for _ in range(n)],
        members,
        [k for k in range(n) if random.random() < 0.7],
    )


lately = st.lists(
    st.tuples(
        st.sampled_from((-5, 0, WINDOW_S - 1, WINDOW_S, WINDOW_S + 1)),
        st.booleans(),
        st.sampled_from(KEYS),
        st.just(1),
    ),
    max_size=4,
).map(lambda seen: words_of(seen, ()))


@given(markets(), st.one_of(lately, states, cut_states, wild_states))
def test_matches_oracle(market, state):
    flags, touched = market.marked(state)
    n = len(market.campaign_keys)
    expected, expected_touched = [0] * n, [0] * (2 + n)
    plain = [
        value.tolist() if isinstance(value, np.ndarray) else value for value in market.inputs(state)
    ]
    naive.keep_apart(*plain, expected, expected_touched)
    assert flags == expected
    assert touched == set(expected_touched[2 : 2 + expected_touched[0]])


@given(markets(), lately)
def test_only_what_is_matched_and_was_not_itself_the_only_thing_seen_is_marked(market, state):
    flags, touched = market.marked(state)
    seen = set(state[2::3].tolist())
    for k, flag in enumerate(flags):
        assert flag in {0, dosage.SUPPRESSED | dosage.TOUCHED}
        assert (k in touched) == bool(flag)
        if flag:
            assert int(market.matched[k // 64]) >> k % 64 & 1
            assert seen - {int(market.campaign_keys[k])}


TWO = market_of((1, 2), ((0,), (0,)), ((0, 1),))
"""Two campaigns of one kind, which both avoid."""


def test_a_competitor_waits_for_the_window_and_nobody_for_themselves():
    suppressed = dosage.SUPPRESSED | dosage.TOUCHED
    assert TWO.marked(words_of([(WINDOW_S - 1, False, 1, 9)], ()))[0] == [0, suppressed]
    assert TWO.marked(words_of([(WINDOW_S - 1, True, 2, 9)], ()))[0] == [suppressed, 0]
    assert TWO.marked(words_of([(WINDOW_S, False, 1, 9)], ()))[0] == [0, 0]
    assert TWO.marked(words_of([(0, False, 3, 9)], ()))[0] == [0, 0]
    assert TWO.marked(EMPTY)[0] == [0, 0]


def test_the_next_viewer_s_state_wipes_the_marks():
    flags, touched, dose = np.zeros(2, np.uint8), np.zeros(4, np.int32), np.zeros(2, np.float32)
    separation.keep_apart(*TWO.inputs(words_of([(0, False, 1, 9)], ())), flags, touched)
    assert flags.any()
    dosage.apply_viewer_state(
        EMPTY,
        frozen([], np.int64, (0, 2)),
        NOW_S,
        60.0,
        TWO.campaign_keys,
        TWO.order,
        EMPTY,
        make_lookup(EMPTY),
        TWO.campaign_keys,
        frozen([], np.int64, (0, 3)),
        frozen([0, 0, 0], np.int32),
        flags,
        np.zeros(0, np.uint8),
        dose,
        touched,
        np.zeros(3),
    )
    assert not flags.any()
    assert touched[0] == 0
