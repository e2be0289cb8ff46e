"""Requests answered without a task, over a real socket: plain ones and all others."""

import json
import socket
import time

import pytest

from adserver.serve import direct, worker
from tests.serve.small import PLACEMENT, fill, listening, settings_of

BODY = json.dumps({"placement": PLACEMENT, "deadline_ms": 10_000}).encode()
HEAD = b"POST /v1/decisions HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n"
PLAIN = HEAD + b"content-length: %d\r\n\r\n" % len(BODY) + BODY
VAST = b"GET /v1/vast?placement=" + PLACEMENT.encode() + b" HTTP/1.1\r\nhost: x\r\n\r\n"

KEEP_ALIVE_S = 0.5
"""A tenth of a worker's."""


@pytest.fixture(scope="module")
def port(tmp_path_factory):
    settings = settings_of(tmp_path_factory.mktemp("direct"))
    fill(settings)
    with listening(settings, KEEP_ALIVE_S) as port:
        yield port


def answers(port, *pieces: bytes, count: int, pause_s: float = 0.0) -> list[tuple[int, bytes]]:
    """Send the pieces on one connection; return status and body of so many answers."""
    with socket.create_connection(("127.0.0.1", port), timeout=30) as raw:
        for number, piece in enumerate(pieces):
            time.sleep(pause_s if number else 0.0)
            raw.sendall(piece)
        file = raw.makefile("rb")
        found = []
        for _ in range(count):
            status = int(file.readline().split()[1])
            length, chunked = 0, False
            while line := file.readline().strip().lower():
                if line.startswith(b"content-length:"):
                    length = int(line.partition(b":")[2])
                chunked |= line == b"transfer-encoding: chunked"
            assert not chunked
            found.append((status, file.read(length)))
        return found


def problem(port, sent: bytes) -> tuple[bytes, dict]:
    """Send bytes; return the head of the answer and the document in it."""
    with socket.create_connection(("127.0.0.1", port), timeout=30) as raw:
        raw.sendall(sent)
        head, _, body = raw.recv(65_536).partition(b"\r\n\r\n")
    return head, json.loads(body)


def decides(answer: tuple[int, bytes]) -> bool:
    return answer[0] == 200 and json.loads(answer[1])["action"] in {"show", "none"}


def test_a_plain_request_is_answered(port):
    assert all(map(decides, answers(port, PLAIN, count=1)))


def test_a_request_may_come_in_pieces(port):
    pieces = [PLAIN[at : at + 40] for at in range(0, len(PLAIN), 40)]
    assert all(map(decides, answers(port, *pieces, count=1, pause_s=0.02)))


def test_pipelined_requests_are_answered_in_order_whatever_way_each_goes(port):
    health = b"GET /livez HTTP/1.1\r\nhost: x\r\n\r\n"
    slow = HEAD + b"expect: 100-continue\r\ncontent-length: %d\r\n\r\n" % len(BODY) + BODY
    found = answers(port, PLAIN + VAST + health + PLAIN + VAST + health, count=6)
    assert [status for status, _ in found] == [200] * 6
    kinds = [body[:1] for _, body in found]
    assert kinds == [b"{", b"<", kinds[2], b"{", b"<", kinds[2]]
    assert answers(port, slow, count=1)[0][0] in {100, 200}


@pytest.mark.parametrize(
    "request_bytes",
    [
        PLAIN.replace(b"HTTP/1.1", b"HTTP/1.0"),
        PLAIN.replace(b"host: x", b"host: x\r\nconnection: close"),
        HEAD + b"transfer-encoding: chunked\r\n\r\n%x\r\n%b\r\n0\r\n\r\n" % (len(BODY), BODY),
    ],
    ids=["1.0", "close", "chunked"],
)
def test_what_is_not_plain_is_answered_alike(port, request_bytes):
    assert all(map(decides, answers(port, request_bytes, count=1)))


def test_a_chunked_body_is_refused_once_it_is_too_long(port):
    chunk = b"8000\r\n" + b" " * 0x8000 + b"\r\n"
    pieces = [HEAD + b"transfer-encoding: chunked\r\n\r\n", chunk, chunk, chunk]
    assert answers(port, *pieces, count=1)[0][0] == 413


