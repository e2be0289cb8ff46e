"""Visits of a day: by the curve, and sound requests every one."""

import numpy as np
import pytest

from adserver.domain.units import DAY_MS
from adserver.edge import consent, json_request
from adserver.worlds.day import Crowd, crowd_of, curve, days_before, share_of_day, visits
from adserver.worlds.dice import throw
from adserver.worlds.synthetic import EPOCH_MS, Size, build_synthetic

SHARES = {"home": 2 / 3, "clips": 1 / 3}
CROWD = Crowd([f"v{i}" for i in range(50)], ["home", "clips"], "IAB1-5", ["topic-1", "topic-2"])


def day(seed=1, count=2000):
    return list(visits(throw(seed), CROWD, EPOCH_MS, count))


def test_every_visit_is_a_sound_request_and_consent_says_what_the_visit_says():
    for visit in day():
        request = json_request.parse(visit.body)
        verdict = consent.judge(request.consent, header_opt_out=False, vendor=0)
        assert request.viewer.id == visit.viewer
        assert visit.recognised == (visit.viewer is not None and verdict.personal)


def test_a_day_has_everybody_and_everything_and_is_the_same_again():
    one = day()
    assert [visit.body for visit in one] == [visit.body for visit in day()]
    assert [visit.body for visit in one] != [visit.body for visit in day(2)]
    known = [visit for visit in one if visit.viewer in CROWD.viewers]
    strangers = [visit for visit in one if (visit.viewer or "").startswith("new-")]
    nameless = [visit for visit in one if visit.viewer is None]
    assert len(known) + len(strangers) + len(nameless) == 2000
    assert len(strangers) == pytest.approx(200, abs=60)
    assert len(nameless) == pytest.approx(200, abs=60)
    assert {visit.viewer for visit in known} == set(CROWD.viewers)
    requests = [json_request.parse(visit.body) for visit in one]
    assert {request.placement for request in requests} == {"home", "clips"}
    assert {request.device.type for request in requests} >= {None, "phone", "tv", "watch"}


def test_visits_come_in_order_and_by_the_curve():
    times = np.array([visit.time_ms for visit in day(count=20_000)])
    assert (np.diff(times) >= 0).all()
    assert times[0] >= EPOCH_MS
    assert times[-1] < EPOCH_MS + DAY_MS
    by_hour = np.bincount((times - EPOCH_MS) // 3_600_000, minlength=24) / 20_000
    # The standard deviation of an hour's share is at most .002.
    assert np.abs(by_hour - np.diff(curve()[::4])).max() < 0.01
    assert by_hour[20] > 5 * by_hour[3]


def test_the_share_of_a_day_goes_from_one_midnight_to_the_next():
    midnight = EPOCH_MS // DAY_MS
    assert share_of_day(EPOCH_MS) == midnight
    assert share_of_day(EPOCH_MS + DAY_MS) == midnight + 1
    assert midnight < share_of_day(EPOCH_MS + DAY_MS // 4) < midnight + 0.15


def test_the_days_before_bring_as_many_requests_by_the_same_curve():
    before = list(days_before(throw(1), CROWD, EPOCH_MS, 1000))
    asked = [placement for _, placements in before for placement in placements]
    assert len(asked) == 2000
    assert {name: asked.count(name) for name in set(asked)} == pytest.approx(
        {name: 2000 * share for name, share in SHARES.items()}, rel=0.1
    )
    times = [time_ms for time_ms, _ in before]
    assert times == sorted(times)
    assert EPOCH_MS - 2 * DAY_MS < times[0] < times[-1] < EPOCH_MS


def test_the_crowd_of_a_world():
    size = Size(viewers=5, campaigns=3, variants=9, content=2, dim=4, events_per_viewer=4)
    crowd = crowd_of(build_synthetic(1, size))
    assert crowd.viewers == ("syn-1", "syn-2", "syn-3", "syn-4", "syn-5")
    assert crowd.categories == ["topic-1", "topic-2", "topic-3"]
