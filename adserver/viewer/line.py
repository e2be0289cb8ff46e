"""One viewer as a line of JSON: the words of the outside for what the record keeps as numbers."""

from collections.abc import Mapping
from functools import lru_cache
from math import isfinite
from typing import Annotated, Any, Final, Literal, get_args

import msgspec
import numpy as np
import orjson
from msgspec import Meta, Struct, field

from adserver.domain.errors import Broken, Problem
from adserver.domain.request import Id, Intent
from adserver.domain.units import MILLISECONDS_PER_SECOND, format_time_ms, parse_time_ms
from adserver.domain.viewer import (
    FOREVER_S,
    Impression,
    Suppression,
    SuppressionCause,
    SuppressionKind,
    ViewerRecord,
    key32,
)
from adserver.viewer.codec import EPOCH_2020_S, TIME_MASK, new_record

INTENTS: Final[tuple[str, ...]] = get_args(Intent)
"""``ViewerRecord.intent`` is an index + 1 into these; records keep it, so the list only grows."""

Names = Mapping[SuppressionKind, Mapping[int, str]]
"""What the keys of campaigns, creatives and advertisers stand for in the catalogue in force."""


class Row(Struct, frozen=True, forbid_unknown_fields=True):
    """An object of the line: a misspelt key is an error, never ignored."""


class Key(Row, frozen=True):
    """A thing whose id nobody knows any more."""

    key: Annotated[int, Meta(ge=1, le=0xFFFFFFFF)]


Name = Id | Key


class Weights(Row, frozen=True):
    """The viewer's own part of the two heads."""

    complete: float = 0.0
    annoyed: float = 0.0


class IntentRow(Row, frozen=True):
    """What the viewer was last about to do, and when."""

    intent: Intent = field(name="is")
    time: str


class ImpressionRow(Row, frozen=True):
    """One preroll seen."""

    time: str
    campaign: Name
    creative: Name
    surprise: bool = False


class SuppressionRow(Row, frozen=True):
    """What to leave the viewer alone with, and until when."""

    kind: Literal["campaign", "creative", "advertiser"]
    ids: tuple[Name, ...]
    cause: Literal["seen", "store_visit", "purchase", "voice", "imported"] = "imported"
    until: str | None = None


class ViewerRow(Row, frozen=True):
    """The whole line."""

    id: Id
    vector: tuple[float, ...] | None = None
    vector_time: str | None = None
    weights: Weights = Weights()
    last_seen: str | None = None
    intent: IntentRow | None = None
    opted_out: bool = False
    impressions: tuple[ImpressionRow, ...] = ()
    suppressions: tuple[SuppressionRow, ...] = ()


_NOT_PRINTABLE: Final = "expected 1 to 128 printable ASCII characters"
_DECODER: Final = msgspec.json.Decoder(ViewerRow)


def _printable(text: str) -> bool:
    return text.isascii() and text.isprintable()


@lru_cache(maxsize=1 << 18)
def _fold(kind: str, identity: str) -> int:
    """Key of an id, 0 when it is none; a catalogue's ids come back line after line."""
    return key32(kind, identity) if _printable(identity) else 0


