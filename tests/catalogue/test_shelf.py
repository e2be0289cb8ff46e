"""Versions no longer in force give the columns they gave when they were."""

import numpy as np
import pytest

from adserver.catalogue import shelf as module
from adserver.catalogue.columns import ARRAYS, Versions
from adserver.catalogue.pointer import BUILTIN
from adserver.catalogue.shelf import SNAPSHOTS_HELD, Shelf
from adserver.catalogue.versions import SNAPSHOTS_KEPT
from adserver.domain.errors import Broken, InvalidInput
from adserver.domain.model import Head, Model
from tests.catalogue.documents import campaign, encoded, open_at, variant

CATALOGUES = [encoded(campaign("spring", variant(f"v{number}"))) for number in range(7)]


@pytest.fixture
def versions(tmp_path):
    return open_at(tmp_path)


@pytest.fixture
def published(versions):
    """Return (names, columns) of a row of publications, most of them no longer compiled."""
    versions.publish_model(Model(complete=Head(offset=1.5, variants={"v0": 0.5})))
    versions.publish_policy(b"annoyance_cost = 2.0\n")
    made = []
    for catalogue in CATALOGUES:
        versions.publish_catalogue(catalogue, None)
        columns = versions.load_snapshot()
        made.append((columns.meta.versions, columns))
    assert len(versions.compiled()) == SNAPSHOTS_KEPT
    return made


def test_each_is_what_it_was(versions, published):
    shelf = Shelf(versions)
    for names, then in published:
        now = shelf.columns(names)
        assert now.meta == then.meta
        for name in ARRAYS:
            np.testing.assert_array_equal(getattr(now, name), getattr(then, name), err_msg=name)
        for name in ("campaign", "creative", "variant"):
            assert [*now.texts[name]] == [*then.texts[name]]


def test_what_is_compiled_is_mapped_and_the_last_few_are_held(versions, published, monkeypatch):
    shelf = Shelf(versions)
    compiled = []
    build = module.build

    def counting(*parts, **named):
        compiled.append(parts[3])
        return build(*parts, **named)

    monkeypatch.setattr(module, "build", counting)
    old = [names for names, _ in published[:-SNAPSHOTS_KEPT]]
    for names in old:
        assert shelf.columns(names) is shelf.columns(names)
    assert compiled == old
    for names, _ in published[-SNAPSHOTS_HELD + 1 :]:
        shelf.columns(names)
        shelf.columns(old[0])
    assert compiled == old, "asked for again and again, it stays at hand"
    shelf.columns(old[1])
    assert compiled == [*old, old[1]]


def test_a_snapshot_that_is_damaged_is_compiled_anew(versions, published):
    names, then = published[-1]
    heads = then.heads.copy()
    for directory in versions.compiled():
        (directory / "heads.npy").write_bytes(b"?")
    (versions.compiled()[0] / "meta.msgpack").unlink()
    np.testing.assert_array_equal(Shelf(versions).columns(names).heads, heads)


def test_what_was_never_published_is_told(versions, published):
    names, _ = published[0]
    shelf = Shelf(versions)
    with pytest.raises(InvalidInput, match="20200101T000000Z"):
        shelf.columns(Versions("20200101T000000Z-00000000", names.policy, names.model))
    directory = versions.directory("catalogue", names.catalogue)
    (directory / "catalogue.json").write_bytes(b"{}")
    with pytest.raises(Broken, match="damaged"):
        shelf.columns(names)


def test_the_built_in_policy_and_model_are_versions_too(versions):
    versions.publish_catalogue(CATALOGUES[0], None)
    names = versions.load_snapshot().meta.versions
    assert (names.policy, names.model) == (BUILTIN, BUILTIN)
    for catalogue in CATALOGUES[1:]:
        versions.publish_catalogue(catalogue, None)
    assert Shelf(versions).columns(names).meta.versions == names
