"""Idempotency: for a minute, one key is one answer, whichever worker is asked."""

from hashlib import blake2b
from typing import Final

from adserver.domain.errors import Problem
from adserver.domain.request import ID_LENGTH_MAX
from adserver.edge import problem as problems
from adserver.edge.json_request import ID_EXPECTATION
from adserver.runtime.clock import Clock
from adserver.serve.asgi import Refused
from adserver.viewer.store import ViewerStore

KEPT_MS: Final = 60_000
_FINGERPRINT_BYTES: Final = 16


class Once:
    """Answers by key, kept in the viewer store where every worker finds them."""

    def __init__(self, store: ViewerStore, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    def recall(self, key: bytes, body: bytes) -> bytes | None:
        """Return the answer given under this key.

        Raises
        ------
        Refused
            The key is malformed, or belongs to another request.
        """
        if not 0 < len(key) <= ID_LENGTH_MAX or not _is_printable(key):
            raise Refused(
                problems.INVALID, problem=Problem("header Idempotency-Key", ID_EXPECTATION)
            )
        kept = self._store.recall(key, self._clock.now_ms())
        return None if kept is None else _own(kept, body)

    def claim(self, key: bytes, body: bytes, answer: bytes) -> bytes:
        """Keep the answer unless another worker was first; return the one in force."""
        now_ms = self._clock.now_ms()
        kept = self._store.remember(key, _fingerprint(body) + answer, now_ms + KEPT_MS, now_ms)
        return _own(kept, body)


def _own(kept: bytes, body: bytes) -> bytes:
    if kept[:_FINGERPRINT_BYTES] != _fingerprint(body):
        raise Refused(problems.KEY_REUSED)
    return kept[_FINGERPRINT_BYTES:]


def _fingerprint(body: bytes) -> bytes:
    return blake2b(body, digest_size=_FINGERPRINT_BYTES).digest()


def _is_printable(key: bytes) -> bool:
    return key.isascii() and key.decode("ascii").isprintable()
