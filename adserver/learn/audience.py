"""The viewers who have a record now: found by pseudonym, for what is learnt about them.

The journal names viewers by pseudonyms whose keys stand in their records, so a record that was
deleted, or whose viewer wants no personalisation, is simply not found.
"""

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Final

import numpy as np
from msgspec import Struct
from msgspec.structs import replace
from numpy.typing import NDArray

from adserver.domain.units import MILLISECONDS_PER_SECOND
from adserver.domain.viewer import ViewerRecord, pseudonym
from adserver.viewer import codec
from adserver.viewer.changes import move_vector
from adserver.viewer.store import Change, Update, ViewerStore

NOBODY: Final = -1
PSEUDONYM_BYTES: Final = 16
_NAMELESS: Final = bytes(PSEUDONYM_BYTES)
_CHUNK: Final = 1000
"""Records changed in one transaction: a fraction of a second in which other writers wait."""
_ONCE_S: Final = 30 * 86_400


class Audience:
    """A scan of the store.

    Attributes
    ----------
    weights : float64[2, n_viewers]
        Of (complete, annoyed), as the records have them.
    """

    def __init__(self, store: ViewerStore) -> None:
        self._ids: list[str] = []
        self._own: list[bytes] = []
        weights = []
        for viewer_id, raw in store.scan():
            record = codec.open_record(raw)
            if not record.opted_out:
                self._ids.append(viewer_id)
                self._own.append(pseudonym(record.pseudonym_key, viewer_id))
                weights.append((record.weight_complete, record.weight_annoyed))
        self.weights = np.array(weights, np.float64).reshape(-1, 2).T
        halves = _halves(self._own)
        self._order = np.argsort(halves[:, 0], kind="stable")
        self._sorted, self._others = halves[self._order].T.copy()

    def __len__(self) -> int:
        """How many viewers may be learnt about."""
        return len(self._ids)

    def find(self, pseudonyms: Sequence[bytes | None]) -> NDArray[np.int64]:
        """int64[n]: rows of these viewers, or ``NOBODY``."""
        asked = _halves([one or _NAMELESS for one in pseudonyms])
        if not len(self):
            return np.full(len(asked), NOBODY, np.int64)
        at = np.minimum(np.searchsorted(self._sorted, asked[:, 0]), len(self) - 1)
        # Where two viewers share the first half (among a million: 1 in 10^7), one is nobody.
        known = (self._sorted[at] == asked[:, 0]) & (self._others[at] == asked[:, 1])
        return np.where(known, self._order[at], NOBODY)

    def pseudonym(self, row: int) -> bytes:
        """Return the pseudonym of a viewer."""
        return self._own[row]

    def viewer_id(self, row: int) -> str:
        """Return the id of a viewer."""
        return self._ids[row]


class Move(Struct, frozen=True):
    """Where a viewer's taste goes, all outcomes of a run added up as of the last of them."""

    viewer_id: str
    pseudonym: bytes
    time_ms: int
    delta: NDArray[np.float32]
    """float32[dim]."""


def move_profiles(
    store: ViewerStore, moves: Iterable[Move], run: int, half_life_s: float, now_ms: int
) -> int:
    """Move each profile once, however often this run is carried out; return how many moved.

    Parameters
    ----------
    store
        Of the records.
    moves
        One a viewer.
    run
        Names the run: the store remembers for a month whom it has moved.
    half_life_s
        Of profiles.
    now_ms
        The time.
    """
    expires_s = now_ms // MILLISECONDS_PER_SECOND + _ONCE_S
    changes = (
        Change(
            viewer_id=move.viewer_id,
            update=_moving(move, half_life_s),
            once=b"learnt %d " % run + move.pseudonym,
            once_expires_s=expires_s,
        )
        for move in moves
    )
    return sum(sum(store.transact(part)) for part in _chunks(changes))


class Weights(Struct, frozen=True):
    """A viewer's own weights."""

    viewer_id: str
    pseudonym: bytes
    complete: float
    annoyed: float


def set_weights(store: ViewerStore, weights: Iterable[Weights]) -> None:
    """Write viewers' own weights into their records."""
    for part in _chunks(Change(viewer_id=one.viewer_id, update=_weighing(one)) for one in weights):
        store.transact(part)


def _moving(move: Move, half_life_s: float) -> Update:
    def update(raw: bytes | None) -> bytes | None:
        record = _still(move.viewer_id, move.pseudonym, raw)
        if record is None or len(record.vector) != len(move.delta):
            return raw  # forgotten meanwhile, or the taste of another catalogue's space
        moved = move_vector(record, move.delta, 1.0, move.time_ms, half_life_s, rate=1.0)
        return codec.encode(moved)

    return update


def _weighing(one: Weights) -> Update:
    def update(raw: bytes | None) -> bytes | None:
        record = _still(one.viewer_id, one.pseudonym, raw)
        if record is None:
            return raw
        return codec.encode(
            replace(record, weight_complete=one.complete, weight_annoyed=one.annoyed)
        )

    return update


def _still(viewer_id: str, own: bytes, raw: bytes | None) -> ViewerRecord | None:
    """Return the record, if it is still that of the viewer who was learnt about."""
    if raw is None:
        return None
    record = codec.decode(raw)
    same = pseudonym(record.pseudonym_key, viewer_id) == own
    return record if same and not record.opted_out else None


def _chunks(changes: Iterable[Change]) -> Iterator[list[Change]]:
    remaining = iter(changes)
    while part := list(islice(remaining, _CHUNK)):
        yield part


def _halves(pseudonyms: Sequence[bytes]) -> NDArray[np.uint64]:
    """uint64[n, 2]: the pseudonyms; what has another length is nobody's."""
    joined = b"".join(pseudonyms)
    if not {*map(len, pseudonyms)} <= {PSEUDONYM_BYTES}:
        joined = b"".join([one if len(one) == PSEUDONYM_BYTES else _NAMELESS for one in pseudonyms])
    return np.frombuffer(joined, "<u8").reshape(-1, 2)
