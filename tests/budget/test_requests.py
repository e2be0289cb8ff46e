"""Requests counted by several processes into one file."""

import numpy as np
import pytest

from adserver.budget.requests import HEADER, PLACEMENT, Requests
from adserver.domain.errors import Broken
from kernels import traffic


def test_names_and_kernel_constants_are_the_same_words():
    words = {name: offset // 8 for name, (_, offset) in PLACEMENT.fields.items()}
    assert (PLACEMENT.itemsize, HEADER.itemsize) == (
        8 * traffic.PLACEMENT_WORDS,
        8 * traffic.HEADER_WORDS,
    )
    for name in ("requests", "seen", "day_of", "quarters"):
        assert words[name] == getattr(traffic, name.upper()), name


def test_requests_counted_by_two_processes_are_added(tmp_path):
    one, other = Requests(tmp_path), Requests(tmp_path)
    rows = one.watch(["here", "there"])
    assert other.watch(["there", "here"]).tolist() == rows.tolist()[::-1]
    for _ in range(3):
        one.count("here")
        other.count("here")
    other.count("there")
    other.count("nowhere")
    for each in (one, other, one):
        each.tell()
    assert other.rows["requests"][rows].tolist() == [6, 1]
    one.close()
    other.close()


def test_placements_are_for_ever_and_the_file_grows(tmp_path):
    one, other = Requests(tmp_path), Requests(tmp_path)
    other.watch(["here"])
    names = [f"place-{k}" for k in range(100)]
    rows = one.watch(names)
    assert len(set(rows.tolist())) == 100
    one.count("place-99")
    one.tell()
    assert other.watch(names).tolist() == rows.tolist()
    assert other.rows["requests"][rows[99]] == 1
    one.close()
    other.close()


def test_a_damaged_file_is_refused(tmp_path):
    Requests(tmp_path).close()
    (path,) = tmp_path.glob("requests-*")
    np.fromfile(path, np.int64)[:-1].tofile(path)
    with pytest.raises(Broken, match="requests-1 has"):
        Requests(tmp_path)