@pytest.mark.parametrize("raw", ["kw=één".encode(), b"kw=a b", b"kw=\x01", b"kw=\xff"])
def test_a_tag_that_no_parser_takes_is_answered_with_no_ad(port, raw):
    line = b"GET /v1/vast?placement=home&version=3.0&%b HTTP/1.1\r\n" % raw
    sent = line + b"Host: x\r\nOrigin: https://tv.example\r\n\r\n"
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        connection.sendall(sent)
        head, _, document = connection.makefile("rb").read().partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 ")
    assert b"content-type: application/xml; charset=utf-8\r\n" in head
    assert b"access-control-allow-origin: https://tv.example\r\n" in head
    assert document == b'<?xml version="1.0" encoding="UTF-8"?>\n<VAST version="3.0"/>'


def test_elsewhere_what_no_parser_takes_is_a_problem(port):
    for path in (b"/v1/decisions?\xff", b"/livez?\xff", b"/v1/vast/x?\xff"):
        ((status, body),) = answers(port, b"GET %b HTTP/1.1\r\nHost: x\r\n\r\n" % path, count=1)
        assert (status, b"bad-request" in body) == (400, True)


@pytest.mark.parametrize("path", [b"/livez", b"/v1/decisions"])
def test_a_method_nobody_has_heard_of_is_not_allowed(port, path):
    head, body = problem(port, b"BREW " + path + b" HTTP/1.1\r\nhost: a\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 405 ")
    assert b"\r\nallow: GET, HEAD, OPTIONS, POST" in head
    assert body["type"] == "urn:adserver:problem:method-not-allowed"


def test_garbage_is_answered_as_a_problem(port):
    head, body = problem(port, b"GARBAGE\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 400 ")
    assert b"application/problem+json" in head
    assert body["type"] == "urn:adserver:problem:bad-request"
    head, _ = problem(
        port, b"POST /v1/decisions HTTP/1.1\r\nhost: x\r\ncontent-length: 9999999\r\n\r\n"
    )
    assert head.startswith(b"HTTP/1.1 413 ")


def test_a_head_of_vast_claims_no_length(port):
    with socket.create_connection(("127.0.0.1", port), timeout=30) as raw:
        raw.sendall(b"HEAD /v1/vast HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n")
        answer = raw.recv(65_536)
    assert answer.startswith(b"HTTP/1.1 200 ")
    assert b"application/xml" in answer
    assert b"content-length" not in answer.lower()
    assert answer.endswith(b"\r\n\r\n")


def test_one_connection_serves_many(port):
    assert all(map(decides, answers(port, *[PLAIN] * 50, count=50)))


def of_viewer(*headers: bytes, body: bytes = b"") -> bytes:
    body = body or json.dumps({"placement": PLACEMENT, "viewer": {"id": "likes-east"}}).encode()
    lines = [*headers, b"content-length: %d" % len(body)]
    return HEAD + b"".join(b"%b\r\n" % line for line in lines) + b"\r\n" + body


def is_personal(answer: tuple[int, bytes]) -> bool:
    """Who may not be remembered carries their own dosage."""
    said = json.loads(answer[1])
    assert said["action"] == "show"
    return "dosage_token" not in said


def test_headers_met_before_mean_what_they_meant(port):
    objects = of_viewer(b"Sec-GPC: 1")
    for _ in range(3):  # the first is parsed, the others are known
        told = [answers(port, each, count=1)[0] for each in (of_viewer(), objects, of_viewer())]
        assert [is_personal(each) for each in told] == [True, False, True]
    together = answers(port, *[of_viewer(), objects] * 10, count=20, pause_s=0.01)
    assert [is_personal(each) for each in together] == [True, False] * 10


def test_headers_are_known_only_as_headers(port):
    """What looks like somebody's headers in a body, or behind another request, teaches nothing."""
    head = HEAD + b"transfer-encoding: chunked\r\n"
    # The end of a chunk of this, and of the body behind it, reads as the head of a request.
    theirs = b"POST /v1/decisions HTTP/1.1\r\nSec-GPC: 1\r\n0\r\n\r\n"
    length = len(theirs) - len(b"\r\n0\r\n\r\n")
    answers(port, head + b"\r\n%x\r\n" % length, theirs, count=1, pause_s=0.05)
    assert b"problem:bad-request" in answers(port, theirs, count=1)[0][1]  # "0" is no header

    chunk = b"%x\r\n%b\r\n0\r\n\r\n" % (len(BODY), BODY)
    for pieces in ((head + b"\r\n" + chunk,), (head + b"\r\n", chunk)):
        assert decides(answers(port, *pieces, count=1, pause_s=0.05)[0])

    plain = of_viewer()
    around = HEAD + b"content-length: %d\r\n\r\n" % len(plain)
    told = answers(port, plain, around, plain, plain, count=3, pause_s=0.05)
    assert [status for status, _ in told] == [200, 400, 200]


