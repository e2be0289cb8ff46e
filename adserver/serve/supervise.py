"""The parent of the workers: holds the port, starts them, replaces the dead, stops them all."""

import logging
import os
import signal
import subprocess
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from threading import Event
from typing import Any, Final

import msgspec

from adserver.domain.errors import Broken
from adserver.runtime.clock import Clock, SystemClock
from adserver.serve.sockets import reserve
from adserver.serve.worker import GRACE_S, READY, Task
from adserver.settings import NAMES, Settings

POLL_S: Final = 0.05
START_S_MAX: Final = 300
"""Kernels compiled for the first time, on a busy machine, take a good part of it."""
TOLD_AFTER_S: Final = 5
BACKOFF_S_MIN: Final = 0.1
BACKOFF_S_MAX: Final = 5.0
SETTLED_S: Final = 30
"""A worker that lived so long starts again without delay, should it die."""
_STOP_S_MAX: Final = GRACE_S + 15
_NS_PER_S: Final = 1_000_000_000

_log = logging.getLogger(__name__)


class _Worker:
    """One worker, through all its lives."""

    def __init__(self, command: Sequence[str], task: Task, clock: Clock) -> None:
        self._command = command
        self._task = task
        self._clock = clock
        self._backoff_s = BACKOFF_S_MIN
        self._start_ns = 0
        self._due_ns = 0
        self.process: subprocess.Popen[bytes] | None = None
        self.ready = False

    def start(self) -> None:
        # A group of its own: Ctrl-C reaches the parent alone, which then ends the input.
        process = subprocess.Popen(  # noqa: S603  (our own command)
            self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, process_group=0
        )
        self.process, self.ready, self._start_ns = process, False, self._clock.monotonic_ns()
        if process.stdin is None or process.stdout is None:
            raise Broken("a worker was started without its pipes")
        os.set_blocking(process.stdout.fileno(), False)
        process.stdin.write(msgspec.json.encode(self._task) + b"\n")
        process.stdin.flush()

    def listen(self) -> None:
        """Note that the worker has said it is ready."""
        process = self.process
        if process is not None and process.stdout is not None and not self.ready:
            self.ready = process.stdout.read() == READY

    def died(self) -> int | None:
        """Return the exit code of a dead worker once, and set the time of its next life."""
        process = self.process
        code = None if process is None else process.poll()
        if process is None or code is None:
            return None
        self._close_pipes()
        self.process = None
        now_ns = self._clock.monotonic_ns()
        if now_ns - self._start_ns > SETTLED_S * _NS_PER_S:
            self._backoff_s = BACKOFF_S_MIN
        self._due_ns = now_ns + int(self._backoff_s * _NS_PER_S)
        self._backoff_s = min(2 * self._backoff_s, BACKOFF_S_MAX)
        return code

    def start_again_when_due(self) -> None:
        if self.process is None and self._clock.monotonic_ns() >= self._due_ns:
            self.start()

    def ask_to_stop(self) -> None:
        if self.process is not None and self.process.stdin is not None:
            self.process.stdin.close()

    def insist(self, timeout_s: float) -> None:
        if self.process is None:
            return
        try:
            self.process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self._close_pipes()

    def _close_pipes(self) -> None:
        if self.process is not None:
            for pipe in (self.process.stdin, self.process.stdout):
                if pipe is not None:
                    pipe.close()


def supervise(
    settings: Settings,
    command: Sequence[str],
    on_ready: Callable[[Settings], None],
    clock: Clock | None = None,
) -> None:
    """Serve until SIGINT or SIGTERM, which end all workers in order.

    Parameters
    ----------
    settings
        Port 0 takes a free one.
    command
        Starts one worker, which reads its task from standard input.
    on_ready
        Called once every worker accepts connections, with the port filled in.

    Raises
    ------
    InvalidInput
        The port is in use.
    Broken
        A worker could not start; it has said why.
    """
    clock = SystemClock() if clock is None else clock
    held = reserve(settings.host, settings.port)
    settings = replace(settings, port=held.getsockname()[1])
    workers = [
        _Worker(command, Task(_spelled(settings), index, settings.workers), clock)
        for index in range(settings.workers)
    ]
    with held, _stop_signals() as stop:
        try:
            if _start(workers, stop, clock):
                on_ready(settings)
                _look_after(workers, stop)
        finally:
            for worker in workers:
                worker.ask_to_stop()
            for worker in workers:
                worker.insist(_STOP_S_MAX)


def _start(workers: list[_Worker], stop: Event, clock: Clock) -> bool:
    """Start these workers and wait for them; False when told to stop meanwhile."""
    for worker in workers:
        worker.start()
    begin_ns = clock.monotonic_ns()
    told = False
    while not stop.wait(POLL_S / 5):
        for worker in workers:
            worker.listen()
            if worker.died() is not None:
                raise Broken("a worker could not start")
        if all(worker.ready for worker in workers):
            return True
        waited_s = (clock.monotonic_ns() - begin_ns) / _NS_PER_S
        if waited_s > START_S_MAX:
            raise Broken(f"the workers were not ready within {START_S_MAX} s")
        if waited_s > TOLD_AFTER_S and not told:
            _log.warning("still starting; on a new machine the kernels are compiled first")
            told = True
    return False


def _look_after(workers: list[_Worker], stop: Event) -> None:
    """Replace every worker that dies, until told to stop."""
    while not stop.wait(POLL_S):
        for index, worker in enumerate(workers):
            code = worker.died()
            if code is not None:
                how = f"was killed by signal {-code}" if code < 0 else f"ended with code {code}"
                _log.warning("worker %d %s; starting it again", index, how)
            worker.start_again_when_due()


@contextmanager
def _stop_signals() -> Iterator[Event]:
    """Yield an event that SIGINT and SIGTERM set."""
    stop = Event()

    def ask(_signal: int, _frame: Any) -> None:
        stop.set()

    former = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for number, handler in former.items():
            signal.signal(number, handler)


def _spelled(settings: Settings) -> dict[str, Any]:
    """Write the settings as flags that read back as the same values."""
    return {name: _plain(getattr(settings, name)) for name in NAMES}


def _plain(value: object) -> object:
    return value if isinstance(value, bool | int | str) else str(value)
