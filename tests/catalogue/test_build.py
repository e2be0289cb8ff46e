"""Columns say what the documents say: each compared with a plain restatement."""

import math
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from adserver.catalogue import columns as c
from adserver.catalogue.build import build
from adserver.catalogue.columns import (
    ALWAYS_MS,
    ARRAYS,
    FOREVER_MS,
    Columns,
    MediaFile,
    Versions,
)
from adserver.domain.campaign import DIMENSIONS, Catalogue
from adserver.domain.model import Head, Model
from adserver.domain.policy import Cap, DoseSettings, Policy, Thresholds, ViewerCaps
from adserver.domain.viewer import key32
from tests.catalogue.documents import address, campaign, document, label, media, variant

WORDS = ("a", "B", "c d")


def built(
    *campaigns: dict[str, Any],
    policy: Policy | None = None,
    model: Model | None = None,
    **fields: Any,
) -> Columns:
    catalogue = msgspec.convert(document(*campaigns, **fields), Catalogue)
    return build(
        catalogue,
        policy or Policy(),
        model or Model(),
        Versions("c1", "p1", "m1"),
        {"label": label},
        {"address": address},
    )


THREE = (
    campaign("spring", variant("s1", vector=[3, 4]), variant("s2", vector=[0, 0])),
    campaign("summer", variant("t1", vector=[1e30, 1e30], skip_after_ms=None), house=True),
    campaign("autumn", variant("u1", vector=None), advertiser="other", priority=1),
)


def test_variants_stand_by_campaign_in_the_order_of_the_document():
    columns = built(*THREE)
    assert columns.campaign_start.tolist() == [0, 2, 3, 4]
    assert [columns.texts["variant"][i] for i in range(4)] == [b"s1", b"s2", b"t1", b"u1"]
    assert columns.variants[c.CREATIVE].tolist() == [0, 0, 1, 2]
    assert columns.variants[c.DURATION_MS].tolist() == [15_000] * 4
    assert columns.variants[c.SKIP_AFTER_MS].tolist() == [5_000, 5_000, c.NEVER_SKIPPABLE, 5_000]
    assert columns.texts["creative"][1] == b"summer-film"
    assert columns.texts["label"][3] == b"/autumn/autumn-film/u1", "no advertiser's name"


def test_vectors_have_length_one_or_none():
    diagonal = math.sqrt(0.5)
    expected = [[0.6, 0.8], [0, 0], [diagonal, diagonal], [0, 0]]
    np.testing.assert_allclose(built(*THREE).vectors, expected, rtol=1e-6)


def test_tiers_flights_and_bids():
    flight = {"start": "1970-01-01T00:00:01Z", "end": "1970-01-01T01:00:02+01:00"}
    columns = built(*THREE, campaign("short", flight=flight, bid_cpm_micros=7))
    assert columns.campaign_times[c.TIER].tolist() == [5, 5 + c.HOUSE_TIER, 1, 5]
    assert columns.campaign_times[c.FLIGHT_START_MS].tolist() == [ALWAYS_MS] * 3 + [1000]
    assert columns.campaign_times[c.FLIGHT_END_MS].tolist() == [FOREVER_MS] * 3 + [2000]
    assert columns.campaign_values[c.BID_CPM_MICROS].tolist() == [4e6, 4e6, 4e6, 7.0]


def test_budgets_and_pacing():
    budget = {"total_micros": 10**15, "daily_micros": 7}
    columns = built(*THREE, campaign("rich", budget=budget, pacing="asap"))
    assert columns.budgets[c.BUDGET_TOTAL_MICROS].tolist() == [0, 0, 0, 10**15]
    assert columns.budgets[c.BUDGET_DAILY_MICROS].tolist() == [0, 0, 0, 7]
    assert columns.budgets[c.BUDGET_IS_EVEN].tolist() == [1, 1, 1, 0]


