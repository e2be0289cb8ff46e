"""Requests drawn from a history."""

import numpy as np

from adserver.learn.history import Part
from adserver.worlds.requests import BLOCK, DRAWS, evaluation_requests, replay_requests
from tests.learn.small import history

LONG, SHORT = 40, 5
EVENTS = history([0] * LONG + [1] * SHORT, list(range(LONG)) + list(range(SHORT)))


def test_candidates_are_different_events_of_one_viewers_last_part():
    requests = evaluation_requests(EVENTS, 8)
    assert requests.shape == (DRAWS, 8)
    assert np.all(EVENTS.part[requests] == Part.LAST)
    assert not EVENTS.viewer[requests].any()
    assert all(len(set(row)) == 8 for row in requests.tolist())


def test_a_short_last_part_still_has_requests_of_one():
    assert evaluation_requests(EVENTS, 1).shape == (2 * DRAWS, 1)


def test_requests_are_drawn_the_same_way_every_time():
    assert np.array_equal(evaluation_requests(EVENTS, 3), evaluation_requests(EVENTS, 3))


def test_nobody_with_enough_candidates_is_no_request():
    assert evaluation_requests(EVENTS, LONG).shape == (0, LONG)


def test_replay_cuts_consecutive_blocks_and_drops_the_rest():
    events = history([0] * 12 + [1] * 4 + [2] * 5, list(range(12)) + [0] * 4 + list(range(5)))
    requests = replay_requests(events)
    assert requests.shape == (3, BLOCK)
    assert requests.tolist() == [list(range(5)), list(range(5, 10)), list(range(16, 21))]
