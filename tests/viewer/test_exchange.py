"""Viewers as text: whole or not at all, every slip with its line and path, and back the same."""

import json
from contextlib import closing

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from adserver.domain.errors import Broken, InvalidInput
from adserver.domain.viewer import (
    FOREVER_S,
    Impression,
    Suppression,
    SuppressionCause,
    SuppressionKind,
    key32,
)
from adserver.viewer.codec import decode, encode, new_record
from adserver.viewer.embedded import EmbeddedStore
from adserver.viewer.exchange import (
    LINE_BYTES_MAX,
    PROBLEMS_MAX,
    export_viewers,
    import_viewers,
    read_all,
)
from adserver.viewer.line import INTENTS, LineReader, write_line
from tests.viewer.records import plain, records

NOW_MS = 1_767_225_600_000
WHOLE = {
    "id": "ml-1",
    "vector": [0.1, -0.25],
    "vector_time": "2026-01-01T00:00:00.123Z",
    "weights": {"complete": 0.5, "annoyed": -0.5},
    "last_seen": "2026-01-02T00:00:00.000Z",
    "intent": {"is": "buy", "time": "2026-01-01T12:00:00.000Z"},
    "opted_out": True,
    "impressions": [
        {
            "time": "2026-01-01T00:00:00.000Z",
            "campaign": "c1",
            "creative": {"key": 7},
            "surprise": True,
        }
    ],
    "suppressions": [
        {"kind": "advertiser", "cause": "voice", "until": None, "ids": ["a1", {"key": 9}]},
        {
            "kind": "campaign",
            "cause": "purchase",
            "until": "2026-04-01T00:00:00.000Z",
            "ids": ["c1"],
        },
    ],
}
SEEN = {"time": "2026-01-01T00:00:00Z", "campaign": "c", "creative": "k"}
LEFT = {"kind": "campaign", "ids": []}
NAMES = {
    SuppressionKind.CAMPAIGN: {key32("campaign", "c1"): "c1"},
    SuppressionKind.ADVERTISER: {key32("advertiser", "a1"): "a1"},
}


class Counting:
    """Entropy that can be foreseen: 1, 2, 3."""

    def __init__(self):
        self.taken = 0

    def take(self, count):
        """Give the next number."""
        self.taken += 1
        return self.taken.to_bytes(count)


@pytest.fixture
def store(tmp_path):
    with closing(EmbeddedStore(tmp_path / "store")) as store:
        yield store


