"""HTTP/1.1 as bytes: requests made beforehand, answers framed and judged without a library.

A load generator that shares the cores with the server must cost next to nothing: an answer is found
with two searches, and nothing is parsed that the measurement does not need.
"""

import re
import socket
from dataclasses import dataclass
from enum import IntEnum
from typing import Protocol

CONTENT_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
ACTION = re.compile(rb'"action": ?"(show|none)"(?:, ?"reason": ?"(\w+)")?')
VAST = re.compile(rb"<VAST [^>]*?(/?)>\s*(<Ad )?")
GATES = frozenset({b"not_ready", b"overload", b"deadline", b"consent", b"opted_out", b"held_out"})
"""Reasons for which nothing was decided: right answers, fast, and worth nothing as a figure."""
GATED_SHARE_MAX = 0.001
"""A stalled machine makes a few answers late; more of them, and the run measured refusals."""


class Said(IntEnum):
    """What a right answer says."""

    NOTHING = 0
    SHOW = 1
    GATED = 2


class WrongAnswerError(AssertionError):
    """The server answered something that must not be timed."""


class Judge(Protocol):
    """Looks at every answer."""

    def __call__(self, answer: bytes) -> Said:
        """Raise ``WrongAnswerError`` for anything else."""


@dataclass(frozen=True)
class Call:
    """One call of the server: where to, and how to tell that an answer is one."""

    name: str
    method: str
    path: str
    judge: Judge


def judge_decision(answer: bytes) -> Said:
    """Judge an answer of ``POST /v1/decisions``."""
    found = ACTION.search(answer) if answer.startswith(b"HTTP/1.1 200 ") else None
    if found is None:
        raise WrongAnswerError(answer[:500].decode(errors="replace"))
    if found[1] == b"show":
        return Said.SHOW
    return Said.GATED if found[2] in GATES else Said.NOTHING


def judge_vast(answer: bytes) -> Said:
    """Judge an answer of ``GET /v1/vast``, whose emptiness does not say why."""
    found = VAST.search(answer) if answer.startswith(b"HTTP/1.1 200 ") else None
    if found is None:
        raise WrongAnswerError(answer[:500].decode(errors="replace"))
    return Said.NOTHING if found[2] is None else Said.SHOW


DECISIONS = Call("decisions", "POST", "/v1/decisions", judge_decision)
VAST_TAG = Call("vast", "GET", "/v1/vast", judge_vast)
CALLS = {call.name: call for call in (DECISIONS, VAST_TAG)}


def request_bytes(call: Call, query: str = "", body: bytes = b"") -> bytes:
    """Return one whole request, keep-alive by default of the protocol."""
    target = f"{call.path}?{query}" if query else call.path
    head = f"{call.method} {target} HTTP/1.1\r\nhost: localhost\r\n"
    if body:
        head += f"content-type: application/json\r\ncontent-length: {len(body)}\r\n"
    return head.encode() + b"\r\n" + body


def answer_end(received: bytes) -> int:
    """Return where the first answer ends, or -1 while it is incomplete."""
    head_end = received.find(b"\r\n\r\n")
    if head_end < 0:
        return -1
    length = CONTENT_LENGTH.search(received, 0, head_end)
    if length is None:
        raise WrongAnswerError("an answer without content-length")
    end = head_end + 4 + int(length[1])
    return end if len(received) >= end else -1


def body_of(answer: bytes) -> bytes:
    """Return what follows the headers."""
    return answer.partition(b"\r\n\r\n")[2]


def connect(port: int, timeout_s: float = 10.0) -> socket.socket:
    """Open one connection to the server on this machine."""
    connection = socket.create_connection(("127.0.0.1", port), timeout=timeout_s)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connection


def exchange(connection: socket.socket, request: bytes) -> bytes:
    """Send one request and wait for its whole answer."""
    connection.sendall(request)
    received = b""
    while (end := answer_end(received)) < 0:
        chunk = connection.recv(65536)
        if not chunk:
            raise ConnectionResetError("the server closed the connection")
        received += chunk
    if end != len(received):
        raise WrongAnswerError("more than one answer to one request")
    return received
