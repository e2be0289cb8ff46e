"""Two small web servers, an origin each: one with the pages and players, one with the clips."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

KINDS = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript",
    ".css": "text/css",
    ".mp4": "video/mp4",
}
BUSY = "busy"
RANGE = re.compile(r"bytes=(\d+)-(\d*)")


class Handler(BaseHTTPRequestHandler):
    """Files with CORS and ranges; ``/busy`` is a front that turns callers away."""

    protocol_version = "HTTP/1.1"
    folders: dict[str, Path]

    def do_GET(self) -> None:
        """Answer with a file."""
        _, first, *rest = self.path.partition("?")[0].split("/")
        folder = self.folders.get(first)
        if first == BUSY:
            self._answer(HTTPStatus.SERVICE_UNAVAILABLE, b"", "text/plain")
        elif folder is None or not (path := folder / "/".join(rest)).is_file():
            self._answer(HTTPStatus.NOT_FOUND, b"", "text/plain")
        else:
            self._file(path)

    def _file(self, path: Path) -> None:
        body, kind = path.read_bytes(), KINDS.get(path.suffix, "text/plain")
        wanted = RANGE.fullmatch(self.headers.get("range", ""))
        if wanted is None:
            self._answer(HTTPStatus.OK, body, kind)
            return
        first, last = int(wanted[1]), int(wanted[2] or len(body) - 1)
        place = {"content-range": f"bytes {first}-{last}/{len(body)}"}
        self._answer(HTTPStatus.PARTIAL_CONTENT, body[first : last + 1], kind, place)

    def _answer(
        self, status: HTTPStatus, body: bytes, kind: str, more: dict[str, str] | None = None
    ) -> None:
        headers = {
            "content-type": kind,
            "content-length": str(len(body)),
            "accept-ranges": "bytes",
            "access-control-allow-origin": self.headers.get("origin", "*"),
            "access-control-allow-credentials": "true",
            **(more or {}),
        }
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


class Host(ThreadingHTTPServer):
    """Does not mind callers who hang up: a player that has seen enough of a clip does."""

    daemon_threads = True

    def handle_error(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def host(**folders: Path) -> Iterator[str]:
    """Serve folders by the first part of the path; yields the origin."""
    handler = type("Folders", (Handler,), {"folders": folders})
    server = Host(("127.0.0.1", 0), handler)
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
