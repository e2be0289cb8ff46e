"""Keys with an end, in LMDB: the first value given to a key stands until it expires."""

from typing import Final

import lmdb

from adserver.viewer.store import KEY_BYTES_MAX

_TIME_BYTES: Final = 8


class Expiring:
    """Two databases: key → (end, value), and (end, key) in the order in which they end."""

    def __init__(self, env: lmdb.Environment, name: bytes) -> None:
        self._values = env.open_db(name)
        self._ends = env.open_db(name + b"-ends")

    def claim(
        self,
        txn: "lmdb.Transaction[bytes]",
        key: bytes,
        value: bytes,
        expires_ms: int,
        now_ms: int = 0,
    ) -> bytes | None:
        """Give the key its value and return None, or return the value that holds it.

        A value that ended before ``now_ms`` holds nothing; without ``now_ms`` it holds its key
        until it is swept.
        """
        if not 0 < len(key) <= KEY_BYTES_MAX:
            raise ValueError(f"a key has 1 to {KEY_BYTES_MAX} bytes, not {len(key)}")
        end = expires_ms.to_bytes(_TIME_BYTES)
        if not txn.put(key, end + value, overwrite=False, db=self._values):
            held = txn.get(key, b"", db=self._values)
            if int.from_bytes(held[:_TIME_BYTES]) > now_ms:
                return held[_TIME_BYTES:]
            txn.delete(held[:_TIME_BYTES] + key, db=self._ends)
            txn.put(key, end + value, db=self._values)
        txn.put(end + key, b"", db=self._ends)
        return None

    def get(self, txn: "lmdb.Transaction[bytes]", key: bytes, now_ms: int) -> bytes | None:
        """Return the value that holds the key."""
        held: bytes | None = txn.get(key, db=self._values)
        if held is None or int.from_bytes(held[:_TIME_BYTES]) <= now_ms:
            return None
        return held[_TIME_BYTES:]

    def sweep(self, txn: "lmdb.Transaction[bytes]", now_ms: int, keys_max: int) -> int:
        """Delete up to ``keys_max`` keys that have ended; return how many."""
        limit = (now_ms + 1).to_bytes(_TIME_BYTES)
        swept = 0
        with txn.cursor(db=self._ends) as cursor:
            while swept < keys_max and cursor.first() and cursor.key() < limit:
                txn.delete(cursor.key()[_TIME_BYTES:], db=self._values)
                cursor.delete()
                swept += 1
        return swept
