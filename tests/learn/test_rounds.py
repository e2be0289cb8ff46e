"""Rounds of learning on a real data directory, under a law that is known."""

import shutil

import msgspec
import numpy as np
import pytest

from adserver.domain.errors import Broken, InvalidInput
from adserver.journal.schema import MAY_MEASURE, MAY_UPDATE_PROFILE
from adserver.learn import rounds as module
from adserver.learn.judge import JUDGED_MIN
from adserver.learn.rounds import Learning
from adserver.learn.state import State
from adserver.viewer.store import Change
from tests.learn.city import START_MS, City

DAY = 400
EVERYTHING = ["complete", "annoyed", "resolved", "trained_at", "base"]


@pytest.fixture(scope="module")
def lived(tmp_path_factory):
    """Serve three days under one model."""
    city = City(tmp_path_factory.mktemp("lived") / "data")
    for _ in range(3):
        city.day(DAY)
    city.store.close()
    return city


@pytest.fixture
def city(lived, tmp_path):
    """Copy the city, for one test to change."""
    shutil.copytree(lived.directory, tmp_path / "data")
    return moved(lived, tmp_path / "data")


def moved(lived, directory):
    city = City.__new__(City)
    city.__dict__ = dict(lived.__dict__)
    city.reopen(directory)
    return city


def learnt(city):
    """Return the model in force, and every viewer's weights and vector."""
    model = city.versions.read_model(city.versions.pointer().model)
    records = [city.record(viewer) for viewer in city.world.viewer_ids]
    return (
        [getattr(model, name) for name in EVERYTHING],
        np.array([(record.weight_complete, record.weight_annoyed) for record in records]),
        np.array([record.vector for record in records]),
    )


def same(one, other):
    assert one[0] == other[0]
    assert np.array_equal(one[1], other[1])
    # Moves of two rounds are rounded to float32 once more than those of one.
    np.testing.assert_allclose(one[2], other[2], rtol=0, atol=1e-6)


def test_a_city_gets_better_day_by_day(tmp_path):
    city = City(tmp_path / "data", seed=4)
    rewards, published = [], 0
    for _ in range(4):
        rewards.append(city.day(700))
        report = city.learn()
        assert report.learnt > 600
        published += report.published is not None
    assert published >= 3
    # A day's mean has a standard error of .05; cold it earns .02, by the law's best .8.
    assert rewards[-1] > rewards[0] + 0.3
    assert report.judgement.learnt.log_loss < 0.85
    model = city.versions.read_model(city.versions.pointer().model)
    assert model.resolved == report.learnt_in_all
    assert set(model.complete.context) == {"device:phone", "device:tv"}
    city.store.close()


def test_in_one_round_as_in_three(city, lived, tmp_path):
    report = city.learn()
    assert report.published
    assert (report.decisions, report.waiting) == (3 * DAY, False)
    shutil.copytree(lived.directory, tmp_path / "twin")
    twin = moved(lived, tmp_path / "twin")
    for day in (1, 2, 3):
        twin.clock.ms = START_MS + day * 86_400_000 - 1
        report = twin.learn()
        assert report.waiting == (day < 3)
    assert report.learnt_in_all == city.learn().learnt_in_all
    # What is published is judged on less each time, but what was learnt is the same.
    assert state_of(twin) == state_of(city)
    np.testing.assert_allclose(learnt(twin)[2], learnt(city)[2], rtol=0, atol=1e-6)


def state_of(city):
    """Return the model that was learnt, and what was learnt of each viewer."""
    state = State(city.directory / "learner")
    learner, _ = state.load(city.versions.read_model(state.progress().base))
    at = np.array(list(learner.table.viewers.values()), np.int32)
    weights = learner.weights(at).T.tolist()
    return learner.model(), dict(zip(learner.table.viewers, weights, strict=True))


def test_the_judge_asks_before_an_outcome_is_learnt(city, monkeypatch):
    asked, told = [], []
    look = module.Judge.look

    def ask(judge, learner, lesson):
        asked.append(learner.learnt)
        told.append(len(lesson.taught))
        return look(judge, learner, lesson)

    monkeypatch.setattr(module.Judge, "look", ask)
    city.learn()
    assert len(asked) > 1
    assert asked == [sum(told[:i]) for i in range(len(told))]


def test_nothing_new_publishes_nothing(city):
    first = city.learn()
    before = learnt(city)
    again = city.learn()
    assert first.published
    assert (again.decisions, again.published) == (0, None)
    assert again.why == "nothing was learnt since the last model"
    same(learnt(city), before)


