"""What a simulated server is given for a clock, for entropy, for a disk: all by seed."""

from collections.abc import Iterable, Iterator
from hashlib import blake2b
from typing import Final

from msgspec import Struct

from adserver.domain.errors import Broken, StoreSlow
from adserver.viewer.store import Change
from adserver.worlds.dice import Dice

_NS_PER_MS: Final = 1_000_000
_NS_PER_S: Final = 1_000_000_000


class Faults(Struct, frozen=True, kw_only=True):
    """How often things go wrong; a share of the calls each."""

    stall: float = 0.0005
    """The process stands still between two looks at the clock."""
    stall_ms: float = 15.0
    store_slow: float = 0.005
    store_slow_ms: float = 5.0
    """On average; what comes after the deadline is not waited for."""
    store_fails: float = 0.002
    beacon_unsaved: float = 0.002
    """Refused because it could not be made durable; the player tries again."""
    beacon_lost: float = 0.02
    beacon_twice: float = 0.03
    beacon_late: float = 0.02
    beacon_late_ms: float = 60_000.0
    """On average: some come after their reservation has ended."""
    beacon_far_too_late: float = 0.001
    """After the token has expired."""
    unplayed: float = 0.05
    restart: float = 0.0005
    """Per tick: a worker is stopped and started again."""


NO_FAULTS: Final = Faults(
    stall=0,
    store_slow=0,
    store_fails=0,
    beacon_unsaved=0,
    beacon_lost=0,
    beacon_twice=0,
    beacon_late=0,
    beacon_far_too_late=0,
    unplayed=0,
    restart=0,
)


class SimulatedClock:
    """Stands still but when it is set, when something waits, and when the process stalls."""

    def __init__(self, dice: Dice, faults: Faults) -> None:
        self._dice = dice
        self._stall_share = faults.stall
        self._stall_ns = round(faults.stall_ms * _NS_PER_MS)
        self._looks_to_stall = self._until_next_stall()
        self._ms = 0
        self._ns = 0

    def set(self, time_ms: int) -> None:
        """Go to a time, which may be a little before the last: waits run ahead."""
        self._ms = time_ms

    def wait(self, duration_ns: int) -> None:
        """Let time go by."""
        self._ns += duration_ns

    def now_ms(self) -> int:
        """Return what it was set to."""
        return self._ms

    def monotonic_ns(self) -> int:
        """Return the sum of all waits, and stall now and then."""
        self._looks_to_stall -= 1
        if self._looks_to_stall == 0:
            self._ns += self._stall_ns
            self._looks_to_stall = self._until_next_stall()
        return self._ns

    def _until_next_stall(self) -> int:
        return int(self._dice.geometric(self._stall_share)) if self._stall_share else -1


class SeededEntropy:
    """Bytes nobody can foresee but who knows the seed."""

    def __init__(self, seed: int, purpose: bytes) -> None:
        self._key = seed.to_bytes(16, "little", signed=True)
        self._purpose = purpose
        self._taken = 0

    def take(self, count: int) -> bytes:
        """``count`` bytes, at most 64."""
        self._taken += 1
        counter = self._taken.to_bytes(8, "little")
        return blake2b(counter, digest_size=count, key=self._key, person=self._purpose).digest()


class StubStore:
    """A ``ViewerStore`` in a dictionary, which is late or fails by lot; nothing is durable.

    What is written stays written: a store that fails to write is a beacon unsaved.
    """

    def __init__(self, clock: SimulatedClock, dice: Dice, faults: Faults) -> None:
        self._clock = clock
        self._dice = dice
        self._faults = faults
        self._records: dict[str, bytes] = {}
        self._once: set[bytes] = set()
        self._answers: dict[bytes, tuple[int, bytes]] = {}
        self.failures = 0
        """Reads that came to nothing."""

    async def get(self, viewer_id: str, budget_s: float) -> bytes | None:
        """Return a record, late or not at all."""
        faults = self._faults
        luck = self._dice.random()
        if luck < faults.store_fails:
            self.failures += 1
            raise Broken("the simulated store failed")
        if luck < faults.store_fails + faults.store_slow:
            late_ns = round(self._dice.exponential(faults.store_slow_ms) * _NS_PER_MS)
            budget_ns = round(budget_s * _NS_PER_S)
            self._clock.wait(min(late_ns, budget_ns))
            if late_ns > budget_ns:
                self.failures += 1
                raise StoreSlow("the simulated store was slow")
        return self._records.get(viewer_id)

    def transact(self, changes: Iterable[Change]) -> list[bool]:
        """Apply the changes, in order."""
        return [self._apply(change) for change in changes]

    def _apply(self, change: Change) -> bool:
        if change.once is not None:
            if change.once in self._once:
                return False
            self._once.add(change.once)
        if change.viewer_id is not None:
            new = change.update(self._records.get(change.viewer_id))
            if new is None:
                self._records.pop(change.viewer_id, None)
            else:
                self._records[change.viewer_id] = new
        return True

    def seen(self, once: bytes) -> bool:
        """Whether the key was seen before."""
        return once in self._once

    def load(self, records: Iterable[tuple[str, bytes]]) -> int:
        """Store all records."""
        taken = dict(records)
        self._records |= taken
        return len(taken)

    def scan(self) -> Iterator[tuple[str, bytes]]:
        """Walk the records."""
        yield from sorted(self._records.items())

    def count(self) -> int:
        """Return the number of viewers."""
        return len(self._records)

    def remember(self, key: bytes, value: bytes, expires_ms: int, now_ms: int) -> bytes:
        """Keep an answer; the first one stands."""
        taken = self.recall(key, now_ms)
        if taken is None:
            self._answers[key] = (expires_ms, value)
        return value if taken is None else taken

    def recall(self, key: bytes, now_ms: int) -> bytes | None:
        """Return the answer in force."""
        expires_ms, value = self._answers.get(key, (0, b""))
        return value if now_ms < expires_ms else None

    def warm(self, records_max: int) -> int:
        """Touch nothing."""
        return min(records_max, len(self._records))

    def tend(self, now_ms: int) -> None:
        """Let go of answers that have expired."""
        self._answers = {key: kept for key, kept in self._answers.items() if now_ms < kept[0]}

    def close(self) -> None:
        """Do nothing."""
