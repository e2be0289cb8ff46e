"""A policy is valid as a whole, or every reason why not is told with its path."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adserver.catalogue.policy import parse_policy
from adserver.domain.errors import InvalidInput
from adserver.domain.policy import Cap, Policy

FULL = """
exploration = "inverse_gap"
gamma_max = 3000
epsilon = 0.02
surprise = 0.02
surprise_band = 0.25
surprises_per_day = 1
annoyance_cost = 3.0
hold_out = 0.01
[threshold]
global = 0.1
placements = { home = 0.2 }
campaigns = { spring = -0.5 }
[dose]
weight = 0.05
half_life_s = 86400
[caps]
viewer = [{ count = 10, window_s = 86400 }]
"""


def problems(text: str | bytes) -> list[str]:
    with pytest.raises(InvalidInput) as refused:
        parse_policy(text)
    return [problem.path for problem in refused.value.problems]


def test_nothing_said_is_the_default_and_the_default_explores_nothing():
    assert parse_policy("") == Policy()
    assert Policy().exploration == "greedy"


def test_every_key_of_the_design_is_read():
    policy = parse_policy(FULL.encode())
    assert policy.exploration == "inverse_gap"
    assert policy.threshold.overall == 0.1
    assert policy.threshold.campaigns == {"spring": -0.5}
    assert policy.hold_out == 0.01
    assert policy.caps.viewer == (Cap(10, 86_400),)


def test_every_problem_is_told_at_once_with_its_path():
    text = """
    exploration = "bold"
    epsilon = 2
    gama_max = 1
    surprise = nan
    [threshold]
    global = "high"
    placements = { x = inf, "y z" = true }
    [dose]
    half_life_s = 0
    [caps]
    viewer = [{ count = 0, window_s = 1.5 }, { count = 1 }]
    """
    assert set(problems(text)) == {
        "exploration",
        "epsilon",
        "gama_max",
        "surprise",
        "threshold.global",
        "threshold.placements.x",
        "threshold.placements['y z']",
        "dose.half_life_s",
        "caps.viewer[0].count",
        "caps.viewer[0].window_s",
        "caps.viewer[1].window_s",
    }


@pytest.mark.parametrize(
    "text",
    ["x", "a = ", b"\xff", "a = 1\na = 2", "x = " + "[" * 50_000, "epsilon = 1979-05-27", "\x00"],
)
def test_what_is_no_policy_is_refused_in_words(text):
    assert problems(text)


@given(st.text() | st.binary())
def test_any_text_is_a_policy_or_refused(text):
    try:
        parse_policy(text)
    except InvalidInput as refused:
        found = refused.problems
    else:
        return
    assert found
