"""The journal as Parquet, an hour a file: ``day=2026-11-21/hour=13/decisions.parquet``, in UTC.

Every file is written beside, made durable and renamed: whoever reads the directory finds whole
files only, whatever happens to the writer. An hour in which nothing can change any more, a
*settled* one, is written once and then left alone, so exporting again costs only what is new. The
other hours are written anew each time, as they stand.
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from msgspec import Struct, field

from adserver.domain.errors import Broken, InvalidInput, Problem
from adserver.domain.units import DAY_MS, format_time_ms
from adserver.journal.framing import Damage
from adserver.journal.outcomes import GRACE_MS, LENGTH_MS_MAX, Outcomes, Place, Resolved
from adserver.journal.parquet import PARQUET_VERSION, SCHEMA, VERSION_KEY, Names, Tabulator
from adserver.journal.segment import SEGMENT_AGE_MS_MAX, SLACK_MS, segments
from adserver.runtime.durable import sync_directory

HOUR_MS: Final = DAY_MS // 24
FILE: Final = "decisions.parquet"
SETTLED_KEY: Final = b"adserver.settled"
ROW_GROUP_ROWS: Final = 8192
"""A quarter of a million candidates: 10 MB of memory for each hour being written."""
HOURS_OPEN_MAX: Final = 8
_PARTIAL: Final = ".partial"
_TRUE: Final = b"true"
_NO_HOUR: Final = 1 << 40
"""After every hour."""
_OVERLAP_MS: Final = SEGMENT_AGE_MS_MAX + SLACK_MS
"""How far a row's time may be from its segment's begin, either way."""


class Exported(Struct):
    """What an export did."""

    version: int = PARQUET_VERSION
    files: int = 0
    """Written."""
    rows: int = 0
    """In them."""
    unsettled: int = 0
    """Of these files: hours that may still change and will be written again."""
    kept: int = 0
    """Files of settled hours that were there already and were left alone."""
    unnamed: int = 0
    """Decisions of a catalogue version that is gone."""
    damage: Damage = field(default_factory=Damage)
    """What could not be read of the segments that were read."""


def export(
    directory: Path,
    to: Path,
    names: Names,
    *,
    now_ms: int,
    since_ms: int | None = None,
    until_ms: int | None = None,
) -> Exported:
    """Write the hours of a journal as Parquet files.

    Parameters
    ----------
    directory : Path
        Of the journal's segments; it may be being written.
    to : Path
        Where the files go; made when it is not there.
    names : callable
        Naming of a decision's versions; None where the catalogue version is gone.
    now_ms : int
        Outcomes are told as of this time.
    since_ms, until_ms : int, optional
        Only the hours that overlap this half-open stretch of time; always whole hours.

    Raises
    ------
    InvalidInput
        Another export is writing there, or ``to`` is not a directory.
    Broken
        A file there was written by a later version.
    """
    with _alone(to):
        return _Export(directory, to, names, now_ms).run(since_ms, until_ms)


class _Export:
    def __init__(self, directory: Path, to: Path, names: Names, now_ms: int) -> None:
        self._directory = directory
        self._to = to
        self._now_ms = now_ms
        self._tabulator = Tabulator(names)
        self._open: dict[int, _HourFile] = {}
        self._rows: dict[int, int] = {}
        """Hour written → rows in it."""
        self._kept: dict[int, bool] = {}

    def run(self, since_ms: int | None, until_ms: int | None) -> Exported:
        first = 0 if since_ms is None else since_ms // HOUR_MS
        last = _NO_HOUR if until_ms is None else (until_ms - 1) // HOUR_MS
        begin_ms = self._begin_ms(first) - _OVERLAP_MS
        joined = Outcomes(self._directory, now_ms=self._now_ms, after=Place(begin_ms, -1, -1, 0))
        for batch in joined:
            self._add(batch, first, last)
            if batch.end.start_ms - _OVERLAP_MS >= _end_ms(last):
                break
        for hour in list(self._open):
            self._finish(hour)
        return Exported(
            files=len(self._rows),
            rows=sum(self._rows.values()),
            unsettled=sum(not self._settles(hour) for hour in self._rows),
            kept=sum(self._kept.values()),
            unnamed=self._tabulator.unnamed,
            damage=joined.damage,
        )

    def _begin_ms(self, first: int) -> int:
        """Return when the first segment with something to write was begun, or now."""
        for segment in segments(self._directory):
            own = segment.start_ms // HOUR_MS
            following = (segment.start_ms + SEGMENT_AGE_MS_MAX) // HOUR_MS
            if any(hour >= first and not self._is_kept(hour) for hour in {own, following}):
                return segment.start_ms
        return self._now_ms

    def _add(self, batch: Resolved, first: int, last: int) -> None:
        hours = np.array([row.time_ms for row in batch.rows], np.int64) // HOUR_MS
        wanted = [
            hour
            for hour in np.unique(hours).tolist()
            if first <= hour <= last and not self._is_kept(hour)
        ]
        if wanted:
            table = self._tabulator.table(batch)
            for hour in wanted:
                part = table.filter(pa.array(hours == hour))
                self._file(hour).add(part)
                self._rows[hour] = self._rows.get(hour, 0) + part.num_rows
        segment_ms = batch.end.start_ms
        for hour in [each for each in self._open if _end_ms(each) + _OVERLAP_MS < segment_ms]:
            self._finish(hour)

    def _is_kept(self, hour: int) -> bool:
        """Whether the hour's file was there before us and is final."""
        if hour not in self._kept:
            path = self._path(hour)
            metadata = _metadata(path)
            version = int(metadata.get(VERSION_KEY, PARQUET_VERSION))
            if version > PARQUET_VERSION:
                raise Broken(f"{path} has format {version}; this version writes {PARQUET_VERSION}")
            self._kept[hour] = metadata.get(SETTLED_KEY) == _TRUE
        return self._kept[hour]

    def _settles(self, hour: int) -> bool:
        """Whether nothing can change any more: the last deadline, and the last row on the disk."""
        return self._now_ms > _end_ms(hour) + LENGTH_MS_MAX + GRACE_MS + 2 * _OVERLAP_MS

    def _file(self, hour: int) -> "_HourFile":
        file = self._open.get(hour)
        if file is None:
            while len(self._open) >= HOURS_OPEN_MAX:
                self._finish(next(iter(self._open)))
            file = _HourFile(self._to / _PARTIAL / f"{hour}.parquet", self._settles(hour))
            if hour in self._rows:
                # A clock was set back: what this run has written of the hour comes first.
                file.copy(self._path(hour))
            self._open[hour] = file
        return file

    def _finish(self, hour: int) -> None:
        self._open.pop(hour).close(self._path(hour))

    def _path(self, hour: int) -> Path:
        day, time = format_time_ms(hour * HOUR_MS).split("T")
        return self._to / f"day={day}" / f"hour={time[:2]}" / FILE


