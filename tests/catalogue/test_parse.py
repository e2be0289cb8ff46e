"""A catalogue is valid as a whole, or every reason why not is told with its path."""

import json
import time
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from adserver.catalogue.checks import CIRCLES_MAX
from adserver.catalogue.parse import parse_catalogue, read_document
from adserver.domain.errors import InvalidInput
from tests.catalogue.documents import campaign, document, encoded, media, variant

A_VARIANT = "$.campaigns[0].creatives[0].variants[0]"


def problems(data: bytes, directory: Any = None) -> dict[str, str]:
    with pytest.raises(InvalidInput) as refused:
        parse_catalogue(data, directory)
    paths = [problem.path for problem in refused.value.problems]
    assert len(paths) == len(set(paths)), "one problem is told once"
    return {problem.path: problem.message for problem in refused.value.problems}


def paths(*campaigns: dict[str, Any], **fields: Any) -> list[str]:
    return list(problems(encoded(*campaigns, **fields)))


def test_a_valid_catalogue_is_read_whole():
    catalogue = parse_catalogue(encoded(), None)
    assert catalogue.campaigns[0].creatives[0].variants[0].vector == (3.0, 4.0)
    assert catalogue.placements[1].time_zone == "UTC"


def test_the_example_of_the_design_is_valid():
    full = campaign(
        "spring",
        variant(
            "a",
            labels={"cast": "woman", "theme": "city"},
            language="nl",
            categories=["IAB1"],
            media=[media(), media(mezzanine=True, bitrate_kbps=20_000)],
        ),
        name="Spring",
        house=False,
        priority=5,
        flight={"start": "2026-01-01T00:00:00Z", "end": "2026-02-01T00:00:00+01:00"},
        budget={"total_micros": 0, "daily_micros": 0},
        pacing="even",
        caps=[{"count": 3, "window_s": 86400, "per": "campaign"}],
        threshold=0.1,
        competes_with=["IAB2"],
        suppress_on=[{"touchpoint": "store_visit", "days": 30}],
        targeting={
            "placement": ["home"],
            "device": ["TV"],
            "moment": ["buy"],
            "hour_of_week": [0, 167],
            "near": [{"lat": 0, "lon": 0, "radius_km": 5}],
            "not": {"category": ["IAB25"]},
        },
    )
    full["creatives"][0]["ad_id"] = {"registry": "ad-id.org", "value": "CNPA0484000H"}
    full["creatives"][0]["verification"] = [{"vendor": "omid", "url": "https://v.example/omid.js"}]
    parse_catalogue(encoded(full, currency="EUR"), None)


def test_every_problem_is_told_at_once_of_shape_and_of_sense():
    bad = document(
        campaign("spring", variant("a", duration_ms="long", click_url="ftp://x")),
        campaign("spring", variant("a", vector=[1.0]), priority=0, advertiser="nobody"),
        surprise=1,
    )
    bad["placements"][0]["time_zone"] = "Europe/Atlantis"
    bad["advertisers"][1]["nmae"] = "x"
    found = problems(json.dumps(bad).encode())
    second = "$.campaigns[1].creatives[0]"
    assert set(found) == {
        f"{A_VARIANT}.duration_ms",
        f"{A_VARIANT}.click_url",
        "$.campaigns[1].id",
        f"{second}.id",
        f"{second}.variants[0].id",
        f"{second}.variants[0].vector",
        "$.campaigns[1].priority",
        "$.campaigns[1].advertiser",
        "$.surprise",
        "$.placements[0].time_zone",
        "$.advertisers[1].nmae",
    }
    assert "'name'" in found["$.advertisers[1].nmae"], "the right spelling is offered"
    assert "$.campaigns[0].id" in found["$.campaigns[1].id"], "the first use is named"


@pytest.mark.parametrize(
    "url",
    [
        "javascript:alert(1)",
        "//m.example/a",
        "http:/m.example",
        "https://",
        "https://m.example/a b",
        "https://m.example/\n",
        "https://m.example/\x00",
        "https://user:pass@m.example/",
        "https://m.example/é",
        "data:text/html,x",
    ],
)
def test_only_plain_http_addresses_are_served(url):
    bad = variant("a", click_url=url, media=[media(url=url)])
    assert paths(campaign("c", bad)) == [f"{A_VARIANT}.click_url", f"{A_VARIANT}.media[0].url"]


@pytest.mark.parametrize(
    "url",
    [
        "HTTPS://m.example",
        "http://localhost:8080/a?b=[CACHEBUSTING]&c=%20#d",
        "https://[::1]/x",
        "https://m_1.example.",
    ],
)
def test_addresses_in_use_are_accepted(url):
    parse_catalogue(encoded(campaign("c", variant("a", media=[media(url=url)]))), None)


