"""Decisions with their outcomes as Arrow tables: what an exported Parquet file holds, version 1.

The law of change is the journal's own: columns are only appended, never renamed, retyped or given
another meaning, and ``PARQUET_VERSION``, which stands in every file's metadata, rises only when a
reader of an earlier version would misunderstand. ``docs/parquet.md`` describes every column. A file
never names a viewer: it has the pseudonym, where one may be kept, and nothing else of them.
"""

from collections.abc import Callable, Sequence
from typing import Any, Final, NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from adserver.domain.decision import Exploration, IdRow, ValueRow
from adserver.domain.event import EventType
from adserver.journal.columns import SCALARS, DecisionColumns
from adserver.journal.outcomes import Outcome, Resolved
from adserver.journal.schema import (
    MAY_MEASURE,
    MAY_PRECISE_GEO,
    MAY_READ_ID,
    MAY_UPDATE_PROFILE,
    MAY_USE_PROFILE,
    DecisionRow,
    reason_word,
)
from adserver.runtime.entropy import format_decision_id

PARQUET_VERSION: Final = 1
VERSION_KEY: Final = b"adserver.parquet_version"
_NAMINGS_HELD: Final = 4


class Naming(NamedTuple):
    """What the indices of one catalogue version stand for."""

    variants: Sequence[str]
    creatives: Sequence[str]
    """Of each variant."""
    campaigns: Sequence[str]


Names = Callable[[tuple[str, str, str]], Naming | None]
"""Naming of (catalogue, policy, model); None where the catalogue version is gone."""


def _field(name: str, kind: pa.DataType, doc: str) -> pa.Field:
    return pa.field(name, kind, metadata={"doc": doc})


def _list(of: pa.DataType) -> pa.DataType:
    return pa.list_(pa.field("element", of))


_UTC: Final = pa.timestamp("ms")
"""Without a zone, though it has one: DuckDB's Python client needs one more package for zones."""
_CANDIDATE: Final = pa.struct(
    [
        _field("variant", pa.string(), "null where the catalogue version is gone"),
        _field("campaign", pa.string(), "null where the catalogue version is gone"),
        _field("variant_index", pa.int32(), "in the catalogue version"),
        _field("campaign_index", pa.int32(), "in the catalogue version"),
        _field("tier", pa.int32(), "priority; house campaigns 1000 higher"),
        _field("affinity", pa.float32(), "viewer . variant"),
        _field("p_complete", pa.float32(), "probability of watching to the end"),
        _field("p_annoyed", pa.float32(), "probability of being annoyed"),
        _field("dose", pa.float32(), "decayed exposure of the viewer to the campaign"),
        _field("relevance", pa.float32(), "p_complete - annoyance_cost * p_annoyed"),
        _field("threshold", pa.float32(), "before the viewer's dose is added"),
        _field("bid_cpm_micros", pa.float32(), "of the catalogue's currency"),
        _field("propensity", pa.float32(), "probability that it would be shown"),
    ]
)
_IDS: Final = {"variant_index": IdRow.VARIANT, "campaign_index": IdRow.CAMPAIGN, "tier": IdRow.TIER}
_VALUES: Final = {
    "affinity": ValueRow.AFFINITY,
    "p_complete": ValueRow.P_COMPLETE,
    "p_annoyed": ValueRow.P_ANNOYED,
    "dose": ValueRow.DOSE,
    "relevance": ValueRow.RELEVANCE,
    "threshold": ValueRow.THRESHOLD,
    "bid_cpm_micros": ValueRow.BID,
    "propensity": ValueRow.PROPENSITY,
}

