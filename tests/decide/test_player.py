"""Players are told apart by all that decides what they can play."""

import pytest

from adserver.decide.pipeline import Decider
from adserver.domain.reasons import Reason
from adserver.edge.vast_version import LAYOUTS
from tests.decide.small import DECISION_ID, NOW_MS, campaign, columns, request, variant


@pytest.mark.parametrize(
    ("versions", "plays"),
    [
        ([], True),
        (["4.2"], True),
        (["4"], True),
        (["2.0", "3.0", "4.0"], True),
        (["2.0", "3.0"], True),
        (["1.0"], False),
        (["5.0", "20.0", "VAST"], False),
        (sorted(LAYOUTS), True),
    ],
)
def test_a_player_that_reads_none_of_our_vast_versions_plays_nothing(versions, plays):
    decider = Decider(columns(campaign("drama", variant("rain", [1.0, 0.0]))))

    def ask(player):
        return decider.decide(request(player=player), None, NOW_MS, DECISION_ID, 0.5)

    assert ask({"vast_versions": versions}).shown is plays
    assert ask({}).shown, "another player, remembered apart"
    asked_again = ask({"vast_versions": versions})
    assert asked_again.shown is plays
    assert plays or asked_again.reason is Reason.PLAYER
