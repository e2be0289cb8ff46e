"""A publication takes place whole or not at all, whoever else writes and whatever breaks."""

import json
import os

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from adserver.catalogue import log as log_file
from adserver.catalogue import versions as module
from adserver.catalogue.log import Entry, history
from adserver.catalogue.versions import BUILTIN, SNAPSHOTS_KEPT, Pointer, Versions
from adserver.domain.errors import Broken, InvalidInput
from adserver.domain.model import Head, Model
from adserver.domain.policy import Policy
from tests.catalogue.documents import StubClock, campaign, encoded, open_at, tree, variant

SPRING = encoded(campaign("spring"))
SUMMER = encoded(campaign("summer", variant("sun"), variant("sea")))
STRICT = b"[threshold]\nglobal = 0.5\n"
MODEL = Model(complete=Head(offset=2.0), resolved=7)


def test_before_anything_is_published(tmp_path):
    versions = open_at(tmp_path / "none")
    assert versions.pointer() == Pointer(catalogue=None, policy=BUILTIN, model=BUILTIN)
    assert versions.pointer_stamp() is None
    assert versions.load_snapshot() is None
    assert versions.log() == []
    assert versions.read_policy(BUILTIN) == Policy()
    assert versions.read_model(BUILTIN) == Model()
    assert not (tmp_path / "none").exists(), "looking changes nothing"


def test_a_published_catalogue_is_in_force(tmp_path):
    versions = open_at(tmp_path)
    change = versions.publish_catalogue(SPRING, None)
    assert change.changed
    assert change.version.startswith("20261121T223503Z-")
    assert len(change.version) == len("20261121T223503Z-3fa2b1c9")
    pointer = versions.pointer()
    assert (pointer.catalogue, pointer.policy, pointer.model) == (change.version, BUILTIN, BUILTIN)
    columns = versions.load_snapshot()
    assert columns is not None
    assert columns.meta.versions.catalogue == change.version
    assert columns.texts["label"][0] == "Acme & Söhne/spring/spring-film/spring-a".encode()
    assert versions.read_catalogue(change.version).campaigns[0].id == "spring"


def test_policy_and_model_wait_for_a_catalogue(tmp_path):
    versions = open_at(tmp_path)
    policy = versions.publish_policy(STRICT)
    model = versions.publish_model(MODEL)
    assert policy.snapshot is model.snapshot is versions.load_snapshot() is None
    versions.publish_catalogue(SPRING, None)
    columns = versions.load_snapshot()
    assert columns is not None
    assert (columns.meta.versions.policy, columns.meta.versions.model) == (
        policy.version,
        model.version,
    )
    assert columns.campaign_values[0, 0] == 0.5
    assert columns.heads[0, 0] == 2.0
    assert versions.read_policy(policy.version).threshold.overall == 0.5
    assert versions.read_model(model.version) == MODEL


def test_a_policy_compiles_with_the_catalogue_in_force(tmp_path):
    versions = open_at(tmp_path)
    versions.publish_catalogue(SPRING, None)
    before = versions.pointer_stamp()
    versions.publish_policy(STRICT)
    assert versions.pointer_stamp() != before
    columns = versions.load_snapshot()
    assert columns is not None
    assert columns.meta.placements["home"].threshold == 0.5


def test_vectors_are_kept_with_the_version(tmp_path):
    source = tmp_path / "source"
    source.mkdir()
    np.save(source / "v.npy", np.array([[0, 2]], np.float32))
    data = encoded(campaign("c", variant("a", vector=None)), vectors="v.npy")
    versions = open_at(tmp_path / "data")
    change = versions.publish_catalogue(data, source)
    (source / "v.npy").unlink()
    assert versions.read_document(change.version).vectors.tolist() == [[0, 2]]
    versions.publish_policy(STRICT)
    columns = versions.load_snapshot()
    assert columns is not None
    assert columns.vectors.tolist() == [[0, 1]]
    np.save(source / "v.npy", np.array([[1, 2]], np.float32))
    assert versions.publish_catalogue(data, source).changed, "the vectors are part of the content"


