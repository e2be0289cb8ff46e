"""Decisions as columns: what a replay and a lesson read instead of rows."""

from collections.abc import Iterable
from functools import cached_property
from itertools import chain
from math import nan
from operator import attrgetter
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from adserver.domain.decision import IdRow, ValueRow
from adserver.journal.schema import DecisionRow

SCALARS: Final = (
    "draw",
    "propensity",
    "p_nothing",
    "gamma",
    "epsilon",
    "surprise_share",
    "surprise_band",
    "annoyance_cost",
    "dose_weight",
    "dose",
    "rest_best_relevance",
)
"""Rows of ``DecisionColumns.scalars``: fields of ``DecisionRow``."""

_SCALARS_OF: Final = attrgetter(*SCALARS)
_OPTIONAL: Final = SCALARS.index("propensity")
_CANDIDATE_BYTES: Final = 4 * len(ValueRow)


class DecisionColumns:
    """n decisions and their shortlists, which stand one after another.

    Decision i's shortlist is the half-open range ``start[i]:start[i + 1]`` of ``ids`` and
    ``values``. A column is made when it is first asked for: whoever reads few pays for few.
    """

    def __init__(self, rows: list[DecisionRow]) -> None:
        self.rows = rows

    def __len__(self) -> int:
        """How many decisions."""
        return len(self.rows)

    @cached_property
    def decision_ids(self) -> list[bytes]:
        """Id of each."""
        return [row.decision_id for row in self.rows]

    @cached_property
    def time_ms(self) -> NDArray[np.int64]:
        """int64[n]."""
        return np.fromiter([row.time_ms for row in self.rows], np.int64, len(self))

    @cached_property
    def chosen(self) -> NDArray[np.int32]:
        """int32[n]: column within the decision's own shortlist, or ``NOTHING``."""
        return np.fromiter([row.chosen for row in self.rows], np.int32, len(self))

    @cached_property
    def reason(self) -> NDArray[np.int32]:
        """int32[n]."""
        return np.fromiter([row.reason for row in self.rows], np.int32, len(self))

    @cached_property
    def duration_ms(self) -> NDArray[np.int64]:
        """int64[n]."""
        return np.fromiter([row.duration_ms for row in self.rows], np.int64, len(self))

    @cached_property
    def skip_after_ms(self) -> NDArray[np.int64]:
        """int64[n]."""
        return np.fromiter([row.skip_after_ms for row in self.rows], np.int64, len(self))

    @cached_property
    def drawn(self) -> NDArray[np.bool_]:
        """bool[n]."""
        return _flags([row.drawn for row in self.rows])

    @cached_property
    def surprise(self) -> NDArray[np.bool_]:
        """bool[n]."""
        return _flags([row.surprise for row in self.rows])

    @cached_property
    def surprise_allowed(self) -> NDArray[np.bool_]:
        """bool[n]."""
        return _flags([row.surprise_allowed for row in self.rows])

    @cached_property
    def is_bid(self) -> NDArray[np.bool_]:
        """bool[n]."""
        return _flags([row.is_bid for row in self.rows])

    @cached_property
    def exploration(self) -> NDArray[np.int8]:
        """int8[n], ``Exploration``."""
        return np.frombuffer(bytes([row.exploration for row in self.rows]), np.int8)

    @cached_property
    def ids_bytes(self) -> NDArray[np.int64]:
        """int64[n]: how long the ids of the shortlist are."""
        return np.fromiter([len(row.ids) for row in self.rows], np.int64, len(self))

    @cached_property
    def values_bytes(self) -> NDArray[np.int64]:
        """int64[n]: how long its values are."""
        return np.fromiter([len(row.values) for row in self.rows], np.int64, len(self))

    @property
    def widths(self) -> NDArray[np.int64]:
        """int64[n]: candidates of each shortlist."""
        return self.values_bytes // _CANDIDATE_BYTES

    @cached_property
    def start(self) -> NDArray[np.int64]:
        """int64[n + 1]."""
        return np.concatenate((np.zeros(1, np.int64), np.cumsum(self.widths)))

    @cached_property
    def flat_ids(self) -> NDArray[np.int32]:
        """int32[3 * start[n]]: each decision's matrix of ids as it was logged, row by row."""
        return np.frombuffer(b"".join([row.ids for row in self.rows]), "<i4")

    @cached_property
    def flat_values(self) -> NDArray[np.float32]:
        """float32[8 * start[n]]: likewise of values."""
        return np.frombuffer(b"".join([row.values for row in self.rows]), "<f4")

    @cached_property
    def ids(self) -> NDArray[np.int32]:
        """int32[3, start[n]]; rows are ``IdRow``, indices into the decision's catalogue version."""
        return _side_by_side(self.flat_ids, self.widths, len(IdRow))

    @cached_property
    def values(self) -> NDArray[np.float32]:
        """float32[8, start[n]]; rows are ``ValueRow``."""
        return _side_by_side(self.flat_values, self.widths, len(ValueRow))

    @cached_property
    def scalars(self) -> NDArray[np.float64]:
        """float64[11, n]; rows are ``SCALARS``; a propensity that is null is NaN."""
        told = list(chain.from_iterable(map(_SCALARS_OF, self.rows)))
        told[_OPTIONAL :: len(SCALARS)] = [
            nan if p is None else p for p in told[_OPTIONAL :: len(SCALARS)]
        ]
        numbers = np.fromiter(told, np.float64, len(told)).reshape(len(self), len(SCALARS))
        return np.ascontiguousarray(numbers.T)

    @property
    def versions(self) -> tuple[tuple[str, str, str], ...]:
        """Distinct (catalogue, policy, model)."""
        return self._numbered[0]

    @property
    def version(self) -> NDArray[np.int32]:
        """int32[n], index into ``versions``."""
        return self._numbered[1]

    @cached_property
    def _numbered(self) -> tuple[tuple[tuple[str, str, str], ...], NDArray[np.int32]]:
        told = [row.versions for row in self.rows]
        if told and told.count(told[0]) == len(told):  # nearly always, and a third of the time
            return (told[0],), np.zeros(len(told), np.int32)
        met: dict[tuple[str, str, str], int] = {}
        version = [met.setdefault(versions, len(met)) for versions in told]
        return tuple(met), np.array(version, np.int32)


def columns(rows: Iterable[DecisionRow]) -> DecisionColumns:
    """Turn rows into columns."""
    return DecisionColumns(list(rows))


def _flags(told: list[bool]) -> NDArray[np.bool_]:
    return np.frombuffer(bytes(told), np.bool_)


def _side_by_side(flat: NDArray[Any], widths: NDArray[np.int64], height: int) -> NDArray[Any]:
    """Matrices [height, k_i] packed one after another, as one matrix [height, sum of k_i]."""
    if len(widths) and (widths == widths[0]).all():
        # Full shortlists are the rule, and a transposition costs an eighth of the general way.
        shaped = flat.reshape(len(widths), height, widths[0])
        return shaped.transpose(1, 0, 2).reshape(height, -1)
    # Element (r, j) of matrix i lies at height * start_i + r * k_i + j.
    start = np.cumsum(widths) - widths
    first = np.repeat((height - 1) * start, widths) + np.arange(widths.sum())
    step = np.repeat(widths, widths)
    return np.stack([flat[first + row * step] for row in range(height)])
