"""The real thing: processes, sockets and signals."""

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
from base64 import urlsafe_b64decode
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from threading import Barrier, Event

import psutil
import pytest

from adserver.journal.reader import JournalReader
from adserver.journal.schema import DecisionRow, EventRow
from adserver.runtime.clock import SystemClock
from adserver.start import open_versions
from tests.serve.small import PLACEMENT, VIEWERS, catalogue, fill, settings_of

CLOCK = SystemClock()
START_S = 90
STOP_S = 30


class Server:
    """One ``adserver serve`` and its family."""

    def __init__(self, process: subprocess.Popen[bytes], port: int) -> None:
        self.process = process
        self.port = port
        self._parent = psutil.Process(process.pid)

    def workers(self) -> list[psutil.Process]:
        """Return the live workers."""
        return [child for child in self._parent.children() if child.is_running()]

    def connect(self) -> http.client.HTTPConnection:
        """Open a connection."""
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)

    def decide(self, viewer: str) -> dict:
        """Ask for one decision on a connection of its own."""
        connection = self.connect()
        try:
            return ask(connection, viewer)
        finally:
            connection.close()

    def report(self, answer: dict, event: str) -> int:
        """Report an event; return the status."""
        connection = self.connect()
        try:
            url = answer["tracking_url"].replace("{event}", event)
            connection.request("GET", url[url.index("/v1/") :])
            return connection.getresponse().status
        finally:
            connection.close()


def ask(connection: http.client.HTTPConnection, viewer: str) -> dict:
    body = json.dumps({"placement": PLACEMENT, "viewer": {"id": viewer}, "deadline_ms": 10_000})
    connection.request("POST", "/v1/decisions", body, {"content-type": "application/json"})
    answer = connection.getresponse()
    text = answer.read()
    assert answer.status == 200, text
    return json.loads(text)


def command(settings, *flags: str) -> list[str]:
    asked = ["--data", str(settings.data), "--json", *flags]
    return [sys.executable, "-m", "adserver", "serve", *asked]


@contextmanager
def served(settings, *flags: str) -> Iterator[Server]:
    process = subprocess.Popen(command(settings, *flags), stdout=subprocess.PIPE)
    family: list[psutil.Process] = []
    try:
        ready = json.loads(process.stdout.readline())
        server = Server(process, int(ready["url"].rpartition(":")[2]))
        family = [psutil.Process(process.pid), *server.workers()]
        yield server
    finally:
        process.stdout.close()
        for member in family:
            with suppress(psutil.NoSuchProcess):
                member.kill()
        process.wait(STOP_S)


def gone(processes: list[psutil.Process]) -> bool:
    return not psutil.wait_procs(processes, timeout=STOP_S)[1]


def now_s() -> float:
    return CLOCK.monotonic_ns() / 1e9


def until(condition, seconds: float) -> bool:
    end = now_s() + seconds
    while now_s() < end:
        if condition():
            return True
        time.sleep(0.05)
    return False


@pytest.fixture
def shop(data):
    settings = settings_of(data)
    fill(settings)
    return settings


def test_two_workers_swap_under_load_and_stop_without_losing_anything(shop):
    with served(shop, "--port", "0", "--workers", "2") as server:
        workers = server.workers()
        assert len(workers) == 2
        enough = Event()
        versions = open_versions(shop)
        answers: list[dict] = []

        def load(viewer: str) -> None:
            while not enough.is_set():
                connection = server.connect()  # another connection, perhaps another worker
                answers.extend([ask(connection, viewer) for _ in range(20)])
                connection.close()

        with ThreadPoolExecutor(len(VIEWERS)) as pool:
            running = [pool.submit(load, viewer) for viewer in VIEWERS]
            time.sleep(0.3)
            changed = versions.publish_catalogue(
                json.dumps(catalogue(threshold=0.2)).encode(), None
            )
            # Both workers have changed over once all the latest answers are of the new version.
            until(
                lambda: (
                    {answer["versions"]["catalogue"] for answer in answers[-200:]}
                    == {changed.version}
                ),
                START_S,
            )
            enough.set()
            for each in running:
                each.result()
        seen = {answer["versions"]["catalogue"] for answer in answers}
        assert len(seen) == 2
        assert changed.version in seen
        assert {answer["threshold"] for answer in answers if answer["action"] == "show"} == {
            0.1,
            0.2,
        }
        server.process.send_signal(signal.SIGINT)
        assert server.process.wait(STOP_S) == 0
        assert gone(workers)
    rows = [row for row in JournalReader(shop.data / "journal").rows() if type(row) is DecisionRow]
    assert {row.decision_id.hex() for row in rows} == {
        answer["decision_id"].replace("-", "") for answer in answers
    }
    assert len(rows) == len(answers)


