"""A publication is taken up whole; a bad one changes nothing."""

import asyncio
import json

import numpy as np

from adserver.app import open_versions, open_viewers
from adserver.domain.viewer import ViewerRecord
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
