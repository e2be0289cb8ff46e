"""The endpoint against its floor: over sockets at the smallest size, and in process as arms.

``python -m bench endpoint`` measures; here the same code runs briefly and asserts its answers. The
arms leave out server and sockets: what they differ by is our own code.
"""

import asyncio
from collections.abc import Callable, Iterator
from itertools import cycle

import pytest

from adserver.app import build_single
from adserver.settings import load
from bench import traffic, world
from bench.paths import endpoint, floor
from bench.wire import CALLS, Call, Said, body_of, judge_decision, judge_vast

Ask = Callable[[dict, bytes], bytes]


@pytest.fixture(scope="module")
def data():
    """Return the smallest world."""
    with world.of(world.SMALLEST) as made:
        yield made


def test_both_servers_answer_every_request(data):
    subject = world.subject(data, world.SMALLEST)
    with endpoint.serving(subject) as running:
        for call in CALLS.values():
            compared = endpoint.against_floor(call, running, subject.audience, endpoint.SMALLEST)
            assert compared.ratio > 0
            assert compared.cpu_ratio > 0
            assert compared.share(Said.SHOW) > 0
            rounds = [measured.round for pair in compared.pairs for measured in pair]
            assert all(each.answers_count > 20 for each in rounds)
            assert any("of the floor" in line for line in compared.lines())


@pytest.fixture(scope="module")
def ours(data):
    """Return our application, its journal running."""
    app = build_single(load(environment={}, flags={"data": data, "deadline_ms": 60_000}))
    with asyncio.Runner() as runner:
        lifespan = app.router.lifespan_context(app)
        runner.run(lifespan.__aenter__())
        yield in_process(app)
        runner.run(lifespan.__aexit__(None, None, None))


def in_process(app) -> Ask:
    """Return a function that asks an application and needs no event loop, as nothing waits."""

    def ask(scope: dict, body: bytes) -> bytes:
        sent: list[dict] = []

        async def receive() -> dict:
            return {"type": "http.request", "body": body, "more_body": False}

        async def send(message: dict) -> None:
            sent.append(message)

        running = app({**scope}, receive, send)
        with pytest.raises(StopIteration):
            running.send(None)
        return b"HTTP/1.1 %d \r\n\r\n%b" % (sent[0]["status"], sent[1]["body"])

    return ask


def scopes(call: Call, requests: list[bytes]) -> Iterator[tuple[dict, bytes]]:
    """Yield what uvicorn makes of each request."""
    for request in cycle(requests):
        target = request.split(b" ", 2)[1]
        path, _, query = target.partition(b"?")
        body = body_of(request)
        headers = [(b"host", b"localhost"), (b"content-type", b"application/json")]
        scope = {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.4"},
            "http_version": "1.1",
            "method": call.method,
            "scheme": "http",
            "path": path.decode(),
            "raw_path": path,
            "query_string": query,
            "root_path": "",
            "headers": [*headers, (b"content-length", b"%d" % len(body))],
            "server": ("127.0.0.1", 80),
            "client": ("127.0.0.1", 50_000),
        }
        yield scope, body


@pytest.mark.parametrize("arm", ["ours", "floor"])
@pytest.mark.parametrize("call", CALLS.values(), ids=list(CALLS))
def test_one_request_in_process(benchmark, ours, call, arm):
    benchmark.group = f"{call.path} in process"
    audience = world.audience(world.SMALLEST)
    asked = scopes(call, traffic.requests(call, audience, 1000, seed=5))
    answer = ours(*next(asked))
    ask = ours if arm == "ours" else in_process(floor.application(body_of(answer)))
    call.judge(benchmark(lambda: ask(*next(asked))))


def test_an_error_is_never_timed():
    for judge, body in ((judge_decision, b'{"action":"show"}'), (judge_vast, b"<VAST/>")):
        with pytest.raises(AssertionError):
            judge(b"HTTP/1.1 503 Service Unavailable\r\n\r\n" + body)
        with pytest.raises(AssertionError):
            judge(b"HTTP/1.1 200 OK\r\n\r\n{}")
    late = b'HTTP/1.1 200 OK\r\n\r\n{"decision_id":"x","action":"none","reason":"deadline"}'
    assert judge_decision(late) is Said.GATED
