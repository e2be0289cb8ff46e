"""Whole days of a decision server by seed: visits, viewers, beacons, faults, and the laws on top.

The server is asked as players ask it and handed in by who builds one (``Server``); clock, entropy
and store are ``stubs``. The same market, faults and seed give the same run, row by row.
"""

from collections.abc import Callable, Sequence
from heapq import heappop, heappush
from typing import Final, Protocol

from msgspec import Struct

from adserver.domain.decision import IdRow
from adserver.domain.event import EventType
from adserver.domain.units import DAY_MS
from adserver.journal.schema import DecisionRow
from adserver.worlds.day import Visit, visits
from adserver.worlds.dice import throw
from adserver.worlds.law import Law
from adserver.worlds.laws import LAWS
from adserver.worlds.market import Market
from adserver.worlds.reaction import Audience
from adserver.worlds.stubs import Faults, SimulatedClock
from adserver.worlds.tally import Summary, Tally, Verdict
from adserver.worlds.truth import Asked, Book, Paid, Seen, asked, read_answer, read_book

DRAIN_MS: Final = 3 * 3_600_000
"""After the last visit: by then every beacon has come and every reservation ended."""
RETRY_MS: Final = 2000
_TRIES_MAX: Final = 5
_OK: Final = 200
_TAKEN: Final = 204
_UNSAVED: Final = 503
_MS: Final = 1000

Tell = Callable[[str, float], None]


class Answered(Struct, frozen=True, gc=False):
    """What a server answered, and what its journal was given."""

    status: int
    body: bytes
    row: DecisionRow | None
    blind: bool
    """The viewer store failed this request."""


class Reported(Struct, frozen=True, gc=False):
    """What became of a beacon."""

    status: int
    first: bool
    """It was the first of its decision and kind."""


class Server(Protocol):
    """A decision server of several workers that share a store, a ledger and a clock."""

    def ask(self, worker: int, body: bytes) -> Answered:
        """Answer an ad request."""
        ...

    def report(self, worker: int, url: str, event: EventType) -> Reported:
        """Take a beacon; ``url`` is the answer's tracking URL."""
        ...

    def tick(self) -> None:
        """Do what workers do between requests."""
        ...

    def restart(self, worker: int) -> None:
        """Stop a worker and start it again."""
        ...

    def account(self, campaign: int) -> tuple[int, int]:
        """Return what a campaign has spent and what is committed, nanos."""
        ...

    @property
    def digest(self) -> str:
        """Return a hash of every row the journal was given, in order."""
        ...

    @property
    def refused_reservations(self) -> int:
        """Return how often a decision was made again because a budget had just run out."""
        ...


class Shown(Struct, frozen=True, gc=False):
    """What a beacon's URL is about."""

    visit: Visit
    decision_ms: int
    url: str
    campaign: int
    creative: str
    surprise: bool


class Sent(Struct, frozen=True, gc=False):
    """A beacon on its way."""

    shown: Shown
    event: EventType
    tries: int = 0


