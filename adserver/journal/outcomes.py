"""What became of each decision: the journal's decisions joined with their events, as a stream.

A decision is closed at its deadline: the length of what was shown plus a grace for beacons to
arrive. From then on its outcome never changes, whenever the join is run; what comes later is
counted, not used. Nothing depends on the order in which events are read, and an event written twice
counts once, at its earliest time.

The journal is read twice, side by side. The one reading collects events, by decision id, up to the
deadlines of a batch of decisions; the other brings the decisions, and takes the events away with
it. So memory holds the events of the open window, never its decisions, which are ten times as
large, and never the journal.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from adserver.domain.decision import NOTHING, IdRow, ValueRow
from adserver.domain.event import NOTICES, EventType
from adserver.domain.units import TIME_MS_MAX
from adserver.journal.ahead import EVENTS, NEVER_MS, EventsAhead, RecentIds
from adserver.journal.columns import DecisionColumns, columns
from adserver.journal.framing import Damage
from adserver.journal.reader import JournalReader
from adserver.journal.schema import SHOWN, DecisionRow
from adserver.journal.segment import SEGMENT_AGE_MS_MAX, SLACK_MS, Segment
from adserver.runtime.entropy import DECISION_ID_BYTES

GRACE_MS: Final = 5 * 60_000
"""How long after a variant's end its beacons are waited for."""
LENGTH_MS_MAX: Final = 10 * 60_000
"""The longest variant a catalogue may hold; taken of rows that do not tell."""
FIRST_CHANCE_MS: Final = 1_000
"""A skip within this of the moment it became possible is one at the first chance."""
BATCH_ROWS: Final = 1024
"""Full shortlists make them 3 MB."""
BATCH_SPAN_MS: Final = 3_600_000
"""Of time: an idle server's batches are worth their cost, and the open window stays the measure."""
UNTOLD_MS: Final = -1
"""``Resolved.watched_ms`` where begin or end was never heard."""

_REASON_MAX: Final = 1 << 31
_INTEGER_END: Final = 1 << 63
_CANDIDATE_BYTES: Final = 4 * len(ValueRow)
_ID_BYTES: Final = 4 * len(IdRow)


class Outcome(IntEnum):
    """What became of a decision; the numbers never change."""

    NOTHING = 0
    """Nothing was shown: resolved as it was made, and worth nothing."""
    PLAYING = 1
    """Before the deadline, and nothing has ended it."""
    UNPLAYED = 2
    """Nothing was heard of it, or it failed: resolved, and worth nothing."""
    COMPLETED = 3
    SKIPPED = 4
    """Skipped, or closed before the end."""
    UNKNOWN = 5
    """It began, and how it ended was never heard."""
    LOST = 6
    """A bid of which nothing but its loss was heard: it says nothing about the variant."""

    @property
    def word(self) -> str:
        """The outcome as reports spell it."""
        return self.name.lower()


_LABELLED: Final = (Outcome.COMPLETED, Outcome.SKIPPED, Outcome.UNPLAYED)
_BITS: Final = np.int32(1) << np.arange(EVENTS, dtype=np.int32)
_OUTCOME_OF_END: Final = np.zeros(EVENTS, np.int8)
_OUTCOME_OF_END[EventType.COMPLETE] = Outcome.COMPLETED
_OUTCOME_OF_END[[EventType.SKIP, EventType.CLOSE]] = Outcome.SKIPPED
_OUTCOME_OF_END[EventType.ERROR] = Outcome.UNPLAYED
_LOSS: Final = 1 << EventType.LOSS
_NOTICED: Final = sum(1 << event for event in NOTICES)
_ENDS: Final = np.flatnonzero(_OUTCOME_OF_END)
_PAST_HALF: Final = 1 << EventType.MIDPOINT | 1 << EventType.THIRD_QUARTILE


class Place(NamedTuple):
    """Where in the journal a batch ended; ``Outcomes(after=...)`` goes on from there."""

    start_ms: int
    worker: int
    pid: int
    decisions: int
    """Read of that segment so far."""


