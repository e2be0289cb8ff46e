"""Which decisions judge what was learnt."""

from types import SimpleNamespace

import numpy as np

from adserver.journal.outcomes import Outcome
from adserver.learn import judge


def test_neither_what_still_plays_nor_what_lost_its_auction_is_judged_by(monkeypatch):
    outcomes = [Outcome.COMPLETED, Outcome.LOST, Outcome.PLAYING, Outcome.UNPLAYED, Outcome.NOTHING]
    count = len(outcomes)
    columns = SimpleNamespace(
        versions=[("c", "p", "mine")], version=np.zeros(count, int), drawn=np.ones(count, bool)
    )
    resolved = SimpleNamespace(outcome=np.array(outcomes, np.int8))
    lesson = SimpleNamespace(columns=columns, resolved=resolved, usable=np.ones(count, bool))
    monkeypatch.setattr(judge, "_relevance", lambda _learner, _lesson: np.zeros(0, np.float32))
    assert judge.Judge("mine").look(None, lesson).judged.tolist() == [0, 3, 4]
