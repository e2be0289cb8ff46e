"""Endpoint throughput against the bare-Starlette floor, both servers alive in one run.

The servers share one core and the load has the other; rounds alternate floor, ours, floor, ours, so
that whatever the machine does meanwhile happens to both. The figure is the median of the ratios of
neighbouring rounds. The processor time of the servers gives a second ratio in which the load
generator and the network stack's waiting have no part.
"""

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path
from statistics import mean, median, quantiles

from bench import machine, servers, traffic
from bench.paths.closed_loop import ClosedLoop, Round
from bench.wire import GATED_SHARE_MAX, Call, Said, body_of, connect, exchange

PATIENCE = ("--deadline-ms", "1000")
"""How to start our server. A closed loop always asks for more than there is time for, and what is
shed for that costs little: it would flatter us."""
CLIENT_BUSY_MAX = 0.6
"""Above this share of its core the client might be what is measured."""


@dataclass(frozen=True)
class Effort:
    """How long to measure."""

    pairs_count: int = 60
    """Each is one round of the floor and one of ours."""
    round_s: float = 0.4
    """Short: a machine that is shared changes its pace from second to second."""
    warm_up_s: float = 3.0
    requests_count: int = 50_000
    """Different requests in memory; a run that needs more starts again at the first."""
    sample_count: int = 500
    """Answers looked at to learn how many bytes the floor must return."""


SMALLEST = Effort(pairs_count=1, round_s=0.2, warm_up_s=0.1, requests_count=200, sample_count=50)
"""Enough to see that everything answers; not a measurement."""


@dataclass(frozen=True)
class Measured:
    """One round of one server."""

    round: Round
    server_cpu_s: float

    @property
    def server_cpu_us(self) -> float:
        """Processor time of the server per answer, microseconds."""
        return 1e6 * self.server_cpu_s / self.round.answers_count


@dataclass(frozen=True)
class Comparison:
    """Neighbouring rounds of the floor and of our server."""

    call: Call
    pairs: list[tuple[Measured, Measured]]
    answer_bytes: int
    """Of every answer of the floor, and of ours on average."""
    apart: bool
    """Whether servers and client had a core each."""

    @property
    def ratios(self) -> list[float]:
        """Throughput of each pair, ours over the floor's."""
        return [ours.round.rate / floor.round.rate for floor, ours in self.pairs]

    @property
    def ratio(self) -> float:
        """The figure: the median of the pairs."""
        return median(self.ratios)

    @property
    def cpu_ratio(self) -> float:
        """Processor time per answer, the floor's over ours: what the ratio would be at 100 %."""
        return median(floor.server_cpu_us / ours.server_cpu_us for floor, ours in self.pairs)

    @property
    def client_busy(self) -> float:
        """Largest share of its core that the client needed in any round."""
        rounds = [measured.round for pair in self.pairs for measured in pair]
        return max(each.client_cpu_s / each.seconds for each in rounds)

    def share(self, said: Said) -> float:
        """Return the share of our answers that said this."""
        rounds = [ours.round for _, ours in self.pairs]
        return sum(each.said[said] for each in rounds) / sum(each.answers_count for each in rounds)

    @property
    def title(self) -> str:
        """What was compared."""
        return f"{self.call.method} {self.call.path} against the bare-Starlette floor"

    def lines(self) -> list[str]:
        """Return the report, the ratios first."""
        floors, ours = zip(*self.pairs, strict=True)
        spread = quantiles(self.ratios, n=4) if len(self.pairs) > 1 else [self.ratio] * 3
        ceiling = min(each.round.client_ceiling for each in (*floors, *ours))
        pairs = f"median of {len(self.pairs)} pairs, quartiles {spread[0]:.3f} to {spread[2]:.3f}"
        answers = f"{self.answer_bytes} bytes; {self.share(Said.SHOW):.0%} of ours show an ad"
        client = f"{self.client_busy:.0%} of its core at most; alone {ceiling:,.0f} answers/s"
        lines = [
            f"  throughput      {self.ratio:.3f} of the floor ({pairs})",
            f"  processor time  {self.cpu_ratio:.3f} of the floor",
            *(_arm_line(name, arm) for name, arm in (("floor", floors), ("ours", ours))),
            f"  answers         {answers}",
            f"  client          {client}",
        ]
        if self.client_busy > CLIENT_BUSY_MAX:
            lines.append("  WARNING: the client was nearly full; the ratio flatters the slower arm")
        if self.share(Said.GATED) > GATED_SHARE_MAX:
            lines.append(f"  WARNING: {self.share(Said.GATED):.1%} of our answers decided nothing")
        if not self.apart:
            lines.append("  WARNING: one core only; servers and client took turns on it")
        return lines


