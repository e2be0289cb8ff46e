"""Whatever a connection sends, and however it is cut, knowing its headers changes no answer."""

import asyncio
from collections.abc import Sequence
from typing import Any, TypeVar

import uvicorn
from uvicorn.server import ServerState

from adserver.serve import direct
from adserver.serve.asgi import Answer
from adserver.worlds.dice import Dice, throw

CONVERSATIONS = 1200
SEED = 11
HIDDEN = b"GET /live HTTP/1.1\r\nh: x\r\n\r\n" * 5
ODD_FIELDS = [
    b"connection: close",
    b"expect: 100-continue",
    b"Connection: keep-alive",
    b"origin: o",
]

T = TypeVar("T")


class Echo:
    """Answers with what it was asked."""

    def __init__(self, method: bytes, body_bytes_max: int) -> None:
        self.method = method
        self.body_bytes_max = body_bytes_max

    async def respond(self, heard: Any, query: bytes, body: bytes, _waited_ns: int) -> Answer:
        """Tell."""
        return Answer(200, b"t/x", told(self.method, query, body, len(heard.seen)))

    def unreadable(self, *_: Any) -> None:
        """Have no answer of its own."""
        return


def told(method: bytes, query: bytes, body: bytes, fields: int) -> bytes:
    return b"%b?%b|%b|%d" % (method, query, body, fields)


class App:
    """The same endpoints the usual way, and one that answers before the body came."""

    direct = {b"/p": Echo(b"POST", 90), b"/g": Echo(b"GET", 0)}  # noqa: RUF012  (never changed)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer one ASGI request."""
        body = b""
        while scope["path"] != "/early":
            message = await receive()
            if message["type"] != "http.request":
                return
            body += message["body"]
            if not message["more_body"]:
                break
        method = scope["method"].encode()
        endpoint = self.direct.get(scope["raw_path"])
        answer = b"other " + method
        if endpoint is not None and endpoint.method == method:
            answer = told(method, scope["query_string"], body, len(dict(scope["headers"])))
        headers = [(b"content-type", b"t/x"), (b"content-length", b"%d" % len(answer))]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": answer})


class Wire(asyncio.Transport):
    """Keeps what is written."""

    def __init__(self) -> None:
        super().__init__()
        self.written = b""
        self.closed = self.paused = False

    def write(self, data: Any) -> None:
        """Keep it."""
        self.written += b"" if self.closed else bytes(data)

    def close(self) -> None:
        """Take no more."""
        self.closed = True

    def is_closing(self) -> bool:
        """Whether it was closed."""
        return self.closed

    def pause_reading(self) -> None:
        """Ask for a pause."""
        self.paused = True

    def resume_reading(self) -> None:
        """End the pause."""
        self.paused = False


class Forgetful(direct.DirectProtocol):
    """Parses everything."""

    def _answer_known(self, _data: bytes) -> bool:
        return False


class Counting(direct.DirectProtocol):
    """Counts what it knew."""

    known = 0

    def _answer_known(self, data: bytes) -> bool:
        found = super()._answer_known(data)
        Counting.known += found
        return found


async def written(protocol: Any, pieces: list[tuple[bytes, int]]) -> list[bytes]:
    wire = Wire()
    protocol.connection_made(wire)
    for piece, turns in pieces:
        while wire.paused:  # noqa: ASYNC110  (the protocol tells by a call)
            await asyncio.sleep(0)
        if wire.closed:
            break
        protocol.data_received(piece)
        for _ in range(turns):
            await asyncio.sleep(0)
    for _ in range(30):
        await asyncio.sleep(0)
    protocol.connection_lost(None)
    # Which headers stand first differs between the two ways; what is said does not.
    return [part for part in wire.written.split(b"\r\n") if b": " not in part]


def pick(dice: Dice, some: Sequence[T]) -> T:
    return some[int(dice.integers(len(some)))]


def request(dice: Dice) -> bytes:
    path = pick(dice, [b"/p", b"/p", b"/g", b"/g?a=1", b"/live", b"/early", b"/p?x"])
    method = b"POST" if path.startswith(b"/p") else b"GET"
    if dice.random() < 0.1:
        method = pick(dice, [b"POST", b"GET", b"HEAD"])
    line = method + b" " + path + (b" HTTP/1.0" if dice.random() < 0.1 else b" HTTP/1.1")
    fields = [b"h: x"]
    if dice.random() < 0.15:
        fields.append(pick(dice, ODD_FIELDS))
    if method != b"POST":
        return b"\r\n".join([line, *fields, b"", b""])
    # About as long as a head: a cut then may look like the end of one.
    alike = len(b"\r\n".join([line, *fields, b"content-length: 00"])) - 2
    length = pick(dice, [0, 3, alike - 1, alike, alike + 1, 95])
    body = pick(dice, [HIDDEN, b"z" * 100, b"\r\n\r\n" * 40])[:length].ljust(length)
    if dice.random() < 0.15:
        fields.append(b"transfer-encoding: chunked")
        chunk = b"%x\r\n%b\r\n" % (length, body) if length else b""
        body = chunk + b"0\r\n\r\n"
    else:
        fields.append(b"content-length: %d" % length)
    return b"\r\n".join([line, *fields, b"", body])


def conversation(dice: Dice) -> list[tuple[bytes, int]]:
    """Cut some requests anywhere, most of all about the ends of their heads, or join them."""
    pieces: list[bytes] = []
    for each in [request(dice) for _ in range(int(dice.integers(1, 5)))]:
        end = each.find(b"\r\n\r\n")
        anywhere = dice.integers(len(each), size=2).tolist()
        cuts = [end + int(dice.integers(5)), *anywhere]
        chosen = sorted(cuts[: pick(dice, [0, 0, 1, 2, 3])])
        pieces += [each[a:b] for a, b in zip([0, *chosen], [*chosen, len(each)], strict=True)]
    if dice.random() < 0.3:
        at = int(dice.integers(len(pieces)))
        pieces[at : at + 2] = [b"".join(pieces[at : at + 2])]
    return [(piece, pick(dice, [0, 0, 1, 15])) for piece in pieces if piece]


def test_knowing_headers_changes_no_answer():
    dice = throw(SEED)
    config: Any = uvicorn.Config(
        App(), ws="none", access_log=False, log_config=None, lifespan="off", proxy_headers=False
    )
    config.load()
    config.app = App()

    async def compare() -> None:
        states = ServerState(), ServerState()
        for number in range(CONVERSATIONS):
            pieces = conversation(dice)
            loop = asyncio.get_running_loop()
            knowing, parsing = [
                await written(kind(config, state, {}, loop), pieces)
                for kind, state in zip((Counting, Forgetful), states, strict=True)
            ]
            assert knowing == parsing, (number, pieces)

    asyncio.run(compare())
    assert Counting.known > CONVERSATIONS / 10
