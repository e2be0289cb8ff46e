"""A whole server in this process over a catalogue small enough to reason about."""

import asyncio
import json
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Thread
from typing import Any

import httpx
import msgspec
import numpy as np
from starlette.applications import Starlette

from adserver.app import build_single
from adserver.domain.model import Head, Model
from adserver.domain.viewer import ViewerRecord
from adserver.runtime.clock import SystemClock
from adserver.serve import worker
from adserver.settings import Settings, load
from adserver.start import open_versions, open_viewers
from adserver.viewer.codec import encode

PLACEMENT = "trailer-preroll"
KEY = bytes(range(16))
MODEL = Model(complete=Head(offset=0.5, affinity=4.0), annoyed=Head(offset=-3.0, affinity=-2.0))
VIEWERS = {"likes-east": [2.0, 0.0], "likes-north": [0.0, 2.0], "likes-nothing": [-3.0, -3.0]}


def media(name: str, **fields: Any) -> list[dict[str, Any]]:
    sizes = [(1280, 720, 2500), (640, 360, 800), (1920, 1080, 5000)]
    files = [
        {
            "url": f"https://media.example/{name}-{height}.mp4",
            "mime": "video/mp4",
            "width": width,
            "height": height,
            "bitrate_kbps": rate,
            **fields,
        }
        for width, height, rate in sizes
    ]
    master = {"url": f"https://media.example/{name}.mov", "mime": "video/quicktime"}
    return [*files, {**master, "width": 3840, "height": 2160, "mezzanine": True}]


def variant(name: str, vector: list[float]) -> dict[str, Any]:
    return {
        "id": name,
        "vector": vector,
        "duration_ms": 15_000,
        "skip_after_ms": 5_000,
        "click_url": f"https://shop.example/{name}?a=1&b=]]>",
        "media": media(name),
    }


def catalogue(*, threshold: float = 0.1, **campaign: Any) -> dict[str, Any]:
    creatives = [
        {"id": "east", "variants": [variant("east-1", [1.0, 0.0])]},
        {"id": "north", "variants": [variant("north-1", [0.0, 1.0])]},
    ]
    return {
        "dim": 2,
        "advertisers": [{"id": "films", "name": "Films & <Co>"}],
        "placements": [{"id": PLACEMENT, "time_zone": "Europe/Amsterdam"}],
        "campaigns": [
            {
                "id": "trailers",
                "advertiser": "films",
                "bid_cpm_micros": 4_000_000,
                "threshold": threshold,
                "creatives": creatives,
                **campaign,
            }
        ],
    }


def settings_of(data: Path, **flags: Any) -> Settings:
    # A test shares its cores with others; deadlines are tested by a clock of their own.
    return load(environment={}, flags={"data": data, "deadline_ms": 5_000, **flags})


def publish(settings: Settings, document: dict[str, Any]) -> None:
    versions = open_versions(settings)
    versions.publish_model(MODEL)
    versions.publish_catalogue(json.dumps(document).encode(), None)


def _record(vector: list[float]) -> ViewerRecord:
    now_ms = SystemClock().now_ms()
    return ViewerRecord(pseudonym_key=KEY, vector=np.array(vector, np.float32), vector_ms=now_ms)


def fill(settings: Settings, **document: Any) -> None:
    publish(settings, catalogue(**document))
    store = open_viewers(settings)
    records = [(name, encode(_record(vector))) for name, vector in VIEWERS.items()]
    store.load(records)
    store.close()


class Running:
    """The application under an event loop that only moves when a request is made."""

    def __init__(self, app: Starlette, runner: asyncio.Runner) -> None:
        self.app = app
        self.runner = runner
        self._client = httpx.AsyncClient(
            transport=httpx.ASGITransport(app, raise_app_exceptions=False),
            base_url="http://127.0.0.1:8080",
        )

    def request(self, method: str, path: str, **parts: Any) -> httpx.Response:
        """Make one request."""
        return self.runner.run(self._client.request(method, path, **parts))

    async def soon(self, path: str) -> httpx.Response:
        """Make one GET request among others of its kind."""
        return await self._client.get(path)

    def get(self, path: str, **parts: Any) -> httpx.Response:
        """Make one GET request."""
        return self.request("GET", path, **parts)

    def ask(self, viewer: str | None = None, **fields: Any) -> httpx.Response:
        """Ask for a decision."""
        body: dict[str, Any] = {"placement": PLACEMENT, **fields}
        if viewer is not None:
            body.setdefault("viewer", {"id": viewer})
        return self.request("POST", "/v1/decisions", json=body)

    def decide(self, viewer: str | None = None, **fields: Any) -> dict[str, Any]:
        """Return a decision."""
        answer = self.ask(viewer, **fields)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def post(self, body: bytes | str, **headers: str) -> httpx.Response:
        """Post bytes to the decision route."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.request("POST", "/v1/decisions", content=body, headers=named)

    def track(self, answer: dict[str, Any], event: str) -> httpx.Response:
        """Report an event of a decision."""
        url = answer["tracking_url"].replace("{event}", event)
        return self.get(url.removeprefix("http://127.0.0.1:8080"))


@contextmanager
def running(settings: Settings, **parts: Any) -> Iterator[Running]:
    """Build, start, hand over, stop."""
    app = build_single(settings, **parts)
    with asyncio.Runner() as runner:
        lifespan = app.router.lifespan_context(app)
        runner.run(lifespan.__aenter__())
        try:
            yield Running(app, runner)
        finally:
            runner.run(lifespan.__aexit__(None, None, None))


@contextmanager
def listening(settings: Settings, keep_alive_s: float = 5) -> Iterator[int]:
    """Serve on a port, by a thread of this process and with a worker's protocol; yield the port.

    For what travels over a socket where neither processes nor signals matter.
    """
    app = build_single(settings)
    config = worker._config(app, settings)  # noqa: SLF001
    config.timeout_keep_alive = keep_alive_s
    server = worker.Server(config)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = Thread(target=server.run, args=([listener],))
        thread.start()
        try:
            while not server.started and thread.is_alive():
                thread.join(0.01)
            yield listener.getsockname()[1]
        finally:
            server.should_exit = True
            thread.join()


def problem_of(answer: httpx.Response) -> dict[str, Any]:
    """Return the problem document of an answer that is one."""
    assert answer.headers["content-type"] == "application/problem+json"
    document = msgspec.json.decode(answer.content)
    assert document["status"] == answer.status_code
    assert document["type"].startswith("urn:adserver:problem:")
    return document


class Still:
    """A clock that stands until it is moved."""

    def __init__(self, now_ms: int = 1_790_000_000_000) -> None:
        self.ms = now_ms
        self.ns = 0
        self.step_ns = 0

    def now_ms(self) -> int:
        """Return what it was set to."""
        return self.ms

    def monotonic_ns(self) -> int:
        """Return a time one step later."""
        self.ns += self.step_ns
        return self.ns
