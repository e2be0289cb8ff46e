"""Segment files: where one worker's blocks go, rotated by age and size."""

import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final, NamedTuple

from adserver.domain.units import TIME_MS_MAX
from adserver.runtime.durable import sync_directory

SUFFIX: Final = ".seg"
SEGMENT_AGE_MS_MAX: Final = 60_000
SEGMENT_BYTES_MAX: Final = 64 << 20
SLACK_MS: Final = 60_000
"""Longest a row may stand in a segment begun after the row's own time."""
_BUFFERS_MAX: Final = 512
"""Byte strings given to one system call; Linux refuses more than 1024."""


class Segment(NamedTuple):
    """A segment file, by its name ``<worker>-<start ms>-<pid>.seg``."""

    start_ms: int
    worker: int
    pid: int
    path: Path


def segments(directory: Path) -> list[Segment]:
    """Return every segment of a journal, the earliest begun first; other files are left alone."""
    found: list[Segment] = []
    for path in directory.glob(f"*{SUFFIX}"):
        with suppress(ValueError):
            worker, start_ms, pid = map(int, path.stem.split("-"))
            if 0 <= start_ms <= TIME_MS_MAX:
                found.append(Segment(start_ms, worker, pid, path))
    return sorted(found)


class SegmentWriter:
    """Appends blocks to this worker's current segment. One thread only.

    A segment is never reopened: a worker that starts again begins a new one, so a torn tail stays a
    tail. Nor is one written to after a failure, because what the disk then holds is not known.
    """

    def __init__(self, directory: Path, worker: int) -> None:
        self._directory = directory
        self._worker = worker
        self._path = directory
        self._descriptor: int | None = None
        self._start_ms = 0
        self._bytes = 0

    def append(self, parts: Sequence[bytes], now_ms: int) -> int:
        """Write and make durable; return the bytes written.

        Raises
        ------
        OSError
            Nothing is promised about these parts then; earlier ones are safe.
        """
        descriptor = self._descriptor if self._descriptor is not None else self._open(now_ms)
        good = self._bytes
        try:
            for start in range(0, len(parts), _BUFFERS_MAX):
                self._write(descriptor, parts[start : start + _BUFFERS_MAX])
            os.fdatasync(descriptor)
        except OSError:
            self._abandon(descriptor, good)
            raise
        if self._bytes >= SEGMENT_BYTES_MAX:
            self.close()
        return self._bytes - good

    def rotate(self, now_ms: int) -> None:
        """Close the segment when it is old enough, busy or idle."""
        # A clock set back makes the age negative: begin anew then, too.
        if not 0 <= now_ms - self._start_ms < SEGMENT_AGE_MS_MAX:
            self.close()

    def close(self) -> None:
        """Close the segment; the next append begins another."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def _open(self, now_ms: int) -> int:
        self._directory.mkdir(parents=True, exist_ok=True)
        start_ms = now_ms
        while True:
            path = self._directory / f"{self._worker}-{start_ms}-{os.getpid()}{SUFFIX}"
            try:
                descriptor = os.open(
                    path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o640
                )
                break
            except FileExistsError:
                start_ms += 1
        self._path, self._start_ms, self._bytes = path, start_ms, 0
        try:
            sync_directory(self._directory)
        except OSError:
            self._abandon(descriptor, 0)
            raise
        self._descriptor = descriptor
        return descriptor

    def _write(self, descriptor: int, parts: Sequence[bytes]) -> None:
        written = os.writev(descriptor, parts)
        self._bytes += written
        if written < sum(map(len, parts)):
            # A disk that fills up, or a signal, cuts a write short; the rest goes in one piece.
            rest = memoryview(b"".join(parts))[written:]
            while rest:
                written = os.write(descriptor, rest)
                self._bytes += written
                rest = rest[written:]

    def _abandon(self, descriptor: int, good: int) -> None:
        self._descriptor = None
        # Tidiness only: a reader passes over the torn tail that stays behind where this fails. A
        # segment that holds nothing goes, or a full disk would leave one behind for every try.
        with suppress(OSError):
            os.ftruncate(descriptor, good)
        with suppress(OSError):
            os.close(descriptor)
        if good == 0:
            with suppress(OSError):
                self._path.unlink()
