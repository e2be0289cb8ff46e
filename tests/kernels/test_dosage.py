"""The dosage kernels: as their oracles, whatever the state's bytes say."""

from dataclasses import dataclass

import numpy as np
from hypothesis import example, given
from hypothesis import strategies as st

from kernels import dosage
from kernels.lookup import make_lookup
from tests.kernels.generated import frozen
from tests.naive import dosage as naive

NOW_S = dosage.EPOCH_S + 200_000_000
FOREVER = 2**32 - 1
KEYS = (1, 2, 3, 4, 2**32 - 1)
"""Few, so that keys are shared and collide; the last is the largest there is."""

keys = st.sampled_from(KEYS)
PENDING_AGE_S = NOW_S - dosage.EPOCH_S - int(dosage.PENDING)
ages_s = st.one_of(
    st.sampled_from((PENDING_AGE_S, -5, 0, 3599, 3600, 86_399, 86_400, 86_401)),
    st.integers(0, 10**7),
)
impressions = st.tuples(ages_s, st.booleans(), keys, keys)
untils = st.sampled_from((0, NOW_S - 1, NOW_S, NOW_S + 1, FOREVER))
groups = st.tuples(st.integers(0, 4), untils, st.lists(keys, max_size=4))
windows_s = st.sampled_from((3600, 86_400, 10**6))
caps = st.tuples(st.integers(1, 4), windows_s, st.integers(0, 1))


def words_of(seen, suppressed):
    """Return the state words of (age, surprise, campaign, creative) and (kind, until, keys)."""
    words = [len(seen)]
    for age_s, surprise, campaign, creative in seen:
        words += [NOW_S - age_s - dosage.EPOCH_S + (surprise << 31), campaign, creative]
    for kind, until, named in suppressed:
        words += [kind << 24 | 1 << 16 | len(named), until, *named]
    return frozen(words, np.uint32)


states = st.builds(words_of, st.lists(impressions, max_size=6), st.lists(groups, max_size=4))
cut_states = st.tuples(states, st.integers(0, 30)).map(lambda pair: pair[0][: pair[1]].copy())
wild_states = st.lists(
    st.one_of(st.integers(0, 6), keys, st.integers(0, 2**32 - 1)), max_size=20
).map(lambda words: frozen(words, np.uint32))


@dataclass
class Catalogue:
    """What the kernel is told of a catalogue, and its buffers."""

    inputs: tuple[np.ndarray, ...]

    def __post_init__(self):
        """Make the buffers."""
        n_campaigns, n_creatives = len(self.inputs[0]), len(self.inputs[2])
        self.buffers = (
            np.zeros(n_campaigns, np.uint8),
            np.zeros(n_creatives, np.uint8),
            np.zeros(n_campaigns, np.float32),
            np.zeros(2 + n_campaigns + n_creatives, np.int32),
            np.zeros(3),
        )

    def apply(self, state, viewer_caps=(), half_life_s=86_400.0):
        """Return what the kernel marks, over what the last call left."""
        limits = frozen(viewer_caps, np.int64, (-1, 2))
        dosage.apply_viewer_state(state, limits, NOW_S, half_life_s, *self.inputs, *self.buffers)
        return self.marks(*self.buffers)

    def expected(self, state, viewer_caps=(), half_life_s=86_400.0):
        """Return what the oracle marks."""
        plain = [array.tolist() for array in self.inputs]
        buffers = [array.tolist() for array in self.buffers]
        naive.apply_viewer_state(state.tolist(), viewer_caps, NOW_S, half_life_s, *plain, *buffers)
        return self.marks(*buffers)

    @staticmethod
    def marks(campaign_flags, creative_flags, campaign_dose, touched, result):
        """Return what counts: the order in which things were touched does not."""
        n = len(campaign_flags)
        return (
            list(campaign_flags),
            list(creative_flags),
            np.array(campaign_dose),
            set(touched[2 : 2 + touched[0]]),
            set(touched[2 + n : 2 + n + touched[1]]),
            (touched[0], touched[1]),
            np.array(result, np.float64),
        )


@st.composite
def catalogues_of(draw, n_campaigns, n_creatives):
    """Draw what a catalogue of this size tells the kernel, by name."""
    campaign_keys, creative_keys, advertiser_keys = (
        frozen(draw(st.lists(keys, min_size=n, max_size=n)), np.uint32)
        for n in (n_campaigns, n_creatives, n_campaigns)
    )
    rows = [draw(st.lists(caps, max_size=3)) for _ in campaign_keys]
    return {
        "campaign_keys": campaign_keys,
        "campaign_lookup": frozen(make_lookup(campaign_keys), np.int32),
        "creative_keys": creative_keys,
        "creative_lookup": frozen(make_lookup(creative_keys), np.int32),
        "advertiser_keys": advertiser_keys,
        "caps": frozen([cap for row in rows for cap in row], np.int64, (-1, 3)),
        "cap_start": frozen(np.cumsum([0, *map(len, rows)]), np.int32),
    }


sizes = st.integers(0, 6)
catalogues = st.builds(
    lambda inputs: Catalogue(tuple(inputs.values())),
    st.tuples(sizes, sizes).flatmap(lambda size: catalogues_of(*size)),
)


def assert_same(got, expected):
    for mine, theirs in zip(got, expected, strict=True):
        if isinstance(mine, np.ndarray):
            np.testing.assert_allclose(mine, theirs, rtol=1e-6, atol=1e-37)
        else:
            assert mine == theirs