@pytest.mark.parametrize("kind", ["catalogue", "policy", "model"])
def test_the_same_content_again_changes_nothing(tmp_path, kind):
    clock = StubClock()
    versions = open_at(tmp_path, clock)
    versions.publish_catalogue(SPRING, None)

    def publish() -> module.Change:
        if kind == "catalogue":
            return versions.publish_catalogue(SPRING, None)
        return (
            versions.publish_policy(STRICT) if kind == "policy" else versions.publish_model(MODEL)
        )

    first = publish()
    before = tree(tmp_path)
    clock.time_ms += 60_000
    again = publish()
    assert not again.changed
    assert again.version == first.version
    assert tree(tmp_path) == before


def test_publishing_the_same_again_mends_a_damaged_snapshot(tmp_path):
    versions = open_at(tmp_path)
    change = versions.publish_catalogue(SPRING, None)
    (tmp_path / "snapshots" / str(change.snapshot) / "heads.npy").unlink()
    with pytest.raises(Broken):
        versions.load_snapshot()
    again = versions.publish_catalogue(SPRING, None)
    assert not again.changed
    assert again.snapshot != change.snapshot
    assert versions.load_snapshot() is not None


def test_rebuild_compiles_what_is_in_force_anew(tmp_path):
    versions = open_at(tmp_path)
    versions.publish_catalogue(SPRING, None)
    before = versions.pointer()
    versions.rebuild()
    after = versions.pointer()
    assert after.snapshot != before.snapshot
    assert msgspec.structs.replace(after, snapshot=before.snapshot) == before
    assert versions.load_snapshot() is not None


@pytest.mark.parametrize(
    "publish",
    [
        lambda versions: versions.publish_catalogue(encoded(campaign("c", priority=0)), None),
        lambda versions: versions.publish_policy(b"epsilon = 2"),
        lambda versions: versions.publish_model(Model(complete=Head(offset=float("nan")))),
    ],
)
def test_a_bad_document_changes_nothing(tmp_path, publish):
    versions = open_at(tmp_path)
    versions.publish_catalogue(SPRING, None)
    before = tree(tmp_path)
    with pytest.raises(InvalidInput):
        publish(versions)
    assert tree(tmp_path) == before


def test_what_a_crashed_publisher_left_is_swept(tmp_path):
    versions = open_at(tmp_path)
    versions.publish_catalogue(SPRING, None)
    staging = tmp_path / "versions" / ".staging"
    staging.mkdir()
    (staging / "catalogue.json").write_bytes(b"{")
    with (tmp_path / "log.jsonl").open("ab") as file:
        file.write(b'{"time": "20')
    assert len(versions.log()) == 1
    versions.publish_policy(STRICT)
    assert not staging.exists()
    assert [entry.kind for entry in versions.log()] == ["catalogue", "policy"]


def test_rolling_back_twice_goes_two_versions_back(tmp_path):
    clock = StubClock()
    versions = open_at(tmp_path, clock)
    published = []
    for data in (SPRING, SUMMER, encoded(campaign("autumn"))):
        published.append(versions.publish_catalogue(data, None).version)
        clock.time_ms += 1000
    assert versions.rollback("catalogue").version == published[1]
    columns = versions.load_snapshot()
    assert columns is not None
    assert columns.texts["campaign"][0] == b"summer"
    assert versions.rollback("catalogue").version == published[0]
    with pytest.raises(InvalidInput, match="no earlier version"):
        versions.rollback("catalogue")
    assert [entry.action for entry in versions.log("catalogue")] == ["publish"] * 3 + [
        "rollback"
    ] * 2


def test_the_first_policy_rolls_back_to_the_built_in_one(tmp_path):
    versions = open_at(tmp_path)
    versions.publish_catalogue(SPRING, None)
    versions.publish_policy(STRICT)
    assert versions.rollback("policy").version == BUILTIN
    columns = versions.load_snapshot()
    assert columns is not None
    assert columns.campaign_values[0, 0] == 0.0
    assert versions.publish_policy(STRICT).changed, "published again after the rollback"


def test_there_and_back_within_a_second(tmp_path):
    versions = open_at(tmp_path)
    first = versions.publish_catalogue(SPRING, None)
    versions.publish_catalogue(SUMMER, None)
    assert versions.publish_catalogue(SPRING, None).version == first.version
    assert versions.rollback("catalogue").changed


