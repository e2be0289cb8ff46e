"""Snapshot files come back as they were, and damage is never served."""

import time
from pathlib import Path

import msgspec
import numpy as np
import pytest

from adserver.catalogue import files
from adserver.catalogue.columns import ARRAYS, Columns
from adserver.domain.errors import Broken
from tests.catalogue.documents import campaign, variant
from tests.catalogue.test_build import built


@pytest.fixture
def columns() -> Columns:
    targeting = {"country": ["NL"], "not": {"keyword": ["war"]}}
    return built(
        campaign("spring", targeting=targeting, caps=[{"count": 1, "window_s": 5}]),
        campaign("summer"),
    )


def same(left: Columns, right: Columns) -> None:
    assert left.meta == right.meta
    for name in ARRAYS:
        np.testing.assert_array_equal(getattr(left, name), getattr(right, name), strict=True)
    assert list(left.texts) == list(right.texts)
    for name, texts in left.texts.items():
        rows = range(len(texts))
        assert [texts[i] for i in rows] == [right.texts[name][i] for i in rows]


def test_what_is_saved_is_loaded_read_only(columns, tmp_path):
    files.save(columns, tmp_path / "s")
    loaded = files.load(tmp_path / "s")
    same(columns, loaded)
    for name in ARRAYS:
        array = getattr(loaded, name)
        assert type(array) is np.ndarray, name
        assert array.flags.c_contiguous, name
        assert not array.flags.writeable, name
    assert [path.name for path in tmp_path.iterdir()] == ["s"], "nothing is left beside it"


def test_what_is_loaded_can_be_saved(columns, tmp_path):
    files.save(columns, tmp_path / "s")
    files.save(files.load(tmp_path / "s"), tmp_path / "t")
    same(columns, files.load(tmp_path / "t"))


def test_an_empty_snapshot_survives(tmp_path):
    empty = built(campaigns=[])
    files.save(empty, tmp_path / "s")
    same(empty, files.load(tmp_path / "s"))


def names(columns: Columns) -> list[str]:
    parts = [f"text-{name}-{part}" for name in columns.texts for part in ("starts", "blob")]
    return ["meta.msgpack", *(f"{name}.npy" for name in (*ARRAYS, *parts))]


def damage(path: Path, how: str) -> None:
    data = bytearray(path.read_bytes())
    if how == "missing":
        path.unlink()
        return
    if how == "shorter":
        del data[-3:]
    elif how == "empty":
        data.clear()
    else:
        data[-1] ^= 1
    path.write_bytes(data)


@pytest.mark.parametrize("how", ["missing", "shorter", "empty", "one bit"])
def test_damage_to_any_file_is_told_with_what_to_do(columns, tmp_path, how):
    directory = tmp_path / "snapshot"
    files.save(columns, directory)
    expected = names(columns)
    assert {path.name for path in directory.iterdir()} == set(expected)
    for name in expected:
        whole = (directory / name).read_bytes()
        damage(directory / name, how)
        with pytest.raises(Broken, match="publish the catalogue again") as told:
            files.load(directory)
        assert name in str(told.value)
        (directory / name).write_bytes(whole)
    files.load(directory)


def test_no_bit_of_a_head_may_be_wrong(columns, tmp_path):
    files.save(columns, tmp_path / "s")
    path = tmp_path / "s" / "heads.npy"
    whole = path.read_bytes()
    for bit in range(8 * (len(whole) - columns.heads.nbytes)):
        damaged = bytearray(whole)
        damaged[bit // 8] ^= 1 << bit % 8
        path.write_bytes(damaged)
        with pytest.raises(Broken, match="is damaged"):
            files.load(tmp_path / "s")


@pytest.mark.parametrize("change", [lambda raw: raw[:-1], lambda raw: raw + b"0", lambda _: b""])
def test_a_file_of_another_length_is_refused(columns, tmp_path, change):
    files.save(columns, tmp_path / "s")
    path = tmp_path / "s" / "heads.npy"
    path.write_bytes(change(path.read_bytes()))
    with pytest.raises(Broken, match="is damaged"):
        files.load(tmp_path / "s")


def test_an_array_of_another_type_is_refused(columns, tmp_path):
    files.save(columns, tmp_path / "s")
    np.save(tmp_path / "s" / "heads.npy", columns.heads.astype(np.float64))
    with pytest.raises(Broken, match="heads"):
        files.load(tmp_path / "s")


def test_a_pickle_is_never_opened(columns, tmp_path):
    files.save(columns, tmp_path / "s")
    np.save(tmp_path / "s" / "heads.npy", np.array([print]), allow_pickle=True)
    with pytest.raises(Broken, match="heads"):
        files.load(tmp_path / "s")


def test_another_format_is_told_apart_from_damage(columns, tmp_path):
    files.save(columns, tmp_path / "s")
    path = tmp_path / "s" / "meta.msgpack"
    sealed = msgspec.msgpack.decode(path.read_bytes())
    path.write_bytes(msgspec.msgpack.encode([files.FORMAT + 1, *sealed[1:]]))
    with pytest.raises(Broken, match=f"has format {files.FORMAT + 1}"):
        files.load(tmp_path / "s")


def test_a_failure_leaves_nothing(columns, tmp_path, monkeypatch):
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "save", full)
    with pytest.raises(OSError, match="No space"):
        files.save(columns, tmp_path / "s")
    assert list(tmp_path.iterdir()) == []


def test_loading_does_not_grow_with_the_variants(tmp_path):
    """10,000 variants take 8 ms here; a Python step per variant would take more than this."""
    rows = [campaign(f"c{k}", *(variant(f"v{k}-{i}") for i in range(100))) for k in range(100)]
    files.save(built(*rows), tmp_path / "s")
    best = min(_seconds(tmp_path / "s") for _ in range(5))
    assert best < 0.05


def _seconds(directory: Path) -> float:
    began = time.process_time()
    files.load(directory)
    return time.process_time() - began