def test_a_dead_worker_is_replaced_a_dead_parent_takes_all_along_and_beacons_stay(shop):
    with served(shop, "--port", "0", "--workers", "2") as server:
        first, second = server.workers()
        first.kill()
        assert until(lambda: len(server.workers()) == 2 and first not in server.workers(), START_S)
        answer = server.decide("likes-east")
        assert answer["variant"] == "east-1"
        family = [*server.workers(), second]
        assert server.report(answer, "impression") == 204
        for worker in server.workers():
            worker.kill()
        os.kill(server.process.pid, signal.SIGKILL)
        assert gone(family)
    kept = [row for row in JournalReader(shop.data / "journal").rows() if type(row) is EventRow]
    assert [row.decision_id.hex() for row in kept] == [answer["decision_id"].replace("-", "")]


def test_of_requests_at_the_same_time_one_gets_the_last_place_under_a_cap(data):
    settings = settings_of(data)
    fill(settings, caps=[{"count": 1, "window_s": 3600}])
    asked = 24
    with (
        served(settings, "--port", "0", "--workers", "2") as server,
        ThreadPoolExecutor(asked) as pool,
    ):
        for turn in range(4):
            together = Barrier(asked)

            def decide(viewer: str, together: Barrier = together) -> str:
                together.wait()
                return server.decide(viewer)["action"]

            actions = list(pool.map(decide, [f"new-{turn}"] * asked))
            assert actions.count("show") == 1, actions
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(STOP_S) == 0


def key_id(answer: dict) -> int:
    token = answer["tracking_url"].partition("d=")[2]
    return urlsafe_b64decode(token[:4])[1]


def test_a_new_key_is_followed_without_a_restart_and_old_tokens_stay_good(shop):
    rotating = [sys.executable, "-m", "adserver", "token", "rotate", "--data", str(shop.data)]
    with served(shop, "--port", "0", "--workers", "2") as server:
        before = [server.decide("likes-east") for _ in range(4)]
        assert {key_id(answer) for answer in before} == {1}
        subprocess.run(rotating, check=True, timeout=START_S, stdout=subprocess.PIPE)
        rotated_s = now_s()

        def both_follow() -> bool:
            answers = [server.decide("likes-east") for _ in range(8)]
            # Whichever worker sealed it, whichever is asked opens it, all the way through.
            assert {server.report(answer, "start") for answer in answers} == {204}
            return {key_id(answer) for answer in answers} == {2}

        assert until(both_follow, 10)
        assert now_s() - rotated_s < 5
        assert {server.report(answer, "impression") for answer in before} == {204}
        subprocess.run([*rotating, "--void"], check=True, timeout=START_S, stdout=subprocess.PIPE)
        assert until(lambda: server.report(before[0], "complete") == 403, 5)
        assert until(lambda: key_id(server.decide("likes-east")) == 3, 5)


def test_a_port_in_use_is_told_in_one_line(shop):
    with socket.socket() as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        asked = [part for part in command(shop, "--port", port) if part != "--json"]
        ended = subprocess.run(asked, capture_output=True, text=True, timeout=START_S, check=False)
    assert ended.returncode == 1
    assert f"127.0.0.1:{port}: the port is in use" in ended.stderr
    assert "Traceback" not in ended.stderr
