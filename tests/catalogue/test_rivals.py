"""Who competes with whom: by advertiser and category, whichever side names the other."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adserver.catalogue.columns import ARRAYS, Columns
from adserver.domain.taxonomy import parents
from tests.catalogue.documents import campaign, variant
from tests.catalogue.test_build import built, members

WORDS = ("IAB2", "iab2-1", "IAB2-3", "IAB20", "acme", "OTHER")


def market(*rows: tuple[str, list[str], list[str]]) -> Columns:
    """Build campaigns of (advertiser, categories, competes_with)."""
    return built(
        *(
            campaign(
                f"c{k}",
                variant(f"v{k}"),
                variant(f"w{k}", categories=categories),
                advertiser=advertiser,
                competes_with=words,
            )
            for k, (advertiser, categories, words) in enumerate(rows)
        )
    )


def rivals(columns: Columns) -> list[set[int]]:
    """Return per campaign those that may not follow it."""
    return [
        set().union(
            *(
                members(columns, row)
                for row in columns.rivals[
                    columns.rival_start[k] : columns.rival_start[k + 1]
                ].tolist()
            )
        )
        - {k}
        for k in range(columns.campaign_count)
    ]


@pytest.mark.parametrize(
    ("categories", "words", "compete"),
    [
        (["IAB2"], ["IAB2"], True),
        (["iab2-3"], ["IAB2"], True),
        (["IAB2"], ["IAB2-3"], False),
        (["IAB20"], ["IAB2"], False),
        ([], ["OTHER"], True),
        ([], ["acme"], False),
        (["325"], ["324"], True),
        (["325"], ["spshq5"], True),
        (["2:325"], ["324"], True),
        (["2:325"], ["2:324"], True),
        (["2:325"], ["SPSHQ5"], False),
        (["325"], ["2:324"], False),
        (["8:1002"], ["1002"], True),
        (["8:1002"], ["596"], False),
        (["own:1"], ["OWN:1"], True),
    ],
)
def test_a_word_is_an_advertiser_or_a_category_or_stands_above_one(
    categories: list[str], words: list[str], *, compete: bool
) -> None:
    named, naming = ("other", categories, []), ("acme", [], words)
    assert rivals(market(named, naming)) == ([{1}, {0}] if compete else [set(), set()])
    assert rivals(market(naming, named)) == ([{1}, {0}] if compete else [set(), set()])


words = st.lists(st.sampled_from(WORDS), max_size=3)
rows = st.tuples(st.sampled_from(("acme", "other")), words, words)


def avoids(row: tuple[str, list[str], list[str]], other: tuple[str, list[str], list[str]]) -> bool:
    """Whether a campaign names the other, asked word by word."""
    advertiser, categories, _ = other
    return any(
        word.casefold() in {advertiser, category.casefold(), *parents(category, 1)}
        for word in row[2]
        for category in ["", *categories]
    )


@given(st.lists(rows, min_size=1, max_size=5), st.sampled_from((0, 70)))
def test_competitors_are_those_of_which_either_names_the_other(some: list[Any], fillers: int):
    some = [("acme", [], [])] * fillers + some
    expected = [
        {j for j, other in enumerate(some) if j != k and (avoids(row, other) or avoids(other, row))}
        for k, row in enumerate(some)
    ]
    assert rivals(market(*some)) == expected


def test_where_nobody_competes_no_row_is_spent() -> None:
    assert market(("acme", ["IAB2"], []), ("other", [], [])).bitmaps.shape[0] == 0
    unknown = market(("acme", ["IAB2"], ["nobody", "IAB9"]))
    assert unknown.bitmaps.shape[0] == 0
    assert unknown.rivals.shape == (0,)
    assert unknown.rival_start.tolist() == [0, 0]


def test_a_hundred_competing_campaigns_keep_the_memory_rule() -> None:
    categories = [f"IAB{n}" for n in range(1, 21)]
    columns = built(
        *(
            campaign(
                f"c{k}",
                *(variant(f"v{k}-{i}", categories=[categories[k % 20]]) for i in range(10)),
                competes_with=[categories[k % 20]],
            )
            for k in range(100)
        )
    )
    spent = sum(getattr(columns, name).nbytes for name in ARRAYS)
    assert spent <= columns.variant_count * (64 + 4 * 2)
