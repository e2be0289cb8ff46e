"""The viewer store of one machine: LMDB files that the worker processes share.

Options as measured (get 1 to 3 µs, group commit about 17 ms): ``metasync`` off saves one of two
flushes a commit; a power loss may then undo the last commits, whole, a crash of processes none.
"""

import shutil
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any, Final

import lmdb

from adserver.domain.errors import Broken
from adserver.domain.units import MILLISECONDS_PER_SECOND
from adserver.viewer.expiring import Expiring
from adserver.viewer.store import Change

FORMAT: Final = 1
"""Version of the layout of the databases; a record carries a version of its own."""
MAP_BYTES: Final = 64 << 30
"""Address space set aside, not disk: 100 million viewers fit."""
ANSWERS_BYTES: Final = 4 << 30
VIEWER_ID_BYTES_MAX: Final = 256

_OPTIONS: Final[dict[str, Any]] = {
    "subdir": True,
    "metasync": False,
    "writemap": False,
    "readahead": False,
    "meminit": False,
    "max_readers": 512,
    "max_spare_txns": 16,
    "max_dbs": 8,
}
_FORMAT_KEY: Final = b"format"
_SCAN_RECORDS: Final = 512
"""Records of one read transaction of a scan: long enough to be quick, too short to pin pages."""
_SWEEP_KEYS: Final = 200
"""Keys of one sweep transaction; about half a millisecond in which other writers wait."""
_BOOT_ID: Final = Path("/proc/sys/kernel/random/boot_id")


