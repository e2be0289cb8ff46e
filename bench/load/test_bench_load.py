"""The latency harness examined: what it must show, shown to it."""

import math
import random
import threading
import time
from itertools import pairwise

import pytest

from bench import servers
from bench.load.histogram import Histogram
from bench.load.run import Options, run
from bench.load.schedule import LEAD_S, Schedule
from bench.load.stall import watch
from bench.load.verdict import Findings, Verdict
from bench.traffic import Audience

ANSWER = b'{"decision_id":"0","action":"none","reason":"below_threshold"}'
AUDIENCE = Audience([f"viewer-{number}" for number in range(50)], ["topic"])


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """Return the floor, which stands for any server here."""
    answer = tmp_path_factory.mktemp("floor") / "answer"
    answer.write_bytes(ANSWER)
    port = servers.free_port()
    command = servers.python("bench.paths.floor", "--port", str(port), "--answer", answer)
    with servers.running(command, port) as running:
        yield running


def stall(server, schedule):
    """Freeze for a second in the midst of what is measured, whenever the users come."""
    while server.connected_count() < schedule.users_count:
        time.sleep(0.05)
    time.sleep(LEAD_S + 1.0)
    server.freeze()
    time.sleep(1.0)
    server.thaw()


def test_a_frozen_server_shows_in_the_report(server):
    """One second of SIGSTOP in four: a closed loop sees 8 slow answers, the schedule hundreds."""
    schedule = Schedule(rate=200, users_count=8, warm_up_s=0.2, measured_s=4)
    stalling = threading.Thread(target=stall, args=(server, schedule), daemon=True)
    stalling.start()
    result = run(server.port, AUDIENCE, Options(schedule, p99_ms_max=500))
    stalling.join(timeout=30)
    assert not result.passed
    assert any("p99" in problem for problem in result.figures["problems"]), result.lines
    assert result.figures["latency_ms"]["count"] == schedule.expected_count
    assert result.figures["latency_ms"]["p99"] > 800
    assert result.figures["latency_ms"]["max"] > 900
    # A quarter of the run was frozen and half of that quarter waited over half a second.
    assert result.figures["latency_ms"]["p90"] > 300
    # What a closed loop would have said, and why it is not the figure:
    assert result.figures["service_ms"]["p90"] < 100
    assert result.figures["machine_stall_ms"]["count"] > 1000


def test_a_server_that_is_gone_fails_the_run():
    schedule = Schedule(rate=50, users_count=2, warm_up_s=0, measured_s=0.5)
    with pytest.raises(ConnectionRefusedError):
        run(servers.free_port(), AUDIENCE, Options(schedule))


def test_percentiles_are_within_a_percent_and_never_flatter():
    dice = random.Random(1)
    values = [dice.lognormvariate(1.0, 1.5) for _ in range(5_000)]
    histogram = Histogram()
    for value in values:
        histogram.record(value)
    for share in (0.5, 0.9, 0.99, 0.999, 1.0):
        exact = sorted(values)[math.ceil(share * len(values)) - 1]
        assert exact <= histogram.percentile(share) * (1 + 1e-9)
        assert histogram.percentile(share) <= exact * 1.01


def test_histograms_merge_to_what_one_would_have_counted():
    parts, whole = [Histogram(), Histogram()], Histogram()
    for number in range(100):
        parts[number % 2].record(number / 3)
        whole.record(number / 3)
    merged = Histogram()
    for part in parts:
        merged.merge(part.take())
        assert part.count == 0
    assert merged.summary() == whole.summary()


def test_an_empty_histogram_has_no_percentile():
    assert Histogram().percentile(0.99) == 0.0


def test_the_users_share_one_rate():
    schedule = Schedule(rate=100, users_count=7, warm_up_s=1, measured_s=2)
    dues = sorted(schedule.due_s(user, turn) for user in range(7) for turn in range(60))
    gaps = [later - earlier for earlier, later in pairwise(dues)]
    assert max(gaps) == pytest.approx(0.01)
    assert min(gaps) == pytest.approx(0.01)
    assert sum(map(schedule.counted, dues)) == schedule.expected_count == 200


def verdict(answers_count: int, latency_ms: float, failed_count: int = 0) -> Verdict:
    findings = Findings(failed_count=failed_count)
    for _ in range(answers_count):
        findings.latency.record(latency_ms)
    schedule = Schedule(rate=100, users_count=1, warm_up_s=0, measured_s=1)
    return Verdict(schedule, findings, Histogram(), p99_ms_max=10)


def test_only_a_good_run_passes():
    assert verdict(100, 5).problems == []
    assert "p99" in verdict(100, 50).problems[0]
    assert "rate" in verdict(90, 5).problems[0]
    assert "failed" in verdict(100, 5, failed_count=1).problems[0]


def test_the_stall_floor_counts_every_tick():
    until = threading.Event()
    threading.Timer(0.2, until.set).start()
    delays = watch(until)
    assert 50 < delays.count <= 210
    assert delays.max_ms > 0