SCHEMA: Final = pa.schema(
    [
        _field("decision_id", pa.string(), "as the answer spelt it"),
        _field("time", _UTC, "when it was decided, UTC"),
        _field("placement", pa.string(), ""),
        _field("pseudonym", pa.string(), "names the viewer until they are forgotten; else null"),
        _field("action", pa.string(), "`show` or `none`"),
        _field("reason", pa.string(), "why nothing was shown; null for `show`"),
        _field("campaign", pa.string(), "shown"),
        _field("creative", pa.string(), "shown"),
        _field("variant", pa.string(), "shown"),
        _field("duration_ms", pa.int64(), "of what was shown"),
        _field("skip_after_ms", pa.int64(), "how far in it could be skipped; null for never"),
        _field("relevance", pa.float32(), "of what was shown"),
        _field("threshold", pa.float64(), "it had to reach, dose included"),
        _field("drawn", pa.bool_(), "reached the draw; estimates use only these"),
        _field("draw", pa.float64(), "the uniform number that picked the arm"),
        _field("propensity", pa.float64(), "probability of this answer; null when not drawn"),
        _field("p_nothing", pa.float64(), "probability that nothing would be shown"),
        _field("surprise", pa.bool_(), "shown from below the bar"),
        _field("surprise_allowed", pa.bool_(), "the viewer's surprise budget was not spent"),
        _field("exploration", pa.string(), "how the choice was randomised"),
        _field("gamma", pa.float64(), "of inverse-gap weighting"),
        _field("epsilon", pa.float64(), "floor of the probabilities"),
        _field("surprise_share", pa.float64(), "in force"),
        _field("surprise_band", pa.float64(), "how far below the bar a surprise may be"),
        _field("annoyance_cost", pa.float64(), "c"),
        _field("dose_weight", pa.float64(), "added to every threshold per unit of dose"),
        _field("dose", pa.float64(), "decayed count of the prerolls this viewer saw"),
        _field("intent", pa.string(), "of the moment, given or inferred"),
        _field("urgency", pa.float64(), "0 to 1"),
        _field("moment_source", pa.string(), "the rule that read the moment"),
        _field("device", pa.string(), ""),
        _field("country", pa.string(), ""),
        _field("language", pa.string(), "of the content"),
        _field("hour_of_week", pa.int64(), "0-167 from Monday 00:00 at the placement, or -1"),
        _field("categories", _list(pa.string()), "of the content"),
        _field("cattax", pa.int64(), "taxonomy of the categories"),
        _field("catalogue_version", pa.string(), ""),
        _field("policy_version", pa.string(), ""),
        _field("model_version", pa.string(), ""),
        _field("counts", _list(pa.int64()), "variants on offer, then survivors of each stage"),
        _field("rest_best_relevance", pa.float64(), "best eligible outside the shortlist"),
        _field("rest_best_p_complete", pa.float64(), "best eligible outside the shortlist"),
        _field("throttled", _list(pa.string()), "campaigns that budget or pacing held back"),
        _field("shortlist", _list(_CANDIDATE), "every candidate that was drawn among"),
        _field("outcome", pa.string(), "see below"),
        _field("ended_by", pa.string(), "the event that ended the play"),
        _field("watched_ms", pa.int64(), "from its beginning to what ended it"),
        _field("complete", pa.bool_(), "watched to the end; null where no outcome is known"),
        _field("annoyed", pa.bool_(), "annoyed; null where no outcome is known"),
        _field("events", _list(pa.string()), "heard before the deadline, each once"),
        _field("is_bid", pa.bool_(), "offered in an auction, which it may have lost unheard"),
        _field("may", _list(pa.string()), "what consent allowed"),
    ],
    metadata={VERSION_KEY: str(PARQUET_VERSION).encode()},
)
"""Columns of version 1 and, in each field's metadata, what they hold."""

_OUTCOME_WORDS: Final = pa.array([each.word for each in Outcome])
_EVENT_WORDS: Final = pa.array([None, *(each.word for each in EventType)])
_EXPLORATION_WORDS: Final = pa.array([each.name.lower() for each in Exploration])


_MAY_WORDS: Final = {
    MAY_READ_ID: "read_id",
    MAY_USE_PROFILE: "use_profile",
    MAY_UPDATE_PROFILE: "update_profile",
    MAY_MEASURE: "measure",
    MAY_PRECISE_GEO: "precise_geo",
}


