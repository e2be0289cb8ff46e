"""Run locust against a server: one fixed rate, one report."""

import json
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from bench import servers, traffic
from bench.load.schedule import Schedule
from bench.traffic import Audience
from bench.wire import connect

LOCUSTFILE = Path(__file__).parent / "locustfile.py"
GRACE_S = 10.0
"""How long after the last due request an unanswered one is given up."""
SPAWN_RATE = 100
REQUESTS_COUNT_MAX = 50_000
"""Different requests; a run that needs more starts again at the first."""


@dataclass(frozen=True)
class Options:
    """One run."""

    schedule: Schedule
    p99_ms_max: float = 10.0
    processes_count: int = 1
    html: Path | None = None


@dataclass(frozen=True)
class Result:
    """What locust reported."""

    figures: dict[str, Any]
    lines: list[str]
    passed: bool


def run(port: int, audience: Audience, options: Options) -> Result:
    """Ask the server on this port at the scheduled rate."""
    schedule = options.schedule
    connect(port).close()  # a server that is not there fails now, not after the schedule
    with tempfile.TemporaryDirectory() as folder:
        requests, report = Path(folder, "requests.ndjson"), Path(folder, "report.json")
        documents = traffic.ad_requests(audience, REQUESTS_COUNT_MAX, seed=30)
        requests.write_bytes(b"\n".join(map(orjson.dumps, documents)))
        arguments = {
            "--locustfile": LOCUSTFILE,
            "--host": f"http://127.0.0.1:{port}",
            "--loglevel": "WARNING",
            "--users": schedule.users_count,
            "--spawn-rate": SPAWN_RATE,
            "--run-time": f"{schedule.end_s + GRACE_S:.0f}s",
            "--rate": schedule.rate,
            "--warm-up-s": schedule.warm_up_s,
            "--measured-s": schedule.measured_s,
            "--p99-ms-max": options.p99_ms_max,
            "--requests": requests,
            "--report": report,
        }
        if options.processes_count > 1:
            arguments["--processes"] = options.processes_count
        if options.html is not None:
            arguments["--html"] = options.html
        done = subprocess.run(
            [
                *(sys.executable, "-m", "locust", "--headless", "--only-summary"),
                *(str(word) for pair in arguments.items() for word in pair),
            ],
            cwd=servers.ROOT,
            # epoll waits whole milliseconds, select microseconds: requests leave 0.09 ms late in
            # the median instead of 0.6, and that lateness is part of every latency.
            env={**os.environ, "GEVENT_BACKEND": "select"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        if not report.exists():
            raise ChildProcessError(f"locust ended with {done.returncode}:\n{done.stdout}")
        figures = json.loads(report.read_text())
    return Result(figures, figures.pop("lines"), passed=done.returncode == 0)
