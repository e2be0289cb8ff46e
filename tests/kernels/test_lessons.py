"""What lessons read of shortlists: as the oracle, whatever was logged."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from adserver.worlds.dice import throw
from kernels import lessons
from tests.kernels.generated import frozen
from tests.naive import lessons as naive

SIZES = ((4, 3), (2, 5), (lessons.GONE, lessons.GONE))
STRANGE = st.sampled_from([np.nan, np.inf, -np.inf, -1.0, -0.0])
OUTSIDE = st.sampled_from([-1, 2, 3, 4, 5, 2**31 - 1])


@st.composite
def decisions(draw):
    """Shortlists as they are logged, of two catalogues and of one that is gone; a flaw in some."""
    dice = throw(draw(st.integers(0, 2**32)))
    version = draw(st.lists(st.integers(0, 2), max_size=5))
    ids, values, chosen, start = [], [], [], [0]
    for _ in version:
        width = draw(st.integers(0, 4))
        own_ids = dice.integers(0, 2, (3, width))
        own_values = dice.random((8, width))
        if width and draw(st.booleans()):
            own_values[draw(st.sampled_from([0, 0, 3, 3, 1])), draw(st.integers(0, width - 1))] = (
                draw(STRANGE)
            )
        elif width and draw(st.booleans()):
            own_ids[draw(st.integers(0, 1)), draw(st.integers(0, width - 1))] = draw(OUTSIDE)
        ids += own_ids.reshape(-1).tolist()
        values += own_values.reshape(-1).tolist()
        chosen.append(draw(st.integers(-1, width - 1)))
        start.append(start[-1] + width)
    return (
        frozen(start, np.int64),
        frozen(ids, np.int32),
        frozen(values, np.float32),
        frozen(chosen, np.int32),
        frozen(version, np.int32),
        frozen(SIZES, np.int64),
    )


@given(decisions())
def test_matches_oracle(made):
    count = len(made[3])
    got, expected = (
        (np.full(count, 9, np.uint8), np.full((2, count), 9, np.int32), np.full((2, count), 9.0))
        for _ in range(2)
    )
    got = (*got[:2], got[2].astype(np.float32))
    lessons.look_up(*made, *got)
    naive.look_up(*(each.tolist() for each in made), *expected)
    for ours, theirs in zip(got, expected, strict=True):
        np.testing.assert_array_equal(ours, theirs)


@given(st.lists(st.integers(0, 4), max_size=5), st.integers(1, 9), st.integers(0, 2**32))
def test_steps_add_up_as_the_oracle_says(counts, d, seed):
    random = throw(seed)
    viewers, steps = len(counts), sum(counts)
    made = (
        frozen(np.cumsum([0, *counts]), np.int64),
        frozen(random.permutation(viewers + 2)[:viewers], np.int64),
        frozen(random.random(viewers), np.float64),
        frozen(random.integers(0, 3, steps), np.int32),
        frozen(random.normal(size=steps), np.float32),
        frozen(random.normal(size=(3, d)), np.float32),
    )
    got = random.normal(size=(viewers + 2, d))
    expected = got.tolist()
    lessons.add_steps(*made, got)
    naive.add_steps(*(each.tolist() for each in made), expected)
    np.testing.assert_allclose(got, expected, rtol=1e-6, atol=1e-6)
