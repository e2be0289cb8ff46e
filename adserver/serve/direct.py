"""Requests that need no task: answered by the HTTP parser's last callback, in the same breath.

A decision waits for nothing, so the event loop has nothing to interleave. Making a task, a cycle
and a pair of channels for each request took 14 of 27 µs beside the application (measured), and an
answer in two writes two passes through the stack. What is not plain (another method, another
version of HTTP, a body that is too long, a connection that is still busy) goes the usual ASGI way
to the same endpoint.
"""

import re
import sys
import types
from collections.abc import Coroutine, Generator
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeVar
from weakref import WeakKeyDictionary

from httptools import HttpParserInvalidMethodError
from msgspec.structs import replace
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol
from uvicorn.server import ServerState

from adserver.domain.errors import Broken
from adserver.edge import problem as problems
from adserver.runtime.turn import Turn
from adserver.serve.asgi import Answer, Headers, Heard, content, hear

if TYPE_CHECKING:
    from collections.abc import Callable

SUPPORTED: Final = b"GET, HEAD, OPTIONS, POST"
"""Of all paths together: the parser gives up before it has read the path."""
REQUEST_LINE: Final = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+ \S+ HTTP/1\.[01]\r?\n")
"""RFC 9112, 3; a method is any token."""
GET_LINE: Final = re.compile(rb"GET ([^ ?\r\n]*)\??([^\r\n]*) HTTP/1\.[01]\r?\n")
"""Path and query, also where blanks, letters or control characters stand in them as they are."""
ORIGIN: Final = re.compile(rb"\norigin:[ \t]*([^\r\n]*)", re.IGNORECASE)
PLAIN_LINE: Final = re.compile(rb"(GET|POST) (/[!->@-~]*)(?:\?([!-~]*))? HTTP/1\.1")
"""Method, path, query: only what every parser takes."""
KNOWN_MAX: Final = 1024
KNOWN_BYTES_MAX: Final = 2048
KNOWN_HEADERS_MAX: Final = 32
"""Of one request; so all that is known is a few megabytes."""
KNOWN: Final[WeakKeyDictionary[ServerState, dict[bytes, tuple[Heard, int]]]] = WeakKeyDictionary()
"""Headers of plain requests and how long they say the body is, by how they were sent."""
END_OF_HEAD: Final = b"\r\n\r\n"
TURNS: Final[WeakKeyDictionary[ServerState, Turn]] = WeakKeyDictionary()
"""Of each server's event loop."""
PAUSES_MAX: Final = 6
T = TypeVar("T")


class Endpoint(Protocol):
    """What can be answered directly."""

    method: bytes
    body_bytes_max: int

    async def respond(self, heard: Heard, query: bytes, body: bytes, waited_ns: int) -> Answer:
        """Answer, whatever was sent; with an immediate store it never suspends.

        ``waited_ns``: how long the request had lain there.
        """
        ...

    def unreadable(self, query: bytes, headers: Headers) -> Answer | None:
        """Answer a request line that no parser takes; None where the problem document will do.

        Of the headers only the origin is known.
        """
        ...


