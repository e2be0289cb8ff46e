"""What would have been drawn: as the oracle, and as the choice kernel that drew."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from kernels import choice, judging
from tests.kernels.generated import arms, choice_settings, frozen
from tests.naive import judging as naive

decisions = st.lists(st.tuples(arms(), choice_settings()), max_size=5)


def side_by_side(made):
    """Return shortlists one after another, and the rules of each."""
    lengths = [len(some) for some, _ in made]
    start = np.cumsum([0, *lengths])
    ids = [some.ids[:, : len(some)] for some, _ in made]
    values = [some.values[:, : len(some)] for some, _ in made]
    settings = [rules for _, rules in made]
    return (
        frozen(start, np.int64),
        frozen(np.concatenate([np.zeros((3, 0)), *ids], axis=1), np.int32),
        frozen(np.concatenate([np.zeros((8, 0)), *values], axis=1), np.float32),
        frozen(settings, np.float64, (len(made), choice.N_SETTINGS)),
    )


@given(decisions)
def test_matches_oracle(made):
    start, ids, values, settings = side_by_side(made)
    got, expected = ((np.zeros(start[-1], np.float32), np.zeros(len(made))) for _ in range(2))
    judging.redraw(start, ids, values, settings, *got)
    naive.redraw(start.tolist(), ids, values, settings.tolist(), *expected)
    for ours, theirs in zip(got, expected, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-6, atol=1e-12)


@given(decisions)
def test_probabilities_are_those_of_the_draw(made):
    start, ids, values, settings = side_by_side(made)
    p, p_nothing = np.zeros(start[-1], np.float32), np.zeros(len(made))
    judging.redraw(start, ids, values, settings, p, p_nothing)
    for i, (some, rules) in enumerate(made):
        choice.choose_arm(len(some), some.ids, some.values, rules, some.result)
        assert np.array_equal(p[start[i] : start[i + 1]], some.values[7, : len(some)])
        assert p_nothing[i] == some.result[choice.P_NOTHING]
