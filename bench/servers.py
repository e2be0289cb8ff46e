"""Servers under test: each a process on a core of its own, stopped with all that it started."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

from bench import machine
from bench.traffic import Audience
from bench.wire import connect, exchange

ROOT = Path(__file__).parent.parent
START_S_MAX = 120.0
STOP_S_MAX = 15.0
READY = b"GET /readyz HTTP/1.1\r\nhost: localhost\r\n\r\n"


def free_port() -> int:
    """Return a port nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass(frozen=True)
class Subject:
    """What is measured: how to start it, where it will listen, and whom to ask it for."""

    command: Sequence[str | Path]
    port: int
    audience: Audience


class Server:
    """One running server."""

    def __init__(self, process: subprocess.Popen[bytes], port: int) -> None:
        self.process = process
        self.port = port
        self._family = psutil.Process(process.pid)

    def cpu_s(self) -> float:
        """Return the processor time of the server and its workers, user and system."""
        times = [member.cpu_times() for member in self._members()]
        return sum(time.user + time.system for time in times)

    def memory_mib(self) -> float:
        """Return the resident memory of the server and its workers."""
        return sum(member.memory_info().rss for member in self._members()) / 2**20

    def connected_count(self) -> int:
        """Return how many connections the server and its workers have accepted."""
        sockets = [each for member in self._members() for each in member.net_connections("tcp")]
        return sum(each.status == psutil.CONN_ESTABLISHED for each in sockets)

    def freeze(self) -> None:
        """Stop answering without a word, as a machine that stalls does."""
        for member in self._members():
            member.suspend()

    def thaw(self) -> None:
        """Go on."""
        for member in self._members():
            member.resume()

    def _members(self) -> list[psutil.Process]:
        return [self._family, *self._family.children(recursive=True)]


@contextmanager
def running(
    command: Sequence[str | Path], port: int, cpus: list[int] | None = None
) -> Iterator[Server]:
    """Start a server, wait until it is ready, and stop it and all its children."""
    process = subprocess.Popen(
        command,
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        machine.pin(process.pid, cpus or machine.cpus())  # its threads, still to come, inherit it
        _wait_until_ready(process, port)
        yield Server(process, port)
    finally:
        _stop(process)


def python(module: str, *arguments: str | Path) -> list[str | Path]:
    """Return the command that runs a module in this environment."""
    return [sys.executable, "-m", module, *arguments]


def _wait_until_ready(process: subprocess.Popen[bytes], port: int) -> None:
    give_up_at = time.monotonic() + START_S_MAX
    while time.monotonic() < give_up_at:
        if process.poll() is not None:
            raise ChildProcessError(f"{process.args} ended with code {process.returncode}")
        try:
            with connect(port, timeout_s=1.0) as connection:
                if exchange(connection, READY).startswith(b"HTTP/1.1 200 "):
                    return
        except OSError:
            pass
        time.sleep(0.02)
    raise TimeoutError(f"{process.args} was not ready within {START_S_MAX:.0f} s")


def _stop(process: subprocess.Popen[bytes]) -> None:
    """Ask, wait, then insist on the whole session: a benchmark must not leave a server behind."""
    process.send_signal(signal.SIGINT)
    with suppress(subprocess.TimeoutExpired):
        process.wait(STOP_S_MAX)
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
