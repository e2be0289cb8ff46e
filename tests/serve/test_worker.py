"""A worker on its own: how it fails to start, and what it does first."""

import asyncio
import subprocess
import sys
from types import SimpleNamespace

import msgspec

from adserver import app
from adserver.serve.worker import Task

BROKEN = """
from adserver.domain.errors import Broken
from adserver.serve import worker

def build(*_):
    raise Broken("the keys are damaged")

worker.run(build)
"""


def test_a_worker_that_cannot_start_says_so_in_one_line():
    with subprocess.Popen(
        [sys.executable, "-c", BROKEN],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    ) as started:
        started.stdin.write(msgspec.json.encode(Task({}, 0, 1)) + b"\n")
        started.stdin.flush()
        (said,) = started.stderr.readlines()  # while a thread still waits for the end of input
        assert started.wait(60) == 1
    assert b"cannot start: the keys are damaged" in said


def test_the_pace_is_looked_at_before_the_first_wait(monkeypatch):
    ticks = []
    engines = SimpleNamespace(
        snapshots=SimpleNamespace(current=SimpleNamespace(budgets="of the snapshot")),
        clock=SimpleNamespace(now_ms=lambda: 5),
        spending=SimpleNamespace(tick=lambda *given: ticks.append(given)),
    )
    monkeypatch.setattr(app, "TICK_S", 3600)

    async def start():
        keeping = asyncio.create_task(app._keep_pace(engines))  # noqa: SLF001
        for _ in range(500):
            if ticks:
                break
            await asyncio.sleep(0.01)
        keeping.cancel()
        await asyncio.gather(keeping, return_exceptions=True)

    asyncio.run(start())
    assert ticks == [("of the snapshot", 5)]
