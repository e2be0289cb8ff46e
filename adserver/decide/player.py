"""What a player can play, and its seller takes: files by mime and size, variants by length."""

from typing import Final

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from adserver.catalogue.columns import OFFER_FILES, Columns, MediaFile
from adserver.decide.terms import Sellers, kind_of, takes_file
from adserver.domain.request import NO_TERMS, Player, Terms

PLAYERS_REMEMBERED: Final = 256
RENDERED_VAST: Final = frozenset({"2", "3", "4"})
"""Major versions of VAST this server can render."""
DURATION_MS_MAX: Final = int(np.iinfo(np.int32).max)


class Limits(Struct, frozen=True, gc=False):
    """What one kind of player, and its seller, take."""

    playable: NDArray[np.uint8]
    """uint8[n_offers]: 1 where the player can play a file and its seller takes the offer."""
    duration_ms_min: int
    duration_ms_max: int
    """Of the variants it takes, inclusive."""
    skip_forbidden: bool


class Players:
    """What players of one snapshot take, worked out once for all that say the same."""

    def __init__(self, columns: Columns) -> None:
        self._media_classes = columns.meta.media_classes
        self._files_of = columns.offers[OFFER_FILES]
        self._sellers = Sellers(columns)
        self._known: dict[object, Limits] = {}

    def limits(self, player: Player, terms: Terms) -> Limits:
        """Return what this player takes on these terms."""
        key = player if terms is NO_TERMS else (player, *kind_of(terms))
        limits = self._known.get(key)
        if limits is None:
            if len(self._known) >= PLAYERS_REMEMBERED:
                self._known.clear()
            limits = self._known[key] = self._limits(player, terms)
        return limits

    def _limits(self, player: Player, terms: Terms) -> Limits:
        reads = reads_vast(player)
        has_file = [
            reads and any(fits(player, file, terms) for file in files)
            for files in self._media_classes
        ]
        marks = np.array(has_file, np.uint8)[self._files_of]
        if terms is not NO_TERMS:
            marks &= self._sellers.taken(terms)
        return Limits(marks, *duration_window_ms(player), player.skippable is False)


def reads_vast(player: Player) -> bool:
    """Whether the player takes a VAST version this server can render; saying none excludes none."""
    versions = player.vast_versions
    return not versions or any(version.partition(".")[0] in RENDERED_VAST for version in versions)


def fits(player: Player, file: MediaFile, terms: Terms = NO_TERMS) -> bool:
    """Whether a player can play a file; an absent limit excludes nothing, a master fits none."""
    return (
        not file.mezzanine
        and (not player.mimes or file.mime.casefold() in {mime.casefold() for mime in player.mimes})
        and (not player.width or file.width <= player.width)
        and (not player.height or file.height <= player.height)
        and (terms is NO_TERMS or takes_file(terms, file))
    )


def duration_window_ms(player: Player) -> tuple[int, int]:
    """Shortest and longest variant the player takes, inclusive, ms."""
    shortest, longest = player.min_duration_s, player.max_duration_s
    return (
        0 if shortest is None else round(shortest * 1000),
        DURATION_MS_MAX if longest is None else round(longest * 1000),
    )
