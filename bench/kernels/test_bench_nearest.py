"""The 32 largest inner products: the part of a decision that a vector index can do."""

from itertools import cycle

import pytest

from bench.kernels import nearest, report
from bench.kernels.catalogue import REQUESTS, Catalogue, Shape

OURS_AND_NUMPY = [(among, arm) for among in ("all", "eligible") for arm in ("kernel", "NumPy")]
FAISS = [("all", "faiss"), ("eligible", "faiss"), ("eligible", "faiss, ids")]


@pytest.mark.parametrize(("among", "arm"), OURS_AND_NUMPY + (FAISS if nearest.faiss else []))
def test_nearest(benchmark, catalogue, among, arm):
    benchmark.group = f"nearest of {among}, {catalogue.shape}"
    searched = nearest.Nearest(catalogue)
    search = searched.arms()[among][arm]
    searched.assert_same(among, search)
    requests = cycle(range(REQUESTS))
    benchmark(lambda: search(next(requests)))


def test_a_wrong_answer_fails():
    searched = nearest.Nearest(Catalogue(Shape(1_000)))
    search = searched.arms()["all"]["kernel"]
    searched.assert_same("all", search)
    with pytest.raises(AssertionError):
        searched.assert_same("all", lambda i: search(i)[1:])
    with pytest.raises(AssertionError):
        searched.assert_same("eligible", search)
    with pytest.raises(AssertionError):
        searched.assert_same("all", lambda i: search(i)[::-1])


def test_without_faiss_its_columns_say_so(monkeypatch):
    monkeypatch.setattr(nearest, "faiss", None)
    monkeypatch.setattr(report, "PAIR_BUDGET_S", 0.0)
    lines = list(report.measure_shape(Shape(1_000)).nearest_lines())
    assert [line.count("not installed") for line in lines] == [2, 3]
