"""More requests than can be answered in time: those that waited too long are told so, at once."""

import json
import signal
import socket
from collections import Counter
from contextlib import ExitStack

import pytest

from tests.serve.small import PLACEMENT, fill, settings_of
from tests.serve.test_direct import PLAIN
from tests.serve.test_server import now_s, served

PLAYERS = 400
"""Their decisions together take several times the deadline."""
BODY = json.dumps({"placement": PLACEMENT, "viewer": {"id": "likes-east"}}).encode()
JSON_CALL = PLAIN.partition(b"content-length")[0] + b"content-length: %d\r\n\r\n%b"
CALLS = {
    "json": JSON_CALL % (len(BODY), BODY),
    "vast": b"GET /v1/vast?placement=%b&viewer=likes-east HTTP/1.1\r\nhost: x\r\n\r\n"
    % PLACEMENT.encode(),
}


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    settings = settings_of(tmp_path_factory.mktemp("overload"), deadline_ms=5)
    fill(settings)
    with served(settings, "--port", "0", "--workers", "1") as server:
        yield server


def ask_all_at_once(server, call: bytes) -> list[bytes]:
    """Let every request lie there before the first is looked at."""
    (worker,) = server.workers()
    with ExitStack() as connections:
        players = [
            connections.enter_context(socket.create_connection(("127.0.0.1", server.port), 30))
            for _ in range(PLAYERS)
        ]
        for player in players:  # known to the server before it is stopped
            player.sendall(call)
            assert player.recv(65_536).startswith(b"HTTP/1.1 200 ")
        worker.send_signal(signal.SIGSTOP)
        for player in players:
            player.sendall(call)
        worker.send_signal(signal.SIGCONT)
        return [player.recv(65_536) for player in players]


def kind(answer: bytes) -> str:
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 ")
    if body.startswith(b"<"):
        return "show" if b"<Ad " in body else "no ad"
    said = json.loads(body)
    assert said["action"] == "show" or said["propensity"] is None
    return said["action"] if said["action"] == "show" else said["reason"]


def test_what_waited_too_long_is_shed_and_the_next_is_served(server):
    told = Counter(map(kind, ask_all_at_once(server, CALLS["json"])))
    assert told["show"] > 0
    assert told["overload"] > PLAYERS / 4
    # Only the one under way when the time ran out can have been too late.
    assert told["deadline"] <= PLAYERS / 20
    assert set(told) <= {"show", "overload", "deadline"}
    began_s = now_s()
    with socket.create_connection(("127.0.0.1", server.port), 30) as player:
        player.sendall(CALLS["json"])
        assert kind(player.recv(65_536)) == "show"
    assert now_s() - began_s < 1.0


def test_a_tag_that_waited_too_long_gets_no_ad(server):
    told = Counter(map(kind, ask_all_at_once(server, CALLS["vast"])))
    assert told["show"] > 0
    assert told["no ad"] > PLAYERS / 4