@pytest.mark.parametrize(
    "killed",
    [
        "State.save",
        "move_profiles",
        "State.moved",
        "set_weights",
        "Versions.publish_model",
    ],
)
@pytest.mark.parametrize("late", [False, True])
def test_killed_anywhere_the_next_round_ends_the_same(
    city, lived, tmp_path, monkeypatch, killed, late
):
    """Before or after each thing a round writes."""
    city.learn()
    expected = learnt(city)
    shutil.copytree(lived.directory, tmp_path / "twin")
    twin = moved(lived, tmp_path / "twin")

    def die(*arguments, **named):
        if late:
            real(*arguments, **named)
        raise RuntimeError("killed")

    owner, _, name = killed.rpartition(".")
    owner = getattr(module, owner) if owner else module
    real = getattr(owner, name)
    with monkeypatch.context() as patch:
        patch.setattr(owner, name, die)
        with pytest.raises(RuntimeError, match="killed"):
            twin.learn()
    twin.learn()
    twin.learn()
    same(learnt(twin), expected)


def test_killed_between_two_viewers_nobody_is_moved_twice(city, lived, tmp_path, monkeypatch):
    city.learn()
    expected = learnt(city)
    shutil.copytree(lived.directory, tmp_path / "twin")
    twin = moved(lived, tmp_path / "twin")
    transact = twin.store.transact
    calls = []

    def some(changes):
        calls.append(1)
        done = transact(list(changes)[:20])
        raise KeyboardInterrupt if len(calls) == 1 else done

    monkeypatch.setattr(type(twin.store), "transact", lambda _, changes: some(changes))
    with pytest.raises(KeyboardInterrupt):
        twin.learn()
    monkeypatch.undo()
    assert twin.learn().profiles_moved == len(twin.world.viewer_ids) - 20
    same(learnt(twin), expected)


def test_a_model_that_is_worse_is_refused_and_nobody_notices(city):
    assert city.learn().published
    state = State(city.directory / "learner")
    progress = state.progress()
    learner, judge = state.load(city.versions.read_model(progress.base))
    learner.table.z *= -3.0  # planted: whatever was learnt, the opposite
    state.save(progress, learner, judge, [])
    before, weights = city.versions.pointer(), learnt(city)[1]
    city.day(DAY)
    report = city.learn()
    assert report.judgement.worse
    assert report.published is None
    assert report.why.startswith("not published, it is worse on 2026-02-13: log-loss ")
    assert city.versions.pointer() == before
    assert np.array_equal(learnt(city)[1], weights)


def test_a_viewer_who_was_forgotten_leaves_nothing_behind(city):
    city.learn()
    gone = city.world.viewer_ids[5]
    own = city.pseudonym(gone)
    state = city.directory / "learner" / "state.npz"
    with np.load(state) as held:
        assert own in bytes(held["viewers"])
    city.store.transact([Change(viewer_id=gone, update=lambda _: None)])
    assert city.learn().viewers_forgotten == 1
    with np.load(state) as held:
        assert own not in bytes(held["viewers"])
    assert gone not in dict(city.store.scan())


def test_nothing_on_the_disk_says_whose_pseudonym_it_is(city, monkeypatch):
    """Not even between a crash and the next round."""

    def die(_store, moves, *_rest):
        if moves:
            raise RuntimeError("killed")
        return 0

    monkeypatch.setattr(module, "move_profiles", die)
    with pytest.raises(RuntimeError, match="killed"):
        city.learn()
    gone = city.world.viewer_ids[5]
    held = sorted((city.directory / "learner").iterdir())
    assert [path.name for path in held] == ["lock", "moves.npz", "state.npz"]
    assert city.pseudonym(gone) in held[1].read_bytes()
    assert not any(gone.encode() in path.read_bytes() for path in held)
    city.store.transact([Change(viewer_id=gone, update=lambda _: None)])
    monkeypatch.undo()
    assert city.learn().profiles_moved == len(city.world.viewer_ids) - 1
    assert gone not in dict(city.store.scan())


def test_a_viewer_forgotten_before_the_round_is_learnt_nothing_about(city):
    gone = city.world.viewer_ids[5]
    own = city.pseudonym(gone)
    city.store.transact([Change(viewer_id=gone, update=lambda _: None)])
    report = city.learn()
    assert report.profiles_moved == len(city.world.viewer_ids) - 1
    with np.load(city.directory / "learner" / "state.npz") as held:
        assert own not in bytes(held["viewers"])


@pytest.mark.parametrize(
    ("may", "weighed", "moves"),
    [
        (MAY_MEASURE | MAY_UPDATE_PROFILE, True, True),
        (MAY_MEASURE, True, False),
        (MAY_UPDATE_PROFILE, False, False),
        (0, False, False),
    ],
)
def test_consent_decides_what_is_learnt_of_a_viewer(tmp_path, may, weighed, moves):
    city = City(tmp_path / "data")
    city.day(DAY, may=may)
    report = city.learn()
    assert report.published
    _, weights, vectors = learnt(city)
    assert weights.any() == weighed
    assert vectors.any() == moves == (report.profiles_moved > 0)
    city.store.close()