def test_old_snapshots_go_and_the_one_in_force_stays(tmp_path):
    versions = open_at(tmp_path)
    versions.publish_catalogue(SPRING, None)
    for offset in range(SNAPSHOTS_KEPT + 3):
        versions.publish_model(Model(complete=Head(offset=float(offset))))
        assert versions.load_snapshot() is not None
    assert len(list((tmp_path / "snapshots").iterdir())) == SNAPSHOTS_KEPT


@pytest.mark.parametrize("data", [b"", b"{", b'{"policy": 1}', b"\xff"])
def test_a_damaged_pointer_is_told(tmp_path, data):
    versions = open_at(tmp_path)
    versions.publish_catalogue(SPRING, None)
    (tmp_path / "current.json").write_bytes(data)
    with pytest.raises(Broken, match="delete it and publish again"):
        versions.pointer()


def test_a_pointer_of_another_format_is_told(tmp_path):
    (tmp_path / "current.json").write_text('{"format": 2}')
    with pytest.raises(Broken, match="has format 2"):
        open_at(tmp_path).pointer()


def test_a_damaged_log_stops_publications_before_they_change_anything(tmp_path):
    versions = open_at(tmp_path)
    versions.publish_catalogue(SPRING, None)
    (tmp_path / "log.jsonl").write_bytes(b"rubbish\n")
    with pytest.raises(Broken, match="line 1"):
        versions.publish_policy(STRICT)
    assert versions.pointer().policy == BUILTIN


def test_a_damaged_version_is_not_brought_back(tmp_path):
    versions = open_at(tmp_path)
    first = versions.publish_catalogue(SPRING, None)
    second = versions.publish_catalogue(SUMMER, None)
    path = tmp_path / "versions" / "catalogue" / first.version / "catalogue.json"
    path.write_bytes(SPRING.replace(b"4000000", b"9000000"))
    with pytest.raises(Broken, match="is damaged"):
        versions.rollback("catalogue")
    assert versions.pointer().catalogue == second.version


@pytest.mark.parametrize("name", ["nothing", "..", ".staging", "../policy", "", "a\nb"])
def test_a_name_that_is_no_version_is_refused(tmp_path, name):
    versions = open_at(tmp_path)
    versions.publish_catalogue(SPRING, None)
    with pytest.raises(InvalidInput, match="is not a version"):
        versions.read_catalogue(name)


actions = st.lists(st.sampled_from(["publish", "rollback"]), max_size=12)


@given(actions)
def test_the_history_is_a_stack(taken):
    entries: list[Entry] = []
    stack = [BUILTIN]
    for number, action in enumerate(taken):
        former = stack[-1]
        if action == "publish":
            stack.append(f"v{number}")
        elif len(stack) > 1:
            stack.pop()
        else:
            continue
        entries.append(
            Entry(time="", kind="policy", action=action, version=stack[-1], former=former, who="me")
        )
    assert (history(entries, "policy") or [BUILTIN]) == stack
    assert history(entries, "model") == []


def test_the_log_says_who_and_when(tmp_path):
    open_at(tmp_path).publish_catalogue(SPRING, None)
    (line,) = (tmp_path / "log.jsonl").read_text().splitlines()
    entry = json.loads(line)
    assert entry["time"].endswith("Z")
    assert entry["who"]
    assert log_file.read_log(tmp_path / "log.jsonl")[0].action == "publish"


def test_a_user_without_a_name_is_a_number(monkeypatch, tmp_path):
    def unknown(_: int) -> None:
        raise KeyError

    monkeypatch.setattr("pwd.getpwuid", unknown)
    versions = open_at(tmp_path)
    versions.publish_policy(STRICT)
    assert versions.log()[0].who == f"uid {os.getuid()}"


def test_versions_can_be_held_by_many(tmp_path):
    writer, reader = open_at(tmp_path), open_at(tmp_path)
    assert isinstance(reader, Versions)
    writer.publish_catalogue(SPRING, None)
    held = reader.load_snapshot()
    writer.publish_catalogue(SUMMER, None)
    assert held is not None
    assert held.texts["campaign"][0] == b"spring", "what is held does not change"
