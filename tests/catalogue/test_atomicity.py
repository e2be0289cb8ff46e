"""Whatever breaks on the way, and whoever else writes, what is served stays whole."""

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from adserver.catalogue import versions as module
from adserver.domain.model import Model
from tests.catalogue.documents import campaign, encoded, open_at, tree, variant

SPRING = encoded(campaign("spring"))
SUMMER = encoded(campaign("summer", variant("sun"), variant("sea")))
STRICT = b"[threshold]\nglobal = 0.5\n"

FAILING = ("build", "save", "write_durably", "sync_directory", "_digest")


@pytest.mark.parametrize("name", FAILING)
@pytest.mark.parametrize("call", [1, 2, 3])
def test_whatever_fails_on_the_way_changes_nothing(tmp_path, monkeypatch, name, call):
    versions = open_at(tmp_path)
    versions.publish_catalogue(SPRING, None)
    before = tree(tmp_path)
    stamp = versions.pointer_stamp()
    real, calls = getattr(module, name), 0

    def failing(*arguments: Any, **named: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == call:
            raise OSError(28, "No space left on device")
        return real(*arguments, **named)

    monkeypatch.setattr(module, name, failing)
    try:
        versions.publish_catalogue(SUMMER, None)
    except OSError:
        # The folder's sync after the rename: in force, though a loss of power could undo it.
        in_force = name == "sync_directory" and call == 3
        assert (versions.pointer_stamp() == stamp) is not in_force
        assert in_force or tree(tmp_path) == before
    monkeypatch.undo()
    versions.publish_policy(STRICT)
    assert versions.load_snapshot() is not None
    assert len(versions.log()) == len((tmp_path / "log.jsonl").read_text().splitlines())


def test_a_failed_rename_changes_nothing(tmp_path, monkeypatch):
    versions = open_at(tmp_path)
    versions.publish_catalogue(SPRING, None)
    before = tree(tmp_path)

    def refuse(*_: object) -> None:
        raise PermissionError("no")

    monkeypatch.setattr(Path, "replace", refuse)
    with pytest.raises(PermissionError):
        versions.publish_catalogue(SUMMER, None)
    assert tree(tmp_path) == before


def test_a_full_disk_after_the_rename_loses_no_line_of_the_log(tmp_path, monkeypatch):
    versions = open_at(tmp_path)
    versions.publish_catalogue(SPRING, None)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(module, "append_log", full)
    change = versions.publish_catalogue(SUMMER, None)
    monkeypatch.undo()
    assert len((tmp_path / "log.jsonl").read_text().splitlines()) == 1
    assert versions.log()[-1].version == change.version
    assert versions.former("catalogue") is not None
    versions.publish_policy(STRICT)
    assert len((tmp_path / "log.jsonl").read_text().splitlines()) == 3


def test_publishers_take_turns(tmp_path):
    catalogues = [encoded(campaign(f"c{i}")) for i in range(4)]

    def publish(i: int) -> None:
        open_at(tmp_path).publish_catalogue(catalogues[i], None)
        open_at(tmp_path).publish_model(Model(resolved=i))

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(publish, range(4)))
    versions = open_at(tmp_path)
    entries = versions.log()
    assert len(entries) == 8
    for kind in ("catalogue", "model"):
        chain = [entry for entry in entries if entry.kind == kind]
        assert [entry.former for entry in chain[1:]] == [entry.version for entry in chain[:-1]]
    columns = versions.load_snapshot()
    assert columns is not None
    assert columns.meta.versions.model == versions.pointer().model


PUBLISHER = """
import sys
from pathlib import Path
from tests.catalogue.documents import campaign, encoded, open_at
for i in range(100):
    open_at(Path(sys.argv[1])).publish_catalogue(encoded(campaign(f"c{i}")), None)
"""


def test_a_killed_publisher_leaves_a_whole_catalogue_in_force(tmp_path):
    publisher = subprocess.Popen([sys.executable, "-c", PUBLISHER, str(tmp_path)])
    versions = open_at(tmp_path)
    while len(versions.log()) < 2 and publisher.poll() is None:
        pass
    publisher.kill()
    publisher.wait()
    in_force = versions.load_snapshot()
    assert in_force is not None
    count = len(versions.log())
    assert count >= 2
    assert versions.publish_catalogue(SUMMER, None).changed, "the lock died with its holder"
    assert len(versions.log()) == count + 1