class LineReader:
    """Lines → records of one dimension; what is wrong gathers in ``problems``."""

    def __init__(self, dim: int, now_ms: int) -> None:
        self._dim = dim
        self._now_ms = now_ms
        self._number = 0
        self.problems: list[Problem] = []

    def read(self, line: bytes, number: int) -> tuple[str, ViewerRecord]:
        """Return the id and the record, without a pseudonym key; not to be used after a problem."""
        self._number = number
        try:
            row = _DECODER.decode(line)
        except msgspec.ValidationError as error:
            message, _, path = str(error).partition(" - at `")
            self.note(path.rstrip("`") or "$", message)
            return "", new_record(self._dim, b"")
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            self.note("", f"not JSON: {error}")
            return "", new_record(self._dim, b"")
        if not _printable(row.id):
            self.note("$.id", _NOT_PRINTABLE)
        return row.id, self._record(row)

    def note(self, path: str, message: str) -> None:
        """Add a problem of the line being read."""
        self.problems.append(Problem(f"line {self._number}: {path}".rstrip(": "), message))

    def _record(self, row: ViewerRow) -> ViewerRecord:
        vector = self._vector(row.vector)
        vector_ms = self._time_ms(row.vector_time, "$.vector_time")
        if row.vector_time is None and vector.any():
            vector_ms = self._now_ms  # a taste of no known age fades from now on
        intent = row.intent
        return ViewerRecord(
            pseudonym_key=b"",
            vector=vector,
            vector_ms=vector_ms,
            weight_complete=self._number_f4(row.weights.complete, "$.weights.complete"),
            weight_annoyed=self._number_f4(row.weights.annoyed, "$.weights.annoyed"),
            last_seen_ms=self._time_ms(row.last_seen, "$.last_seen"),
            intent=INTENTS.index(intent.intent) + 1 if intent else 0,
            intent_ms=self._time_ms(intent.time, "$.intent.time") if intent else 0,
            opted_out=row.opted_out,
            impressions=self._impressions(row.impressions),
            suppressions=[
                self._suppression(suppression, f"$.suppressions[{i}]")
                for i, suppression in enumerate(row.suppressions)
            ],
        )

    def _vector(self, numbers: tuple[float, ...] | None) -> np.ndarray[Any, np.dtype[np.float32]]:
        if numbers is None:
            return np.zeros(self._dim, np.float32)
        if len(numbers) != self._dim:
            self.note("$.vector", f"expected {self._dim} numbers, got {len(numbers)}")
        with np.errstate(over="ignore"):  # what overflows is infinite, and noted below
            vector = np.array(numbers, np.float32)
        for i in np.flatnonzero(~np.isfinite(vector)):
            self.note(f"$.vector[{i}]", f"expected a finite 32-bit number, got {numbers[i]}")
        return vector

    def _number_f4(self, number: float, path: str) -> float:
        with np.errstate(over="ignore"):
            rounded = float(np.float32(number))
        if not isfinite(rounded):
            self.note(path, f"expected a finite 32-bit number, got {number}")
        return rounded

    def _time_ms(self, text: str | None, path: str) -> int:
        if text is None:
            return 0
        try:
            time_ms = parse_time_ms(text)
        except (ValueError, OverflowError) as error:
            self.note(path, f"expected an RFC 3339 time: {error}")
            return 0
        if time_ms < 0:
            self.note(path, f"expected a time since 1970, got {text!r}")
        return time_ms

    def _impressions(self, rows: tuple[ImpressionRow, ...]) -> list[Impression]:
        impressions = []
        for i, row in enumerate(rows):
            path = f"$.impressions[{i}].time"
            known = len(self.problems)
            time_s = self._time_ms(row.time, path) // MILLISECONDS_PER_SECOND
            if len(self.problems) == known and not 0 <= time_s - EPOCH_2020_S <= TIME_MASK:
                self.note(path, f"expected a time from 2020 to 2088, got {row.time!r}")
            impressions.append(
                Impression(
                    time_s=time_s,
                    campaign=self._key("campaign", row.campaign, i),
                    creative=self._key("creative", row.creative, i),
                    surprise=row.surprise,
                )
            )
        return sorted(impressions, key=lambda impression: impression.time_s)

    def _suppression(self, row: SuppressionRow, path: str) -> Suppression:
        until_s = FOREVER_S
        if row.until is not None:
            until_s = self._time_ms(row.until, f"{path}.until") // MILLISECONDS_PER_SECOND
            if until_s >= FOREVER_S:
                self.note(f"{path}.until", f"expected a time before 2106, got {row.until!r}")
        return Suppression(
            kind=SuppressionKind[row.kind.upper()],
            cause=SuppressionCause[row.cause.upper()],
            until_s=until_s,
            keys=self._keys(row.kind, row.ids, f"{path}.ids"),
        )

    def _key(self, kind: str, name: Name, impression: int) -> int:
        key = _fold(kind, name) if isinstance(name, str) else name.key
        if not key:
            self.note(f"$.impressions[{impression}].{kind}", f"{name!r}: {_NOT_PRINTABLE}")
        return key

    def _keys(self, kind: str, names: tuple[Name, ...], path: str) -> list[int]:
        keys = [_fold(kind, name) if isinstance(name, str) else name.key for name in names]
        for i in (i for i, key in enumerate(keys) if not key):
            self.note(f"{path}[{i}]", f"{names[i]!r}: {_NOT_PRINTABLE}")
        return keys


def write_line(viewer_id: str, record: ViewerRecord, names: Names) -> bytes:
    """Write the line that ``LineReader`` reads back to the same record, newline included.

    The pseudonym key stays: whoever held it could find the viewer in the journal.
    """
    if not 0 <= record.intent <= len(INTENTS):
        raise Broken(f"viewer {viewer_id!r} has the unknown intent {record.intent}")
    touched = record.vector_ms or record.vector.any()
    line = {
        "id": viewer_id,
        "vector": record.vector,
        "vector_time": format_time_ms(record.vector_ms) if touched else None,
        "weights": {
            "complete": np.float32(record.weight_complete),
            "annoyed": np.float32(record.weight_annoyed),
        },
        "last_seen": format_time_ms(record.last_seen_ms) if record.last_seen_ms else None,
        "intent": {
            "is": INTENTS[record.intent - 1],
            "time": format_time_ms(record.intent_ms),
        }
        if record.intent
        else None,
        "opted_out": record.opted_out,
        "impressions": [
            {
                "time": _time(impression.time_s),
                "campaign": _name(SuppressionKind.CAMPAIGN, impression.campaign, names),
                "creative": _name(SuppressionKind.CREATIVE, impression.creative, names),
                "surprise": impression.surprise,
            }
            for impression in record.impressions
        ],
        "suppressions": [
            {
                "kind": suppression.kind.name.lower(),
                "cause": suppression.cause.name.lower(),
                "until": None if suppression.until_s == FOREVER_S else _time(suppression.until_s),
                "ids": [_name(suppression.kind, key, names) for key in suppression.keys],
            }
            for suppression in record.suppressions
        ],
    }
    return orjson.dumps(line, option=orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_APPEND_NEWLINE)


def _time(time_s: int) -> str:
    return format_time_ms(time_s * MILLISECONDS_PER_SECOND)


def _name(kind: SuppressionKind, key: int, names: Names) -> str | dict[str, int]:
    known = names.get(kind, {}).get(key)
    return {"key": key} if known is None else known
