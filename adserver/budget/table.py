"""A file of rows of 64-bit words that every worker maps; a key met once has its row for ever."""

import fcntl
import mmap
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from hashlib import blake2b
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from adserver.domain.errors import Broken
from adserver.runtime.durable import sync_directory

FORMAT: Final = 1
_WORD_BYTES: Final = 8
_KEY_BITS: Final = 63


def row_key(name: bytes, kind: str) -> int:
    """Return the 63-bit key of a name among those of its kind, which has at most 16 bytes."""
    digest = blake2b(name, digest_size=8, person=kind.encode()).digest()
    return int.from_bytes(digest, "big") >> (64 - _KEY_BITS)


class Table:
    """One file, open in this process.

    What several words at once depend on, a new row for one, is done by one process at a time, under
    a lock that dies with its holder (``_alone``).

    Parameters
    ----------
    directory
        Where the file and its lock live; made when it is not there.
    name
        Of the file, to which its format is added.
    header, row
        What the words mean; a header begins with ``format`` and ``rows``, a row with ``key``.
    growth
        By how many rows it grows.
    """

    def __init__(
        self,
        directory: Path,
        name: str,
        header: np.dtype[np.void],
        row: np.dtype[np.void],
        growth: int = 1024,
    ) -> None:
        self._directory = directory
        self._path = directory / f"{name}-{FORMAT}"
        self._lock = directory / "lock"
        self._header_type, self._row_type = header, row
        self._growth = growth
        self._slots: dict[int, int] = {}
        directory.mkdir(parents=True, exist_ok=True)
        with self._alone():
            if not self._path.exists():
                self._create()
        self._file = self._path.open("r+b", buffering=0)
        try:
            self._map()
        except BaseException:
            self._file.close()
            raise

    def close(self) -> None:
        """Let go of the file; no other call may follow."""
        self._file.close()

    def slots(self, keys: Sequence[int]) -> NDArray[np.int64]:
        """Return the row of each key; a key met for the first time gets one for ever."""
        if any(key not in self._slots for key in keys):
            with self._alone():
                self._learn_slots()
                for key in keys:
                    if key not in self._slots:
                        self._append(key)
        return np.array([self._slots[key] for key in keys], np.int64)

    def flush(self) -> None:
        """Bring everything to the disk: what came before outlives a loss of power.

        Flushing the map itself would hold Python's lock for the length of it; this does not.
        """
        os.fdatasync(self._file.fileno())

    def _append(self, key: int) -> None:
        slot = int(self.header["rows"])
        if slot == len(self.rows):
            self._file.truncate(self._bytes(slot + self._growth))
            self._map()
        self.rows["key"][slot] = key
        # The count makes it one: until then the row is nobody's.
        self.header["rows"] = slot + 1
        self._slots[key] = slot

    def _learn_slots(self) -> None:
        self._remap_if_grown()
        known = len(self._slots)
        keys = self.rows["key"][known : int(self.header["rows"])].tolist()
        self._slots.update(zip(keys, range(known, known + len(keys)), strict=True))

    def _remap_if_grown(self) -> None:
        if int(self.header["rows"]) > len(self.rows):
            self._map()

    def _map(self) -> None:
        size = os.fstat(self._file.fileno()).st_size
        if size < self._bytes(0) or (size - self._bytes(0)) % self._row_type.itemsize:
            raise Broken(f"{self._path} has {size} bytes, which is no number of whole rows")
        mapped = mmap.mmap(self._file.fileno(), size)
        header: Any = np.frombuffer(mapped, self._header_type, 1)[0]
        if header["format"] != FORMAT:
            raise Broken(f"{self._path} has format {header['format']}, not {FORMAT}")
        self.words: NDArray[np.int64] = np.frombuffer(mapped, np.int64)
        self.header = header
        self.rows: NDArray[Any] = np.frombuffer(
            mapped, self._row_type, offset=self._header_type.itemsize
        )

    def _create(self) -> None:
        draft = self._path.with_name(f"{self._path.name}.draft")
        words = np.zeros(self._bytes(self._growth) // _WORD_BYTES, np.int64)
        words[0] = FORMAT
        with draft.open("wb") as file:
            file.write(words.tobytes())
            file.flush()
            os.fsync(file.fileno())
        draft.replace(self._path)
        sync_directory(self._directory)

    def _bytes(self, rows: int) -> int:
        return self._header_type.itemsize + rows * self._row_type.itemsize

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Keep every other thread and process out of a change that takes several steps."""
        # A descriptor of its own: locks of one descriptor do not exclude each other.
        descriptor = os.open(self._lock, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)