@dataclass(frozen=True, slots=True)
class Resolved:
    """n decisions in the order they were written, and what became of each."""

    columns: DecisionColumns
    outcome: NDArray[np.int8]
    """int8[n], ``Outcome``."""
    events: NDArray[np.int32]
    """int32[n]: bit e is set when ``EventType`` e was heard in time."""
    watched_ms: NDArray[np.int64]
    """int64[n] from the beginning, as far as it was heard, to what ended it; else ``UNTOLD_MS``."""
    ended_by: NDArray[np.int8]
    """int8[n]: the earliest ``EventType`` that ends a play, or 0."""
    settled: bool
    """No row that is still to come can change anything in this batch. Train on such only, once, and
    stop at the first that is not."""
    end: Place

    @property
    def rows(self) -> list[DecisionRow]:
        """The decisions."""
        return self.columns.rows

    @property
    def known(self) -> NDArray[np.bool_]:
        """bool[n]: shown, and it is known how that ended; only these have labels to learn from."""
        return np.isin(self.outcome, _LABELLED)

    @property
    def begun(self) -> NDArray[np.bool_]:
        """bool[n]: shown, and something was heard of it."""
        heard: NDArray[np.bool_] = self.events & ~_NOTICED != 0
        return heard & ~np.isin(self.outcome, Outcome.NOTHING)

    @property
    def complete(self) -> NDArray[np.bool_]:
        """bool[n]: the viewer watched to the end."""
        return np.isin(self.outcome, Outcome.COMPLETED)

    @property
    def annoyed(self) -> NDArray[np.bool_]:
        """bool[n]: the viewer muted, closed before the end, or skipped at the first chance.

        A skip is at the first chance unless it is known to be later: by the time between the
        beginning and the skip, or, where that or the moment it could be skipped was not told, by
        half of it having been played.
        """
        skip_ms, duration_ms = self.columns.skip_after_ms, _length_ms(self.columns)
        told = (skip_ms >= 0) & (self.watched_ms >= 0)
        past_half = (self.events & _PAST_HALF != 0) & (2 * skip_ms < duration_ms)
        later = np.where(told, self.watched_ms > skip_ms + FIRST_CHANCE_MS, past_half)
        skipped = self.outcome == Outcome.SKIPPED
        first_chance = skipped & (self.ended_by == EventType.SKIP) & ~later
        closed = skipped & (self.ended_by == EventType.CLOSE)
        muted: NDArray[np.bool_] = self.events & 1 << EventType.MUTE != 0
        annoyed: NDArray[np.bool_] = muted | closed | first_chance
        return annoyed