def test_keys_and_their_order():
    columns = built(*THREE)
    names = ["spring", "summer", "autumn"]
    assert columns.campaign_keys.tolist() == [key32("campaign", name) for name in names]
    assert columns.creative_keys.tolist() == [key32("creative", f"{name}-film") for name in names]
    advertisers = [key32("advertiser", name) for name in ("acme", "acme", "other")]
    assert columns.advertiser_keys.tolist() == advertisers
    assert np.all(
        np.diff(
            columns.campaign_keys[columns.campaign_lookup[: columns.campaign_count]].astype(
                np.int64
            )
        )
        > 0
    )
    assert np.all(
        np.diff(
            columns.creative_keys[columns.creative_lookup[: len(columns.creative_keys)]].astype(
                np.int64
            )
        )
        > 0
    )


def test_weights_add_up_and_an_unknown_name_weighs_nothing():
    head = Head(offset=1.0, campaigns={"spring": 0.5, "gone": 9.0}, variants={"s2": 0.25})
    columns = built(*THREE, model=Model(complete=head, annoyed=Head(offset=-2.0)))
    assert columns.heads.tolist() == [[1.5, 1.75, 1.0, 1.0], [-2.0] * 4]
    assert columns.campaign_weights.tolist() == [[0.5, 0.0, 0.0], [0.0] * 3]
    assert columns.variant_weights.tolist() == [[0.0, 0.25, 0.0, 0.0], [0.0] * 4]


def test_files_of_a_variant_and_their_classes():
    two = [media(), media(mime="VIDEO/MP4", mezzanine=True, url="https://m.example/b.mov")]
    columns = built(campaign("x", variant("a", media=two), variant("b"), variant("d", media=two)))
    assert columns.media_start.tolist() == [0, 2, 3, 5]
    assert columns.offers[c.OFFER_FILES, columns.variants[c.OFFER]].tolist() == [0, 1, 0]
    plain = MediaFile("video/mp4", 1280, 720, mezzanine=False)
    master = MediaFile("video/mp4", 1280, 720, mezzanine=True)
    assert columns.meta.media_classes == ((plain, master), (plain,))
    assert columns.texts["address"][1] == b"https://m.example/b.mov 15000"
    assert len(columns.texts["address"]) == 5


def test_caps_by_campaign_and_how_long_impressions_count():
    caps = [{"count": 3, "window_s": 10}, {"count": 1, "window_s": 999_999, "per": "creative"}]
    columns = built(campaign("x"), campaign("y", caps=caps))
    assert columns.cap_start.tolist() == [0, 0, 2]
    assert columns.caps.tolist() == [[3, 10, c.PER_CAMPAIGN], [1, 999_999, c.PER_CREATIVE]]
    assert columns.meta.retention_s == 999_999
    assert built().meta.retention_s == 7 * 86_400
    quick = Policy(dose=DoseSettings(half_life_s=1.5))
    assert built(policy=quick).meta.retention_s == 86_400
    monthly = Policy(caps=ViewerCaps((Cap(1, 2_592_000),)))
    assert built(policy=monthly).meta.retention_s == 2_592_000


levels = st.none() | st.floats(-1, 1)


@given(levels, levels, levels, levels, st.floats(-1, 1))
def test_the_highest_level_applies_and_each_takes_the_policys_word_first(
    in_campaign, of_campaign, in_placement, of_placement, overall
):
    policy = Policy(
        threshold=Thresholds(
            overall,
            {} if of_placement is None else {"home": of_placement},
            {} if of_campaign is None else {"x": of_campaign},
        )
    )
    placements = [{"id": "home", "threshold": in_placement}, {"id": "news"}]
    columns = built(campaign("x", threshold=in_campaign), policy=policy, placements=placements)

    def highest(policy_says: float | None, catalogue_says: float | None) -> float:
        level = catalogue_says if policy_says is None else policy_says
        return overall if level is None else max(overall, level)

    assert columns.campaign_values[c.THRESHOLD, 0] == highest(of_campaign, in_campaign)
    assert columns.meta.placements["home"].threshold == highest(of_placement, in_placement)
    assert columns.meta.placements["news"].threshold == overall
    assert columns.meta.placements["news"].index == 1