class _HourFile:
    """An hour being written."""

    def __init__(self, path: Path, settled: bool) -> None:  # noqa: FBT001  (one caller, just above)
        settles = {SETTLED_KEY: _TRUE if settled else b"false"}
        self._path = path
        self._writer = pq.ParquetWriter(
            path, SCHEMA.with_metadata(SCHEMA.metadata | settles), compression="zstd"
        )
        self._tables: list[pa.Table] = []
        self._count = 0

    def copy(self, path: Path) -> None:
        with pq.ParquetFile(path) as file:
            for batch in file.iter_batches(ROW_GROUP_ROWS):
                self.add(pa.Table.from_batches([batch]))

    def add(self, table: pa.Table) -> None:
        self._tables.append(table.replace_schema_metadata())
        self._count += table.num_rows
        if self._count >= ROW_GROUP_ROWS:
            self._flush()

    def close(self, path: Path) -> None:
        """Make it durable under its name: at once, and for good."""
        self._flush()
        self._writer.close()
        with self._path.open("rb") as file:
            os.fsync(file.fileno())
        path.parent.mkdir(parents=True, exist_ok=True)
        self._path.replace(path)
        for directory in (path.parent, path.parent.parent, path.parent.parent.parent):
            sync_directory(directory)

    def _flush(self) -> None:
        if self._tables:
            table = pa.concat_tables(self._tables).replace_schema_metadata(
                self._writer.schema.metadata
            )
            self._writer.write_table(table, row_group_size=ROW_GROUP_ROWS)
        self._tables, self._count = [], 0


@contextmanager
def _alone(to: Path) -> Iterator[None]:
    """Hold the directory against other exports, and clear what one that died left behind."""
    to.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(to, os.O_RDONLY | os.O_DIRECTORY)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            problem = Problem(str(to), "wait until it is done")
            raise InvalidInput("another export is writing there", [problem]) from None
        partial = to / _PARTIAL
        partial.mkdir(exist_ok=True)
        for path in partial.iterdir():
            path.unlink()
        yield
        partial.rmdir()
    finally:
        os.close(descriptor)


def _metadata(path: Path) -> dict[bytes, bytes]:
    """Return a file's own notes; nothing of one that is not there, or is no Parquet file."""
    try:
        return dict(pq.read_metadata(path).metadata or {})
    except (FileNotFoundError, pa.ArrowInvalid):
        return {}


def _end_ms(hour: int) -> int:
    return (hour + 1) * HOUR_MS