class Driver:
    """Runs coroutines that find everything they await, one after another.

    The one below it never ends, so that no end has to be raised and caught: 1.1 of 1.4 µs.
    """

    __slots__ = ("_send",)

    def __init__(self) -> None:
        self._begin()

    def __call__(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Run one to its end."""
        try:
            done = self._send(coroutine)
        except BaseException:
            self._begin()
            raise
        if type(done) is not tuple:
            self._begin()
            raise Broken("a request that must be answered at once waited for something")
        return done[0]  # type: ignore[no-any-return]

    def _begin(self) -> None:
        runs = _runs()
        runs.send(None)
        self._send: Callable[[Any], Any] = runs.send


@types.coroutine
def _runs() -> Generator[Any, Any, None]:
    """Take a coroutine, give its result in a tuple; anything else that comes out is waiting."""
    done = None
    while True:
        done = ((yield from (yield done)),)


class PlainProtocol(HttpToolsProtocol):
    """HTTP whose unreadable requests are answered as every other problem is."""

    _latest = b""

    def data_received(self, data: bytes) -> None:
        """Parse what came."""
        self._latest = data
        super().data_received(data)

    def send_400_response(self, msg: str) -> None:
        """Answer what is no HTTP, or has a method nobody has heard of, and hang up."""
        kind, allow = problems.BAD_REQUEST, b""
        if REQUEST_LINE.match(self._latest) and isinstance(
            sys.exception(), HttpParserInvalidMethodError
        ):
            kind, msg, allow = problems.METHOD_NOT_ALLOWED, "", b"allow: %b\r\n" % SUPPORTED
        body = problems.render(kind, msg)
        head = (
            b"%bcontent-type: %b\r\ncontent-length: %d\r\n"
            b"cache-control: no-store\r\nconnection: close\r\n%b\r\n"
        )
        status = STATUS_LINE[kind.status]
        self.transport.write(head % (status, problems.MEDIA_TYPE, len(body), allow) + body)
        self.transport.close()


class DirectProtocol(PlainProtocol):
    """HTTP that asks an application's ``direct`` endpoints without a task."""

    def __init__(self, config: Any, *arguments: Any, **options: Any) -> None:
        super().__init__(config, *arguments, **options)
        self._endpoints: dict[bytes, Endpoint] = config.app.direct
        self._known = KNOWN.setdefault(self.server_state, {})
        self._at_rest = True
        """Between two requests, as far as the parser knows."""
        self._is_first = False
        """The present request is the first in what came last, from its first byte on."""
        self._taken: Endpoint | None = None
        self._length = b"0"
        self._query = b""
        self._body = b""
        self._heads: dict[tuple[int, bytes], bytes] = {}
        self._heads_of: object = None
        self._heard, self._heard_before = 0, -1  # nobody is silent who has just come
        self._silences = 0
        self._drive = Driver()
        self._turn = TURNS.setdefault(self.server_state, Turn(self.loop))

    def data_received(self, data: bytes) -> None:
        """Parse what came."""
        self._heard += 1
        if self._at_rest and self._answer_known(data):
            return
        self._is_first = self._at_rest
        super().data_received(data)

    def send_400_response(self, msg: str) -> None:
        """Let the endpoint answer whose callers understand no other answer than its own."""
        line = GET_LINE.match(self._latest)
        endpoint = self._endpoints.get(line[1]) if line else None
        answer = None
        if line and endpoint:
            origin = ORIGIN.search(self._latest)
            headers = [(b"origin", origin[1].strip())] if origin else []
            answer = endpoint.unreadable(line[2], headers)
        if answer is None:
            super().send_400_response(msg)
            return
        closing = [*answer.headers, (b"connection", b"close")]
        self.transport.write(self._head(replace(answer, headers=closing)) + answer.body)
        self.transport.close()

    def on_message_begin(self) -> None:
        """Remember as little as possible: what is plain needs no scope."""
        self._at_rest = False
        self.url = b""
        self.headers = []
        self.expect_100_continue = False
        self._length = b"0"

    def on_header(self, name: bytes, value: bytes) -> None:
        """Gather the headers."""
        name = name.lower()
        self.headers.append((name, value))
        if name == b"content-length":
            self._length = value
        elif name == b"expect" and value.lower() == b"100-continue":
            self.expect_100_continue = True

    def on_headers_complete(self) -> None:
        """Take the request for an endpoint, or let it go the usual way."""
        path, _, query = self.url.partition(b"?")
        endpoint = self._endpoints.get(path)
        if endpoint is None or not self._is_plain(endpoint):
            self._hand_over()
            return
        self._taken, self._query, self._body = endpoint, query, b""

    def on_body(self, body: bytes) -> None:
        """Gather the body, within its limit."""
        endpoint = self._taken
        if endpoint is None:
            super().on_body(body)
        elif len(self._body) + len(body) <= endpoint.body_bytes_max:
            self._body = self._body + body if self._body else body
        else:
            self._hand_over()
            super().on_body(self._body + body)

    def on_message_complete(self) -> None:
        """Answer, if the request is ours to answer."""
        endpoint, is_first = self._taken, self._is_first
        self._at_rest, self._is_first = True, False
        if endpoint is None:
            super().on_message_complete()
            return
        self._taken = None
        heard = hear(self.headers)
        if is_first:
            self._learn(heard)
        self._answer(endpoint, heard, self._query, self._body)

    def _answer(self, endpoint: Endpoint, heard: Heard, query: bytes, body: bytes) -> None:
        waited_ns = self._turn.lasted_ns()
        answer = self._drive(endpoint.respond(heard, query, body, waited_ns))
        self.transport.write(self._head(answer) + answer.body)
        self.server_state.total_requests += 1

    def _answer_known(self, data: bytes) -> bool:
        """Answer one whole request whose headers, byte for byte, were plain before.

        Whoever asks again, or asks as others do, sends the same headers; parsing and reading them
        once more took 10 µs (measured).
        """
        end_of_line = data.find(b"\r\n")
        end = data.find(END_OF_HEAD, end_of_line)
        if end < 0:  # the head goes on in what comes next
            return False
        known = self._known.get(data[end_of_line:end])
        line = PLAIN_LINE.fullmatch(data, 0, end_of_line)
        if known is None or line is None or self._is_busy() or self.flow.write_paused:
            return False
        heard, length = known
        method, path, query = line.groups()
        endpoint = self._endpoints.get(path)
        body = data[end + len(END_OF_HEAD) :]
        if (
            endpoint is None
            or endpoint.method != method
            or not len(body) == length <= endpoint.body_bytes_max
        ):
            return False
        self._unset_keepalive_if_required()
        self._answer(endpoint, heard, query or b"", body)
        return True

    def _learn(self, heard: Heard) -> None:
        """Remember the headers of a request that came alone, in one piece that is nothing else."""
        data, length = self._latest, int(self._length)
        end_of_line = data.find(b"\r\n")
        end = data.find(END_OF_HEAD, end_of_line)
        if (
            len(data) == end + len(END_OF_HEAD) + length
            and end - end_of_line <= KNOWN_BYTES_MAX
            and len(heard.seen) <= KNOWN_HEADERS_MAX
            and PLAIN_LINE.fullmatch(data, 0, end_of_line)
            and b"idempotency-key" not in heard.seen
        ):
            if len(self._known) >= KNOWN_MAX:
                self._known.clear()
            self._known[data[end_of_line:end]] = heard, length

    def _is_plain(self, endpoint: Endpoint) -> bool:
        parser = self.parser
        return (
            not self._is_busy()
            and parser.get_method() == endpoint.method
            and parser.get_http_version() == "1.1"
            and parser.should_keep_alive()
            and not parser.should_upgrade()
            and not self.expect_100_continue
            and int(self._length) <= endpoint.body_bytes_max
            and not self.flow.write_paused
        )

    def _is_busy(self) -> bool:
        cycle: Any = self.cycle  # None before the first request that went the usual way
        return cycle is not None and not cycle.response_complete

    def _hand_over(self) -> None:
        """Let the request go the usual way from here on."""
        self._taken = None
        url, headers = self.url, self.headers
        expects = self.expect_100_continue
        super().on_message_begin()
        self.url, self.expect_100_continue = url, expects
        self.headers.extend(headers)  # the list the scope holds
        super().on_headers_complete()

    def _head(self, answer: Answer) -> bytes:
        """Write status and headers; what is the same for a second is written once."""
        defaults = self.server_state.default_headers
        if defaults is not self._heads_of:
            self._heads, self._heads_of = {}, defaults
        key = answer.status, answer.media_type
        head = self._heads.get(key)
        if head is None:
            fixed = [*defaults, *content(answer.media_type)]
            head = b"".join((STATUS_LINE[answer.status], *map(_line, fixed)))
            self._heads[key] = head
        if answer.headers:
            head = b"".join((head, *map(_line, answer.headers)))
        return b"%bcontent-length: %d\r\n\r\n" % (head, len(answer.body))

    def close_if_silent(self) -> None:
        """Close a connection on which nothing came since the last look.

        One timer for all, not one an answer: setting and cancelling it costs 2 µs (measured). So a
        connection is closed after one to two times the keep-alive time; in the middle of a request
        its caller may pause for ``PAUSES_MAX`` times as long.
        """
        if self._heard != self._heard_before or self._is_busy():
            self._heard_before, self._silences = self._heard, 0
            return
        self._silences += 1
        if self._at_rest or self._silences >= PAUSES_MAX:
            self.transport.close()


def _line(header: tuple[bytes, bytes]) -> bytes:
    return b"%b: %b\r\n" % header
