"""Past decisions: ``GET /v1/decisions/{decision_id}``, from the journal and the named versions."""

import asyncio
from pathlib import Path
from typing import Final

import msgspec
from starlette.types import Receive, Scope, Send

from adserver.catalogue.columns import Columns, Versions
from adserver.catalogue.shelf import Shelf
from adserver.decide.uncapped import Uncapped
from adserver.domain.errors import AdserverError, Broken, InvalidInput, Problem
from adserver.domain.request import AdRequest
from adserver.domain.units import format_time_ms
from adserver.domain.viewer import OpenRecord
from adserver.edge import problem as problems
from adserver.edge.consent import Verdict
from adserver.journal.find import Found, find_decision
from adserver.journal.schema import DecisionRow, decision_of, request_of
from adserver.runtime.clock import Clock
from adserver.runtime.entropy import decision_time_ms, parse_decision_id
from adserver.serve import asgi
from adserver.serve.account import Account, Heard, account
from adserver.serve.auth import Bearers
from adserver.viewer import codec

ALLOWED: Final = b"GET"
JSON: Final = b"application/json"
ID_EXPECTATION: Final = "Expected a decision id: 8-4-4-4-12 hexadecimal digits"
PAUSES_S: Final = (0.05, 0.1, 0.2, 0.0)
"""After which a decision is looked for again: it is answered a commit before it is on the disk."""
FRESH_MS: Final = 2000
"""An older one that is not there is not looked for again."""


class Past:
    """The journal and the versions its decisions were made from. For one thread at a time."""

    def __init__(self, directory: Path, shelf: Shelf) -> None:
        self._directory = directory
        self._shelf = shelf
        self._uncapped: tuple[Columns, Uncapped] | None = None

    def find(self, decision_id: bytes) -> Account | None:
        """Return the account of a decision; None when the journal does not hold it."""
        found = find_decision(self._directory, decision_id)
        return None if found is None else self.account(found)

    def account(self, found: Found) -> Account:
        """Return the account of a decision that was found."""
        row = found.decision
        columns = self.columns(row)
        decision = decision_of(row)
        request, viewer = inputs_of(row)
        verdict = _consent(row)
        uncapped = None
        if columns is not None and row.full is not None:
            house_only = verdict is not None and verdict.house_only
            inputs = decision, request, viewer
            uncapped = self._without_caps(columns).decide(*inputs, house_only=house_only)
        return account(
            decision,
            request,
            viewer,
            columns,
            whole=row.full is not None,
            uncapped=uncapped,
            consent=None if verdict is None else verdict.told(),
            events=[Heard(row.event.word, format_time_ms(row.time_ms)) for row in found.events],
        )

    def _without_caps(self, columns: Columns) -> Uncapped:
        """Return the snapshot without caps; the last one stays at hand."""
        if self._uncapped is None or self._uncapped[0] is not columns:
            self._uncapped = columns, Uncapped(columns)
        return self._uncapped[1]

    def columns(self, row: DecisionRow) -> Columns | None:
        """Return the snapshot a decision was made from; None for one made before there was any."""
        named = Versions(*row.versions)
        if not named.catalogue:
            return None
        try:
            return self._shelf.columns(named)
        except InvalidInput as error:
            raise Broken(f"what the decision was made from is gone: {error}") from None


def inputs_of(row: DecisionRow) -> tuple[AdRequest, OpenRecord | None]:
    """Return the request and viewer record of a row; of most rows only what all keep."""
    if row.full is None:
        return request_of(row), None
    request = msgspec.json.decode(row.full.request, type=AdRequest)
    raw = row.full.viewer
    return request, None if raw is None else codec.open_record(raw)


def _consent(row: DecisionRow) -> Verdict | None:
    kept = None if row.full is None else row.full.consent
    return None if kept is None else msgspec.json.decode(kept, type=Verdict)


class PastEndpoint:
    """``GET /v1/decisions/{decision_id}``; the work is a thread's, one request at a time."""

    def __init__(self, past: Past, bearers: Bearers, clock: Clock) -> None:
        self._past = past
        self._bearers = bearers
        self._clock = clock
        self._turn = asyncio.Semaphore(1)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002
        """Answer one ASGI request."""
        try:
            if scope["method"] != "GET":
                raise asgi.not_allowed(ALLOWED)
            self._bearers.require(dict(scope["headers"]), "read")
            found = await self.find(_decision_id(scope["path_params"]["decision_id"]))
        except AdserverError as error:
            await asgi.refuse(send, asgi.refusal_of(error))
            return
        answer = msgspec.json.encode(found)
        await asgi.send_answer(send, asgi.Answer(200, JSON, answer))

    async def find(self, decision_id: bytes) -> Account:
        """Return the account of a decision, be it just made; refuse one that is not there."""
        made_ms = decision_time_ms(decision_id)
        for pause_s in PAUSES_S:
            async with self._turn:
                found = await asyncio.to_thread(self._past.find, decision_id)
            if found is not None:
                return found
            if not 0 <= self._clock.now_ms() - made_ms <= FRESH_MS:
                break
            await asyncio.sleep(pause_s)
        raise asgi.Refused(problems.NOT_FOUND, "The journal holds no decision of this id")


def _decision_id(text: str) -> bytes:
    try:
        return parse_decision_id(text)
    except ValueError:
        problem = Problem("path decision_id", ID_EXPECTATION)
        raise asgi.Refused(problems.INVALID, problem=problem) from None
