"""Vectors, profiles, leanings and appeal, against a world whose law is known."""

import numpy as np
import pytest

from adserver.learn.history import Part
from adserver.learn.profile import EVIDENCE_MAX, affinity, learn_taste
from adserver.worlds.dice import throw
from adserver.worlds.synthetic import Size, build_synthetic
from tests.learn.small import history

SMALL = Size(viewers=120, variants=150, campaigns=8, content=3, dim=8)
DIM = 8


@pytest.fixture(scope="module")
def world():
    return build_synthetic(4, SMALL)


@pytest.fixture(scope="module")
def taste(world):
    return learn_taste(world.history, DIM)


def test_vectors_are_of_unit_length_and_profiles_within_reach(taste):
    assert np.linalg.norm(taste.vectors, axis=1) == pytest.approx(1.0, abs=1e-6)
    length = np.linalg.norm(taste.profiles, axis=1)
    assert np.all(length / (1 + length) <= EVIDENCE_MAX + 1e-6)
    assert taste.vectors.dtype == taste.profiles.dtype == np.float32


def test_affinity_is_the_formula(taste):
    u, e = taste.profiles.astype(float), taste.vectors.astype(float)
    viewer, variant = np.array([0, 5, 5], np.int32), np.array([3, 3, 9], np.int32)
    expected = [
        sum(a * b for a, b in zip(u[v], e[i], strict=True)) / (1 + sum(a * a for a in u[v]) ** 0.5)
        for v, i in zip(viewer, variant, strict=True)
    ]
    found = affinity(taste.profiles, taste.vectors, viewer, variant)
    assert found == pytest.approx(expected, abs=1e-6)


def test_affinity_follows_the_true_taste(world, taste):
    dice = throw(1)
    viewer = dice.integers(0, SMALL.viewers, 5_000).astype(np.int32)
    variant = dice.integers(0, SMALL.variants, 5_000).astype(np.int32)
    truth = np.einsum("ij,ij->i", world.law.taste[viewer], world.history.features[variant])
    found = affinity(taste.profiles, taste.vectors, viewer, variant)
    assert np.corrcoef(truth, found)[0, 1] > 0.8


def test_leaning_and_appeal_follow_the_truth(world, taste):
    net = world.law.viewer[0] - world.law.viewer[1]
    assert np.corrcoef(net, taste.leaning)[0, 1] > 0.6
    often = world.history.seen_count > 20
    assert (
        np.corrcoef((world.law.bias[0] - world.law.bias[1])[often], taste.appeal[often])[0, 1] > 0.6
    )


def test_features_beyond_the_length_keep_the_most_telling(world):
    narrow = learn_taste(world.history, 2)
    assert narrow.vectors.shape == (SMALL.variants, 2)
    assert narrow.profiles.shape == (SMALL.viewers, 2)


def test_a_viewer_without_events_has_no_taste():
    events = history([0] * 4, [0, 1, 0, 1], signal=[1, -1, 1, -1], viewer_count=2)
    taste = learn_taste(events, 4)
    assert not taste.profiles[1].any()
    assert taste.profiles[0].any()
    assert np.isfinite(taste.vectors).all()


def test_variants_nothing_sets_apart_have_no_vector():
    events = history([0, 0, 1, 1], [0, 1, 0, 1], signal=[1, -1, 1, 1], features=np.ones((2, 1)))
    taste = learn_taste(events, 4)
    assert not taste.vectors.any()
    assert not taste.profiles.any()


def test_progress_is_told_in_order(world):
    told: list[float] = []
    learn_taste(world.history.until(Part.EARLY), DIM, tell=told.append)
    assert told == sorted(told)
    assert 0 <= told[0] < told[-1] < 1
