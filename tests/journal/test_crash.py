"""kill -9 under load: acknowledged events are there, decisions end early, nothing is corrupt."""

import signal
import subprocess
import sys

from adserver.journal.reader import JournalReader
from adserver.journal.schema import DecisionRow, EventRow
from adserver.journal.segment import SegmentWriter
from adserver.journal.writer import COMMIT_MS
from adserver.runtime.counters import create_counters
from tests.journal import rows as make

ACKNOWLEDGED_MIN = 60
COMMIT_ALLOWANCE_MS = 2_000
"""For the commit under way, on a machine busy with other tests; 5-20 ms on an idle one."""


def run_until_killed(directory, first):
    """Kill the writer in the middle of its work; return (offered → ms, acknowledged)."""
    child = subprocess.Popen(
        [sys.executable, "-m", "tests.journal.load_child", str(directory), str(first)],
        stdout=subprocess.PIPE,
    )
    offered, acknowledged = {}, set()
    with child:
        for line in child.stdout:
            if not line.endswith(b"\n"):
                break
            kind, number, *time_ms = line.split()
            if kind == b"d":
                offered[int(number)] = int(time_ms[0])
            else:
                acknowledged.add(int(number))
            if len(acknowledged) >= ACKNOWLEDGED_MIN:
                child.send_signal(signal.SIGKILL)
    assert child.returncode == -signal.SIGKILL
    return offered, acknowledged


def test_kill_9_loses_the_window_and_nothing_else(tmp_path):
    create_counters(tmp_path / "counters", 1)
    decisions, events, offered, acknowledged = set(), set(), {}, set()
    for first in (0, 1_000_000, 2_000_000):
        offered, acknowledged = run_until_killed(tmp_path, first)
        reader = JournalReader(tmp_path / "journal")
        rows = list(reader.rows())
        assert reader.damage.damaged_blocks == 0
        decisions = {row.decision_id for row in rows if isinstance(row, DecisionRow)}
        events = {row.decision_id for row in rows if isinstance(row, EventRow)}
        assert len(acknowledged) >= ACKNOWLEDGED_MIN
        assert {make.id_of(number) for number in acknowledged} <= events
        missing = sorted(number for number in offered if make.id_of(number) not in decisions)
        last = max(offered)
        assert missing == list(range(last + 1 - len(missing), last + 1)), "only the end is missing"
        if missing:
            assert offered[last] - offered[missing[0]] <= COMMIT_MS + COMMIT_ALLOWANCE_MS
        assert len(missing) < len(offered)


def test_a_write_cut_short_by_a_crash_leaves_a_tail_that_the_next_start_does_not_touch(tmp_path):
    segment = SegmentWriter(tmp_path, 0)
    parts = make.framed(make.shown(1)) + make.framed(make.shown(2))[:2]
    segment.append(parts, make.NOW_MS)
    restarted = SegmentWriter(tmp_path, 0)
    restarted.append(make.framed(make.shown(3)), make.NOW_MS)
    reader = JournalReader(tmp_path)
    assert list(reader.rows()) == [make.shown(1), make.shown(3)]
    assert reader.damage.torn_tails == 1
    segment.close()
    restarted.close()