viewer_limits = st.lists(st.tuples(st.integers(1, 5), windows_s), max_size=2)
half_lives_s = st.sampled_from((60.0, 86_400.0, 1e7))
EMPTY = frozen([], np.uint32)
NO_KEYS = EMPTY, make_lookup(EMPTY)
NO_CATALOGUE = Catalogue(
    (*NO_KEYS, *NO_KEYS, EMPTY, frozen([], np.int64, (0, 3)), frozen([0], np.int32))
)


@given(catalogues, states, viewer_limits, half_lives_s)
def test_matches_oracle(catalogue, state, viewer_caps, half_life_s):
    arguments = state, viewer_caps, half_life_s
    assert_same(catalogue.apply(*arguments), catalogue.expected(*arguments))


@given(catalogues, st.one_of(cut_states, wild_states))
@example(NO_CATALOGUE, EMPTY)
def test_a_state_that_lies_about_its_length_is_read_to_its_end(catalogue, state):
    assert_same(catalogue.apply(state), catalogue.expected(state))


@given(catalogues, states, states)
def test_nothing_of_one_viewer_is_left_for_the_next(catalogue, first, second):
    catalogue.apply(first)
    assert_same(catalogue.apply(second), catalogue.expected(second))
    assert_same(catalogue.apply(EMPTY), catalogue.expected(EMPTY))
    assert not any(buffer.any() for buffer in catalogue.buffers if buffer.dtype != np.int32)


@given(catalogues, st.lists(impressions, max_size=6), impressions)
def test_an_impression_more_never_lowers_a_dose_nor_lifts_a_cap(catalogue, seen, another):
    flags, creative_flags, dose, *_, result = catalogue.apply(words_of(seen, ()))
    more = catalogue.apply(words_of([*seen, another], ()))
    assert (more[2] >= dose).all()
    assert (more[-1] >= result).all()
    for before, after in ((flags, more[0]), (creative_flags, more[1])):
        assert all(b & ~a == 0 for a, b in zip(after, before, strict=True))


def test_a_cap_counts_what_is_younger_than_its_window():
    one = frozen([1], np.uint32), make_lookup(frozen([1], np.uint32))
    catalogue = Catalogue(
        (*one, *one, one[0], frozen([[2, 3600, 0]], np.int64), frozen([0, 1], np.int32))
    )
    young, old = (3599, False, 1, 1), (3600, False, 1, 1)
    assert catalogue.apply(words_of([young, young], ()))[0] == [dosage.CAPPED | dosage.TOUCHED]
    assert catalogue.apply(words_of([old, young], ()))[0] == [dosage.TOUCHED]


def test_what_is_pending_is_counted_and_weighs_nothing():
    one = frozen([1], np.uint32), make_lookup(frozen([1], np.uint32))
    catalogue = Catalogue(
        (*one, *one, one[0], frozen([[1, 3600, 0]], np.int64), frozen([0, 1], np.int32))
    )
    flags, _, dose, *_, result = catalogue.apply(words_of([(PENDING_AGE_S, True, 1, 1)], ()))
    assert flags == [dosage.CAPPED | dosage.TOUCHED]
    assert (dose.tolist(), result.tolist()) == ([0.0], [0.0, 0.0, 1.0])


searched_keys = st.lists(st.one_of(keys, st.integers(1, 2**32 - 1)), max_size=40)


@given(searched_keys, st.integers(0, 2**32 - 1) | keys)
def test_search_matches_oracle(values, key):
    array = frozen(values, np.uint32)
    order = make_lookup(array)
    assert dosage.first_with_key(array, order, key) == naive.first_with_key(
        values, order.tolist(), key
    )


@given(
    searched_keys, st.lists(st.tuples(keys, st.sampled_from((1, 2, 4))), max_size=4), st.booleans()
)
def test_marking_matches_oracle(values, marks, creatives):
    array = frozen(values, np.uint32)
    order = make_lookup(array)
    flags, touched = np.zeros(len(values), np.uint8), np.zeros(4 + len(values), np.int32)
    expected = flags.tolist(), touched.tolist()
    for key, bit in marks:
        dosage.mark_key(array, order, key, bit, flags, touched, int(creatives))
        naive.mark_key(values, order.tolist(), key, bit, *expected, int(creatives))
    assert (flags.tolist(), touched.tolist()) == expected


@given(st.lists(impressions, max_size=6), windows_s, st.sampled_from((0, *KEYS)), st.booleans())
def test_counting_matches_oracle(seen, window_s, key, by_creative):
    asked = (0, key) if by_creative else (key, 0)
    state = words_of(seen, ())
    got = dosage.count_impressions(state, len(seen), NOW_S, window_s, *asked)
    assert got == naive.count_impressions(state.tolist(), len(seen), NOW_S, window_s, *asked)


@given(catalogues, st.sampled_from((1, 3)), keys)
def test_suppressing_matches_oracle(catalogue, kind, key):
    campaign_keys, order, _, _, advertiser_keys, *_ = catalogue.inputs
    n = len(campaign_keys)
    flags, touched = np.zeros(n, np.uint8), np.zeros(2 + n, np.int32)
    expected = flags.tolist(), touched.tolist()
    dosage.suppress(kind, key, campaign_keys, order, advertiser_keys, flags, touched)
    naive.suppress(
        kind, key, campaign_keys.tolist(), order.tolist(), advertiser_keys.tolist(), *expected
    )
    assert flags.tolist() == expected[0]
    assert sorted(touched) == sorted(expected[1])
