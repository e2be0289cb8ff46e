"""A closed loop of keep-alive connections on raw sockets: how many answers a second can there be.

Throughput only. A closed loop waits for the server and so hides its stalls; latency is measured by
``bench/load``, from the scheduled send time.
"""

import select
import time
from collections.abc import Iterator
from dataclasses import dataclass

from bench.wire import Judge, Said, WrongAnswerError, answer_end, connect

CONNECTIONS_COUNT = 16
ANSWER_BYTES_MAX = 1 << 16
STALLED_S = 10.0


@dataclass(frozen=True)
class Round:
    """What one round saw."""

    said: tuple[int, ...]
    """How many answers said what; indexed by ``Said``."""
    seconds: float
    client_cpu_s: float

    @property
    def answers_count(self) -> int:
        """Answers of every kind."""
        return sum(self.said)

    @property
    def rate(self) -> float:
        """Answers a second."""
        return self.answers_count / self.seconds

    @property
    def client_ceiling(self) -> float:
        """Answers a second this client could have handled, had the server cost nothing."""
        return self.answers_count / self.client_cpu_s


class ClosedLoop:
    """Connections that each send the next request as soon as the last one is answered."""

    def __init__(self, port: int, requests: Iterator[bytes], judge: Judge) -> None:
        self._requests = requests
        self._judge = judge
        self._poll = select.epoll()
        self._partial: dict[int, bytes] = {}
        opened = [connect(port) for _ in range(CONNECTIONS_COUNT)]
        self._connections = {connection.fileno(): connection for connection in opened}
        for connection in opened:
            connection.settimeout(0)
            self._poll.register(connection, select.EPOLLIN)

    def close(self) -> None:
        """Close every connection."""
        self._poll.close()
        for connection in self._connections.values():
            connection.close()

    def run(self, seconds: float) -> Round:
        """Keep every connection busy for so long, then wait for the last answers."""
        said = [0] * len(Said)
        cpu_before = time.thread_time()
        started = time.perf_counter()
        deadline = started + seconds
        for connection in self._connections.values():
            connection.send(next(self._requests))
        waiting_count = len(self._connections)
        while waiting_count:
            ready = self._poll.poll(STALLED_S)
            if not ready:
                raise WrongAnswerError(f"no answer for {STALLED_S} s")
            sending = time.perf_counter() < deadline
            for descriptor, _ in ready:
                answer = self._receive(descriptor)
                if answer is None:
                    continue
                said[self._judge(answer)] += 1
                if sending:
                    self._connections[descriptor].send(next(self._requests))
                else:
                    waiting_count -= 1
        elapsed = time.perf_counter() - started
        return Round(tuple(said), elapsed, time.thread_time() - cpu_before)

    def _receive(self, descriptor: int) -> bytes | None:
        """Return the answer that is complete with what has just arrived, else None."""
        received = self._connections[descriptor].recv(ANSWER_BYTES_MAX)
        if not received:
            raise WrongAnswerError("the server closed a connection")
        if descriptor in self._partial:
            received = self._partial.pop(descriptor) + received
        end = answer_end(received)
        if end < 0:
            self._partial[descriptor] = received
            return None
        if end != len(received):
            raise WrongAnswerError("more than one answer to one request")
        return received