@pytest.mark.parametrize(
    ("fields", "path"),
    [
        ({"skip_after_ms": 15_000}, ".skip_after_ms"),
        ({"vector": [1.0, 2.0, 3.0]}, ".vector"),
        ({"vector": [1.0, 1e39]}, ".vector"),
        ({"vector": [1.0, None]}, ".vector[1]"),
        ({"media": []}, ".media"),
        ({"media": [media(mezzanine=True)]}, ".media"),
        ({"media": [media(mime="mp4")]}, ".media[0].mime"),
        ({"media": [media(mime="video/mp4; x=1")]}, ".media[0].mime"),
        ({"media": [media(width=0)]}, ".media[0].width"),
        ({"categories": [" "]}, ".categories[0]"),
        ({"id": "é"}, ".id"),
        ({"id": "a\tb"}, ".id"),
        ({"id": ""}, ".id"),
        ({"id": "a" * 129}, ".id"),
        ({"labels": {"the cast": 1}}, ".labels['the cast']"),
    ],
)
def test_a_bad_variant_is_told_by_its_path(fields, path):
    assert paths(campaign("c", variant("a", **fields))) == [A_VARIANT + path]


@pytest.mark.parametrize(
    ("fields", "path"),
    [
        ({"flight": {"start": "2026-01-01"}}, ".flight.start"),
        ({"flight": {"end": "2026-01-01T00:00:00"}}, ".flight.end"),
        ({"flight": {"end": "2026-02-30T00:00:00Z"}}, ".flight.end"),
        (
            {"flight": {"start": "2026-01-01T00:00:00Z", "end": "2026-01-01T01:00:00+01:00"}},
            ".flight.end",
        ),
        ({"targeting": {"placement": ["attic"]}}, ".targeting.placement[0]"),
        ({"targeting": {"not": {"placement": ["attic"]}}}, ".targeting.not.placement[0]"),
        ({"targeting": {"moment": ["dream"]}}, ".targeting.moment[0]"),
        ({"targeting": {"device": ["phone", "toaster"]}}, ".targeting.device[1]"),
        ({"targeting": {"device": [""]}}, ".targeting.device[0]"),
        ({"targeting": {"hour_of_week": [168]}}, ".targeting.hour_of_week[0]"),
        (
            {"targeting": {"near": [{"lat": 91, "lon": 0, "radius_km": 1}]}},
            ".targeting.near[0].lat",
        ),
        ({"targeting": {"kountry": ["NL"]}}, ".targeting.kountry"),
        ({"pacing": "odd"}, ".pacing"),
        ({"caps": [{"count": 0, "window_s": 1}]}, ".caps[0].count"),
        ({"bid_cpm_micros": -1}, ".bid_cpm_micros"),
        ({"bid_cpm_micros": 1.5}, ".bid_cpm_micros"),
        ({"name": "a\x00b"}, ".name"),
        ({"competes_with": [""]}, ".competes_with[0]"),
        ({"suppress_on": [{"touchpoint": "é", "days": 1}]}, ".suppress_on[0].touchpoint"),
    ],
)
def test_a_bad_campaign_is_told_by_its_path(fields, path):
    assert paths(campaign("c", **fields)) == [f"$.campaigns[0]{path}"]


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999"])
def test_a_number_that_is_none_is_told_by_its_path(number):
    data = encoded(campaign("c", threshold=12345.0)).replace(b"12345.0", number.encode())
    assert problems(data) == {"$.campaigns[0].threshold": "must be a finite number"}


def test_placements_that_differ_only_in_case_cannot_be_told_apart_by_targeting():
    assert paths(placements=[{"id": "home"}, {"id": "Home"}]) == ["$.placements[1].id"]


def test_an_unreadable_list_does_not_make_errors_of_what_refers_to_it():
    assert paths(advertisers=3) == ["$.advertisers"]


