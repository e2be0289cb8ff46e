"""What would have been drawn, and why: as the oracles, and as the choice kernel that drew."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from adserver.worlds.dice import throw
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


@given(st.lists(st.integers(0, 4), max_size=5), st.sampled_from([0.0, 0.4]), st.integers(0, 2**32))
def test_relevance_is_as_the_oracle_says(widths, l1, seed):
    dice = throw(seed)
    count, candidates, coordinates = len(widths), sum(widths), 6
    variant, campaign = dice.integers(-1, coordinates, (2, candidates))
    made = (
        frozen(np.cumsum([0, *widths]), np.int64),
        frozen(dice.normal(0.5, 1.0, (8, candidates)), np.float32),
        frozen(variant, np.int32),
        frozen(campaign, np.int32),
        frozen(dice.integers(-1, coordinates, (count, 3)), np.int32),
        frozen(dice.random(count), np.float64),
        frozen(dice.normal(size=(2, 3)), np.float64),
        frozen(dice.normal(size=(2, 2)), np.float64),
        frozen([0.7, 1.0, l1, 0.5], np.float64),
        frozen(dice.random(coordinates), np.float64),
        frozen(dice.normal(size=(2, coordinates)), np.float64),
        frozen(dice.normal(size=(2, coordinates)), np.float64),
        frozen(dice.random((2, coordinates)), np.float64),
    )
    got, expected = np.zeros(candidates, np.float32), np.zeros(candidates)
    judging.rate(*made, got)
    naive.rate(*(each.tolist() for each in made), expected)
    np.testing.assert_allclose(got, expected, rtol=1e-5, atol=1e-6)
