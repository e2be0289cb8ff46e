"""Bytes become a request, or the reason why not, and never anything else."""

import json

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from adserver.domain.errors import InvalidInput
from adserver.domain.request import AdRequest, Terms
from adserver.edge.json_request import BadJson, parse


def spoil(**fields: object) -> bytes:
    return json.dumps({"placement": "p", **fields}).encode()


NOT_JSON = {
    "empty": b"",
    "words": b"hello",
    "half": b'{"placement": "p"',
    "trailing words": b'{"placement": "p"} more',
    "trailing comma": b'{"placement": "p",}',
    "two documents": b'{"placement": "p"}{"placement": "p"}',
    "byte order mark": b'\xef\xbb\xbf{"placement": "p"}',
    "utf-16": '{"placement": "p"}'.encode("utf-16"),
    "bad utf-8 in a known field": b'{"placement": "\xff"}',
    "bad utf-8 in an unknown field": b'{"placement": "p", "x": "\xff"}',
    "overlong utf-8": b'{"placement": "p", "x": "\xc0\xaf"}',
    "surrogate in utf-8": b'{"placement": "p", "x": "\xed\xa0\x80"}',
    "half a surrogate pair": b'{"placement": "\\ud800"}',
    "half a surrogate pair elsewhere": b'{"placement": "p", "x": "\\ud800"}',
    "control character": b'{"placement": "p", "x": "\x01"}',
    "leading zero": b'{"placement": "p", "x": 01}',
    "deep lists": b'{"placement": "p", "x": ' + b"[" * 30_000 + b"]" * 30_000 + b"}",
    "deep objects": b'{"placement": "p", "x": ' + b'{"a":' * 12_000,
    "deep and NaN": b'{"placement": "p", "x": ' + b"[" * 30_000 + b"NaN",
    "comment": b'{"placement": "p"} // hi',
    "null bytes": b"\x00" * 100,
}
INVALID = {
    "$": [b"null", b"[]", b'"p"', b"1", b"{}", b'{"viewer": {}}'],
    "$.placement": [
        b'{"placement": 1}',
        b'{"placement": ""}',
        b'{"placement": null}',
        b'{"placement": "\\u0000"}',
        '{"placement": "caf\u00e9"}'.encode(),
        b'{"placement": "a\\nb"}',
        spoil(placement="p" * 129),
    ],
    "$.viewer": [spoil(viewer=None), spoil(viewer="ml-1"), spoil(viewer=[])],
    "$.viewer.id": [spoil(viewer={"id": 1}), spoil(viewer={"id": ""}), spoil(viewer={"id": "\t"})],
    "$.viewer.ids[1].id": [
        spoil(viewer={"ids": [{"source": "a", "id": "b"}, {"source": "a", "id": "\u2028"}]}),
        spoil(viewer={"ids": [{"source": "a", "id": "b"}, {"source": "a", "id": "x" * 129}]}),
    ],
    "$.viewer.ids[0].source": [spoil(viewer={"ids": [{"source": "\x7f", "id": "b"}]})],
    "$.consent.gdpr": [spoil(consent={"gdpr": 1}), spoil(consent={"gdpr": "true"})],
    "$.consent.tcf": [spoil(consent={"tcf": "C" * 8193}), spoil(consent={"tcf": []})],
    "$.device.type": [spoil(device={"type": "fridge"}), spoil(device={"type": 3})],
    "$.moment.intent": [spoil(moment={"intent": "loiter"})],
    "$.moment.urgency": [
        spoil(moment={"urgency": 1.5}),
        spoil(moment={"urgency": -0.1}),
        b'{"placement": "p", "moment": {"urgency": NaN}}',
        b'{"placement": "p", "moment": {"urgency": -Infinity}}',
        b'{"placement": "p", "moment": {"urgency": 1e999}}',
        b'{"placement": "p", "moment": {"urgency": ' + b"9" * 5000 + b"}}",
        spoil(moment={"urgency": True}),
    ],
    "$.extra[2].deep": [b'{"placement": "p", "extra": [1, 2, {"deep": Infinity}]}'],
    "$.geo.lat": [spoil(geo={"lat": 91}), spoil(geo={"lat": "51"})],
    "$.player.width": [spoil(player={"width": -1}), spoil(player={"width": 1.5})],
    "$.terms.durations_s[1]": [
        spoil(terms={"durations_s": [15, 10**30]}),
        spoil(terms={"durations_s": [15, 0]}),
    ],
    "$.player.mimes": [spoil(player={"mimes": ["a"] * 65}), spoil(player={"mimes": "video/mp4"})],
    "$.content.keywords[3]": [spoil(content={"keywords": ["a", "b", "c", "k" * 129]})],
    "$.deadline_ms": [spoil(deadline_ms=0), spoil(deadline_ms=60_001), spoil(deadline_ms="10")],
    "$.explain": [spoil(explain="yes"), spoil(explain=1)],
}