class Tabulator:
    """Batches of the join to tables of ``SCHEMA``.

    Attributes
    ----------
    unnamed : int
        Decisions of a catalogue version that is gone: their variants have an index and no name.
    """

    def __init__(self, names: Names) -> None:
        self._names = names
        self._held: dict[tuple[str, str, str], Naming | None] = {}
        self.unnamed = 0

    def table(self, batch: Resolved) -> pa.Table:
        """Return one row for each decision of a batch, in its order."""
        rows, logged = batch.rows, batch.columns
        named = _Named(logged, [self._naming(versions) for versions in logged.versions])
        self.unnamed += int(np.count_nonzero(~named.known[logged.version]))
        made: dict[str, Any] = {
            **_plain(rows),
            **_settings(logged),
            **_shown(rows, logged, named),
            **_became(batch),
            "throttled": named.throttled([row.throttled for row in rows], logged.version),
            "shortlist": named.shortlist(logged),
        }
        return pa.table([made[field.name] for field in SCHEMA], schema=SCHEMA)

    def _naming(self, versions: tuple[str, str, str]) -> Naming | None:
        if versions not in self._held:
            while len(self._held) >= _NAMINGS_HELD:
                self._held.pop(next(iter(self._held)))
            self._held[versions] = self._names(versions)
        return self._held[versions]


class _Named:
    """The names of several catalogue versions, one after another."""

    def __init__(self, logged: DecisionColumns, namings: list[Naming | None]) -> None:
        filled = [each or Naming((), (), ()) for each in namings]
        self.known = np.array([each is not None for each in namings], np.bool_)
        self._sizes = {
            part: np.array([len(getattr(each, part)) for each in filled], np.int64)
            for part in Naming._fields
        }
        self._texts = {
            part: pa.array([name for each in filled for name in getattr(each, part)], pa.string())
            for part in Naming._fields
        }
        self._candidate_version = np.repeat(logged.version, np.diff(logged.start))

    def of(
        self, part: str, index: NDArray[np.integer[Any]], version: NDArray[np.int32]
    ) -> pa.Array:
        """Return the name of each index into its version; null where there is none."""
        sizes = self._sizes[part]
        base = np.cumsum(sizes) - sizes
        absent = (index < 0) | (index >= sizes[version])
        place = pa.array(np.where(absent, 0, index + base[version]), mask=absent)
        return self._texts[part].take(place)

    def shortlist(self, logged: DecisionColumns) -> pa.Array:
        """Return every decision's candidates as a list of structs."""
        version = self._candidate_version
        parts = {
            "variant": self.of("variants", logged.ids[IdRow.VARIANT], version),
            "campaign": self.of("campaigns", logged.ids[IdRow.CAMPAIGN], version),
            **{name: pa.array(logged.ids[row]) for name, row in _IDS.items()},
            **{name: pa.array(logged.values[row]) for name, row in _VALUES.items()},
        }
        structs = pa.StructArray.from_arrays(
            [parts[field.name] for field in _CANDIDATE], fields=list(_CANDIDATE)
        )
        return _lists(logged.start, structs, "shortlist")

    def throttled(self, rows: list[list[int]], version: NDArray[np.int32]) -> pa.Array:
        """Return the names of the campaigns held back, decision by decision."""
        counts = np.array([len(each) for each in rows], np.int64)
        index = np.array([index for each in rows for index in each], np.int64)
        names = self.of("campaigns", index, np.repeat(version, counts))
        return _lists(np.concatenate(([0], np.cumsum(counts))), names, "throttled")


def _lists(start: NDArray[np.int64], elements: pa.Array, name: str) -> pa.Array:
    kind = SCHEMA.field(name).type
    return pa.ListArray.from_arrays(pa.array(start.astype(np.int32)), elements, type=kind)


