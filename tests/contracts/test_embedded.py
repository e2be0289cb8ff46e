"""LMDB keeps the contract, and says clearly what an operator must mend."""

import os
import signal
from contextlib import closing
from pathlib import Path

import lmdb
import pytest

from adserver.domain.errors import Broken, InvalidInput
from adserver.viewer.embedded import FORMAT, EmbeddedStore
from adserver.viewer.open import open_store
from adserver.viewer.store import Change
from tests.apart import APART
from tests.contracts.viewer_store import NOW_MS, ViewerStoreContract, get, put


class TestEmbedded(ViewerStoreContract):
    """The conformance suite over LMDB."""

    @pytest.fixture
    def url(self, tmp_path: Path) -> str:
        """Give the address of an empty store."""
        return f"lmdb://{tmp_path}/store"


def test_no_address_means_the_data_directory(tmp_path):
    with closing(open_store("", tmp_path)) as store:
        store.load([("ml-1", b"one")])
    with closing(open_store(f"lmdb://{tmp_path}/viewers", Path())) as store:
        assert get(store, "ml-1") == b"one"


@pytest.mark.parametrize("url", ["viewers", "lmdb:", "lmdb://viewers", "redis://host:1", "/tmp"])  # noqa: S108
def test_another_address_is_refused(url, tmp_path):
    with pytest.raises(InvalidInput, match="expected lmdb:///path, got") as error:
        open_store(url, tmp_path)
    assert error.value.problems[0].path == "store"


def test_a_path_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(Broken, match=r"cannot be opened.*file"):
        EmbeddedStore(tmp_path / "file" / "viewers")


def test_a_file_that_is_no_store_is_refused(tmp_path):
    (tmp_path / "data.mdb").write_bytes(b"something else" * 1000)
    with pytest.raises(Broken, match="cannot be opened"):
        EmbeddedStore(tmp_path)


def test_a_newer_format_is_refused(tmp_path):
    EmbeddedStore(tmp_path).close()
    with lmdb.open(str(tmp_path), max_dbs=8) as env, env.begin(write=True) as txn:
        txn.put(b"format", b"%d" % (FORMAT + 1), db=env.open_db(b"about", txn=txn))
    with pytest.raises(Broken, match="format 2, written by a newer version"):
        EmbeddedStore(tmp_path)


def test_a_full_store_says_so_writes_nothing_and_goes_on(tmp_path):
    with closing(EmbeddedStore(tmp_path, map_bytes=1 << 20)) as store:
        store.load([("ml-1", b"one")])
        with pytest.raises(Broken, match="is full"):
            store.load((f"big-{i}", b"x" * 10_000) for i in range(1000))
        with pytest.raises(Broken, match="is full"):
            store.transact(put(f"big-{i}", b"x" * 10_000) for i in range(1000))
        assert store.count() == 1
        assert store.transact([put("ml-2", b"two")]) == [True]


def test_the_slot_of_a_dead_reader_is_freed(tmp_path):
    # The store is open meanwhile: the first to open a store that nobody uses starts it afresh.
    with closing(EmbeddedStore(tmp_path)) as store:
        process = APART.Process(target=_die_reading, args=(tmp_path,))
        process.start()
        process.join(30)
        assert f"{process.pid} " in store._env.readers()  # noqa: SLF001
        store.tend(NOW_MS)
        assert f"{process.pid} " not in store._env.readers()  # noqa: SLF001


def _die_reading(path: Path) -> None:
    store = EmbeddedStore(path)
    store.load([("ml-1", b"one")])
    walk = iter(store._env.begin(store._records).cursor())  # noqa: SLF001  (held open on purpose)
    next(walk)
    os.kill(os.getpid(), signal.SIGKILL)


def test_answers_of_an_earlier_boot_are_gone(tmp_path):
    stale = tmp_path / "answers" / "earlier"
    stale.mkdir(parents=True)
    (stale / "data.mdb").write_bytes(b"torn")
    with closing(EmbeddedStore(tmp_path)) as store:
        assert not stale.exists()
        store.remember(b"key", b"kept", NOW_MS + 1, NOW_MS)
    with closing(EmbeddedStore(tmp_path)) as store:
        assert store.recall(b"key", NOW_MS) == b"kept"


def test_seen_keys_survive_reopening(tmp_path):
    claim = Change(once=b"event", once_expires_s=NOW_MS // 1000)
    with closing(EmbeddedStore(tmp_path)) as store:
        assert store.transact([claim]) == [True]
    with closing(EmbeddedStore(tmp_path)) as store:
        assert store.transact([claim]) == [False]
