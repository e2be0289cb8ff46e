"""Replay: the same inputs give the same decision, proved from the journal.

Every drawn decision replays from its logged shortlist through the very kernel that made it. Those
kept with their whole inputs replay from the request and the viewer record on.
"""

import math
from collections.abc import Iterable, Iterator
from typing import Any, Final, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from adserver.catalogue.columns import Columns
from adserver.decide.pipeline import Decider, held_as
from adserver.domain.decision import THROTTLED_MAX, Decision, ValueRow
from adserver.domain.errors import Broken
from adserver.domain.request import AdRequest
from adserver.edge.consent import Verdict
from adserver.journal.schema import DecisionRow, decision_of
from adserver.viewer.codec import open_record
from kernels import choice

CHOSEN: Final = "chosen"
"""``Compared.what`` of the shortlist's column that was shown, or ``NOTHING``."""
NEAR: Final = 1e-5
"""A scalar product's last bits depend on the processor; whatever follows from it may differ so."""


class Replayed(NamedTuple):
    """One decision and what its shortlist gives when it is drawn from again."""

    logged: Decision
    chosen: int
    propensity: float
    p_nothing: float
    propensities: NDArray[np.float32]
    """float32[n_shortlisted]."""

    @property
    def same(self) -> bool:
        """Whether the arm is, and every probability as far as a float32 tells them apart."""
        return all(each.same for each in self.compared())

    def compared(self) -> "list[Compared]":
        """Return the parts, beside what was logged."""
        logged = self.logged
        return [
            Compared(CHOSEN, logged.chosen, self.chosen, logged.chosen == self.chosen),
            _single("propensity", logged.propensity, self.propensity),
            _single("propensity of nothing", logged.p_nothing, self.p_nothing),
            _arrays(
                "propensities of all candidates",
                logged.values[ValueRow.PROPENSITY],
                self.propensities,
                near=0.0,
            ),
        ]


class Compared(NamedTuple):
    """One thing a decision is compared by."""

    what: str
    logged: object
    """Plain data; of many numbers how many, and of their replay how far the farthest is off."""
    replayed: object
    same: bool


def replay(rows: Iterable[DecisionRow]) -> Iterator[Replayed]:
    """Draw again from the logged shortlist of every decision that was drawn; gates are left out."""
    settings = np.zeros(choice.N_SETTINGS, np.float64)
    result = np.zeros(choice.N_RESULTS, np.float64)
    for row in rows:
        if not row.drawn:
            continue
        logged = decision_of(row)
        settings[choice.DOSE_PART] = logged.dose_part
        settings[choice.EXPLORATION] = logged.rules.exploration
        settings[choice.GAMMA] = logged.rules.gamma
        settings[choice.EPSILON] = logged.rules.epsilon
        settings[choice.SURPRISE_SHARE] = logged.surprise_share
        settings[choice.SURPRISE_BAND] = logged.rules.surprise_band
        settings[choice.DRAW] = logged.draw
        values = logged.values.copy()
        values[ValueRow.PROPENSITY] = np.nan  # nothing of the answer is handed in
        chosen = choice.choose_arm(values.shape[1], logged.ids.copy(), values, settings, result)
        yield Replayed(
            logged,
            chosen,
            float(result[choice.P_CHOSEN]),
            float(result[choice.P_NOTHING]),
            values[ValueRow.PROPENSITY],
        )


def replay_inputs(row: DecisionRow, columns: Columns) -> list[Compared]:
    """Decide again from a row's whole inputs, and compare every stage with what was logged.

    Parameters
    ----------
    row
        That ``keeps_inputs``, and drawn.
    columns
        The snapshot of its versions.
    """
    if row.full is None or not keeps_inputs(row):
        raise Broken("the whole inputs of this decision were not kept")
    request = msgspec.json.decode(row.full.request, type=AdRequest)
    viewer = None if row.full.viewer is None else open_record(row.full.viewer)
    again = Decider(columns).decide(
        request,
        viewer,
        row.time_ms,
        row.decision_id,
        row.draw,
        held_as(row.throttled, columns.campaign_count),
        house_only=row.full.consent is not None
        and msgspec.json.decode(row.full.consent, type=Verdict).house_only,
    )
    logged = decision_of(row)
    exact = (
        ("variants left after each stage", list(logged.counts), list(again.counts)),
        (CHOSEN, logged.chosen, again.chosen),
        ("reason", _word(logged), _word(again)),
        ("surprise", logged.surprise, again.surprise),
    )
    return [
        *(Compared(what, before, after, before == after) for what, before, after in exact),
        _arrays("shortlist", logged.ids, again.ids, near=0.0),
        _arrays("scores and propensities", logged.values, again.values),
        _single("dose", logged.dose, again.dose, NEAR),
        _single("best of the rest", logged.rest_best_relevance, again.rest_best_relevance, NEAR),
    ]


def keeps_inputs(row: DecisionRow) -> bool:
    """Whether the row holds all that its decision was made from."""
    return row.full is not None and len(row.throttled) < THROTTLED_MAX


def _word(decision: Decision) -> str:
    return "shown" if decision.reason is None else decision.reason.word


def _single(what: str, logged: float | None, again: float, near: float = 0.0) -> Compared:
    before = math.nan if logged is None else logged
    first, second = (None if math.isnan(number) else number for number in (before, again))
    return Compared(what, first, second, _close(before, again, near))


def _arrays(what: str, logged: NDArray[Any], again: NDArray[Any], near: float = NEAR) -> Compared:
    count = f"{logged.size} numbers"
    if logged.shape != again.shape:
        return Compared(what, count, f"{again.size} numbers", same=False)
    off = np.abs(logged.astype(np.float64) - again.astype(np.float64)).max(initial=0.0)
    return Compared(what, count, f"at most {off:.2g} off", _close(logged, again, near))


def _close(before: NDArray[Any] | float, after: NDArray[Any] | float, near: float) -> bool:
    """Whether float32 tells them apart by no more than this."""
    pair = np.asarray(before, np.float32), np.asarray(after, np.float32)
    return np.allclose(*pair, rtol=near, atol=near, equal_nan=True)
