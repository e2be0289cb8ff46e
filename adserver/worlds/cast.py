"""The viewers of a world as somebody who shows it would introduce them: by what they watched."""

from collections.abc import Container, Iterable, Sequence
from typing import Final

import numpy as np
from msgspec import Struct

from adserver.worlds.world import World

SEEN_MIN: Final = 40
"""Of whom less is known, less can be told."""


FEW: Final = 20.0
"""A taste shows in more than so many films watched to the end; of fewer it is only a hint."""


class Member(Struct, frozen=True):
    """One viewer, in numbers that can be looked up in the data."""

    viewer: str
    category: str
    """That of their favourite campaign; empty where it has none of its own."""
    favourite: str
    """Name of the campaign of which they watched most to the end."""
    favourites: int
    """How many of it."""
    seen: int
    completed: int
    annoyed: int


def everybody(world: World) -> list[Member]:
    """Return all viewers, those with the most uniform taste first.

    Uniform is a taste when a large share of what was watched to the end is of one campaign.
    """
    history = world.history
    completed = np.zeros((history.viewer_count, history.campaign_count))
    cells = (history.viewer, history.campaign[history.variant])
    np.add.at(completed, cells, history.complete)
    seen = np.bincount(history.viewer, minlength=history.viewer_count)
    annoyed = np.bincount(history.viewer, history.annoyed, minlength=history.viewer_count)
    total, favourite = completed.sum(axis=1), completed.argmax(axis=1)
    share = completed.max(axis=1) / (total + FEW)
    campaigns = world.catalogue.campaigns
    return [
        Member(
            viewer=world.viewer_ids[viewer],
            # A campaign for all kinds of page names no kind of its own.
            category="".join(campaigns[favourite[viewer]].targeting.category[:-1]),
            favourite=campaigns[favourite[viewer]].name.partition(" (")[0],
            favourites=int(completed[viewer, favourite[viewer]]),
            seen=int(seen[viewer]),
            completed=int(total[viewer]),
            annoyed=int(annoyed[viewer]),
        )
        for viewer in np.argsort(-share, kind="stable").tolist()
    ]


def cast(
    members: Sequence[Member],
    count: int,
    known: Container[str] = (),
    categories: Iterable[str] = (),
) -> list[Member]:
    """Return members unlike each other: of each category the first of whom enough is known.

    Parameters
    ----------
    members
        From ``everybody``.
    count
        At most so many.
    known
        Viewers who are introduced already.
    categories
        And the categories they stand for.
    """
    taken = {"", *categories}
    found: list[Member] = []
    for member in members:
        new = member.category not in taken and member.viewer not in known
        if len(found) < count and new and member.seen >= SEEN_MIN:
            taken.add(member.category)
            found.append(member)
    return found
