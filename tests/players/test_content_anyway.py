"""Whatever becomes of the ad, the content plays, and soon."""

import socket
from collections.abc import Callable

import pytest

from tests.players.stage import PLAYERS, STRICT, WAITED, WHOLE, Stage

AT_ONCE_MS = 5000
"""Decoding on a loaded machine; the server's part is a few milliseconds."""
PATIENT_MS = 10_000
"""Where the player has to give up by itself: after the 3 s its page allows."""


@pytest.fixture
def nobody() -> str:
    """Return an address that refuses every connection."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{taken.getsockname()[1]}/v1/vast?placement={WHOLE}"


def check(
    stage: Stage,
    player: str,
    tag: str,
    most_ms: float,
    note: Callable[[str, object], None],
    case: str,
) -> list[str]:
    """Play; return the VAST documents that came."""
    with stage.play(player, tag) as play:
        play.wait("content")
        assert not play.saw("ad")
        assert play.beacons == []
        assert play.content_after_ms < most_ms
        note(f"{WAITED}{case}, {player}", play.content_after_ms)
        return play.documents


@pytest.mark.parametrize("player", PLAYERS)
@pytest.mark.parametrize(
    ("case", "placement"),
    [("nothing relevant", STRICT), ("unknown placement", "nowhere"), ("no placement", "[MACRO]")],
)
def test_without_an_ad(stage: Stage, player: str, case: str, placement: str, record_property):
    documents = check(stage, player, stage.tag(placement), AT_ONCE_MS, record_property, case)
    assert len(documents) == 1
    assert "<Ad " not in documents[0]


@pytest.mark.parametrize("player", PLAYERS)
def test_turned_away_by_an_overloaded_front(stage: Stage, player: str, record_property):
    check(stage, player, f"{stage.clips}/busy", PATIENT_MS, record_property, "503")


@pytest.mark.parametrize("player", PLAYERS)
def test_with_nobody_there(stage: Stage, player: str, nobody: str, record_property):
    assert check(stage, player, nobody, PATIENT_MS, record_property, "dead server") == []


@pytest.mark.parametrize("player", PLAYERS)
def test_with_a_server_that_hangs(stage: Stage, player: str, record_property):
    with stage.hung():
        tag = stage.tag(WHOLE)
        assert check(stage, player, tag, PATIENT_MS, record_property, "hung server") == []
