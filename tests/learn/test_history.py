"""Dividing histories into parts."""

import numpy as np
import pytest

from adserver.domain.errors import Broken
from adserver.learn.history import Part, split
from tests.learn.small import history


@pytest.mark.parametrize(
    ("events", "parts"),
    [
        (1, [0]),
        (2, [0, 0]),
        (5, [0, 0, 0, 1, 2]),
        (6, [0, 0, 0, 0, 1, 2]),
        (10, [0] * 6 + [1] * 2 + [2] * 2),
    ],
)
def test_each_history_is_divided_60_20_20(events, parts):
    assert split(np.zeros(events, np.int32), 1).tolist() == parts


def test_viewers_are_divided_one_by_one():
    assert split(np.repeat([0, 2], 5).astype(np.int32), 3).tolist() == [0, 0, 0, 1, 2] * 2


def test_no_events_have_no_parts():
    assert split(np.array([], np.int32), 3).tolist() == []


def test_an_unsorted_history_is_refused():
    with pytest.raises(Broken, match="sorted"):
        split(np.array([1, 0], np.int32), 2)


def test_parts_are_taken_in_order():
    events = history([0] * 5 + [1] * 5, list(range(5)) * 2)
    assert events.until(Part.EARLY).variant.tolist() == [0, 1, 2] * 2
    assert events.until(Part.MIDDLE).variant.tolist() == [0, 1, 2, 3] * 2
    assert events.only(Part.LAST).variant.tolist() == [4] * 2
    assert events.only(Part.LAST).viewer_start.tolist() == [0, 1, 2]


def test_counts_include_what_nobody_has_seen():
    events = history([0, 0], [1, 1], features=np.eye(3), campaign=[0, 1, 1])
    assert events.seen_count.tolist() == [0, 2, 0]
    assert (events.event_count, events.variant_count, events.campaign_count) == (2, 3, 2)