class Simulation:
    """One run."""

    def __init__(
        self,
        market: Market,
        server: Server,
        clock: SimulatedClock,
        faults: Faults,
        workers: int = 1,
        laws: Sequence[type[Law]] = LAWS,
    ) -> None:
        self._market = market
        self._server = server
        self._clock = clock
        self._faults = faults
        self._workers = workers
        self._book: Book = read_book(market)
        self.laws = [law(self._book) for law in laws]
        self._tally = Tally(market)
        self._dice = throw(market.seed + 1)
        self._audience = Audience(
            market.law, market.features, tuple(market.records), throw(market.seed + 2)
        )
        self._beacons: list[tuple[int, int, Sent]] = []
        self._sent = 0
        self._seen: dict[str, list[Seen]] = {}
        self._next_tick_ms = market.start_ms
        self._restarts = 0
        self._paid = [0] * len(market.catalogue.campaigns)

    def run(self, tell: Tell = lambda _stage, _share: None) -> Summary:
        """Live through the days; return what they came to."""
        market = self._market
        scale, start_ms = market.scale, market.start_ms
        total = scale.days * scale.requests
        dice = throw(market.seed + 3)
        done = 0
        for day in range(scale.days):
            for visit in visits(dice, market.crowd, start_ms + day * DAY_MS, scale.requests):
                self._until(visit.time_ms)
                self._visit(visit)
                done += 1
                if not done % 500:
                    tell("living through the days", done / total)
        tell("letting reservations end", 0.0)
        self._until(start_ms + scale.days * DAY_MS + DRAIN_MS)
        tell("letting reservations end", 1.0)
        return self._summary()

    def _until(self, time_ms: int) -> None:
        """Let everything happen that comes before a time, in its order."""
        while True:
            beacon_ms = self._beacons[0][0] if self._beacons else time_ms + 1
            if min(beacon_ms, self._next_tick_ms) > time_ms:
                break
            if beacon_ms < self._next_tick_ms:
                _, _, sent = heappop(self._beacons)
                self._clock.set(beacon_ms)
                self._hear(sent, beacon_ms)
            else:
                self._clock.set(self._next_tick_ms)
                self._tick()
        self._clock.set(time_ms)

    def _tick(self) -> None:
        self._next_tick_ms += self._market.scale.tick_ms
        if self._faults.restart and self._dice.random() < self._faults.restart:
            self._server.restart(int(self._dice.integers(self._workers)))
            self._restarts += 1
        self._server.tick()

    def _visit(self, visit: Visit) -> None:
        worker = int(self._dice.integers(self._workers))
        answered = self._server.ask(worker, visit.body)
        row = answered.row
        if answered.status != _OK or row is None:
            raise AssertionError(f"a sound request was answered {answered.status}")
        seen = self._seen.get(visit.viewer, []) if visit.recognised and visit.viewer else []
        made = asked(visit, row, answered.body, seen, blind=answered.blind)
        for law in self.laws:
            law.asked(made)
        self._tally.asked(made)
        if row.shown:
            self._show(made)

    def _show(self, made: Asked) -> None:
        visit, row = made.visit, made.row
        variant = made.ids[IdRow.VARIANT][row.chosen]
        film = self._book.films[variant]
        viewing = self._audience.watch(
            visit.viewer, variant, film.length_ms, row.time_ms, self._faults
        )
        if viewing is None:
            return
        self._tally.watched(viewing)
        url = read_answer(made.answer).tracking_url
        shown = Shown(visit, row.time_ms, url, film.campaign, film.creative, row.surprise)
        for delay_ms, event in viewing.beacons:
            self._send(row.time_ms + delay_ms, Sent(shown, event))

    def _send(self, time_ms: int, sent: Sent) -> None:
        self._sent += 1
        heappush(self._beacons, (time_ms, self._sent, sent))

    def _hear(self, sent: Sent, now_ms: int) -> None:
        worker = int(self._dice.integers(self._workers))
        reported = self._server.report(worker, sent.shown.url, sent.event)
        if reported.status == _UNSAVED and sent.tries < _TRIES_MAX:
            self._send(now_ms + RETRY_MS, Sent(sent.shown, sent.event, sent.tries + 1))
        counts = sent.event is EventType.IMPRESSION and reported.first
        if reported.status == _TAKEN and counts:
            self._count(sent.shown, now_ms)

    def _count(self, shown: Shown, now_ms: int) -> None:
        """Believe an impression the server acknowledged for the first time."""
        visit = shown.visit
        if visit.recognised and visit.viewer is not None:
            one = Seen(now_ms // _MS, shown.campaign, shown.creative, shown.surprise)
            self._seen.setdefault(visit.viewer, []).append(one)
        paid = Paid(shown.campaign, shown.decision_ms, now_ms)
        self._paid[shown.campaign] += self._market.catalogue.campaigns[
            shown.campaign
        ].bid_cpm_micros
        self._tally.paid(paid)
        for law in self.laws:
            law.paid(paid)

    def _summary(self) -> Summary:
        for law in self.laws:
            law.ended()
        verdicts = [
            Verdict(type(law).__name__.lower(), law.says, law.checks, law.broken, law.examples)
            for law in self.laws
        ]
        verdicts.append(self._settled())
        return Summary(
            seed=self._market.seed,
            days=self._market.scale.days,
            workers=self._workers,
            totals=self._tally.totals(),
            spend=self._tally.spend(),
            laws=verdicts,
            restarts=self._restarts,
            refused_reservations=self._server.refused_reservations,
            digest=self._server.digest,
            course=self._tally.course(),
        )

    def _settled(self) -> Verdict:
        """Compare the ledger with the impressions, now that nothing is reserved any more."""
        faults = []
        budgeted = [
            (k, row)
            for k, row in enumerate(self._market.catalogue.campaigns)
            if (row.budget.daily_micros or row.budget.total_micros) and row.bid_cpm_micros
        ]
        for k, campaign in budgeted:
            spent, committed = self._server.account(k)
            if not spent == committed == self._paid[k]:
                faults.append(
                    f"{campaign.id}: spent {spent}, committed {committed}, paid {self._paid[k]}"
                )
        says = "the ledger has spent what impressions cost, and holds nothing back for ever"
        return Verdict("ledger", says, len(budgeted), len(faults), faults[:5])
