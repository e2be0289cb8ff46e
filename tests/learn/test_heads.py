"""Both heads: honest, pointing the right way, and spelt as a model."""

import numpy as np
import pytest
from msgspec.structs import replace

from adserver.learn.heads import fit_heads, study
from adserver.learn.history import Part
from adserver.worlds.synthetic import Size, build_synthetic
from tests.learn.small import with_last_part_scrambled

SMALL = Size(viewers=120, variants=150, campaigns=8, content=3, dim=8)


def lesson_of(world):
    return study(world.history, world.campaign_ids, world.variant_ids, SMALL.dim)


@pytest.fixture(scope="module")
def world():
    return build_synthetic(4, SMALL)


@pytest.fixture(scope="module")
def learned(world):
    return fit_heads(lesson_of(world))


def test_nothing_of_the_last_part_is_looked_at(world, learned):
    scrambled = replace(world, history=with_last_part_scrambled(world.history))
    other = fit_heads(lesson_of(scrambled))
    assert other.model == learned.model
    assert np.array_equal(other.vectors, learned.vectors)
    assert np.array_equal(other.profiles, learned.profiles)
    assert np.array_equal(other.weights, learned.weights)


def test_the_heads_point_where_the_law_does(learned):
    model = learned.model
    assert model.complete.affinity > 0 > model.annoyed.affinity
    assert np.corrcoef(learned.weights)[0, 1] < 0
    assert 0.8 < model.complete.calibrator.a < 1.2


def test_weights_are_named_and_add_up(world, learned):
    head = learned.model.complete
    assert list(head.campaigns) == list(world.campaign_ids)
    assert list(head.variants) == list(world.variant_ids)
    # A campaign's weight is the mean of its variants by how often they were seen, plus one.
    known = world.history.until(Part.MIDDLE)
    weights = np.array(list(head.variants.values()))
    for k in range(SMALL.campaigns):
        mine = known.campaign == k
        assert np.average(weights[mine], weights=known.seen_count[mine] + 1) == pytest.approx(
            0, abs=1e-5
        )


def test_resolved_counts_what_was_learnt_from(world, learned):
    assert learned.model.resolved == np.count_nonzero(world.history.part <= Part.MIDDLE)


def test_the_impersonal_baseline_knows_no_viewer(world):
    rates = fit_heads(lesson_of(world), personal=False)
    assert rates.model.complete.affinity == rates.model.annoyed.affinity == 0.0
    assert not rates.weights.any()
    assert not rates.profiles.any()
