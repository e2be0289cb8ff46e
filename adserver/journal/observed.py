"""How likely an outcome was to become known: weights that make up for those that did not.

A preroll that began and whose end was never heard is *unknown*. Leaving such rows out would favour
"nothing", which is always known. So the known ones stand for the unknown ones of their like: each
counts 1 / P(known | begun, placement, device) times (inverse probability weighting; Horvitz and
Thompson 1952, section 2). That is right as far as placement and device explain what gets lost, and
above ``UNKNOWN_SHARE_MAX`` it should not be relied upon.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from adserver.journal.outcomes import Outcome, Resolved
from adserver.journal.schema import DecisionRow

UNKNOWN_SHARE_MAX: Final = 0.1


class Observed:
    """Counts of one reading of the journal, for the weights of the next.

    Attributes
    ----------
    begun : int
        Resolved decisions of which something was heard.
    unknown : int
        Of these, the ones whose end was not.
    """

    def __init__(self) -> None:
        self._cells: dict[tuple[str, str | None], list[int]] = {}
        """(Placement, device) → [begun, known]."""
        self.begun = 0
        self.unknown = 0

    def add(self, batch: Resolved) -> None:
        """Count a batch; what is still playing is left out."""
        begun, known = _resolved(batch), batch.known
        for place in np.flatnonzero(begun).tolist():
            cell = self._cells.setdefault(_cell(batch.rows[place]), [0, 0])
            cell[0] += 1
            cell[1] += bool(known[place])
        self.begun += int(np.count_nonzero(begun))
        self.unknown += int(np.count_nonzero(begun & ~known))

    @property
    def unknown_share(self) -> float:
        """Unknown among begun; NaN before any."""
        return self.unknown / self.begun if self.begun else float("nan")

    @property
    def refusal(self) -> str | None:
        """Why no estimate should be made of these outcomes; None when nothing speaks against it."""
        if self.unknown > UNKNOWN_SHARE_MAX * self.begun:
            return f"{self.unknown_share:.1%} of what began has no known end, over 10 %"
        blind = sorted(
            f"{placement} on {device or 'an unnamed device'}"
            for (placement, device), (_, known) in self._cells.items()
            if not known
        )
        return f"no end was ever heard of: {', '.join(blind)}" if blind else None

    def weights(self, batch: Resolved) -> NDArray[np.float64]:
        """Return how many decisions each one of a batch stands for.

        Returns
        -------
        NDArray[np.float64]
            float64[n]: 0 where the outcome is unknown or still open, 1 where nothing was shown or
            heard, and 1 / P(known | begun, placement, device) else.
        """
        weights = (batch.known | np.isin(batch.outcome, Outcome.NOTHING)).astype(np.float64)
        for place in np.flatnonzero(_resolved(batch) & batch.known).tolist():
            begun, known = self._cells.get(_cell(batch.rows[place]), (1, 1))
            weights[place] = begun / known if known else 1.0
        return weights


def _resolved(batch: Resolved) -> NDArray[np.bool_]:
    return batch.begun & ~np.isin(batch.outcome, Outcome.PLAYING)


def _cell(row: DecisionRow) -> tuple[str, str | None]:
    return row.placement, row.context.device
