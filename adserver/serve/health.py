"""Whether the server lives, whether it is ready, what it counted, and what it offers."""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import Final

import msgspec
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, InfoMetricFamily, Metric
from starlette.types import Receive, Scope, Send

from adserver.runtime.counters import COUNTER_OF_REASON, Counter
from adserver.serve import asgi
from adserver.serve.decisions import JSON
from adserver.serve.handler import Engines

ALLOWED: Final = b"GET, HEAD"
METRICS_TYPE: Final = b"text/plain; version=0.0.4; charset=utf-8"


class Page(ABC):
    """A GET endpoint whose answer ``write`` makes."""

    def __init__(self, engines: Engines) -> None:
        self.engines = engines

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002
        """Answer one ASGI request; of a HEAD the server itself keeps the body back."""
        if scope["method"] not in ("GET", "HEAD"):
            await asgi.refuse(send, asgi.not_allowed(ALLOWED))
            return
        status, media_type, body = self.write()
        await asgi.send_answer(send, asgi.Answer(status, media_type, body))

    @abstractmethod
    def write(self) -> tuple[int, bytes, bytes]:
        """Return status, media type and body."""


class Livez(Page):
    """``/livez``: the process answers."""

    def write(self) -> tuple[int, bytes, bytes]:
        """Answer always alike."""
        return 200, JSON, b'{"status":"ok"}'


class Readyz(Page):
    """``/readyz``: a snapshot is loaded and rehearsed, and the journal can be written."""

    def write(self) -> tuple[int, bytes, bytes]:
        """Name what is missing."""
        serving, trouble = self.engines.snapshots.current, self.engines.journal.trouble
        missing = []
        if serving.decider is None:
            missing.append("no catalogue is published: adserver catalogue publish FILE")
        if trouble is not None:
            missing.append(trouble)
        catalogue, policy, model = serving.versions
        document = {
            "status": "not ready" if missing else "ready",
            "missing": missing,
            "versions": {"catalogue": catalogue, "policy": policy, "model": model},
        }
        return 503 if missing else 200, JSON, msgspec.json.encode(document)


class Metrics(Page):
    """``/metrics``: the shared counters of all workers, as Prometheus reads them."""

    def __init__(self, engines: Engines) -> None:
        super().__init__(engines)
        self._registry = CollectorRegistry()
        self._registry.register(_Totals(engines))

    def write(self) -> tuple[int, bytes, bytes]:
        """Write every family."""
        return 200, METRICS_TYPE, generate_latest(self._registry)


class OpenApi(Page):
    """``/openapi.json``: written once, at the start."""

    def __init__(self, engines: Engines, document: bytes) -> None:
        super().__init__(engines)
        self._document = document

    def write(self) -> tuple[int, bytes, bytes]:
        """Answer always alike."""
        return 200, JSON, self._document


class _Totals:
    """Collects when it is asked, so that counting costs a request nothing more."""

    def __init__(self, engines: Engines) -> None:
        self._engines = engines

    def collect(self) -> Iterator[Metric]:
        totals = self._engines.counters.totals()
        reasons = set(COUNTER_OF_REASON.values())
        decisions = CounterMetricFamily(
            "adserver_decisions", "Decisions by what they came to.", labels=["action", "reason"]
        )
        decisions.add_metric(["show", ""], totals[Counter.SHOWN])
        for reason, counter in COUNTER_OF_REASON.items():
            decisions.add_metric(["none", reason.word], totals[counter])
        yield decisions
        for counter, total in totals.items():
            if counter is not Counter.SHOWN and counter not in reasons:
                words = counter.word.replace("_", " ")
                yield CounterMetricFamily(f"adserver_{counter.word}", f"{words}.", value=total)
        versions = InfoMetricFamily("adserver_snapshot", "Versions this worker decides from.")
        names = ("catalogue", "policy", "model")
        current = self._engines.snapshots.current.versions
        versions.add_metric([], dict(zip(names, current, strict=True)))
        yield versions
