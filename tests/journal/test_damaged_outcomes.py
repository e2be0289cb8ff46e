"""A journal that is broken anywhere is joined as far as it can be read, and the loss is told."""

import tempfile
from collections import Counter
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from adserver.domain.decision import NOTHING
from adserver.domain.event import EventType
from adserver.journal.outcomes import LENGTH_MS_MAX, Outcome, Outcomes
from tests.journal import rows as make
from tests.journal.joined import NOW_MS, day, join, shown, write

COMPLETE = EventType.COMPLETE


class Whole:
    """A journal in good order, its blocks, and what becomes of its decisions."""

    def __init__(self, directory):
        directory.mkdir()
        day(directory, minutes=3, per_minute=12)
        self.files = {path.name: path.read_bytes() for path in directory.iterdir()}
        self.told, _ = join(directory)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    return Whole(tmp_path_factory.mktemp("journal") / "whole")


HARMS = st.sampled_from(["flip", "cut", "empty", "rubbish", "later", "insert", "repeat"])


def rubbish(luck, size):
    return bytes(luck.randrange(256) for _ in range(size))


def harm(content, how, luck):
    at = luck.randrange(len(content))
    return {
        "flip": lambda: content[:at] + bytes([content[at] ^ 1 << at % 8]) + content[at + 1 :],
        "cut": lambda: content[:at],
        "empty": lambda: b"",
        "rubbish": lambda: rubbish(luck, 99),
        "later": lambda: make.block(b"\x91\xff", version=2) + content,
        "insert": lambda: content[:at] + rubbish(luck, at % 50) + content[at:],
        "repeat": lambda: content + content,
    }[how]()


@given(st.lists(HARMS, min_size=1, max_size=4), st.randoms(use_true_random=False))
def test_whatever_is_broken_the_rest_is_joined_and_the_loss_is_told(whole, harms, luck):
    files = dict(whole.files)
    for how in harms:
        name = luck.choice(list(files))
        files[name] = harm(files[name] or b"?", how, luck)
    with tempfile.TemporaryDirectory() as directory:
        for name, content in files.items():
            (Path(directory) / name).write_bytes(content)
        told, joined = join(Path(directory))
    assert told.keys() <= whole.told.keys(), "nothing is made up"
    changed = {key for key in told if told[key] != whole.told[key]}
    lost = len(whole.told) - len(told)
    if lost or changed:
        # A file cut at a block's end, or to nothing, looks whole: only its rows are missing.
        assert joined.damage.any or joined.unmatched or set(harms) & {"cut", "empty"}
    if set(harms) <= {"repeat", "later"}:
        assert told == whole.told
        assert joined.damage.newer_blocks >= harms.count("later")
    for key in changed:
        assert told[key][1] < whole.told[key][1], "events are lost, never gained"


def test_files_that_are_no_segments_are_counted_or_left_alone(tmp_path):
    write(tmp_path, NOW_MS, shown(1), make.event(1, COMPLETE))
    (tmp_path / f"1-{NOW_MS}-1.seg").mkdir()
    (tmp_path / f"2-{NOW_MS}-1.seg").symlink_to(tmp_path / "gone")
    (tmp_path / "notes.txt").write_text("not ours")
    told, joined = join(tmp_path)
    assert [each[0] for each in told.values()] == ["completed"]
    assert joined.damage.unreadable_segments == 2


UNSOUND = [
    {"decision_id": b"short"},
    {"time_ms": -1},
    {"time_ms": 2**63},
    {"time_ms": 253_402_300_800_000},
    {"reason": -1},
    {"reason": 2**40},
    {"chosen": 3},
    {"chosen": NOTHING},
    {"ids": b"123"},
    {"values": b"12345"},
    {"values": bytes(32)},
    {"duration_ms": 2**63},
    {"skip_after_ms": 2**64 - 1},
]


@pytest.mark.parametrize("change", UNSOUND)
def test_a_row_no_server_writes_is_passed_over_and_counted(tmp_path, change):
    unsound = replace(shown(2), **change)
    strange = replace(make.event(1), time_ms=2**63)
    write(tmp_path, NOW_MS, unsound, shown(1), strange, make.event(1, COMPLETE))
    told, joined = join(tmp_path)
    assert {key: each[0] for key, each in told.items()} == {make.id_of(1): "completed"}
    assert joined.damage.unknown_rows == 1


@pytest.mark.parametrize("time_ms", [-(2**63), -5, 2**62, 2**63 - 1])
@pytest.mark.parametrize("beside", [[], [2**64 - 1]])
def test_an_event_without_a_time_is_none_whatever_stands_beside_it(tmp_path, time_ms, beside):
    untimed = replace(make.event(1, EventType.SKIP), time_ms=time_ms)
    others = [replace(make.event(9), time_ms=each) for each in beside]
    write(tmp_path, NOW_MS, shown(1), make.event(1, EventType.START), untimed, *others)
    told, joined = join(tmp_path)
    assert told[make.id_of(1)][:3] == ("unknown", {EventType.START}, -1)
    assert joined.duplicates == 0


def test_a_row_from_the_far_future_does_not_read_the_journal_to_its_end(tmp_path):
    write(tmp_path, NOW_MS, replace(shown(1), time_ms=2**47))
    far_ms = NOW_MS + 10 * LENGTH_MS_MAX
    write(tmp_path, far_ms, shown(2, far_ms), make.event(2, COMPLETE, far_ms + 5))
    joined = iter(Outcomes(tmp_path, now_ms=far_ms))
    assert Counter(next(joined).outcome.tolist()) == {Outcome.PLAYING: 1}
    assert Counter(next(joined).outcome.tolist()) == {Outcome.COMPLETED: 1}


def test_rows_written_before_the_lengths_were_are_joined(tmp_path):
    fields = msgspec.msgpack.decode(msgspec.msgpack.encode(shown(1)))[:-2]
    (tmp_path / f"0-{NOW_MS}-1.seg").write_bytes(
        make.block(msgspec.msgpack.encode([fields, make.event(1, COMPLETE)]), rows=2)
    )
    told, _ = join(tmp_path)
    assert [each[0] for each in told.values()] == ["completed"]
