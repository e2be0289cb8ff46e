"""What changed between two versions is told thing by thing and field by field."""

import json
from typing import Any

import numpy as np

from adserver.catalogue.diff import Difference, FieldChange, diff_catalogues, diff_policies
from adserver.catalogue.parse import read_document
from adserver.catalogue.policy import parse_policy
from adserver.catalogue.vectors import Document
from tests.catalogue.documents import campaign, document, encoded, variant


def read(*campaigns: dict[str, Any], **fields: Any) -> Document:
    return read_document(encoded(*campaigns, **fields), None)


def test_nothing_changed():
    assert diff_catalogues(read(), read()) == []
    assert diff_policies(parse_policy(""), parse_policy("epsilon = 0.02")) == []


def test_things_added_removed_and_changed():
    before = read(campaign("spring", variant("a"), variant("b")), campaign("gone", variant("g")))
    after = read(
        campaign("spring", variant("a", duration_ms=20_000), variant("n"), bid_cpm_micros=5),
        currency="USD",
    )
    assert diff_catalogues(before, after) == [
        Difference("changed", "catalogue", "", (FieldChange("currency", "EUR", "USD"),)),
        Difference("removed", "campaign", "gone"),
        Difference("changed", "campaign", "spring", (FieldChange("bid_cpm_micros", 4_000_000, 5),)),
        Difference("removed", "creative", "gone-film"),
        Difference("removed", "variant", "b"),
        Difference("removed", "variant", "g"),
        Difference("changed", "variant", "a", (FieldChange("duration_ms", 15_000, 20_000),)),
        Difference("added", "variant", "n"),
    ]


def test_nested_fields_are_named_as_the_document_spells_them():
    after = campaign("spring", targeting={"not": {"country": ["BE"]}}, budget={"total_micros": 9})
    (difference,) = diff_catalogues(read(campaign("spring")), read(after))
    names = {change.name: (change.before, change.after) for change in difference.fields}
    assert names["budget.total_micros"] == (0, 9)
    assert names["targeting.not.country"] == ((), ("BE",))


def test_a_vector_that_moved_says_how_far(tmp_path):
    before = read(campaign("c", variant("a", vector=[1, 0])))
    np.save(tmp_path / "v.npy", np.array([[1, 1]], np.float32))
    moved = document(campaign("c", variant("a", vector=None)), vectors="v.npy")
    after = read_document(json.dumps(moved).encode(), tmp_path)
    (difference,) = diff_catalogues(before, after)
    assert difference.fields == (FieldChange("vector", None, "moved, cosine 0.707"),)


def test_policy_keys_are_dotted():
    before = parse_policy("[threshold]\ncampaigns = { a = 0.1, b = 0.2 }")
    after = parse_policy("epsilon = 0.5\n[threshold]\ncampaigns = { a = 0.3 }")
    (difference,) = diff_policies(before, after)
    assert difference.fields == (
        FieldChange("epsilon", 0.02, 0.5),
        FieldChange("threshold.campaigns.a", 0.1, 0.3),
        FieldChange("threshold.campaigns.b", 0.2, None),
    )
