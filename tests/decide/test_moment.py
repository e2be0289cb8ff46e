"""The rules that read a moment, in their order."""

import pytest

from adserver.decide.moment import INTENTS, RECENT_MS, read_moment
from tests.decide.small import NOW_MS, request, viewer

EVENING, MORNING = 20, 9


@pytest.mark.parametrize(
    ("asked", "who", "hour", "intent", "source"),
    [
        ({"moment": {"intent": "buy"}, "content": {"title": "news"}}, {}, MORNING, "buy", "given"),
        ({"content": {"title": "How to mend a tyre"}}, {}, MORNING, "do", "content"),
        ({"content": {"keywords": ["Top 10", "deals"]}}, {}, MORNING, "buy", "content"),
        ({"content": {"title": "Whatever"}}, {}, MORNING, None, None),
        ({}, {"intent": 6, "intent_ms": NOW_MS - RECENT_MS + 1}, MORNING, "compare", "recent"),
        ({}, {"intent": 6, "intent_ms": NOW_MS - RECENT_MS}, MORNING, None, None),
        ({}, {"intent": 6, "intent_ms": NOW_MS + 1}, MORNING, None, None),
        ({"device": {"type": "watch"}}, {}, MORNING, "go", "circumstances"),
        ({"device": {"type": "phone"}}, {}, MORNING, None, None),
        (
            {"device": {"type": "phone"}, "geo": {"lat": 52.0, "lon": 4.5}},
            {},
            MORNING,
            "go",
            "circumstances",
        ),
        ({"device": {"type": "tv"}}, {}, EVENING + 24 * 3, "ideas", "circumstances"),
        ({"device": {"type": "tv"}}, {}, MORNING, None, None),
    ],
)
def test_the_first_rule_that_speaks_decides(asked, who, hour, intent, source):
    moment = read_moment(request(**asked), viewer(**who) if who else None, NOW_MS, hour)
    assert (moment.intent, moment.source) == (intent, source)


def test_urgency_is_given_or_follows_the_intent_and_the_device():
    given = request(moment={"intent": "buy", "urgency": 0.1})
    assert read_moment(given, None, NOW_MS, 0).urgency == 0.1
    plain = request(moment={"intent": "buy"})
    in_hand = request(moment={"intent": "buy"}, device={"type": "phone"})
    assert (
        read_moment(in_hand, None, NOW_MS, 0).urgency > read_moment(plain, None, NOW_MS, 0).urgency
    )


def test_every_intent_has_an_urgency_and_a_number():
    for number, intent in enumerate(INTENTS, start=1):
        found = read_moment(request(), viewer(intent=number, intent_ms=NOW_MS), NOW_MS, 0)
        assert found.intent == intent
        assert 0.0 < found.urgency <= 1.0
