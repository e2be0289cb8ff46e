"""Who competes with whom, as rows of the bitmap index."""

from collections.abc import Sequence

from adserver.catalogue.bitmaps import Bitmaps
from adserver.domain.campaign import Campaign
from adserver.domain.taxonomy import answers_to


def index_rivals(campaigns: Sequence[Campaign], bitmaps: Bitmaps) -> list[list[int]]:
    """Add a row for who is, and one for who avoids, each name that some campaign avoids and is.

    Parameters
    ----------
    campaigns
        Those of the index, in its order.
    bitmaps
        Gets the rows.

    Returns
    -------
    list of list of int
        Per campaign the rows of those it competes with: who avoids what it is, and who is what it
        avoids. It may stand in them itself.
    """
    avoided = [{word.casefold() for word in campaign.competes_with} for campaign in campaigns]
    wanted = set().union(*avoided)
    if not wanted:
        return [[] for _ in campaigns]
    names = [sorted(wanted & _names(campaign)) for campaign in campaigns]
    carried = set().union(*names)
    refused = [sorted(words & carried) for words in avoided]
    being, avoiding = bitmaps.add_values(names), bitmaps.add_values(refused)
    return [
        [avoiding[name] for name in mine] + [being[name] for name in theirs]
        for mine, theirs in zip(names, refused, strict=True)
    ]


def _names(campaign: Campaign) -> set[str]:
    """Return what a campaign is: its advertiser and its variants' categories, with ancestors."""
    written = {
        category
        for creative in campaign.creatives
        for variant in creative.variants
        for category in variant.categories
    }
    return {campaign.advertiser.casefold()}.union(*map(answers_to, written))
