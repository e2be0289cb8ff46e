"""VAST against ElementTree, at its smallest size: the same XML from both."""

import pytest

from bench.paths import rendering


def test_both_write_the_same_document():
    compared = rendering.compare(rendering.SMALLEST)
    assert list(compared.joined) == list(compared.tree) == list(compared.put_together)
    assert min(*compared.joined.values(), compared.token) > 0
    assert any("3.0" in line for line in compared.lines())


def test_another_document_is_noticed(monkeypatch):
    show = rendering.VastAnswers.show
    monkeypatch.setattr(
        rendering.VastAnswers,
        "show",
        lambda *given: show(*given).replace(rendering.THERE.encode(), b"another"),
    )
    with pytest.raises(AssertionError):
        rendering.compare(rendering.SMALLEST)
