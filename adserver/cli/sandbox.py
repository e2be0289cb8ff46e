"""A whole server in this process and in its own time: a simulation asks it as players would.

Everything from the bytes of a request to the bytes of its answer, from a beacon to the viewer's
record and the ledger, is what ``adserver serve`` runs. Replaced are the sockets, the clock,
entropy, the viewer store and the journal's disk.
"""

from collections.abc import Awaitable, Callable, Generator
from hashlib import blake2b
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final, TypeVar, cast

import msgspec
import numpy as np
from msgspec import Struct
from msgspec.structs import replace
from starlette.types import Message, Scope

from adserver.budget.budgets import Budgets
from adserver.budget.ledger import Ledger, account_key
from adserver.budget.pacing import Pacer
from adserver.budget.requests import Requests
from adserver.catalogue.build import build
from adserver.catalogue.columns import Columns, Versions
from adserver.domain.event import EventType
from adserver.domain.policy import Policy
from adserver.edge.dosage_token import DosageTokens
from adserver.edge.token import Tokens
from adserver.journal.schema import DecisionRow, EventRow
from adserver.journal.writer import JournalWriter, Loggable, NotDurable
from adserver.runtime.clock import SystemClock
from adserver.runtime.counters import Counter, Counters, create_counters
from adserver.serve.asgi import hear
from adserver.serve.auth import Bearers
from adserver.serve.decisions import DecisionEndpoint
from adserver.serve.direct import Driver
from adserver.serve.handler import Engines
from adserver.serve.once import Once
from adserver.serve.snapshots import Snapshots
from adserver.serve.spending import Spending, terms_of
from adserver.serve.track import Beacons, TrackEndpoint
from adserver.start import FRAGMENTS, MEDIA_FRAGMENTS
from adserver.viewer.codec import encode
from adserver.viewer.pending import Pending
from adserver.viewer.store import Change
from adserver.worlds.day import days_before
from adserver.worlds.dice import Dice, throw
from adserver.worlds.market import POLICY, Market, Scale, build_market
from adserver.worlds.simulate import Answered, Reported, Simulation, Tell
from adserver.worlds.stubs import Faults, SeededEntropy, SimulatedClock, StubStore
from adserver.worlds.tally import Summary
from kernels.warm import warm

BASE_URL: Final = "http://simulated"
DEADLINE_MS: Final = 10
BODY_BYTES_MAX: Final = 65_536
DECISION_TTL_S: Final = 3600
VERSIONS: Final = Versions("simulated", "simulated", "simulated")

_ASKED: Final = hear([(b"content-type", b"application/json")])

T = TypeVar("T")


class MemoryLedger(Ledger):
    """A ledger whose disk is never asked to keep it: a simulated day has four thousand ticks."""

    def flush(self) -> None:
        """Do nothing."""


class Known(Awaitable[T]):
    """A result that is there already, in the clothes of one that asyncio would wait for."""

    _asyncio_future_blocking = False  # what asyncio knows a future of its own by

    def __init__(self, result: T | Exception) -> None:
        self._result = result

    def __await__(self) -> Generator[Any, None, T]:
        """Return at once."""
        yield from ()
        if isinstance(self._result, Exception):
            raise self._result
        return self._result


class MemoryJournal:
    """Takes rows as ``JournalWriter`` does, applies their changes at once and keeps a hash."""

    def __init__(self, dice: Dice, faults: Faults) -> None:
        self._dice = dice
        self._unsaved = faults.beacon_unsaved
        self._encode = msgspec.msgpack.Encoder().encode
        self._hash = blake2b(digest_size=16)
        self.decision: DecisionRow | None = None
        """The last one offered."""
        self.first = False
        """Whether the last event recorded was the first of its kind."""

    @property
    def digest(self) -> str:
        """Return the hash of every row so far."""
        return self._hash.hexdigest()

    def offer(self, made: Loggable, weight: int) -> bool:  # noqa: ARG002
        """Take a decision."""
        row = made.row()
        self._hash.update(self._encode(row))
        self.decision = row
        return True

    def take(self, row: EventRow, apply: Callable[[], list[bool]]) -> Known[bool]:
        """Take an event, unless it cannot be made durable."""
        self.first = False
        if self._dice.random() < self._unsaved:
            return Known(NotDurable("the simulated disk is full"))
        self._hash.update(self._encode(row))
        (self.first,) = apply()
        return Known(self.first)