class Outcomes:
    """Every decision of a journal with what became of it; iterate once.

    Whatever the files hold, what can be read is joined and nothing is raised.

    Attributes
    ----------
    damage : Damage
        What could not be read.
    duplicates : int
        Events heard before.
    late : int
        Events after their decision's deadline.
    unmatched : int
        Events of no decision that was read, or so late that it had been let go.
    repeated : int
        Decisions read before, from a copy of a segment: joined once. A copy that stands minutes
        apart may count as another, and which does depends on where one began to read.
    """

    def __init__(
        self,
        directory: Path,
        *,
        now_ms: int,
        grace_ms: int = GRACE_MS,
        after: Place | None = None,
    ) -> None:
        """Join a journal as it stands.

        Parameters
        ----------
        directory : Path
            Of the segments; an absent one is an empty journal.
        now_ms : int
            Outcomes are told as of this time.
        grace_ms : int
            Added to the length of what was shown.
        after : Place, optional
            ``Resolved.end`` of the last batch of an earlier run: go on there. Events of decisions
            before it that are read again count as unmatched.
        """
        self._reader = JournalReader(directory)
        self._now_ms = now_ms
        self._grace_ms = grace_ms
        self._after = after
        found = self._reader.segments()
        if after is not None:
            oldest_ms = after.start_ms - SEGMENT_AGE_MS_MAX - SLACK_MS
            found = [segment for segment in found if segment.start_ms >= oldest_ms]
        self._segments = found
        self._heard = EventsAhead(JournalReader(directory), found)
        self._seen = RecentIds()
        self.late = 0
        self.repeated = 0

    @property
    def damage(self) -> Damage:
        """What could not be read so far."""
        return self._reader.damage

    @property
    def duplicates(self) -> int:
        """Events heard before."""
        return self._heard.duplicates

    @property
    def unmatched(self) -> int:
        """Events of no decision that was read."""
        return self._heard.unmatched

    def __iter__(self) -> Iterator[Resolved]:
        """Yield the journal batch by batch, in the order its segments were begun.

        A batch goes on over segments in which nothing can change any more, up to its size or an
        hour; of a segment that may still change it holds nothing else.
        """
        held: list[DecisionRow] = []
        begun_ms = 0
        place = self._after
        for segment, skip in self._unread():
            final = self._now_ms > self._last_ms(segment.start_ms) + 2 * SLACK_MS
            if held and place and (not final or segment.start_ms - begun_ms > BATCH_SPAN_MS):
                yield from self._batch(held, begun_ms, place)
                held = []
            self._heard.read_until(segment.start_ms)
            if not held:
                begun_ms = segment.start_ms
                # No later decision is older than this begin less the slack, and no event than its
                # decision.
                self._heard.forget(begun_ms - SEGMENT_AGE_MS_MAX - 2 * SLACK_MS)
            for rows, place in self._decisions(segment, skip):
                held += rows
                if len(held) >= BATCH_ROWS:
                    yield from self._batch(held, begun_ms, place)
                    held, begun_ms = [], segment.start_ms
        if held and place:
            yield from self._batch(held, begun_ms, place)
        self._heard.forget(NEVER_MS)

    def _unread(self) -> Iterator[tuple[Segment, int]]:
        """Yield the segments from ``after`` on, each with how many decisions of it to pass over."""
        for segment in self._segments:
            name = (segment.start_ms, segment.worker, segment.pid)
            if self._after is None or name > self._after[:3]:
                yield segment, 0
            elif name == self._after[:3]:
                yield segment, self._after.decisions

    def _last_ms(self, segment_start_ms: int) -> int:
        """Return the last deadline a decision in this segment can have, if its clock was right."""
        return segment_start_ms + SEGMENT_AGE_MS_MAX + LENGTH_MS_MAX + self._grace_ms

    def _decisions(self, segment: Segment, skip: int) -> Iterator[tuple[list[DecisionRow], Place]]:
        """Yield the decisions of a segment block by block, all but the first ``skip``."""
        count = 0
        for rows in self._reader.blocks(segment):
            found = [row for row in rows if type(row) is DecisionRow]
            ahead = found[skip - count :] if count < skip else found
            count += len(found)
            yield ahead, Place(segment.start_ms, segment.worker, segment.pid, count)

    def _batch(self, rows: list[DecisionRow], begun_ms: int, end: Place) -> Iterator[Resolved]:
        """Yield what became of those that are sound and were not read before, if any are."""
        read = columns(rows)
        if not _all_sound(read):
            sound = [row for row in rows if _sound(row)]
            self.damage.unknown_rows += len(rows) - len(sound)
            read = columns(sound)
        self._seen.forget(begun_ms - SEGMENT_AGE_MS_MAX - SLACK_MS)
        fresh = self._seen.fresh(read.decision_ids, end.start_ms)
        if len(fresh) < len(read.rows):
            self.repeated += len(read.rows) - len(fresh)
            read = columns([read.rows[place] for place in fresh])
        if read.rows:
            yield self._resolve(read, end)

    def _resolve(self, read: DecisionColumns, end: Place) -> Resolved:
        shown = read.reason == SHOWN
        deadline_ms = read.time_ms + np.where(shown, _length_ms(read), 0) + self._grace_ms
        # A row from the far future, a clock gone wrong, must not make us read to the end for it.
        over_ms = min(int(deadline_ms.max()), self._last_ms(end.start_ms)) + SLACK_MS
        self._heard.read_until(over_ms)
        heard_ms = self._heard.take(read.decision_ids)
        in_time = heard_ms <= deadline_ms[:, None]
        self.late += int(np.count_nonzero(heard_ms != NEVER_MS)) - int(np.count_nonzero(in_time))
        heard_ms[~in_time] = NEVER_MS
        ended_by, watched_ms = _ending(heard_ms)
        events = in_time @ _BITS
        is_lost = read.is_bid & (events & ~_LOSS == 0)
        silent = np.where(events & ~_NOTICED, Outcome.UNKNOWN, Outcome.UNPLAYED)
        silent[is_lost] = Outcome.LOST
        unended = np.where(self._now_ms <= deadline_ms, Outcome.PLAYING, silent)
        outcome = np.where(ended_by == 0, unended, _OUTCOME_OF_END[ended_by])
        # While a segment can still grow, it has no end to go on from.
        final_ms = max(over_ms, end.start_ms + SEGMENT_AGE_MS_MAX + SLACK_MS)
        return Resolved(
            columns=read,
            outcome=np.where(shown, outcome, Outcome.NOTHING).astype(np.int8),
            events=events,
            watched_ms=watched_ms,
            ended_by=ended_by,
            settled=self._now_ms > final_ms,
            end=end,
        )


