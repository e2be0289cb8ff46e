"""Who is introduced on the demo's page, and that what is said of them is so."""

import numpy as np

from adserver.worlds.cast import SEEN_MIN, cast, everybody
from adserver.worlds.synthetic import build_synthetic

WORLD = build_synthetic()
MEMBERS = everybody(WORLD)


def test_everybody_is_told_of_once():
    assert sorted(member.viewer for member in MEMBERS) == sorted(WORLD.viewer_ids)


def test_what_is_told_can_be_counted_in_the_data():
    history = WORLD.history
    for member in MEMBERS[::50]:
        mine = history.viewer == WORLD.viewer_ids.index(member.viewer)
        liked = history.campaign[history.variant[mine & (history.complete == 1)]]
        counts = np.bincount(liked, minlength=history.campaign_count)
        campaign = WORLD.catalogue.campaigns[int(counts.argmax())]
        assert member.seen == mine.sum()
        assert member.completed == len(liked)
        assert member.annoyed == history.annoyed[mine].sum()
        assert member.favourites == counts.max()
        assert campaign.name.startswith(member.favourite)
        assert member.category == campaign.targeting.category[0]


def test_the_cast_is_unlike_each_other_and_well_known():
    first = MEMBERS[3]
    chosen = cast(MEMBERS, 5, [first.viewer], [first.category])
    assert len(chosen) == 5
    assert len({member.category for member in [first, *chosen]}) == 6
    assert min(member.seen for member in chosen) >= SEEN_MIN