targetings = st.fixed_dictionaries(
    {},
    optional={
        "country": st.lists(st.sampled_from(WORDS), max_size=2),
        "keyword": st.lists(st.sampled_from(WORDS), max_size=2),
        "hour_of_week": st.lists(st.integers(0, 3), max_size=2),
        "near": st.lists(
            st.builds(lambda lat: {"lat": lat, "lon": 4.5, "radius_km": 5}, st.integers(0, 2)),
            max_size=2,
        ),
    },
)


def spelt(targeting: dict[str, Any], dimension: str) -> set[str]:
    """Restate how the index spells values."""
    if dimension == "near":
        return {f"{float(at['lat'])},4.5,5.0" for at in targeting.get("near", [])}
    return {str(value).casefold() for value in targeting.get(dimension, [])}


def members(columns: Columns, row: int) -> set[int]:
    """Read a bitmap one bit at a time."""
    words = columns.bitmaps[row].tolist()
    return {k for k in range(64 * len(words)) if words[k // 64] >> (k % 64) & 1}


@given(st.lists(st.tuples(targetings, targetings), min_size=1, max_size=3), st.integers(0, 70))
def test_every_bitmap_holds_exactly_the_campaigns_that_name_its_value(some, fillers):
    wanted = [{} for _ in range(fillers)] + [include for include, _ in some]
    refused = [{} for _ in range(fillers)] + [exclude for _, exclude in some]
    columns = built(
        *(
            campaign(f"c{k}", targeting={**include, "not": exclude})
            for k, (include, exclude) in enumerate(zip(wanted, refused, strict=True))
        )
    )
    for dimension in DIMENSIONS:
        asked = [spelt(targeting, dimension) for targeting in wanted]
        values = set().union(*asked)
        assert (dimension in columns.meta.targets) == bool(values)
        if values:
            targets = columns.meta.targets[dimension]
            assert set(targets.rows) == values
            anyone = {k for k, mine in enumerate(asked) if not mine}
            assert members(columns, targets.any_row) == anyone
            for value, row in targets.rows.items():
                assert members(columns, row) == {k for k, mine in enumerate(asked) if value in mine}
        barred = [spelt(targeting, dimension) for targeting in refused]
        rows = columns.meta.excludes.get(dimension, {})
        assert set(rows) == set().union(*barred)
        for value, row in rows.items():
            assert members(columns, row) == {k for k, mine in enumerate(barred) if value in mine}
    circles = set().union(*(spelt(targeting, "near") for targeting in (*wanted, *refused)))
    assert {circle[0] for circle in columns.meta.circles} == circles
    assert len(columns.meta.circles) == len(circles)


def test_a_catalogue_without_campaigns_is_a_snapshot_too():
    columns = built(campaigns=[])
    assert columns.variant_count == columns.campaign_count == 0
    assert columns.vectors.shape == (0, 2)
    assert columns.heads.shape == (2, 0)
    assert columns.bitmaps.shape == (0, 0)


def test_columns_are_frozen_and_contiguous():
    columns = built(*THREE)
    for name in ARRAYS:
        array = getattr(columns, name)
        assert array.flags.c_contiguous, name
        assert not array.flags.writeable, name
    with pytest.raises(ValueError, match="read-only"):
        columns.vectors[0, 0] = 1


def test_a_variant_costs_at_most_64_bytes_beside_its_vector():
    rows = [
        campaign(f"c{k}", *(variant(f"v{k}-{i}") for i in range(10)), targeting={"country": ["NL"]})
        for k in range(100)
    ]
    columns = built(*rows)
    spent = sum(getattr(columns, name).nbytes for name in ARRAYS)
    assert spent <= columns.variant_count * (64 + 4 * 2)