def _ending(heard_ms: NDArray[np.int64]) -> tuple[NDArray[np.int8], NDArray[np.int64]]:
    """int8[n], the event that ended each, or 0; int64[n], how long it had played by then."""
    ends_ms = heard_ms[:, _ENDS]
    end_ms = ends_ms.min(axis=1)
    # The earliest ends it; of two in one millisecond the one with the lower number.
    ended_by = np.where(end_ms == NEVER_MS, 0, _ENDS[ends_ms.argmin(axis=1)])
    start_ms = heard_ms[:, EventType.START]
    begin_ms = np.where(start_ms == NEVER_MS, heard_ms[:, EventType.IMPRESSION], start_ms)
    told = (end_ms != NEVER_MS) & (begin_ms != NEVER_MS)
    # A negative time, an end that overtook its beginning, tells no more than none.
    watched_ms = np.where(told, np.maximum(end_ms - begin_ms, UNTOLD_MS), UNTOLD_MS)
    return ended_by.astype(np.int8), watched_ms


def _length_ms(read: DecisionColumns) -> NDArray[np.int64]:
    """int64[n]: duration of what was shown; the longest where it is not told."""
    untold = (read.duration_ms <= 0) | (read.duration_ms > LENGTH_MS_MAX)
    return np.where(untold, LENGTH_MS_MAX, read.duration_ms)


def _all_sound(read: DecisionColumns) -> bool:
    """Whether every row is ``_sound``, at a tenth of asking each; most batches are."""
    width = read.widths
    try:
        numbers = read.time_ms, read.chosen, read.reason, read.duration_ms, read.skip_after_ms
    except OverflowError:
        return False
    time_ms, chosen, reason, _, _ = numbers
    shown = (chosen >= 0) & (chosen < width) & (reason == SHOWN)
    told = shown | (chosen == NOTHING) & (reason > SHOWN)
    whole = (read.values_bytes == width * _CANDIDATE_BYTES) & (read.ids_bytes == width * _ID_BYTES)
    timely = (time_ms >= 0) & (time_ms <= TIME_MS_MAX)
    named = {*map(len, read.decision_ids)} <= {DECISION_ID_BYTES}
    return named and bool((told & whole & timely).all())


def _sound(row: DecisionRow) -> bool:
    """Whether a row is what a decision can be: a check sum does not vouch for who wrote it."""
    width = len(row.ids) // _ID_BYTES
    return (
        len(row.ids) == width * _ID_BYTES
        and len(row.values) == width * _CANDIDATE_BYTES
        and len(row.decision_id) == DECISION_ID_BYTES
        and 0 <= row.time_ms <= TIME_MS_MAX
        and max(row.duration_ms, row.skip_after_ms) < _INTEGER_END
        and (
            0 <= row.chosen < width
            if row.reason == SHOWN
            else row.chosen == NOTHING and 0 < row.reason < _REASON_MAX
        )
    )