class EmbeddedStore:
    """``ViewerStore`` over LMDB; open it in the process that uses it, after any fork."""

    def __init__(self, path: Path, *, map_bytes: int = MAP_BYTES) -> None:
        self._path = path
        self._env = _open(path, map_bytes, sync=True)
        self._answers_env = _open(_answers_path(path), ANSWERS_BYTES, sync=False)
        self._check_format()
        with self._speaking():
            self._records = self._env.open_db(b"records")
            self._once = Expiring(self._env, b"once")
            self._answers = Expiring(self._answers_env, b"answers")

    def _check_format(self) -> None:
        with self._speaking():
            about = self._env.open_db(b"about")
            with self._env.begin(db=about) as txn:
                found = txn.get(_FORMAT_KEY)
            if found is None:
                with self._env.begin(db=about, write=True) as txn:
                    txn.put(_FORMAT_KEY, b"%d" % FORMAT)
                return
        if int(found) > FORMAT:
            self.close()
            raise Broken(
                f"the viewer store {self._path} has format {int(found)}, written by a newer "
                f"version; this program reads format {FORMAT}"
            )

    async def get(self, viewer_id: str, budget_s: float) -> bytes | None:  # noqa: ARG002
        """Read one record from the shared map; it never waits, so the budget is never spent."""
        try:
            with self._env.begin(self._records) as txn:
                return txn.get(viewer_id.encode())
        except (lmdb.BadValsizeError, UnicodeEncodeError):
            return None  # no record can stand under such an id
        except lmdb.Error as error:
            raise Broken(f"the viewer store {self._path} failed: {error}") from error

    def transact(self, changes: Iterable[Change]) -> list[bool]:
        """Apply all changes in one transaction, flushed to disk before it returns."""
        with self._speaking(), self._env.begin(write=True) as txn:
            return [self._apply(txn, change) for change in changes]

    def _apply(self, txn: "lmdb.Transaction[bytes]", change: Change) -> bool:
        if change.once is not None:
            expires_ms = change.once_expires_s * MILLISECONDS_PER_SECOND
            if self._once.claim(txn, change.once, b"", expires_ms) is not None:
                return False
        if change.viewer_id is not None:
            key = _viewer_key(change.viewer_id)
            old = txn.get(key, db=self._records)
            new = change.update(old)
            if new is None:
                txn.delete(key, db=self._records)
            elif new is not old:
                txn.put(key, new, db=self._records)
        return True

    def seen(self, once: bytes) -> bool:
        """Look the key up; LMDB shows only what is committed, and commits only what is flushed."""
        with self._speaking(), self._env.begin() as txn:
            return self._once.get(txn, once, 0) is not None

    def load(self, records: Iterable[tuple[str, bytes]]) -> int:
        """Store all records in one transaction."""
        count = 0
        with self._speaking(), self._env.begin(self._records, write=True) as txn:
            for viewer_id, raw in records:
                txn.put(_viewer_key(viewer_id), raw)
                count += 1
        return count

    def scan(self) -> Iterator[tuple[str, bytes]]:
        """Walk the records in short read transactions."""
        after = b""
        while True:
            with self._env.begin(self._records) as txn, txn.cursor() as cursor:
                if not cursor.set_range(after):
                    return
                part = list(islice(cursor.iternext(), _SCAN_RECORDS))
            for key, raw in part:
                yield key.decode(), raw
            after = part[-1][0] + b"\0"  # the smallest key above the last one

    def count(self) -> int:
        """Return the number of viewers."""
        with self._env.begin() as txn:
            return int(txn.stat(self._records)["entries"])

    def remember(self, key: bytes, value: bytes, expires_ms: int, now_ms: int) -> bytes:
        """Keep an answer in an environment that is never flushed."""
        with self._speaking(), self._answers_env.begin(write=True) as txn:
            taken = self._answers.claim(txn, key, value, expires_ms, now_ms)
        return value if taken is None else taken

    def recall(self, key: bytes, now_ms: int) -> bytes | None:
        """Return the answer in force under this key, if there is one."""
        with self._answers_env.begin() as txn:
            return self._answers.get(txn, key, now_ms)

    def warm(self, records_max: int) -> int:
        """Walk the records once: the first touch of a page costs 205 µs, and not in a request."""
        with self._env.begin(self._records, buffers=True) as txn, txn.cursor() as cursor:
            # deque walks at the speed of C: a million records in about .2 s.
            deque(islice(cursor.iternext(keys=False), records_max), maxlen=0)
        return min(records_max, self.count())

    def tend(self, now_ms: int) -> None:
        """Free the slots of dead readers, which make the file grow, and sweep what has expired."""
        with self._speaking():
            for env, expiring in (
                (self._env, self._once),
                (self._answers_env, self._answers),
            ):
                env.reader_check()
                swept = _SWEEP_KEYS
                while swept == _SWEEP_KEYS:
                    with env.begin(write=True) as txn:
                        swept = expiring.sweep(txn, now_ms, _SWEEP_KEYS)

    def close(self) -> None:
        """Close both environments."""
        self._env.close()
        self._answers_env.close()

    @contextmanager
    def _speaking(self) -> Iterator[None]:
        """Turn what LMDB says into what the operator can do."""
        try:
            yield
        except lmdb.MapFullError as error:
            raise Broken(f"the viewer store {self._path} is full; nothing was written") from error
        except lmdb.Error as error:
            raise Broken(f"the viewer store {self._path} failed: {error}") from error


def _viewer_key(viewer_id: str) -> bytes:
    key = viewer_id.encode()
    if not 0 < len(key) <= VIEWER_ID_BYTES_MAX:
        raise ValueError(f"a viewer id of {len(key)} bytes cannot be stored")
    return key


def _open(path: Path, map_bytes: int, *, sync: bool) -> lmdb.Environment:
    try:
        path.mkdir(parents=True, exist_ok=True)
        return lmdb.open(str(path), map_size=map_bytes, sync=sync, **_OPTIONS)
    except (OSError, lmdb.Error) as error:
        raise Broken(f"the viewer store {path} cannot be opened: {error}") from error


def _answers_path(path: Path) -> Path:
    """Directory of this boot's answers; those of earlier boots are deleted.

    A file that is never flushed may be damaged after a power loss, so none outlives the boot.
    """
    boot = _BOOT_ID.read_text().strip() if _BOOT_ID.exists() else "boot"
    answers = path / "answers"
    if answers.is_dir():
        for stale in answers.iterdir():
            if stale.name != boot:
                shutil.rmtree(stale, ignore_errors=True)
    return answers / boot