def test_a_minimal_request_needs_only_a_placement():
    assert parse(b'{"placement": "p"}') == AdRequest("p")


def test_unknown_fields_are_ignored():
    assert parse(spoil(new={"field": [1, {"a": None}]}, x="\u00e9")) == AdRequest("p")


def test_everything_of_the_contract_is_understood():
    request = parse(
        spoil(
            explain=True,
            deadline_ms=10,
            viewer={"id": "ml-42", "ids": [{"source": "crm", "id": "7"}], "dosage_token": "later"},
            consent={"gdpr": False, "us_privacy": "1YNN", "coppa": False, "opt_out": False},
            content={"id": "c", "title": "caf\u00e9", "categories": ["IAB1-5"], "duration_s": 600},
            device={"type": "tv", "os": "tizen", "ua": "x"},
            geo={"country": "NL", "lat": 51.9, "lon": 4.5},
            player={"width": 1280, "height": 720, "mimes": ["video/mp4"], "skippable": True},
            moment={"intent": "buy", "urgency": 0.8},
        )
    )
    assert (request.viewer.id, request.viewer.ids[0].source) == ("ml-42", "crm")
    assert (request.content.title, request.moment.urgency) == ("caf\u00e9", 0.8)


@pytest.mark.parametrize("body", NOT_JSON.values(), ids=NOT_JSON)
def test_what_is_not_json_is_called_that(body):
    with pytest.raises(BadJson):
        parse(body)


@pytest.mark.parametrize(
    ("path", "body"), [(path, body) for path, bodies in INVALID.items() for body in bodies]
)
def test_a_wrong_field_is_named_with_what_was_expected(path, body):
    with pytest.raises(InvalidInput) as caught:
        parse(body)
    (problem,) = caught.value.problems
    assert problem.path == path
    assert problem.message


def test_an_unknown_word_is_answered_with_the_known_ones():
    with pytest.raises(InvalidInput, match="phone, tablet, desktop"):
        parse(spoil(device={"type": "fridge"}))


def test_half_a_surrogate_pair_is_called_that():
    for body in (b'{"placement": "\\ud800"}', b'{"placement": "p", "x": ["\\udc00"]}'):
        with pytest.raises(BadJson, match="half of a surrogate pair"):
            parse(body)


def test_a_whole_number_is_one_however_it_is_written():
    request = parse(b'{"placement": "p", "player": {"width": 640.0, "height": 3.6e2}, "x": 1.5}')
    assert (request.player.width, request.player.height) == (640, 360)
    assert type(request.player.width) is int
    wide = b'{"placement": "p", "player": {"width": 640.0, "max_duration_s": 7.5, "height": 70000}}'
    with pytest.raises(InvalidInput, match="height"):
        parse(wide)


def test_terms_are_taken_but_an_auction_is_not_for_players_to_say():
    request = parse(spoil(terms={"secure": True, "auction": 2, "test": True}))
    assert request.terms == Terms(secure=True)


SAID_TWICE = [
    b'{"placement": "p", "consent": {"opt_out": true}, "consent": {}}',
    b'{"placement": "p", "consent": {"opt_out": true}, "\\u0063onsent": {"opt_out": false}}',
    b'{"placement": "p", "consent": {"gdpr": true, "gdpr": false}}',
    b'{"placement": "p", "consent": {"tcf": "C", "t\\u0063f": null}}',
]


@pytest.mark.parametrize("body", SAID_TWICE)
def test_consent_that_is_said_twice_is_refused(body):
    with pytest.raises(InvalidInput, match=r"\$\.consent: Expected `\w+` once"):
        parse(body)


def test_consent_that_is_said_once_is_not():
    said = b'{"x": "\\u0063onsent", "consent": {"gdpr": false}, "placement": "p", "device": {}}'
    assert parse(said).consent.gdpr is False
    named = b'{"placement": "p", "consent": {"gdpr": false}, "content": {"id": "consent", "title": '
    assert parse(named + b'"gdpr"}}').content.title == "gdpr"
    deep = b'{"placement": "\\u0070", "consent": {"gdpr": false}, "x": '
    with pytest.raises(BadJson):
        parse(deep + b"[" * 5000 + b"]" * 5000 + b"}")


JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)
NAMES = ["placement", "viewer", "consent", "content", "device", "geo", "player", "moment", "x"]


@given(st.binary() | st.dictionaries(st.sampled_from(NAMES), JSON).map(json.dumps).map(str.encode))
@example(b'{"placement":"a"}')
def test_nothing_else_ever_comes_out(body):
    try:
        request = parse(body)
    except (BadJson, InvalidInput):
        return
    assert 1 <= len(request.placement) <= 128
    assert request.placement.isascii()
