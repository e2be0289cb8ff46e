"""One worker process: an event loop, a socket of its own, and a pipe that ties it to its parent.

The first line on standard input says what to do; the end of the input means stop. So a worker ends
in order when it is told to, and just so when its parent was killed.
"""

import asyncio
import gc
import logging
import os
import signal
import sys
from collections.abc import Callable
from threading import Event, Thread
from typing import Any, Final, cast

import msgspec
import uvicorn
from msgspec import Struct
from starlette.types import ASGIApp

from adserver.domain.errors import AdserverError
from adserver.serve.direct import DirectProtocol, PlainProtocol
from adserver.serve.sockets import bind_shared
from adserver.settings import Settings, load

READY: Final = b"ready\n"
GRACE_S: Final = 10
"""For requests under way at the end."""
SWITCH_INTERVAL_S: Final = 0.0005
"""A busy thread then delays the event loop by .9 ms instead of 5.5 (median, measured)."""
GC_THRESHOLDS: Final = (50_000, 20, 100)
_STOP_AGAIN_S: Final = 0.5

_log = logging.getLogger(__name__)

Build = Callable[[Settings, int, int], ASGIApp]
"""(settings, number of this worker, how many there are) → the application."""


class Task(Struct, frozen=True):
    """What a worker is told."""

    settings: dict[str, Any]
    worker: int
    workers: int


class Server(uvicorn.Server):
    """The library's server, which looks after idle connections itself."""

    async def startup(self, sockets: Any = None) -> None:
        """Listen, and begin to look for connections nobody uses."""
        await super().startup(sockets=sockets)
        if self.started:
            self._hang_up()

    def _hang_up(self) -> None:
        """Close the connections that are kept alive for nobody, now and then."""
        for connection in [*self.server_state.connections]:
            if isinstance(connection, DirectProtocol):
                connection.close_if_silent()
        asyncio.get_running_loop().call_later(self.config.timeout_keep_alive, self._hang_up)


class _Worker(Server):
    async def startup(self, sockets: Any = None) -> None:
        await super().startup(sockets=sockets)
        if self.started:
            os.write(sys.stdout.fileno(), READY)
            # The pipe has served; what anyone may print from here on is for the operator.
            os.dup2(sys.stderr.fileno(), sys.stdout.fileno())


def run(build: Build) -> None:
    """Serve until told to stop."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent, which then tells us
    task = msgspec.json.decode(sys.stdin.buffer.readline(), type=Task)
    settings = load(environment={}, flags=task.settings)
    logging.basicConfig(
        level=settings.log_level.upper(),
        format=f"%(asctime)s worker {task.worker} %(levelname)s %(name)s: %(message)s",
        stream=sys.stderr,
    )
    Thread(target=_end_with_input, daemon=True).start()
    sys.setswitchinterval(SWITCH_INTERVAL_S)
    try:
        app = build(settings, task.worker, task.workers)
        listener = bind_shared(settings.host, settings.port)
    except (AdserverError, OSError) as error:
        _log.critical("cannot start: %s", error)
        sys.exit(1)
    # What was loaded lives on: a full collection that walks it takes 89 ms, else .01 (measured).
    gc.collect()
    gc.freeze()
    gc.set_threshold(*GC_THRESHOLDS)
    _Worker(_config(app, settings)).run(sockets=[listener])


def _config(app: ASGIApp, settings: Settings) -> uvicorn.Config:
    # The library warns of every request it cannot read, which is the caller's to mend, not ours.
    level = settings.log_level if settings.log_level in ("debug", "critical") else "error"
    return uvicorn.Config(
        cast("Any", app),
        loop="uvloop",
        http=cast("Any", DirectProtocol if hasattr(app, "direct") else PlainProtocol),
        ws="none",
        lifespan="on",
        access_log=False,
        proxy_headers=False,  # nobody here believes what a proxy says of the client
        log_config=None,
        log_level=level,
        timeout_graceful_shutdown=GRACE_S,
    )


def _end_with_input() -> None:
    """Wait for the end of the input, then ask this process to stop, until it has."""
    # Not by way of sys.stdin: an interpreter that ends while a thread is in there aborts.
    while os.read(sys.stdin.fileno(), 4096):
        pass
    while True:
        os.kill(os.getpid(), signal.SIGTERM)
        Event().wait(_STOP_AGAIN_S)
