"""Category targets, plain or with their taxonomy, meet requests of every taxonomy."""

from typing import Any

import pytest

from adserver.decide.targeting import category_values
from tests.decide import small

ACTION = ["325"]


def wins(targeting: dict[str, Any], categories: list[str], cattax: int) -> bool:
    """Whether a campaign with this targeting is the answer to content of these categories."""
    campaign = small.campaign("c", small.variant("v", [1.0, 0.0]), targeting=targeting)
    asked = small.request(content={"categories": categories, "cattax": cattax})
    return small.decide(small.columns(campaign), asked).shown


@pytest.mark.parametrize(
    ("targets", "categories", "cattax", "expected"),
    [
        (["330"], ["330"], 7, True),
        (["330"], ["330"], 2, True),
        (["7:330"], ["330"], 7, True),
        (["7:330"], ["330"], 9, False),
        (["324"], ACTION, 2, True),
        (["2:324"], ACTION, 2, True),
        (["2:324"], ACTION, 5, False),
        (["324"], ACTION, 7, False),
        (["SPSHQ5"], ACTION, 7, True),
        (["9:spshq5"], ACTION, 9, True),
        (["325"], ["324"], 2, False),
        (["1:IAB1"], ["IAB1-5"], 1, True),
        (["IAB1"], ["IAB1-5"], 1, True),
        (["IAB1"], ["IAB10-1"], 1, False),
        (["324"], ACTION, 8, False),
        (["325"], ACTION, 8, True),
        (["8:325"], ACTION, 8, True),
        (["8:325"], ACTION, 7, False),
        (["news"], ["News"], 500, True),
        (["324", "483"], ["1", "497"], 6, True),
    ],
)
def test_category_targets(
    targets: list[str], categories: list[str], cattax: int, *, expected: bool
) -> None:
    assert wins({"category": targets}, categories, cattax) is expected
    assert wins({"not": {"category": targets}}, categories, cattax) is not expected


def test_category_values_are_those_of_every_category_in_turn() -> None:
    asked = small.request(content={"categories": ["581", "1"], "cattax": 9})
    assert category_values(asked) == (
        *("581", "580", "579", "552", "9:581", "9:580", "9:579", "9:552"),
        *("1", "9:1"),
    )


def test_no_categories_match_no_target() -> None:
    assert category_values(small.request()) == ()
