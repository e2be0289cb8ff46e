"""The composition root: the only place that wires settings, engines and snapshots together."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Final

import msgspec
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import StatelessLifespan

from adserver.budget.ledger import Ledger
from adserver.budget.requests import Requests
from adserver.catalogue.pages import PastPages
from adserver.catalogue.shelf import Shelf
from adserver.domain.errors import AdserverError
from adserver.edge import problem as problems
from adserver.edge.dosage_token import DosageTokens
from adserver.edge.token import Tokens
from adserver.journal.writer import JournalWriter
from adserver.runtime.clock import Clock, SystemClock
from adserver.runtime.counters import Counter, Counters, create_counters
from adserver.runtime.entropy import Entropy, SystemEntropy
from adserver.runtime.keys import load_or_create
from adserver.serve import openapi, worker
from adserver.serve.auth import Bearers
from adserver.serve.click import ClickEndpoint
from adserver.serve.decisions import DecisionEndpoint
from adserver.serve.direct import Endpoint
from adserver.serve.handler import Engines
from adserver.serve.health import Livez, Metrics, OpenApi, Readyz
from adserver.serve.keyring import Keyring
from adserver.serve.notices import NoticeEndpoint
from adserver.serve.once import Once
from adserver.serve.openrtb import BidEndpoint, Trade, is_secure
from adserver.serve.past import Past, PastEndpoint
from adserver.serve.snapshots import Snapshots
from adserver.serve.spending import TICK_S, Spending
from adserver.serve.track import Beacons, TrackEndpoint
from adserver.serve.vast import VastEndpoint
from adserver.settings import Settings
from adserver.start import (
    counters_path,
    journal_path,
    open_data,
    open_versions,
)
from adserver.viewer.open import open_store
from adserver.viewer.pending import Pending
from kernels.warm import warm

DECISIONS: Final = "/v1/decisions"
VAST: Final = "/v1/vast"
TEND_S: Final = 10.0
VIEWERS_WALKED_MAX: Final = 2_000_000

_log = logging.getLogger(__name__)


def open_past(settings: Settings) -> Past:
    """Open the journal and the versions, to look back at decisions."""
    return Past(journal_path(settings), Shelf(open_versions(settings)))


class Application(Starlette):
    """Starlette, and by path the endpoints that need neither its router nor a task."""

    direct: dict[bytes, Endpoint]


def build_app(
    settings: Settings,
    number: int = 0,
    workers: int = 1,
    clock: Clock | None = None,
    entropy: Entropy | None = None,
) -> Starlette:
    """Return the ASGI application of one worker, everything open and rehearsed.

    Its lifespan starts the journal's thread and the search for new snapshots, and closes all.

    Parameters
    ----------
    settings
        With the real port, as tracking URLs name it.
    number
        Of this worker, from 0.
    workers
        How many there are; the counters must have been created for as many.
    clock, entropy
        The machine's when None.
    """
    clock, entropy = clock or SystemClock(), entropy or SystemEntropy()
    engines = _open_engines(settings, number, workers, clock, entropy)
    keyring = Keyring(settings.data, entropy, clock, [engines.tokens, engines.dosage])
    decide, vast = DecisionEndpoint(engines), VastEndpoint(engines)
    beacons, pages = Beacons(engines), PastPages(open_versions(settings, engines.clock))
    description = msgspec.json.encode(openapi.document(settings.base_url))
    app = Application(
        routes=[
            Route(DECISIONS, decide),
            Route(VAST, vast),
            Route("/openrtb2/bid", BidEndpoint(engines, _trade(settings))),
            Route("/v1/openrtb/{notice}", NoticeEndpoint(beacons)),
            Route("/v1/track/{event}", TrackEndpoint(beacons)),
            Route("/v1/click", ClickEndpoint(beacons, engines.snapshots, pages)),
            Route(
                "/v1/decisions/{decision_id}",
                PastEndpoint(open_past(settings), engines.bearers, engines.clock),
            ),
            Route("/livez", Livez(engines)),
            Route("/readyz", Readyz(engines)),
            Route("/metrics", Metrics(engines)),
            Route("/openapi.json", OpenApi(engines, description)),
        ],
        exception_handlers={HTTPException: _problem, Exception: _failure(engines.counters)},
        lifespan=_lifespan(engines, keyring, tends=number == 0),
    )
    app.router.redirect_slashes = False
    app.state.engines = engines
    # The store answers at once; with one that does not, these would go Starlette's way too.
    app.direct = {DECISIONS.encode(): decide, VAST.encode(): vast}
    return app


def build_single(
    settings: Settings, clock: Clock | None = None, entropy: Entropy | None = None
) -> Starlette:
    """Return the application as the only worker, for a server or a test of one process."""
    open_data(settings)
    create_counters(counters_path(settings), 1)
    return build_app(settings, clock=clock, entropy=entropy)


def _open_engines(
    settings: Settings, number: int, workers: int, clock: Clock, entropy: Entropy
) -> Engines:
    warm()
    data = open_data(settings)
    counters = Counters(counters_path(settings), number, workers)
    keys = load_or_create(data, entropy)
    sealing = keys.sealing(clock.now_ms())
    store = open_store(settings.store, data)
    store.warm(VIEWERS_WALKED_MAX)
    spending = Spending(Ledger(data / "budgets"), Requests(data / "budgets"), counters)
    snapshots = Snapshots(
        open_versions(settings, clock),
        settings.base_url,
        settings.decision_ttl_s,
        counters,
        spending,
    )
    try:
        snapshots.refresh(clock.now_ms())
    except AdserverError:
        # Up and saying so on /readyz: the next publication can be served.
        _log.exception("the published snapshot cannot be served")
    return Engines(
        clock=clock,
        entropy=entropy,
        draw_key=keys.draw.secret,
        tokens=Tokens(sealing.secret, sealing.id, entropy.take),
        store=store,
        journal=JournalWriter(
            journal_path(settings), number, clock, counters, spending.charging(store)
        ),
        counters=counters,
        snapshots=snapshots,
        spending=spending,
        once=Once(store, clock),
        bearers=Bearers(data),
        open_explain=settings.open_explain,
        deadline_ms=settings.deadline_ms,
        body_bytes_max=settings.body_bytes_max,
        decision_ttl_s=settings.decision_ttl_s,
        tcf_vendor_id=settings.tcf_vendor_id,
        pending=Pending(data / "run" / "pending", keys.draw.secret, clock),
        dosage=DosageTokens(sealing.secret, sealing.id, entropy.take),
    )


def _trade(settings: Settings) -> Trade:
    return Trade(
        placement=settings.openrtb_placement,
        margin_ms=settings.openrtb_margin_ms,
        says_why=settings.openrtb_nbr,
        is_secure=is_secure(settings.base_url),
    )


def _lifespan(engines: Engines, keyring: Keyring, *, tends: bool) -> StatelessLifespan[Starlette]:
    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        engines.journal.start()
        tasks = [asyncio.create_task(engines.snapshots.watch(engines.clock.now_ms))]
        tasks.append(asyncio.create_task(_keep_pace(engines)))
        tasks.append(asyncio.create_task(keyring.watch()))
        if tends:
            tasks.append(asyncio.create_task(_tend(engines)))
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await asyncio.to_thread(engines.journal.stop)
            await asyncio.to_thread(engines.spending.close)
            engines.store.close()

    return lifespan


async def _keep_pace(engines: Engines) -> None:
    # At once first: who started before the leader had planned has closed all that is paced.
    while True:
        budgets, now_ms = engines.snapshots.current.budgets, engines.clock.now_ms()
        try:
            await asyncio.to_thread(engines.spending.tick, budgets, now_ms)
        except Exception:  # noqa: BLE001  (budgets hold all the same; only the pace stands still)
            _log.exception("the pace of spending could not be kept; trying again")
        await asyncio.sleep(TICK_S)


async def _tend(engines: Engines) -> None:
    while True:
        await asyncio.sleep(TEND_S)
        try:
            await asyncio.to_thread(engines.store.tend, engines.clock.now_ms())
        except AdserverError:
            _log.exception("the viewer store could not be tended; trying again")


def _problem(_: Request, error: Exception) -> Response:
    """Answer what no route took."""
    status = error.status_code if isinstance(error, HTTPException) else 500
    kind = problems.NOT_FOUND if status == problems.NOT_FOUND.status else problems.BAD_REQUEST
    return _document(kind)


def _failure(counters: Counters) -> Callable[[Request, Exception], Response]:
    def answer(_: Request, __: Exception) -> Response:
        counters.add(Counter.REQUESTS_FAILED)
        return _document(problems.INTERNAL)

    return answer


def _document(kind: problems.Kind) -> Response:
    return Response(
        problems.render(kind),
        kind.status,
        {"cache-control": "no-store"},
        problems.MEDIA_TYPE.decode(),
    )


if __name__ == "__main__":
    worker.run(build_app)
