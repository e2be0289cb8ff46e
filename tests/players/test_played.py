"""Fluid and Shaka play prerolls of a real server, from a page on another origin."""

import pytest

from tests.players.stage import LANDING, PLAYERS, SKIPPABLE, WHOLE, Stage

QUARTILES = ("start", "first_quartile", "midpoint", "third_quartile", "complete")
SKIP_BUTTON = {"fluid": ".skip_button a", "shaka": ".shaka-skip-ad-button"}
ALSO = {"viewable"}
"""What Fluid reports and Shaka does not."""


@pytest.mark.parametrize("player", PLAYERS)
def test_watched_to_the_end_every_event_is_journaled_once(stage: Stage, player: str):
    with stage.play(player, stage.tag(WHOLE, viewer=f"watches-{player}")) as play:
        play.wait("content")
        assert play.saw("ad")
        heard = play.journaled()
        assert {event: heard[event] for event in heard if event not in ALSO} == dict.fromkeys(
            ("impression", *QUARTILES), 1
        )
        assert set(heard.values()) == {1}
        assert {status for _, status in play.beacons} == {204}
        assert play.complaints == []
        assert play.content_after_ms > 5500


@pytest.mark.parametrize("player", PLAYERS)
def test_clicked_and_skipped_both_are_journaled_once(stage: Stage, player: str):
    with stage.play(player, stage.tag(SKIPPABLE, viewer=f"skips-{player}")) as play:
        # A click pauses the ad, and the count-down to the skip button with it.
        skip = play.page.locator(SKIP_BUTTON[player])
        skip.click(trial=True)
        with play.page.context.expect_page() as opened:
            play.page.mouse.click(*play.middle)
        opened.value.wait_for_url(f"**/{LANDING}")
        opened.value.close()
        skip.click()
        play.wait("content")
        heard = play.journaled()
        told = {"impression", "start", "click", "skip"}
        assert {event: heard.get(event) for event in told} == dict.fromkeys(told, 1)
        assert "complete" not in heard
        assert set(heard.values()) == {1}
        assert play.complaints == []
