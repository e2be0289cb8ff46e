"""Category trees: complete, without loops, and read from the request's own taxonomy."""

import pytest

from adserver.domain.taxonomies.content import LAYERS
from adserver.domain.taxonomy import answers_to, matching_targets, parents

NUMBERED = {str(number) for number in range(1, 699)}
DESCRIPTIVE = {str(number) for number in range(1000, 1481)}
ROOTS_2_0 = {
    *("1", "42", "52", "123", "132", "150", "186", "201", "210", "223", "239", "274", "286"),
    *("324", "338", "379", "391", "422", "432", "441", "453", "464", "473", "483", "552"),
    *("596", "640", "653", "680", "1000", "1010", "1022", "1030", "1215", "1219"),
}
ROOTS_3_0 = {
    *("150", "1", "42", "52", "123", "132", "jlbcu7", "8vzqhl", "186", "201", "210", "spshq5"),
    *("223", "239", "1kxcld", "274", "286", "163", "391", "422", "386", "432", "441", "453"),
    *("464", "v9i3on", "473", "483", "552", "596", "653", "680"),
}
CHILDLESS_ROOTS_3_0 = {"80dv8o", "380", "381", "383", "389"}
GONE_IN_3_0 = {
    *("45", "47", "50", "152", "174", "175", "176", "182", "183", "184", "327", "328", "329"),
    *("330", "333", "334", "337", "372", "373", "374", "375", "379", "382", "384", "385", "644"),
}
NAMED_IN_3_0 = {
    *("vkiv56", "ezwb7v", "tifqa5", "a0ah3g", "khpc5a", "khpc6a", "wqc6hr", "w3cw2j", "8ypbbl"),
    *("mq2xml", "zjg29s", "vwgks7", "ii436j", "vk7kd0"),
}
SENSITIVE = {
    *("rm3sit", "avbnf2", "xtodt3", "i4gwl6", "mm3uxx", "hxqyv1", "j9pao9", "pg0whf"),
    *("6i4db6", "8fd8ni", "z7rjbm"),
}
RISKS = {"bsr001", "bsr002", "bsr003", "bsr004"}
WITH_PARENTS_2_0 = (NUMBERED | DESCRIPTIVE) - ROOTS_2_0
WITH_PARENTS_3_0 = (
    (NUMBERED - GONE_IN_3_0 | NAMED_IN_3_0 | SENSITIVE) - ROOTS_3_0 - CHILDLESS_ROOTS_3_0
)


def listed_children(cattax: int) -> list[str]:
    """Read the children of a taxonomy's final lines with a second, plainer reader."""
    final = {}
    for line in "".join(LAYERS[cattax]).strip().splitlines():
        if line:
            parent, words = line.split(":")
            final[parent] = words
    found = []
    for words in final.values():
        for word in words.split():
            low, _, high = word.partition("-")
            found += map(str, range(int(low), int(high) + 1)) if high else [low.lower()]
    return found


@pytest.mark.parametrize(
    ("cattax", "with_parents", "roots"),
    [
        (2, WITH_PARENTS_2_0, ROOTS_2_0),
        (5, WITH_PARENTS_2_0, ROOTS_2_0),
        (6, WITH_PARENTS_2_0 | SENSITIVE | RISKS, {*ROOTS_2_0, "v9i3on", "mrkz4q"}),
        (7, WITH_PARENTS_3_0, ROOTS_3_0),
        (9, WITH_PARENTS_3_0 | {"700"}, ROOTS_3_0),
    ],
)
def test_every_category_has_one_parent_and_ends_at_a_root(
    cattax: int, with_parents: set[str], roots: set[str]
) -> None:
    listed = listed_children(cattax)
    assert len(listed) == len(set(listed))
    assert set(listed) == with_parents
    assert {parents(category, cattax)[-1] for category in listed} == roots
    assert not any(parents(root, cattax) for root in roots)


def test_a_lineage_is_its_parent_and_the_lineage_of_its_parent() -> None:
    for cattax in LAYERS:
        for category in listed_children(cattax):
            nearest, *rest = parents(category, cattax)
            assert parents(nearest, cattax) == tuple(rest)


@pytest.mark.parametrize(
    ("category", "cattax", "expected"),
    [
        ("IAB1-5", 1, ("iab1",)),
        ("iab26-4", 1, ("iab26",)),
        ("IAB1", 1, ()),
        ("sci-fi", 1, ()),
        ("581", 2, ("580", "579", "552")),
        ("330", 2, ("324",)),
        ("330", 7, ()),
        ("325", 6, ("324",)),
        ("325", 7, ("spshq5",)),
        ("376", 5, ("371", "338")),
        ("376", 9, ("371", "spshq5")),
        ("366", 5, ("363", "338")),
        ("366", 7, ("363", "338", "jlbcu7")),
        ("390", 2, ("379",)),
        ("390", 7, ("464",)),
        ("161", 6, ("150",)),
        ("161", 9, ("473",)),
        ("163", 2, ("150",)),
        ("163", 7, ()),
        ("172", 2, ("163", "150")),
        ("172", 7, ("163",)),
        ("389", 2, ("386", "379")),
        ("389", 9, ()),
        ("8YPBBL", 7, ("386",)),
        ("wqc6hr", 7, ("602", "599", "596")),
        ("Rm3SiT", 6, ("v9i3on",)),
        ("Rm3SiT", 5, ()),
        ("bsr002", 6, ("mrkz4q",)),
        ("bsr002", 7, ()),
        ("700", 7, ()),
        ("700", 9, ("spshq5",)),
        ("1443", 2, ("1228", "1219")),
        ("1443", 7, ()),
    ],
)
def test_parents(category: str, cattax: int, expected: tuple[str, ...]) -> None:
    assert parents(category, cattax) == expected


@pytest.mark.parametrize("cattax", [2, 5, 6, 7, 9])
def test_horse_racing_is_an_equine_sport_in_every_version(cattax: int) -> None:
    assert parents("497", cattax) == ("496", "483")


@pytest.mark.parametrize("cattax", [3, 4, 8, 10, 500, 65_535])
def test_other_taxonomies_know_no_parents(cattax: int) -> None:
    assert parents("325", cattax) == ()
    assert matching_targets("325", cattax) == ("325", f"{cattax}:325")


def test_matching_targets_name_the_taxonomy_or_leave_it_open() -> None:
    assert matching_targets("IAB1-5", 1) == ("iab1-5", "iab1", "1:iab1-5", "1:iab1")
    assert matching_targets("330", 2) == ("330", "324", "2:330", "2:324")


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("IAB1-5", {"iab1-5", "iab1"}),
        ("330", {"330", "324"}),
        ("7:330", {"330", "7:330"}),
        ("2:330", {"330", "324", "2:330", "2:324"}),
        ("325", {"325", "324", "spshq5"}),
        ("Own:Thing", {"own:thing"}),
        (":7", {":7"}),
    ],
)
def test_a_written_category_answers_to_its_ancestors_in_every_tree_it_may_be_of(
    written: str, expected: set[str]
) -> None:
    assert answers_to(written) == expected
