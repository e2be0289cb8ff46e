"""Viewers watch by the law: its probabilities are met, and they tire."""

import numpy as np
import pytest

from adserver.domain.event import EventType
from adserver.worlds.dice import throw
from adserver.worlds.reaction import RECOVERS_MS, Audience
from adserver.worlds.stubs import NO_FAULTS, Faults
from adserver.worlds.world import Law

LAW = Law(
    bias=np.array([[0.4, -0.2], [-1.0, 0.3]]),
    viewer=np.array([[0.5], [-0.5]]),
    taste=np.array([[1.0, -1.0]]),
    taste_weight=(1.0, -0.7),
)
FEATURES = np.array([[1.0, 0.0], [0.0, 1.0]])
LENGTH_MS = (15_000, 5000)
NOW_MS = 1_000_000
TRIES = 4000


def audience(seed=1):
    return Audience(LAW, FEATURES, ("ann",), throw(seed))


def test_taste_decides_and_the_two_ends_exclude_each_other():
    ann = audience()
    likes, dislikes = ann.probabilities("ann", 0, 0.0), ann.probabilities("ann", 1, 0.0)
    assert likes[0] > dislikes[0]
    assert likes[1] < dislikes[1]
    assert all(complete + annoyed <= 1.0 for complete, annoyed in (likes, dislikes))
    assert ann.probabilities("nobody known", 0, 0.0) == ann.probabilities(None, 0, 0.0)


def test_a_viewer_tires_and_recovers():
    ann = audience()
    fresh, tired = ann.probabilities("ann", 0, 0.0), ann.probabilities("ann", 0, 5.0)
    assert tired[0] < fresh[0]
    assert tired[1] > fresh[1]
    ann.watch("ann", 0, LENGTH_MS, NOW_MS, NO_FAULTS)
    assert ann.dose("ann", NOW_MS) == 1.0
    assert ann.dose("ann", NOW_MS + int(RECOVERS_MS)) == 0.5
    assert ann.dose("bob", NOW_MS) == ann.dose(None, NOW_MS) == 0.0


def test_outcomes_are_as_frequent_as_the_law_says():
    crowd = audience(5)
    complete, annoyed = crowd.probabilities(None, 0, 0.0)
    seen = [crowd.watch(None, 0, LENGTH_MS, NOW_MS, NO_FAULTS) for _ in range(TRIES)]
    # Five standard deviations: the error rate is below 1e-6.
    for probability, count in (
        (complete, sum(each.completed for each in seen)),
        (annoyed, sum(each.annoyed for each in seen)),
    ):
        spread = (TRIES * probability * (1 - probability)) ** 0.5
        assert count == pytest.approx(TRIES * probability, abs=5 * spread)
    assert not any(each.completed and each.annoyed for each in seen)


def test_beacons_tell_what_was_watched():
    crowd = audience(2)
    for _ in range(200):
        seen = crowd.watch(None, 1, LENGTH_MS, NOW_MS, NO_FAULTS)
        by_event = {event: delay_ms for delay_ms, event in seen.beacons}
        last = EventType.COMPLETE if seen.completed else EventType.SKIP
        assert set(by_event) == {EventType.IMPRESSION, EventType.START, last}
        watched_ms = by_event[last] - by_event[EventType.START]
        assert LENGTH_MS[1] - 500 <= watched_ms <= LENGTH_MS[0] + 500


def test_beacons_are_lost_doubled_late_or_never_sent():
    assert audience().watch(None, 0, LENGTH_MS, NOW_MS, Faults(unplayed=1.0)) is None
    faults = Faults(unplayed=0.0, beacon_lost=0.0, beacon_twice=1.0)
    twice = audience().watch(None, 0, LENGTH_MS, NOW_MS, faults)
    assert len(twice.beacons) == 6
    lost = audience().watch(None, 0, LENGTH_MS, NOW_MS, Faults(unplayed=0.0, beacon_lost=1.0))
    assert lost.beacons == ()
    faults = Faults(unplayed=0.0, beacon_lost=0.0, beacon_twice=0.0, beacon_far_too_late=1.0)
    late = audience().watch(None, 0, LENGTH_MS, NOW_MS, faults)
    assert min(delay_ms for delay_ms, _ in late.beacons) > 3_600_000
