"""Numbers in answers are numbers, whatever they were."""

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adserver.edge.json_response import number, render_explanation


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, None])
def test_what_is_no_number_is_null(value):
    assert number(value) == "null"


@given(st.floats(allow_nan=False, allow_infinity=False, width=32))
def test_a_number_is_json_and_close(value):
    assert json.loads(number(value)) == pytest.approx(value, rel=1e-6)


def test_an_explanation_has_no_nan_at_any_depth():
    told = {"a": [math.nan, {"b": math.inf}], "c": 0.123456789, "d": "x", "e": (1, None, True)}
    assert json.loads(render_explanation(told)) == {
        "a": [None, {"b": None}],
        "c": 0.1234568,
        "d": "x",
        "e": [1, None, True],
    }
