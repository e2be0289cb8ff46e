"""Token keys as a worker follows them: handed on when they change or come of age."""

import asyncio
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final, Protocol

from adserver.domain.errors import AdserverError
from adserver.runtime.clock import Clock
from adserver.runtime.entropy import Entropy
from adserver.runtime.keys import load_or_create, stamp

POLL_S: Final = 0.25

_log = logging.getLogger(__name__)


class Follower(Protocol):
    """Seals and opens with keys it is handed."""

    def renew(self, keys: Mapping[int, bytes], key_id: int) -> None:
        """Open with all of these from now on, and seal with that one."""
        ...


class Keyring:
    """The keys of a data directory for those who follow them."""

    def __init__(
        self, data_dir: Path, entropy: Entropy, clock: Clock, followers: Sequence[Follower]
    ) -> None:
        self._data_dir = data_dir
        self._entropy = entropy
        self._clock = clock
        self._followers = followers
        self._stamp = stamp(data_dir)
        self._keys = load_or_create(data_dir, entropy)
        self._handed: tuple[dict[int, bytes], int] | None = None
        self.refresh()

    def refresh(self) -> None:
        """Hand on the keys of this moment, if they are others than before; one ``stat``.

        Raises
        ------
        Broken
            The file is damaged. Those who follow keep what they have.
        """
        current = stamp(self._data_dir)
        if current is not None and current != self._stamp:
            self._stamp = current  # also if it is damaged: the same bytes would be so again
            self._keys = load_or_create(self._data_dir, self._entropy)
        now_ms = self._clock.now_ms()
        keys, sealing = self._keys.opening(now_ms), self._keys.sealing(now_ms).id
        if (keys, sealing) != self._handed:
            self._handed = keys, sealing
            for follower in self._followers:
                follower.renew(keys, sealing)

    async def watch(self) -> None:
        """Follow the keys for ever."""
        while True:
            await asyncio.sleep(POLL_S)
            try:
                self.refresh()
            except AdserverError:
                _log.exception("the token keys cannot be read; the former ones are still in force")
