"""Locust users that ask at a fixed rate and count from the scheduled send time.

    locust -f bench/load/locustfile.py --headless --host http://127.0.0.1:8080 \
        --users 50 --rate 500 --requests requests.ndjson

Four things differ from locust as it comes. Latency counts from the due time of a fixed schedule, so
that a stalled server cannot postpone its own examination. Buckets are 0.1 ms wide in locust's own
tables, and grow by 1 % in ours; both are merged from all ``--processes``. The client is a raw
socket: locust's own costs 300 µs a request, which at 2,000 requests/s would be the measurement.
And the exit code knows latency: 1 when the p99, the achieved rate or an answer is not good enough.
"""

import json
import subprocess
import sys
import time
from itertools import cycle, islice
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import gevent
import locust.html
import locust.stats
from locust import User, events, task
from locust.argument_parser import LocustArgumentParser
from locust.env import Environment
from locust.exception import StopUser
from locust.runners import LocalRunner, WorkerRunner

from bench.load.histogram import Histogram
from bench.load.schedule import LEAD_S, Schedule
from bench.load.verdict import Findings, Verdict
from bench.wire import DECISIONS, Said, WrongAnswerError, connect, exchange, request_bytes

PERCENTILES = [0.5, 0.9, 0.95, 0.99, 0.999, 1.0]

locust.stats.bucket_response_time = lambda milliseconds: round(milliseconds, 1)
locust.stats.PERCENTILES_TO_REPORT[:] = PERCENTILES
locust.html.PERCENTILES_FOR_HTML_REPORT[:] = PERCENTILES


class Run:
    """What the users of this process share."""

    def __init__(self, environment: Environment) -> None:
        options = environment.parsed_options
        self.environment = environment
        self.schedule = Schedule(
            options.rate, options.num_users or 1, options.warm_up_s, options.measured_s
        )
        self.port = urlsplit(environment.host).port or 80
        bodies = Path(options.requests).read_bytes().splitlines()
        self.requests = cycle([request_bytes(DECISIONS, body=body) for body in bodies])
        self.findings = Findings()
        self.stall = Histogram()
        self.watcher: subprocess.Popen[bytes] | None = None
        self.started_s = 0.0
        self.users_done_count = 0
        self._numbers = iter(())

    def start(self) -> None:
        """Start the clock; every user of the run gets a number, over all processes."""
        runner = self.environment.runner
        processes_count = max(1, self.environment.parsed_options.processes or 1)
        mine = runner.worker_index if isinstance(runner, WorkerRunner) else 0
        self._numbers = islice(range(self.schedule.users_count), mine, None, processes_count)
        self.started_s = time.monotonic() + LEAD_S
        if not isinstance(runner, WorkerRunner):
            self.watcher = subprocess.Popen(
                [sys.executable, "-m", "bench.load.stall"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
            )

    def next_number(self) -> int:
        """Return the number of the next user that starts here."""
        return next(self._numbers)

    def verdict(self) -> Verdict:
        """Stop watching the machine and judge."""
        if self.watcher is not None:
            output, _ = self.watcher.communicate()
            self.stall.merge(json.loads(output))
            self.watcher = None
        limit = self.environment.parsed_options.p99_ms_max
        return Verdict(self.schedule, self.findings, self.stall, limit)


class Player(User):
    """One connection, asking whenever its turn is due."""

    def __init__(self, environment: Environment) -> None:
        super().__init__(environment)
        self.shared: Run = environment.adserver_run
        self.number = self.shared.next_number()
        self.turn = 0
        self.connection = connect(self.shared.port)

    def due_s(self) -> float:
        """Return when this turn is due, since the start."""
        return self.shared.schedule.due_s(self.number, self.turn)

    def on_start(self) -> None:
        """Wait for the first turn."""
        gevent.sleep(self.wait_time())

    def wait_time(self) -> float:
        """Return how long until the next turn; nothing when it is overdue."""
        if self.due_s() >= self.shared.schedule.end_s:
            raise StopUser
        return max(0.0, self.shared.started_s + self.due_s() - time.monotonic())

    def on_stop(self) -> None:
        """Close the connection; the last one out ends a run that has no master."""
        self.connection.close()
        self.shared.users_done_count += 1
        runner = self.environment.runner
        done = self.shared.users_done_count == self.shared.schedule.users_count
        if done and isinstance(runner, LocalRunner):
            gevent.spawn(runner.quit)

    @task
    def ask(self) -> None:
        """Ask for one decision."""
        due_s = self.due_s()
        self.turn += 1
        due = self.shared.started_s + due_s
        sent = time.monotonic()
        said, length = Said.NOTHING, 0
        error: Exception | None = None
        try:
            answer = exchange(self.connection, next(self.shared.requests))
            said = DECISIONS.judge(answer)
            length = len(answer)
        except (OSError, WrongAnswerError) as wrong:
            error = wrong
            self.connection.close()
            self.connection = connect(self.shared.port)
        answered = time.monotonic()
        if self.shared.schedule.counted(due_s):
            findings = self.shared.findings
            if error is None:
                findings.record(due, sent, answered)
                findings.gated_count += said is Said.GATED
            else:
                findings.failed_count += 1
            self.report(1e3 * (answered - due), length, error)

    def report(self, response_ms: float, length: int, error: Exception | None) -> None:
        """Tell locust's own tables."""
        self.environment.events.request.fire(
            request_type=DECISIONS.method,
            name=DECISIONS.path,
            response_time=response_ms,
            response_length=length,
            exception=error,
            context={},
        )


@events.init_command_line_parser.add_listener
def add_options(parser: LocustArgumentParser) -> None:
    """Add what a run at a fixed rate needs to know."""
    parser.add_argument("--rate", type=float, default=500.0, help="requests a second, all users")
    parser.add_argument("--warm-up-s", type=float, default=5.0, help="not counted")
    parser.add_argument("--measured-s", type=float, default=30.0, help="counted")
    parser.add_argument("--p99-ms-max", type=float, default=10.0, help="exit code 1 above it")
    parser.add_argument("--requests", required=True, help="file with one ad request a line")
    parser.add_argument("--report", default="", help="JSON file to write the figures to")


@events.init.add_listener
def prepare(environment: Environment, **_: Any) -> None:
    """Tie one run to this environment."""
    run = Run(environment)
    environment.adserver_run = run
    environment.events.test_start.add_listener(lambda **_: run.start())

    @environment.events.report_to_master.add_listener
    def send(data: dict[str, Any], **_: Any) -> None:
        data["adserver"] = run.findings.take()

    @environment.events.worker_report.add_listener
    def receive(data: dict[str, Any], **_: Any) -> None:
        run.findings.merge(data["adserver"])

    @environment.events.quitting.add_listener
    def judge(**_: Any) -> None:
        if not isinstance(environment.runner, WorkerRunner):
            verdict = run.verdict()
            environment.process_exit_code = 1 if verdict.problems else 0
            environment.events.quit.add_listener(lambda **_: publish(environment, verdict))


def publish(environment: Environment, verdict: Verdict) -> None:
    """Print the figures below locust's tables and keep them in the report file."""
    print("\n".join(verdict.lines()), flush=True)
    if environment.parsed_options.report:
        report = json.dumps({**verdict.as_dict(), "lines": verdict.lines()}, indent=1)
        Path(environment.parsed_options.report).write_text(report + "\n")