class _OfWorker:
    """The journal as one worker's requests see it."""

    def __init__(self, journal: MemoryJournal, apply: Callable[[list[Change]], list[bool]]) -> None:
        self.offer = journal.offer
        self._journal = journal
        self._apply = apply

    def record(self, row: EventRow, change: Change) -> Known[bool]:
        """Take an event and what it changes."""
        return self._journal.take(row, lambda: self._apply([change]))


class _Source:
    """One snapshot, published once."""

    def __init__(self, columns: Columns) -> None:
        self._columns = columns

    def pointer_stamp(self) -> object:
        return VERSIONS

    def load_snapshot(self) -> Columns | None:
        return self._columns


class _Worker(Struct, frozen=True):
    engines: Engines
    decide: DecisionEndpoint
    track: TrackEndpoint


class Sandbox:
    """``worlds.simulate.Server``: every worker with engines of its own, as processes have.

    Parameters
    ----------
    market
        What is served.
    directory
        For the ledger and the counters; empty.
    faults
        How often things go wrong.
    workers
        How many.
    """

    def __init__(self, market: Market, directory: Path, faults: Faults, workers: int = 1) -> None:
        self._drive = Driver()
        warm()
        self._directory = directory
        self._catalogue = market.catalogue
        seed = market.seed
        self.clock = SimulatedClock(throw(seed + 10), faults)
        self.clock.set(market.start_ms)
        self._entropy = SeededEntropy(seed, b"decisions")
        self._sealing = SeededEntropy(seed, b"tokens")
        self.store = StubStore(self.clock, throw(seed + 11), faults)
        self.store.load((viewer, encode(record)) for viewer, record in market.records.items())
        self._journal = MemoryJournal(throw(seed + 12), faults)
        self.columns = build(
            market.catalogue,
            market.policy,
            market.model,
            VERSIONS,
            FRAGMENTS,
            MEDIA_FRAGMENTS,
            vectors=market.vectors,
        )
        create_counters(directory / "counters", workers)
        self._remember(market)
        self._count = workers
        self._workers = [self._start(number) for number in range(workers)]

    def close(self) -> None:
        """Stop every worker."""
        for worker in self._workers:
            worker.engines.spending.close()

    def _remember(self, market: Market) -> None:
        """Count the traffic of the days before, in which no campaign took part."""
        ledger, requests = self._money()
        pacer = Pacer(ledger, requests)
        terms = terms_of(self.columns)
        nobody = Budgets(ledger, terms, market.start_ms).paced[np.zeros(0, np.int64)]
        requests.watch(terms.openings.placements)
        before = days_before(
            throw(market.seed + 4), market.crowd, market.start_ms, market.scale.requests
        )
        for now_ms, asked in before:
            for placement in asked:
                requests.count(placement)
            requests.tell()
            pacer.tick(now_ms, nobody, terms.openings)
        pacer.close()
        requests.close()
        ledger.close()

    def _money(self) -> tuple[MemoryLedger, Requests]:
        directory = self._directory / "budgets"
        return MemoryLedger(directory), Requests(directory)

    def _start(self, number: int) -> _Worker:
        clock, store = self.clock, self.store
        counters = Counters(self._directory / "counters", number, self._count)
        spending = Spending(*self._money(), counters)
        snapshots = Snapshots(_Source(self.columns), BASE_URL, DECISION_TTL_S, counters, spending)
        snapshots.refresh(clock.now_ms())
        journal = _OfWorker(self._journal, spending.charging(store))
        engines = Engines(
            clock=clock,
            entropy=self._entropy,
            draw_key=SeededEntropy(0, b"draws").take(32),
            tokens=Tokens(SeededEntropy(0, b"sealing").take(32), 1, self._sealing.take),
            store=store,
            journal=cast("JournalWriter[Change]", journal),  # a thread would not be repeatable
            counters=counters,
            snapshots=snapshots,
            spending=spending,
            once=Once(store, clock),
            bearers=Bearers(self._directory),
            open_explain=False,
            deadline_ms=DEADLINE_MS,
            body_bytes_max=BODY_BYTES_MAX,
            tcf_vendor_id=0,
            pending=Pending(
                self._directory / "pending", SeededEntropy(0, b"draws").take(32), clock
            ),
            dosage=DosageTokens(SeededEntropy(0, b"sealing").take(32), 1, self._sealing.take),
            decision_ttl_s=DECISION_TTL_S,
        )
        return _Worker(engines, DecisionEndpoint(engines), TrackEndpoint(Beacons(engines)))

    def ask(self, worker: int, body: bytes) -> Answered:
        """Answer an ad request."""
        self._journal.decision = None
        failures = self.store.failures
        answer = self._drive(self._workers[worker].decide.respond(_ASKED, b"", body, 0))
        blind = self.store.failures > failures
        return Answered(answer.status, answer.body, self._journal.decision, blind)

    def report(self, worker: int, url: str, event: EventType) -> Reported:
        """Take a beacon."""
        self._journal.first = False
        scope: Scope = {
            "type": "http",
            "method": "GET",
            "path_params": {"event": event.word},
            "query_string": url.partition("?")[2].encode(),
            "headers": [],
        }
        answer = _Answer()
        self._drive(self._workers[worker].track(scope, _nothing, answer))
        return Reported(answer.status, self._journal.first)

    def tick(self) -> None:
        """Plan what may be spent; every worker looks."""
        for worker in self._workers:
            engines = worker.engines
            engines.spending.tick(engines.snapshots.current.budgets, self.clock.now_ms())

    def restart(self, worker: int) -> None:
        """Stop a worker and start it again."""
        self._workers[worker].engines.spending.close()
        self._workers[worker] = self._start(worker)

    def account(self, campaign: int) -> tuple[int, int]:
        """Return what a campaign has spent and what is committed, nanos."""
        ledger = self._workers[0].engines.spending.ledger
        key = account_key(self._catalogue.campaigns[campaign].id.encode(), self._catalogue.currency)
        row = ledger.accounts[int(ledger.slots([key])[0])]
        return int(row["spent"]), int(row["committed"])

    @property
    def digest(self) -> str:
        """Return a hash of every row the journal was given, in order."""
        return self._journal.digest

    @property
    def refused_reservations(self) -> int:
        """Return how often a budget had run out between two looks at it."""
        counters = self._workers[0].engines.counters
        return counters.totals()[Counter.RESERVATIONS_REFUSED]


def simulate(
    seed: int,
    scale: Scale,
    policy: Policy = POLICY,
    *,
    faults: Faults = Faults(),  # noqa: B008  (frozen)
    workers: int = 1,
    tell: Tell = lambda _stage, _share: None,
) -> Summary:
    """Make up a market, let it live, and return what came of it."""
    clock = SystemClock()
    tell("making up a market", 0.0)
    market = build_market(seed, scale, SeededEntropy(seed, b"records"), policy)
    with TemporaryDirectory() as directory:
        sandbox = Sandbox(market, Path(directory), faults, workers)
        begun_ns = clock.monotonic_ns()
        summary = Simulation(market, sandbox, sandbox.clock, faults, workers).run(tell)
        seconds = (clock.monotonic_ns() - begun_ns) / 1e9
        sandbox.close()
    return replace(summary, seconds=seconds)


class _Answer:
    """What an endpoint sends."""

    status = 0
    body = b""

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
        else:
            self.body = message["body"]


async def _nothing() -> Message:
    return {"type": "http.disconnect"}
