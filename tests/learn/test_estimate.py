"""Estimates, differences and intervals from arrays."""

import math

import numpy as np
import pytest

from adserver.learn import estimate as room
from adserver.learn.estimate import NAMES, ON_POLICY, Evidence, estimate

ROWS = 400


def dice(seed=1):
    return np.random.default_rng(seed)  # noqa: TID251  (a seeded test)


def evidence(rows=ROWS, seed=1, **given):
    throw = dice(seed)
    drawn = {
        "reward": throw.normal(1.0, 1.0, rows),
        "weight": throw.choice([0.0, 0.5, 2.0], rows),
        "qbar": throw.normal(1.0, 0.1, rows),
        "qa": throw.normal(1.0, 0.1, rows),
    }
    return Evidence(**(drawn | given))


def test_with_the_log_s_own_probabilities_ips_is_what_it_earned():
    logged = evidence(weight=np.ones(ROWS))
    (found,) = estimate([logged])
    assert found.value(ON_POLICY) == pytest.approx(logged.reward.mean())
    assert found.value("ips") == found.value(ON_POLICY)
    assert found.support.ess == ROWS
    assert (found.support.weight_mean, found.support.weight_error) == (1.0, 0.0)
    # The same in every draw, whatever the draw.
    assert found.less_logged().interval("ips") == (0.0, 0.0)
    low, high = found.interval("ips")
    assert high - low > 0.1


def test_differences_are_paired():
    first, second = evidence(), evidence(weight=np.ones(ROWS))
    ours, again, other = estimate([first, first, second])
    assert ours.less(again).interval("dr") == (0.0, 0.0)
    difference = ours.less(other)
    assert difference.value("dr") == ours.value("dr") - other.value("dr")
    apart = np.diff(ours.interval("dr"))[0] + np.diff(other.interval("dr"))[0]
    assert np.diff(difference.interval("dr"))[0] < 0.8 * apart
    assert ours.less(other).values[-1] == 0.0  # both know the same log


def test_the_width_is_that_of_a_mean():
    """Fixed seed; 1,000 draws know a standard error within some 2 %, and 8 % are allowed."""
    logged = evidence(weight=np.ones(ROWS))
    (found,) = estimate([logged])
    low, high = found.interval("ips")
    expected = 2 * 1.96 * logged.reward.std() / math.sqrt(ROWS)
    assert high - low == pytest.approx(expected, rel=0.08)


def test_rows_of_a_cluster_are_drawn_together():
    once = evidence(weight=np.ones(ROWS))
    copies = 4
    columns = {name: np.repeat(getattr(once, name), copies) for name in once.__struct_fields__}
    whose = np.repeat(np.arange(ROWS), copies)
    (alone,), (clustered,), (naive,) = (
        estimate([once]),
        estimate([Evidence(**columns)], whose),
        estimate([Evidence(**columns)]),
    )
    assert clustered.interval("dr") == pytest.approx(alone.interval("dr"))
    assert clustered.support.weight_error == pytest.approx(alone.support.weight_error)
    assert (clustered.support.rows, clustered.support.clusters) == (ROWS * copies, ROWS)
    assert np.diff(naive.interval("dr"))[0] < 0.6 * np.diff(alone.interval("dr"))[0]


def test_the_standard_error_of_the_mean_weight():
    logged = evidence()
    (found,) = estimate([logged])
    assert found.support.weight_error == pytest.approx(
        logged.weight.std(ddof=1) / math.sqrt(ROWS), rel=1e-9
    )
    (one_viewer,) = estimate([logged], np.zeros(ROWS, np.int64))
    assert one_viewer.support.weight_error == pytest.approx(found.support.weight_error)


def test_one_cluster_has_no_interval():
    (found,) = estimate([evidence()], np.zeros(ROWS, np.int64))
    assert found.value("dr") is not None
    assert [found.interval(name) for name in NAMES] == [None] * len(NAMES)
    assert found.less(found).interval("dr") is None


def test_the_direct_method_has_no_interval():
    (found,) = estimate([evidence()])
    assert found.value("dm") is not None
    assert [name for name in NAMES if found.interval(name) is None] == ["dm"]


def test_weights_that_are_all_nothing_have_no_self_normalised_estimate():
    (found,) = estimate([evidence(weight=np.zeros(ROWS))])
    assert (found.value("ips"), found.value("snips"), found.value("sndr")) == (0.0, None, None)
    assert found.interval("snips") is None
    assert found.support.ess == 0.0


def test_a_draw_without_any_weight_leaves_no_interval():
    weight = np.zeros(ROWS)
    weight[7] = 1.0
    (found,) = estimate([evidence(weight=weight)])
    assert found.value("snips") is not None
    assert found.interval("snips") is None


def test_neither_blocks_nor_threads_change_a_draw(monkeypatch):
    logged = evidence()
    (expected,) = estimate([logged])
    for block, cpus in ((1000, 1), (7, 3)):
        monkeypatch.setattr(room, "_BLOCK_DRAWS", block)
        monkeypatch.setattr(room.os, "cpu_count", lambda cpus=cpus: cpus)
        (found,) = estimate([logged])
        assert found.draws.tobytes() == expected.draws.tobytes()


def test_a_single_row():
    one = evidence(1)
    (found,) = estimate([one])
    assert found.value("dm") == pytest.approx(float(one.qbar[0]))
    assert math.isnan(found.support.weight_error)
