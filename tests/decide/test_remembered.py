"""What a decider remembers between requests changes no decision: it answers as a new one would."""

from typing import Any

import pytest

from adserver.decide.pipeline import Decider
from tests.decide import small

HOUR_MS = 3_600_000
TARGETS: dict[str, list[Any]] = {
    "country": ["NL"],
    "region": ["ZH"],
    "city": ["Rotterdam"],
    "device": ["phone"],
    "os": ["android"],
    "language": ["nl"],
    "category": ["2:325"],
    "keyword": ["rain"],
    "moment": ["buy"],
    "near": [{"lat": 51.9, "lon": 4.5, "radius_km": 5}],
}
MATCHING: dict[str, Any] = {
    "geo": {"country": "NL", "region": "ZH", "city": "Rotterdam", "lat": 51.9, "lon": 4.5},
    "device": {"type": "phone", "os": "android"},
    "content": {"language": "nl", "categories": ["325"], "cattax": 2, "keywords": ["rain"]},
    "moment": {"intent": "buy"},
    "player": {"mimes": ["video/mp4"], "width": 1280, "height": 720, "max_duration_s": 30},
}
OTHERWISE: list[tuple[str, str, Any]] = [
    ("geo", "country", "BE"),
    ("geo", "region", "NH"),
    ("geo", "city", "Delft"),
    ("geo", "lat", 52.9),
    ("geo", "lon", 5.5),
    ("device", "type", "tv"),
    ("device", "os", "ios"),
    ("content", "language", "de"),
    ("content", "categories", ["1"]),
    ("content", "cattax", 7),
    ("content", "keywords", ["sun"]),
    ("moment", "intent", "go"),
    ("player", "mimes", ["video/webm"]),
    ("player", "width", 10),
    ("player", "height", 10),
    ("player", "min_duration_s", 29),
    ("player", "max_duration_s", 1),
    ("player", "skippable", False),
    ("player", "vast_versions", ["9.9"]),
]


def market(*, refusing: bool):
    """Return a campaign for each dimension that wants, or refuses, what the request says of it."""
    ad = {"skip_after_ms": 5000, "duration_ms": 15_000}
    return small.columns(
        *(
            small.campaign(
                name,
                small.variant(f"{name}-v", [1.0, 0.0], **ad),
                targeting={"not": {name: values}} if refusing else {name: values},
            )
            for name, values in TARGETS.items()
        ),
        small.campaign("any", small.variant("any-v", [1.0, 0.0], **ad)),
    )


def counts(decider: Decider, asked: dict[str, Any]) -> tuple[int, ...]:
    """Return how many variants were left after each stage."""
    request = small.request(**asked)
    return decider.decide(request, None, small.NOW_MS, small.DECISION_ID, 0.5).counts


@pytest.mark.parametrize("refusing", [False, True])
@pytest.mark.parametrize(("part", "field", "value"), OTHERWISE)
def test_one_field_that_differs_is_noticed(part, field, value, refusing):
    snapshot = market(refusing=refusing)
    other = {**MATCHING, part: {**MATCHING[part], field: value}}
    expected = [counts(Decider(snapshot), asked) for asked in (MATCHING, other)]
    assert expected[0] != expected[1], "the field decides something here"
    remembering = Decider(snapshot)
    got = [counts(remembering, asked) for asked in (MATCHING, other, MATCHING, other)]
    assert got == expected * 2


def test_an_hour_that_differs_is_noticed():
    campaigns = [
        small.campaign(
            f"h{hour}", small.variant(f"v{hour}", [1.0, 0.0]), targeting={"hour_of_week": [hour]}
        )
        for hour in range(168)
    ]
    snapshot = small.columns(*campaigns)
    remembering = Decider(snapshot)
    hours = []
    for now_ms in (small.NOW_MS, small.NOW_MS + HOUR_MS, small.NOW_MS):
        made = remembering.decide(small.request(), None, now_ms, small.DECISION_ID, 0.5)
        assert made.counts[2] == 1
        hours.append(made.moment.hour_of_week)
        assert small.shown(snapshot, made) == f"v{hours[-1]}"
    assert hours[0] == hours[2] != hours[1]
