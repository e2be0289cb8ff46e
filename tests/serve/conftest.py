"""One server for the tests that change nothing about it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.serve.small import Running, fill, running, settings_of


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    settings = settings_of(tmp_path_factory.mktemp("data"), open_explain=True)
    fill(settings)
    with running(settings) as api:
        yield api


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return tmp_path / "data"
