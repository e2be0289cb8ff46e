"""A publication is taken up whole; a bad one changes nothing."""

import asyncio
import json

import numpy as np
import pytest

from adserver.domain.errors import Broken
from adserver.domain.viewer import ViewerRecord
from adserver.start import mend_snapshot, open_versions, open_viewers
from adserver.viewer.codec import encode
from tests.serve.small import KEY, PLACEMENT, catalogue, fill, running, settings_of


def test_a_publication_is_noticed_within_a_second(data):
    settings = settings_of(data)
    fill(settings)
    with running(settings) as api:
        before = api.decide("likes-east")
        versions = open_versions(settings)
        versions.publish_catalogue(json.dumps(catalogue(threshold=0.99)).encode(), None)
        api.runner.run(asyncio.sleep(1.0))
        after = api.decide("likes-east")
    assert (before["action"], after["action"]) == ("show", "none")
    assert before["versions"]["catalogue"] != after["versions"]["catalogue"]


def test_a_damaged_snapshot_changes_nothing(data):
    settings = settings_of(data)
    fill(settings)
    with running(settings) as api:
        before = api.decide("likes-east")
        versions = open_versions(settings)
        versions.publish_catalogue(json.dumps(catalogue(threshold=0.99)).encode(), None)
        (path,) = (data / "snapshots" / versions.pointer().snapshot).glob("meta.msgpack")
        path.write_bytes(path.read_bytes()[:-10])
        api.runner.run(asyncio.sleep(1.0))
        assert api.decide("likes-east")["versions"] == before["versions"]
        assert "adserver_snapshots_refused_total 1.0" in api.get("/metrics").text


def test_taste_of_another_space_is_no_taste(data):
    settings = settings_of(data)
    fill(settings)
    store = open_viewers(settings)
    wide = ViewerRecord(pseudonym_key=KEY, vector=np.ones(5, np.float32), vector_ms=2**41)
    store.load([("wide", encode(wide))])
    store.close()
    with running(settings) as api:
        answer = api.decide("wide")
        assert answer["relevance"] == api.decide(None)["relevance"]
        assert api.get(f"/v1/vast?placement={PLACEMENT}&viewer=wide").status_code == 200


@pytest.mark.parametrize("damage", [b"", b"\x00" * 64])
def test_a_snapshot_that_cannot_be_read_is_compiled_anew_at_the_start(data, damage):
    settings = settings_of(data)
    fill(settings)
    versions = open_versions(settings)
    before = versions.load_snapshot()
    path = next((data / "snapshots").glob("*/vectors.npy"))
    path.unlink()  # what is mapped stays: only the name is damaged
    path.write_bytes(damage)
    with pytest.raises(Broken):
        versions.load_snapshot()
    mend_snapshot(settings)
    after = versions.load_snapshot()
    assert after.meta.versions == before.meta.versions
    np.testing.assert_array_equal(after.vectors, before.vectors)


def test_a_data_directory_without_a_catalogue_needs_no_mending(data):
    mend_snapshot(settings_of(data))
    assert open_versions(settings_of(data)).load_snapshot() is None
