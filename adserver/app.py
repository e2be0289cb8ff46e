"""The composition root: the only place that wires settings, engines and snapshots together."""

import asyncio
import logging
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

import msgspec
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send, StatelessLifespan

from adserver.budget.ledger import Ledger
from adserver.catalogue.shelf import Shelf
from adserver.catalogue.versions import Versions
from adserver.domain.errors import AdserverError, Broken
from adserver.edge import json_response, vast_response
from adserver.edge import problem as problems
from adserver.edge.token import Tokens
from adserver.journal.writer import JournalWriter
from adserver.runtime.clock import Clock, SystemClock
from adserver.runtime.counters import Counter, Counters, create_counters
from adserver.runtime.durable import sync_directory
from adserver.runtime.entropy import Entropy, SystemEntropy
from adserver.runtime.keys import load_or_create
from adserver.serve import openapi, supervise, worker
from adserver.serve.auth import Bearers
from adserver.serve.handler import DecisionEndpoint, Engines
from adserver.serve.health import Livez, Metrics, OpenApi, Readyz
from adserver.serve.once import Once
from adserver.serve.past import Past, PastEndpoint
from adserver.serve.snapshots import Snapshots
from adserver.serve.spending import TICK_S, Spending
from adserver.serve.track import TrackEndpoint
from adserver.serve.vast import VastEndpoint
from adserver.settings import Settings
from adserver.viewer.open import open_store
from adserver.viewer.store import ViewerStore
from kernels.warm import warm

FRAGMENTS: Final = {
    json_response.VARIANT_FRAGMENT: json_response.variant_fragment,
    vast_response.VARIANT_FRAGMENT: vast_response.variant_fragment,
}
"""What a snapshot prepares per variant."""
MEDIA_FRAGMENTS: Final = {
    json_response.MEDIA_FRAGMENT: json_response.media_fragment,
    vast_response.MEDIA_FRAGMENT: vast_response.media_fragment,
}
"""What a snapshot prepares per media file."""
DATA_FORMAT: Final = 1
"""Version of the data directory's layout; what stands in it has versions of its own."""
DECISIONS: Final = "/v1/decisions"
TEND_S: Final = 10.0
VIEWERS_WALKED_MAX: Final = 2_000_000
WORKER_COMMAND: Final = (sys.executable, "-m", "adserver.app")

_log = logging.getLogger(__name__)


def open_data(settings: Settings) -> Path:
    """Return the data directory, made if it is not there; Broken for one of a later version."""
    data = settings.data
    data.mkdir(parents=True, exist_ok=True)
    path = data / "format.json"
    if not path.exists():
        path.write_bytes(msgspec.json.encode({"format": DATA_FORMAT}))
        sync_directory(data)
    try:
        found = msgspec.json.decode(path.read_bytes(), type=dict[str, int]).get("format")
    except msgspec.MsgspecError as error:
        raise Broken(f"{path} is damaged: {error}") from None
    if found != DATA_FORMAT:
        raise Broken(f"{data} has format {found}; this version reads {DATA_FORMAT}")
    return data


def open_versions(settings: Settings, clock: Clock | None = None) -> Versions:
    """Open the versions of catalogue, policy and model of the data directory."""
    return Versions(open_data(settings), clock or SystemClock(), FRAGMENTS, MEDIA_FRAGMENTS)


def open_viewers(settings: Settings) -> ViewerStore:
    """Open the viewer store; once per process, after any fork."""
    return open_store(settings.store, open_data(settings))


def open_past(settings: Settings) -> Past:
    """Open the journal and the versions, to look back at decisions."""
    return Past(journal_path(settings), Shelf(open_versions(settings)))


def journal_path(settings: Settings) -> Path:
    """Where the workers write their segments."""
    return settings.data / "journal"


def counters_path(settings: Settings) -> Path:
    """Where the workers of one start count together."""
    return settings.data / "run" / "counters"


class Application(Starlette):
    """Starlette, but for the one route that has no time for it."""

    decide: ASGIApp

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one ASGI request."""
        if scope["type"] == "http" and scope["path"] == DECISIONS:
            # Starlette's two layers and its router take 8 of some 60 µs (measured); the endpoint
            # answers every method and every error itself.
            await self.decide(scope, receive, send)
        else:
            await super().__call__(scope, receive, send)


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
    engines = _open_engines(
        settings, number, workers, clock or SystemClock(), entropy or SystemEntropy()
    )
    decide = DecisionEndpoint(engines)
    description = msgspec.json.encode(openapi.document(settings.base_url))
    app = Application(
        routes=[
            Route(DECISIONS, decide),
            Route("/v1/vast", VastEndpoint(engines)),
            Route("/v1/track/{event}", TrackEndpoint(engines)),
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
        lifespan=_lifespan(engines, tends=number == 0),
    )
    app.router.redirect_slashes = False
    app.decide, app.state.engines = decide, engines
    return app


def build_single(
    settings: Settings, clock: Clock | None = None, entropy: Entropy | None = None
) -> Starlette:
    """Return the application as the only worker, for a server or a test of one process."""
    open_data(settings)
    create_counters(counters_path(settings), 1)
    return build_app(settings, clock=clock, entropy=entropy)


def mend_snapshot(settings: Settings) -> None:
    """Compile the snapshot anew where it cannot be read: damaged, or of an earlier format.

    In the parent, before there are workers: what a snapshot is made of is kept, and compiling takes
    seconds that no event loop has.
    """
    versions = open_versions(settings)
    try:
        versions.load_snapshot()
    except AdserverError as error:
        _log.warning("compiling the snapshot anew: %s", error)
        versions.rebuild()


def serve(settings: Settings, on_ready: Callable[[Settings], None]) -> None:
    """Serve until told to stop, in as many processes as the settings say."""
    mend_snapshot(settings)
    create_counters(counters_path(settings), settings.workers)
    supervise.supervise(settings, WORKER_COMMAND, on_ready)


def _open_engines(
    settings: Settings, number: int, workers: int, clock: Clock, entropy: Entropy
) -> Engines:
    warm()
    data = open_data(settings)
    counters = Counters(counters_path(settings), number, workers)
    keys = load_or_create(data, entropy)
    store = open_store(settings.store, data)
    store.warm(VIEWERS_WALKED_MAX)
    spending = Spending(Ledger(data / "budgets"), counters)
    snapshots = Snapshots(open_versions(settings, clock), settings.base_url, counters, spending)
    try:
        snapshots.refresh(clock.now_ms())
    except AdserverError:
        # Up and saying so on /readyz: the next publication can be served.
        _log.exception("the published snapshot cannot be served")
    return Engines(
        clock=clock,
        entropy=entropy,
        draw_key=keys.draw.secret,
        tokens=Tokens(keys.token.secret, keys.token.id, entropy.take),
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
    )


def _lifespan(engines: Engines, *, tends: bool) -> StatelessLifespan[Starlette]:
    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        engines.journal.start()
        tasks = [asyncio.create_task(engines.snapshots.watch(engines.clock.now_ms))]
        tasks.append(asyncio.create_task(_keep_pace(engines)))
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
    while True:
        await asyncio.sleep(TICK_S)
        budgets, now_ms = engines.snapshots.current.budgets, engines.clock.now_ms()
        try:
            await asyncio.to_thread(engines.spending.tick, budgets, now_ms)
        except Exception:  # noqa: BLE001  (budgets hold all the same; only the pace stands still)
            _log.exception("the pace of spending could not be kept; trying again")


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