def test_known_headers_before_another_body(port):
    plain = of_viewer()
    for _ in range(2):
        assert is_personal(answers(port, plain, count=1)[0])
    for pieces in ((plain[:-5], plain[-5:]), (plain + plain[:-1], plain[-1:]), (plain * 3,)):
        count = len(b"".join(pieces)) // len(plain)
        told = answers(port, *pieces, count=count, pause_s=0.05)
        assert all(map(is_personal, told))
    elsewhere = plain.replace(b"/v1/decisions", b"/v1/nowhere")
    assert answers(port, plain, elsewhere, plain, count=3, pause_s=0.05)[1][0] == 404
    assert answers(port, plain.replace(b"POST", b"GET"), count=1)[0][0] == 405
    broken = of_viewer(body=b"{" + b" " * (len(plain.partition(b"\r\n\r\n")[2]) - 1))
    assert answers(port, plain, broken, count=2, pause_s=0.05)[1][0] == 400


def test_known_headers_that_are_cut_short_are_waited_for(port):
    """The cut is where what came and what is known differ by one byte, and the lengths agree."""
    line = b"POST /v1/decisions HTTP/1.1"
    fields = b"\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: %d"
    length = next(n for n in range(200) if n == len(line + fields % n) - 2)
    head = line + fields % length + b"\r\n\r\n"
    assert answers(port, head + BODY.ljust(length), count=1)[0][0] == 200
    hidden = b"GET /livez HTTP/1.1\r\nhost: x\r\n\r\n".ljust(length)
    for behind in (1, 2, 3):
        at = len(line + fields % length) + behind
        pieces = (head + hidden)[:at], (head + hidden)[at:], b"GET /v1/none HTTP/1.1\r\n\r\n"
        told = answers(port, *pieces, count=2, pause_s=0.05)
        assert [status for status, _ in told] == [400, 404]


def test_a_caller_may_pause_in_the_middle_of_a_request(port):
    plain = of_viewer()
    pause_s = 2.5 * KEEP_ALIVE_S
    assert decides(answers(port, plain[:-5], plain[-5:], count=1, pause_s=pause_s)[0])
    assert decides(answers(port, plain[:30], plain[30:], count=1, pause_s=pause_s)[0])


def test_the_query_of_known_headers_is_the_requests_own(port):
    for size in (b"", b"&max_duration_s=1", b""):
        ((status, document),) = answers(
            port, VAST.replace(b" HTTP/", b"&viewer=likes-east" + size + b" HTTP/"), count=1
        )
        assert (status, b"<Ad " in document) == (200, not size)


def test_an_idle_connection_is_closed_and_a_busy_one_is_not(port):
    with socket.create_connection(("127.0.0.1", port), timeout=30) as raw:
        for _ in range(25):  # longer than twice the keep-alive time
            raw.sendall(PLAIN)
            assert raw.recv(65_536).startswith(b"HTTP/1.1 200 ")
            time.sleep(KEEP_ALIVE_S / 10)
        assert raw.recv(1) == b""


def test_a_worker_keeps_an_idle_connection_for_seconds(tmp_path):
    config = worker._config(lambda *_: None, settings_of(tmp_path))  # noqa: SLF001
    assert config.timeout_keep_alive == 10 * KEEP_ALIVE_S


def test_waiting_where_nothing_may_wait_is_refused():
    async def waits():
        await Forever()

    class Forever:
        def __await__(self):
            yield

    async def is_ready():
        return 1

    async def fails():
        raise KeyError

    drive = direct.Driver()
    with pytest.raises(direct.Broken):
        drive(waits())
    with pytest.raises(KeyError):
        drive(fails())
    assert drive(is_ready()) == 1