def test_circles_are_bounded():
    circles = [{"lat": 0, "lon": i / 100, "radius_km": 1} for i in range(CIRCLES_MAX)]
    parse_catalogue(encoded(campaign("c", targeting={"near": circles})), None)
    one_more = campaign("d", targeting={"not": {"near": [{"lat": 1, "lon": 0, "radius_km": 1}]}})
    assert paths(campaign("c", targeting={"near": circles}), one_more) == ["$.campaigns"]


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b'"x"',
        b"\xff\xfe",
        b'{"dim": "\xff"}',
        b"\xef\xbb\xbf{}",
        b"[" * 100_000,
        b'{"campaigns":' * 50_000,
        b'{"dim": ' + b"9" * 5_000 + b"}",
        b'{"dim": 2, "advertisers": [], "placements": [], "campaigns": [], "currency": "\\ud800"}',
    ],
)
def test_bytes_that_are_no_catalogue_are_refused_in_words(data):
    assert all(path.startswith("$") for path in problems(data))


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Find every place in a document where something else could stand."""
    entries: list[tuple[Any, Any]] = []
    if isinstance(value, dict):
        entries = list(value.items())
    elif isinstance(value, list):
        entries = list(enumerate(value))
    return [path, *(place for name, inner in entries for place in places(inner, (*path, name)))]


@given(st.data())
def test_whatever_stands_where_it_should_not_is_valid_or_refused_and_nothing_else(data):
    bent: Any = document(campaign("c", targeting={"country": ["NL"]}))
    place = data.draw(st.sampled_from(places(bent)))
    value = data.draw(json_values)
    if place:
        holder = bent
        for name in place[:-1]:
            holder = holder[name]
        holder[place[-1]] = value
    else:
        bent = value
    try:
        parse_catalogue(json.dumps(bent).encode(), None)
    except InvalidInput as refused:
        found = refused.problems
    else:
        return
    assert found
    assert all(problem.path.startswith("$") for problem in found)


def without_vectors(count: int) -> bytes:
    return encoded(
        campaign("c", *(variant(f"v{i}", vector=None) for i in range(count))), vectors="v.npy"
    )


def test_vectors_may_stand_in_a_file_beside_the_catalogue(tmp_path):
    rows = np.arange(6, dtype=np.float32).reshape(3, 2)
    np.save(tmp_path / "v.npy", rows)
    assert read_document(without_vectors(3), tmp_path).vectors.tolist() == rows.tolist()


def test_a_variant_without_a_vector_has_none():
    data = encoded(campaign("c", variant("a", vector=None)))
    assert read_document(data, None).vectors.tolist() == [[0.0, 0.0]]


@pytest.mark.parametrize(
    "rows",
    [
        np.zeros((2, 2), np.float32),
        np.zeros((3, 3), np.float32),
        np.zeros((3, 2), np.float64),
        np.zeros(6, np.float32),
        np.full((3, 2), object()),
    ],
)
def test_a_vector_file_of_another_shape_is_refused(tmp_path, rows):
    np.save(tmp_path / "v.npy", rows)
    assert list(problems(without_vectors(3), tmp_path)) == ["$.vectors"]


def test_the_row_of_a_bad_number_is_told(tmp_path):
    rows = np.zeros((3, 2), np.float32)
    rows[1, 0], rows[2, 1] = np.nan, np.inf
    np.save(tmp_path / "v.npy", rows)
    assert list(problems(without_vectors(3), tmp_path)) == ["$.vectors[1]", "$.vectors[2]"]


@pytest.mark.parametrize(
    "name", ["../v.npy", "/v.npy", "a/v.npy", "a\\v.npy", "c:v.npy", "v.pickle", ".npy\x00", ""]
)
def test_only_a_plain_file_name_is_followed(tmp_path, name):
    np.save(tmp_path / "v.npy", np.zeros((1, 2), np.float32))
    (tmp_path / "inner").mkdir()
    data = encoded(campaign("c", variant("a", vector=None)), vectors=name)
    assert list(problems(data, tmp_path / "inner")) == ["$.vectors"]


def test_a_vector_file_that_is_missing_or_none_is_refused(tmp_path):
    assert list(problems(without_vectors(1), tmp_path)) == ["$.vectors"]
    assert list(problems(without_vectors(1))) == ["$.vectors"]
    (tmp_path / "v.npy").write_bytes(b"PK\x03\x04 an archive")
    assert list(problems(without_vectors(1), tmp_path)) == ["$.vectors"]


def test_a_vector_stands_in_one_place_only(tmp_path):
    np.save(tmp_path / "v.npy", np.zeros((1, 2), np.float32))
    data = encoded(vectors="v.npy")
    assert list(problems(data, tmp_path)) == [f"{A_VARIANT}.vector"]


def test_one_error_in_a_large_catalogue_does_not_cost_minutes():
    """It took 67 s for 100,000 variants before whole parts were handed to msgspec: seconds now."""
    rows = [
        campaign(f"c{k}", *(variant(f"v{k}-{i}", vector=[0.5] * 64) for i in range(20)))
        for k in range(200)
    ]
    rows[7]["priority"] = "high"
    data = encoded(*rows, dim=64)
    began = time.process_time()
    assert list(problems(data)) == ["$.campaigns[7].priority"]
    assert time.process_time() - began < 3
