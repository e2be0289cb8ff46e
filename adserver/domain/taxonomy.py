"""Category taxonomies: which categories a target on another one also means.

A request names its categories and, with ``cattax``, the AdCOM number of the taxonomy they are of.
One id can mean different things in two taxonomies: 1002 is e-mail in Content 2.0 and alcohol in Ad
Product 2.0. A target in a catalogue is therefore written in one of two ways:

* plain, ``"330"`` or ``"IAB1-5"``: a category spelt so, in whatever taxonomy the request names. The
  numbered content taxonomies (2.x and 3.x) share their ids, so that one plain target serves all of
  them while players move from one to the next;
* with its taxonomy, ``"7:330"``: that category in taxonomy 7 only.

Either also matches all descendants of the category, in the tree of the *request's* taxonomy: 3.0
moved many categories of 2.x to other parents, and only the request knows which tree was meant.

Parents are known for the content taxonomies (1, 2, 5, 6, 7 and 9). Ad Product (3, 8) and Audience
(4) classify advertisements and people, not content; they, and vendors' own, match on the same id
only.
"""

import re
from collections.abc import Mapping
from functools import cache, lru_cache
from typing import Final

from adserver.domain.taxonomies.content import LAYERS

CONTENT_1_0: Final = 1
CONTENT_2_2: Final = 6
MATCHES_KEPT_MAX: Final = 4096
"""More than the categories in use; the bound is for requests that invent some."""
SPELT_UNDER_PARENT: Final = re.compile(r"(iab[0-9]+)-[0-9]+")
"""Content 1.0 has two tiers and spells a child as its parent, a hyphen and a number: IAB1-5."""
CONTENT_1_0_ID: Final = re.compile(r"(?i:iab)[0-9]+(-[0-9]+)?", re.ASCII)


def parents(category: str, cattax: int) -> tuple[str, ...]:
    """Return the ancestors of a category, nearest first.

    Parameters
    ----------
    category
        A category id in any letter case.
    cattax
        The AdCOM number of its taxonomy.

    Returns
    -------
    tuple of str
        Casefolded ids; empty for a top category, an unknown id or an unknown taxonomy.
    """
    if cattax == CONTENT_1_0:
        spelt = SPELT_UNDER_PARENT.fullmatch(category.casefold())
        return (spelt[1],) if spelt else ()
    # Only known numbers reach the cache, so that requests cannot make it grow.
    return _lineages(cattax).get(category.casefold(), ()) if cattax in LAYERS else ()


@lru_cache(MATCHES_KEPT_MAX)
def matching_targets(category: str, cattax: int) -> tuple[str, ...]:
    """Return every casefolded target that a request's category matches, plain ones first."""
    plain = (category.casefold(), *parents(category, cattax))
    return plain + tuple([f"{cattax}:{value}" for value in plain])


def answers_to(written: str) -> frozenset[str]:
    """Return every casefolded target that matches a category as a catalogue writes it.

    A plain category is of no taxonomy in particular, so its ancestors are those of every tree; one
    with its taxonomy, ``"7:330"``, has the ancestors of that tree, and matches in both forms.
    """
    number, colon, category = written.partition(":")
    if colon and number.isdecimal():
        return frozenset(matching_targets(category, int(number)))
    plain = written.casefold()
    return frozenset({plain}.union(*(parents(plain, tree) for tree in (CONTENT_1_0, *LAYERS))))


def ad_names(written: str) -> frozenset[str]:
    """Return what a category of an advertisement is called when someone blocks or allows it.

    Its own name and its ancestors', casefolded: plain where the catalogue names no taxonomy, and
    otherwise behind their taxonomy, so that 1002 of one list is not 1002 of another.
    """
    number, colon, category = written.partition(":")
    if colon and number.isdecimal():
        names = (category.casefold(), *parents(category, int(number)))
        return frozenset(f"{int(number)}:{name}" for name in names)
    return answers_to(written)


def asked_names(category: str, cattax: int) -> tuple[str, ...]:
    """Return the names of ``ad_names`` that someone means who blocks or allows this category.

    A plain one in a catalogue is of any taxonomy; the numbered content taxonomies share their ids.
    """
    name = category.casefold()
    kin = (cattax, *LAYERS) if cattax in LAYERS else (cattax,)
    return (name, *dict.fromkeys(f"{number}:{name}" for number in kin))


def spelt_in(written: str) -> tuple[int, str] | None:
    """Return taxonomy and id of a category as a catalogue writes it; None where nobody can tell.

    A plain number is of the content taxonomies that share their ids, named by the one that most
    players know.
    """
    number, colon, category = written.partition(":")
    if colon and number.isdecimal():
        return int(number), category
    if CONTENT_1_0_ID.fullmatch(written):
        return CONTENT_1_0, written.upper()
    return (CONTENT_2_2, written) if written.isdecimal() else None


def _ids(word: str) -> list[str]:
    """Return the ids a word of the data stands for, casefolded."""
    first, _, last = word.partition("-")
    return [str(id_) for id_ in range(int(first), int(last) + 1)] if last else [first.casefold()]


@cache
def _lineages(cattax: int) -> Mapping[str, tuple[str, ...]]:
    """Return child → ancestors, for every category that has any."""
    children: dict[str, str] = {}
    for line in "\n".join(LAYERS[cattax]).splitlines():
        above, _, below = line.partition(":")
        children[above] = below
    parent_of = {
        child: above.casefold()
        for above, below in children.items()
        for word in below.split()
        for child in _ids(word)
    }
    lineages: dict[str, tuple[str, ...]] = {}
    for category, parent in parent_of.items():
        lineage = [parent]
        while lineage[-1] in parent_of:
            lineage.append(parent_of[lineage[-1]])
        lineages[category] = tuple(lineage)
    return lineages