def _arm_line(name: str, arm: Sequence[Measured]) -> str:
    rate = median(each.round.rate for each in arm)
    cpu_us = median(each.server_cpu_us for each in arm)
    return f"  {name:<15} {rate:,.0f} answers/s, {cpu_us:.1f} µs of server processor time each"


def compare(call: Call, subject: servers.Subject, effort: Effort) -> Comparison:
    """Start both servers, warm them up and measure them in turn; every request is another."""
    with serving(subject) as ours:
        return against_floor(call, ours, subject.audience, effort)


def _cores() -> tuple[list[int], list[int]]:
    """Return those of the servers and those of the client."""
    cores = machine.cpus()
    # The last core for the client: the first one serves the machine's interrupts more often.
    return cores[:1], cores[-1:]


@contextmanager
def serving(subject: servers.Subject) -> Iterator[servers.Server]:
    """Start our server."""
    server_cpus, _ = _cores()
    with servers.running(subject.command, subject.port, server_cpus) as ours:
        yield ours


def against_floor(
    call: Call, ours: servers.Server, audience: traffic.Audience, effort: Effort
) -> Comparison:
    """Start the floor beside our server, warm both up and measure them in turn."""
    server_cpus, client_cpus = _cores()
    requests = traffic.requests(call, audience, effort.requests_count, seed=20)
    with (
        kept_on(client_cpus),
        typical_answer(call, ours.port, requests[: effort.sample_count]) as answer,
        floor(answer, server_cpus) as floor_server,
        closing(ClosedLoop(floor_server.port, cycle(requests), call.judge)) as floor_loop,
        closing(ClosedLoop(ours.port, cycle(requests), call.judge)) as our_loop,
    ):
        floor_loop.run(effort.warm_up_s)
        our_loop.run(effort.warm_up_s)
        pairs = [
            (
                measure(floor_server, floor_loop, effort.round_s),
                measure(ours, our_loop, effort.round_s),
            )
            for _ in range(effort.pairs_count)
        ]
        answer_bytes = answer.stat().st_size
    return Comparison(call, pairs, answer_bytes, apart=server_cpus != client_cpus)


def measure(server: servers.Server, loop: ClosedLoop, seconds: float) -> Measured:
    """Run one round and read the server's processor time around it."""
    before = server.cpu_s()
    done = loop.run(seconds)
    return Measured(done, server.cpu_s() - before)


@contextmanager
def typical_answer(call: Call, port: int, requests: Sequence[bytes]) -> Iterator[tuple[Path, int]]:
    """Ask our server; yield a file with the answer of middling length, and the mean length."""
    with connect(port) as connection:
        bodies = [body_of(exchange(connection, request)) for request in requests]
    length = mean(map(len, bodies))
    typical = min(bodies, key=lambda body: abs(len(body) - length))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"{call.name}.body"
        path.write_bytes(typical[: round(length)].ljust(round(length)))
        yield path


@contextmanager
def floor(answer: Path, cpus: list[int]) -> Iterator[servers.Server]:
    """Start the floor with this answer."""
    port = servers.free_port()
    command = servers.python("bench.paths.floor", "--port", str(port), "--answer", answer)
    with servers.running(command, port, cpus) as server:
        yield server


@contextmanager
def kept_on(cpus: list[int]) -> Iterator[None]:
    """Keep this process on these cores for a while."""
    before = machine.cpus()
    machine.pin(0, cpus)
    try:
        yield
    finally:
        machine.pin(0, before)
