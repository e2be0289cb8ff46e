"""Viewers held out never see an ad, by decisions that stay out of estimates."""

import pytest

from adserver.decide.hold_out import position
from adserver.journal.reader import JournalReader
from adserver.start import open_versions
from tests.serve.small import PLACEMENT, VIEWERS, fill, running, settings_of

HELD, *FREE = sorted(VIEWERS, key=position)
SHARE = (position(HELD) + position(FREE[0])) / 2


@pytest.fixture
def shop(data):
    settings = settings_of(data, open_explain=True)
    fill(settings)
    open_versions(settings).publish_policy(f"hold_out = {SHARE}".encode())
    return settings


def test_the_held_out_are_answered_without_a_draw(shop, data):
    with running(shop) as api:
        answers = [api.decide(HELD), api.decide(HELD, explain=True)]
        assert b"<Ad " not in api.get(f"/v1/vast?placement={PLACEMENT}&viewer={HELD}").content
    for answer in answers:
        told = (answer["action"], answer["reason"], answer["propensity"])
        assert told == ("none", "held_out", None)
    rows = list(JournalReader(data / "journal").rows())
    assert [(row.drawn, row.propensity, row.chosen) for row in rows] == [(False, None, -1)] * 3
    assert all(row.pseudonym is not None for row in rows), "the hold-out can be measured"


def test_everybody_else_is_drawn_for(shop):
    with running(shop) as api:
        for viewer in (*FREE, None):
            assert api.decide(viewer)["propensity"] == 1.0


@pytest.mark.parametrize("signals", [{"gdpr": True}, {"opt_out": True}])
def test_an_id_that_may_not_be_read_holds_nobody_out(shop, signals):
    with running(shop) as api:
        assert api.decide(HELD, consent=signals)["action"] == "show"


def test_a_viewer_nobody_has_met_may_be_held_out(shop):
    stranger = next(name for name in map(str, range(10_000)) if position(name) < SHARE)
    with running(shop) as api:
        assert api.decide(stranger)["reason"] == "held_out"
