"""The made-up world: made from its seed, and learnt to within reach of its law."""

import itertools

import msgspec
import numpy as np
import pytest

from adserver.catalogue.parse import parse_catalogue
from adserver.domain.errors import InvalidInput
from adserver.worlds.load import build_world, prepare
from adserver.worlds.synthetic import Size, build_synthetic, true_probabilities
from adserver.worlds.world import VECTORS_FILE
from tests.worlds.seeded import CLOCK_MS, CountingEntropy, prepared

AMPLE = Size(viewers=600, variants=300, campaigns=12, content=4, dim=8, events_per_viewer=120)
"""Enough events per viewer for a learner to come close to the truth."""


@pytest.fixture(scope="module")
def world():
    return build_world("synthetic", 3)


@pytest.fixture(scope="module")
def ready(world):
    return prepared(world)


def test_an_unknown_world_is_refused_with_the_names_of_the_others():
    with pytest.raises(InvalidInput, match=r"'mars'.*movielens, synthetic"):
        build_world("mars")


def test_a_seed_makes_one_world(world):
    again, other = build_world("synthetic", 3), build_world("synthetic", 4)
    for name in world.history.__struct_fields__:
        assert np.array_equal(getattr(again.history, name), getattr(world.history, name))
    assert again.catalogue == world.catalogue
    assert not np.array_equal(other.history.features, world.history.features)


def test_learning_a_world_twice_gives_the_same_model(world, ready):
    again = prepared(world)
    assert again.model == ready.model
    assert again.catalogue == ready.catalogue
    assert np.array_equal(again.vectors, ready.vectors)
    assert again.report == ready.report


def test_a_world_is_as_large_as_asked():
    size = Size(viewers=11, campaigns=7, variants=31, content=3, dim=5, events_per_viewer=10)
    world = build_synthetic(1, size)
    assert len(world.viewer_ids) == world.history.viewer_count == 11
    assert len(world.catalogue.campaigns) == world.history.campaign_count == 7
    assert len(world.variant_ids) == world.history.variant_count == 31
    assert all(campaign.creatives for campaign in world.catalogue.campaigns)
    assert prepared(world).vectors.shape == (31, 5)


def test_no_viewer_sees_a_variant_twice(world):
    pairs = set(zip(world.history.viewer.tolist(), world.history.variant.tolist(), strict=True))
    assert len(pairs) == world.history.event_count


def test_outcomes_exclude_each_other_and_follow_the_law(world):
    history = world.history
    assert not np.any(history.complete * history.annoyed)
    p = true_probabilities(world.law, history)
    assert history.complete.mean() == pytest.approx(p[0].mean(), abs=0.01)
    assert history.annoyed.mean() == pytest.approx(p[1].mean(), abs=0.01)


def test_the_catalogue_is_valid(world, ready, tmp_path):
    np.save(tmp_path / VECTORS_FILE, ready.vectors)
    assert parse_catalogue(ready.catalogue, tmp_path) == world.catalogue
    assert b"synthetic" in msgspec.json.encode(world.catalogue.campaigns[0])


def test_films_of_one_campaign_look_different(world):
    for campaign in world.catalogue.campaigns:
        variants = [variant for creative in campaign.creatives for variant in creative.variants]
        kinds = [variant.labels["kind"] for variant in variants]
        assert all(one != next_one for one, next_one in itertools.pairwise(kinds))
        for variant, kind in zip(variants, kinds, strict=True):
            assert all(f"/{kind}-" in file.url for file in variant.media)


def test_what_is_personal_pays(ready):
    report = ready.report
    assert report.item_rate.value > report.random.value
    assert report.full.value > report.item_rate.value + 0.2
    assert report.law.value > report.full.value
    assert report.oracle > report.law.value


def test_with_ample_evidence_the_model_comes_close_to_the_truth():
    report = prepared(build_synthetic(2, AMPLE)).report
    distance = report.law.value - report.item_rate.value
    assert report.law.value - report.full.value < 0.1 * distance
    assert max(report.calibration) < 0.03


def test_progress_is_told_stage_by_stage(world):
    told: list[tuple[str, float]] = []
    prepare(world, CLOCK_MS, CountingEntropy(), lambda *what: told.append(what))
    stages = list(dict.fromkeys(stage for stage, _ in told))
    assert len(stages) == 4
    for stage in stages:
        shares = [share for name, share in told if name == stage]
        assert shares == sorted(shares)
        assert all(0 <= share <= 1 for share in shares)