def test_a_profile_moves_towards_what_was_watched_and_away_from_what_annoyed(city):
    city.learn()
    law, features = city.world.law, city.world.history.features
    tastes = np.array([city.record(viewer).vector for viewer in city.world.viewer_ids])
    vectors = city.versions.load_snapshot().vectors
    liking = law.taste @ features.T
    found = tastes @ vectors.T
    assert np.corrcoef(liking.ravel(), found.ravel())[0, 1] > 0.3


def test_too_little_data_says_so(tmp_path):
    city = City(tmp_path / "data")
    assert city.learn().why == "nothing was learnt since the last model"
    city.day(JUDGED_MIN // 2)
    report = city.learn()
    assert report.published is None
    assert report.why.startswith("too little data to judge by: decisions that the model in force")
    assert city.versions.pointer().model == "builtin"
    # It was learnt all the same, and counts when there is more.
    city.day(2 * JUDGED_MIN)
    later = city.learn()
    assert later.learnt_in_all == report.learnt + later.learnt
    assert later.published
    city.store.close()


def test_without_a_catalogue_there_is_nothing_to_learn(city, tmp_path):
    empty = module.Versions(tmp_path / "empty", city.clock, {}, {})
    learning = Learning(tmp_path / "learner", city.journal, empty, city.store)
    assert learning.round(city.clock.now_ms()).why.startswith("no catalogue is published")


def test_a_damaged_journal_is_learnt_as_far_as_it_can_be_read(city):
    whole = sorted(city.journal.iterdir())
    first, second, last = whole[0], whole[1], whole[-1]
    torn = bytearray(first.read_bytes())
    torn[len(torn) // 2] ^= 0xFF
    first.write_bytes(torn)
    second.write_bytes(b"\0" * 5000)
    last.write_bytes(last.read_bytes()[:-100])
    report = city.learn()
    assert report.published
    assert 0.8 * 3 * DAY < report.decisions < 3 * DAY
    assert report.damage.damaged_blocks >= 2
    assert report.damage.torn_tails == 1
    assert report.damage.skipped_bytes > 5000


def test_decisions_from_a_catalogue_that_is_gone_are_counted(city):
    version = city.versions.pointer().catalogue
    shutil.rmtree(city.directory / "snapshots")
    documents = city.directory / "documents"
    (city.directory / "versions" / "catalogue" / version / "catalogue.json").write_bytes(b"{")
    catalogue = msgspec.json.decode((documents / "catalogue.json").read_bytes())
    catalogue["campaigns"][0]["name"] = "renamed"
    city.versions.publish_catalogue(msgspec.json.encode(catalogue), documents)
    report = city.learn()
    assert (report.unreadable, report.learnt) == (3 * DAY, 0)
    assert report.published is None


def test_a_damaged_state_says_what_to_do_and_a_lost_one_learns_again(city):
    city.learn()
    vectors = learnt(city)[2]
    model = city.versions.pointer().model
    state = city.directory / "learner" / "state.npz"
    state.write_bytes(state.read_bytes()[:-500])
    with pytest.raises(Broken, match=r"state\.npz is damaged; move it away to learn again"):
        city.learn()
    assert city.versions.pointer().model == model
    state.unlink()
    report = city.learn()
    assert report.state_lost
    assert report.learnt_in_all > 0.9 * 3 * DAY
    assert report.profiles_moved == 0
    assert np.array_equal(learnt(city)[2], vectors)
    progress = State(city.directory / "learner").progress()
    assert progress.base == "builtin"


def test_after_a_loss_later_outcomes_move_profiles(city):
    """The store remembers the runs of the lost state: their numbers must not come again."""
    assert city.learn().profiles_moved > 0
    city.day(DAY)
    (city.directory / "learner" / "state.npz").unlink()
    before = learnt(city)[2]
    report = city.learn()
    assert report.state_lost
    moved = int((learnt(city)[2] != before).any(axis=1).sum())
    assert report.profiles_moved == moved > len(city.world.viewer_ids) / 2


def test_a_state_of_a_later_version_is_refused(city):
    city.learn()
    path = city.directory / "learner" / "state.npz"
    with np.load(path) as held:
        arrays = dict(held)
    head = msgspec.json.decode(bytes(arrays["head"])) | {"format": 99}
    np.savez(path, **arrays | {"head": np.frombuffer(msgspec.json.encode(head), np.uint8)})
    with pytest.raises(Broken, match="has format 99; this version reads 2; move it away"):
        city.learn()


def test_two_at_once_is_refused(city):
    with (
        State(city.directory / "learner").held(),
        pytest.raises(InvalidInput, match="twice at once"),
    ):
        city.learn()


def test_ends_that_were_never_heard_teach_nothing(tmp_path):
    city = City(tmp_path / "data")
    city.day(DAY, lost=0.3)
    report = city.learn()
    assert report.unknown > 0.2 * DAY
    assert report.learnt < 0.8 * DAY
    # More than a tenth unknown: nobody can tell what anything was worth.
    assert report.judgement.value_difference is None
    city.store.close()
