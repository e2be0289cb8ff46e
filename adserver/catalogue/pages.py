"""Landing pages: where a click on a variant leads, also when the variant has left since."""

from typing import Final

import numpy as np

from adserver.catalogue.columns import CREATIVE, Columns
from adserver.catalogue.versions import Versions
from adserver.domain.units import parse_time_ms

CATALOGUES_HELD: Final = 2


def page_of(columns: Columns, creative_key: int, variant: str) -> str | None:
    """Return the landing page of a variant in a snapshot, empty if it has none; None: not there.

    Parameters
    ----------
    columns
        The snapshot.
    creative_key
        ``key32`` of its creative, which finds it without an index of all variants.
    variant
        Its id.
    """
    name = variant.encode()
    for creative in np.flatnonzero(columns.creative_keys == creative_key).tolist():
        # Variants stand by creative, so those of one are neighbours.
        first, last = np.searchsorted(columns.variants[CREATIVE], [creative, creative + 1]).tolist()
        for index in range(first, last):
            if columns.texts["variant"][index] == name:
                return columns.texts["landing_page"][index].decode()
    return None


class PastPages:
    """Landing pages of catalogues that were in force. Takes its time; for one thread at a time."""

    def __init__(self, versions: Versions) -> None:
        self._versions = versions
        self._held: dict[str, dict[str, str]] = {}

    def find(self, variant: str, time_ms: int) -> str | None:
        """Return the page a variant had when a decision was made; None if it was not there then.

        Looks in the catalogue in force at that time and, as workers follow a publication within a
        second and clocks differ, in the one before and the one after it.
        """
        entries = self._versions.log("catalogue")
        in_force = sum(parse_time_ms(entry.time) <= time_ms for entry in entries) - 1
        for place in (in_force, in_force - 1, in_force + 1):
            if 0 <= place < len(entries):
                page = self._pages(entries[place].version).get(variant)
                if page is not None:
                    return page
        return None

    def _pages(self, version: str) -> dict[str, str]:
        pages = self._held.pop(version, None)
        if pages is None:
            catalogue = self._versions.read_document(version).catalogue
            pages = {
                variant.id: variant.click_url
                for campaign in catalogue.campaigns
                for creative in campaign.creatives
                for variant in creative.variants
            }
        if len(self._held) >= CATALOGUES_HELD:
            self._held.pop(next(iter(self._held)))
        self._held[version] = pages  # last again: the first is the one longest not asked for
        return pages