def _import(store, path, *rows, dim=2):
    path.write_text(
        "".join((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in rows)
    )
    read = []
    count = import_viewers(path, store, LineReader(dim, NOW_MS), Counting(), read.append)
    assert sum(read) == 2 * path.stat().st_size
    return count


def _refusals(store, path, *rows):
    before = list(store.scan())
    with pytest.raises(InvalidInput) as error:
        _import(store, path, *rows)
    assert list(store.scan()) == before
    return [str(problem) for problem in error.value.problems]


def test_a_whole_line_becomes_the_record_and_comes_back(store, tmp_path):
    assert _import(store, tmp_path / "in", WHOLE) == 1
    ((viewer_id, _, record),) = read_all(store)
    assert viewer_id == "ml-1"
    assert plain(record) == {
        "pseudonym_key": bytes(15) + b"\1",
        "vector": [float(np.float32(0.1)), -0.25],
        "vector_ms": 1_767_225_600_123,
        "weight_complete": 0.5,
        "weight_annoyed": -0.5,
        "last_seen_ms": 1_767_312_000_000,
        "intent": 4,
        "intent_ms": 1_767_268_800_000,
        "opted_out": True,
        "impressions": [
            Impression(
                time_s=1_767_225_600, campaign=key32("campaign", "c1"), creative=7, surprise=True
            )
        ],
        "suppressions": [
            Suppression(
                kind=SuppressionKind.ADVERTISER,
                cause=SuppressionCause.VOICE,
                until_s=FOREVER_S,
                keys=[key32("advertiser", "a1"), 9],
            ),
            Suppression(
                kind=SuppressionKind.CAMPAIGN,
                cause=SuppressionCause.PURCHASE,
                until_s=1_775_001_600,
                keys=[key32("campaign", "c1")],
            ),
        ],
    }
    assert [json.loads(line) for line in export_viewers(store, NAMES)] == [WHOLE]


def test_only_the_id_is_required(store, tmp_path):
    _import(store, tmp_path / "in", {"id": "ml-1"}, "", "  ", {"id": " ~"})
    (_, _, first), (_, _, second) = read_all(store)
    assert plain(first) == plain(new_record(2, bytes(15) + b"\2"))
    assert plain(second) == plain(new_record(2, bytes(15) + b"\1"))


def test_a_vector_of_no_known_age_is_of_now(store, tmp_path):
    _import(store, tmp_path / "in", {"id": "a", "vector": [0, 1]}, {"id": "b", "vector": [0, 0]})
    assert [record.vector_ms for _, _, record in read_all(store)] == [NOW_MS, 0]


def test_a_known_viewer_is_replaced_but_keeps_the_pseudonym_key(store, tmp_path):
    store.load([("ml-1", encode(new_record(5, b"k" * 16)))])
    _import(store, tmp_path / "in", WHOLE)
    ((_, _, record),) = read_all(store)
    assert record.pseudonym_key == b"k" * 16
    assert record.vector.shape == (2,)


def test_impressions_are_put_oldest_first(store, tmp_path):
    times = [f"2026-01-0{day}T00:00:00Z" for day in (3, 1, 2)]
    rows = [{"time": time, "campaign": "c", "creative": "k"} for time in times]
    _import(store, tmp_path / "in", {"id": "ml-1", "impressions": rows})
    ((_, _, record),) = read_all(store)
    seen = [impression.time_s for impression in record.impressions]
    assert seen == sorted(seen)


@pytest.mark.parametrize(
    ("row", "problem"),
    [
        ("{", "line 2: not JSON"),
        ('{"id": "ml-1", "vector": [NaN, 1]}', "line 2: not JSON"),
        ("[]", "line 2: $: Expected `object`, got `array`"),
        ({}, "line 2: $: Object missing required field `id`"),
        ({"id": ""}, "line 2: $.id: "),
        ({"id": "x" * 129}, "line 2: $.id: "),
        ({"id": "é"}, "line 2: $.id: "),
        ({"id": "a\n"}, "line 2: $.id: "),
        ({"id": "a", "vektor": []}, "line 2: $: Object contains unknown field `vektor`"),
        ({"id": "a", "vector": [1]}, "line 2: $.vector: expected 2 numbers, got 1"),
        ({"id": "a", "vector": [1, "2"]}, "line 2: $.vector[1]: Expected `float`, got `str`"),
        ({"id": "a", "vector": [1, 1e39]}, "line 2: $.vector[1]: expected a finite 32-bit number"),
        (
            {"id": "a", "weights": {"annoyed": -1e39}},
            "line 2: $.weights.annoyed: expected a finite",
        ),
        ({"id": "a", "last_seen": "yesterday"}, "line 2: $.last_seen: expected an RFC 3339 time"),
        ({"id": "a", "last_seen": "1969-01-01T00:00:00Z"}, "line 2: $.last_seen: expected a time"),
        ({"id": "a", "vector_time": "2026-01-01T00:00:00"}, "line 2: $.vector_time: expected an"),
        ({"id": "a", "intent": {"is": "sell", "time": ""}}, "line 2: $.intent.is: Invalid enum"),
        (
            {"id": "a", "impressions": [{**SEEN, "time": "2019-12-31T23:59:59Z"}]},
            "line 2: $.impressions[0].time: expected a time from 2020 to 2088",
        ),
        (
            {"id": "a", "impressions": [{**SEEN, "creative": "é"}]},
            "line 2: $.impressions[0].creative: 'é': expected 1 to 128 printable",
        ),
        (
            {"id": "a", "suppressions": [{**LEFT, "ids": ["x", "\t"]}]},
            "line 2: $.suppressions[0].ids[1]: '\\t': expected 1 to 128 printable",
        ),
        (
            {"id": "a", "impressions": [{**SEEN, "campaign": {"key": 0}}]},
            "line 2: $.impressions[0].campaign.key: Expected `int` >= 1",
        ),
        (
            {"id": "a", "suppressions": [{**LEFT, "until": "2106-12-01T00:00:00Z"}]},
            "line 2: $.suppressions[0].until: expected a time before 2106",
        ),
        ({"id": "first"}, "line 2: $.id: 'first' stands on line 1 already"),
    ],
)
def test_a_slip_is_named_with_its_line_and_path_and_nothing_is_written(
    store, tmp_path, row, problem
):
    (told,) = _refusals(store, tmp_path / "in", {"id": "first"}, row, {"id": "last"})
    assert told.startswith(problem)


def test_every_slip_is_told(store, tmp_path):
    slips = {"id": "a", "vector": [1], "last_seen": "?", "intent": {"is": "buy", "time": "?"}}
    told = _refusals(store, tmp_path / "in", slips, {"id": "b"}, {"id": 5}, {"id": "b"})
    assert [problem.split(": ")[:2] for problem in told] == [
        ["line 1", "$.vector"],
        ["line 1", "$.last_seen"],
        ["line 1", "$.intent.time"],
        ["line 3", "$.id"],
        ["line 4", "$.id"],
    ]


def test_a_file_of_another_kind_is_given_up_early(store, tmp_path):
    told = _refusals(store, tmp_path / "in", *["not this"] * 10_000)
    assert len(told) == PROBLEMS_MAX + 1
    assert told[-1] == f"line {PROBLEMS_MAX}: stopped here: too many problems"


def test_a_line_without_end_is_refused(store, tmp_path):
    told = _refusals(store, tmp_path / "in", " " * LINE_BYTES_MAX)
    assert told == [f"line 1: longer than {LINE_BYTES_MAX} bytes"]


def test_a_file_that_changes_after_the_check_undoes_everything(store, tmp_path):
    path = tmp_path / "in"
    path.write_text('{"id": "a"}\n{"id": "b"}\n')

    read = []

    def spoil(line_bytes):
        read.append(line_bytes)
        if len(read) == 2:  # the check has read the last line
            path.write_text('{"id": "a"}\n{"id": \n')

    with pytest.raises(InvalidInput, match="line 2: not JSON"):
        import_viewers(path, store, LineReader(2, NOW_MS), Counting(), spoil)
    assert store.count() == 0


@given(records(), st.booleans())
def test_export_import_export_is_the_identity(record, named):
    names = {kind: {key32(kind.name.lower(), "x"): "x"} for kind in SuppressionKind if named}
    record.suppressions += [
        Suppression(kind=kind, cause=SuppressionCause.SEEN, until_s=FOREVER_S, keys=[*known])
        for kind, known in names.items()
    ]
    line = write_line("ml-1", record, names)
    reader = LineReader(len(record.vector), NOW_MS)
    viewer_id, found = reader.read(line, 1)
    assert reader.problems == []
    assert plain(found) | {"pseudonym_key": record.pseudonym_key} == plain(record)
    stored = decode(encode(structs.replace(found, pseudonym_key=record.pseudonym_key)))
    assert write_line(viewer_id, stored, names) == line


def test_a_damaged_record_is_named(store):
    store.load([("ml-1", encode(new_record(2, bytes(16)))), ("ml-2", b"damaged")])
    with pytest.raises(Broken, match="viewer 'ml-2': a viewer record is damaged"):
        list(export_viewers(store, {}))


def test_an_intent_of_a_newer_version_is_named():
    record = new_record(2, bytes(16))
    record.intent = len(INTENTS) + 1
    with pytest.raises(Broken, match="unknown intent 8"):
        write_line("ml-1", decode(encode(record)), {})


def test_the_numbers_of_intents_never_change():
    assert INTENTS[:7] == ("know", "go", "do", "buy", "ideas", "compare", "plan")