def _plain(rows: list[DecisionRow]) -> dict[str, pa.Array]:
    """Columns that are the row's own fields."""
    contexts = [row.context for row in rows]
    listed: dict[str, list[Any]] = {
        "decision_id": [format_decision_id(row.decision_id) for row in rows],
        "time": [row.time_ms for row in rows],
        "placement": [row.placement for row in rows],
        "pseudonym": [None if row.pseudonym is None else row.pseudonym.hex() for row in rows],
        "action": ["show" if row.shown else "none" for row in rows],
        "reason": [None if row.shown else reason_word(row.reason) for row in rows],
        "duration_ms": [row.duration_ms if row.duration_ms >= 0 else None for row in rows],
        "skip_after_ms": [row.skip_after_ms if row.skip_after_ms >= 0 else None for row in rows],
        "catalogue_version": [row.versions[0] for row in rows],
        "policy_version": [row.versions[1] for row in rows],
        "model_version": [row.versions[2] for row in rows],
        "counts": [row.counts for row in rows],
        "rest_best_p_complete": [row.rest_best_p_complete for row in rows],
        "is_bid": [row.is_bid for row in rows],
        "may": [[word for bit, word in _MAY_WORDS.items() if row.may & bit] for row in rows],
    }
    for name in ("intent", "urgency", "moment_source", "device", "country", "language"):
        listed[name] = [getattr(context, name) for context in contexts]
    for name in ("hour_of_week", "categories", "cattax"):
        listed[name] = [getattr(context, name) for context in contexts]
    # from_pandas: NaN, which stands for "there was none", becomes null.
    return {
        name: pa.array(values, SCHEMA.field(name).type, from_pandas=True)
        for name, values in listed.items()
    }


def _settings(logged: DecisionColumns) -> dict[str, pa.Array]:
    """Columns that replay the draw."""
    made = {
        name: pa.array(logged.scalars[row], from_pandas=True) for row, name in enumerate(SCALARS)
    }
    for name in ("drawn", "surprise", "surprise_allowed"):
        made[name] = pa.array(getattr(logged, name))
    made["exploration"] = _EXPLORATION_WORDS.take(pa.array(logged.exploration))
    return made


def _shown(rows: list[DecisionRow], logged: DecisionColumns, named: _Named) -> dict[str, pa.Array]:
    """Columns of what was shown; null where nothing was."""
    nothing = np.array([not row.shown for row in rows], np.bool_)
    column = np.where(nothing, 0, logged.start[:-1] + logged.chosen)
    ids = np.full((len(IdRow), len(rows)), -1, np.int32)
    values = np.zeros((len(ValueRow), len(rows)), np.float32)
    ids[:, ~nothing] = logged.ids[:, column[~nothing]]
    values[:, ~nothing] = logged.values[:, column[~nothing]]
    scalar = dict(zip(SCALARS, logged.scalars, strict=True))
    bar = values[ValueRow.THRESHOLD] + scalar["dose_weight"] * scalar["dose"]
    return {
        "campaign": named.of("campaigns", ids[IdRow.CAMPAIGN], logged.version),
        "creative": named.of("creatives", ids[IdRow.VARIANT], logged.version),
        "variant": named.of("variants", ids[IdRow.VARIANT], logged.version),
        "relevance": pa.array(values[ValueRow.RELEVANCE], mask=nothing),
        "threshold": pa.array(bar, mask=nothing),
    }


def _became(batch: Resolved) -> dict[str, pa.Array]:
    """Columns of what became of it."""
    unknown = ~batch.known
    heard = (batch.events[:, None] >> np.arange(len(_EVENT_WORDS))) & 1
    start = np.concatenate(([0], np.cumsum(heard.sum(axis=1))))
    return {
        "outcome": _OUTCOME_WORDS.take(pa.array(batch.outcome)),
        "ended_by": _EVENT_WORDS.take(pa.array(batch.ended_by)),
        "watched_ms": pa.array(batch.watched_ms, mask=batch.watched_ms < 0),
        "complete": pa.array(batch.complete, mask=unknown),
        "annoyed": pa.array(batch.annoyed, mask=unknown),
        "events": _lists(start, _EVENT_WORDS.take(pa.array(heard.nonzero()[1])), "events"),
    }
