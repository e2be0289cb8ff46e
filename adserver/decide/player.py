"""What a player can play, and its seller takes: files by mime and size, variants by length."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from adserver.catalogue.columns import OFFER_FILES, Columns, MediaFile
from adserver.decide.terms import Sellers, kind_of, takes_file
from adserver.domain.request import NO_TERMS, Player, Terms
from kernels.eligibility import BLOCK_MAX, mark_fitting

PLAYERS_REMEMBERED: Final = 1024
BITMAPS_REMEMBERED: Final = 64
"""Of a bit a variant each."""
RENDERED_VAST: Final = frozenset({"2", "3", "4"})
"""Major versions of VAST this server can render."""
DURATION_MS_MAX: Final = int(np.iinfo(np.int32).max)


class Players:
    """What players of one snapshot take, worked out once for all that say the same."""

    def __init__(self, columns: Columns) -> None:
        self._variants = columns.variants
        self._media_classes = columns.meta.media_classes
        self._files_of = columns.offers[OFFER_FILES]
        self._sellers = Sellers(columns)
        self._known: dict[object, NDArray[np.uint64]] = {}
        self._fitting: dict[tuple[bytes, bytes], NDArray[np.uint64]] = {}

    def fitting(self, player: Player, terms: Terms) -> NDArray[np.uint64]:
        """uint64[n_variants // 64 + 2]: the variants this player takes on these terms."""
        key = player if terms is NO_TERMS else (player, *kind_of(terms))
        fits = self._known.get(key)
        if fits is None:
            if len(self._known) >= PLAYERS_REMEMBERED:
                self._known.clear()
            fits = self._known[key] = self._mark(player, terms)
        return fits

    def _mark(self, player: Player, terms: Terms) -> NDArray[np.uint64]:
        """Mark them; players of many sizes take the same files, and share a bitmap."""
        reads = reads_vast(player)
        has_file = [
            reads and any(fits(player, file, terms) for file in files)
            for files in self._media_classes
        ]
        playable = np.array(has_file, np.uint8)[self._files_of]
        if terms is not NO_TERMS:
            playable &= self._sellers.taken(terms)
        limits = np.array([*duration_window_ms(player), player.skippable is False], np.int64)
        key = playable.tobytes(), limits.tobytes()
        words = self._fitting.get(key)
        if words is None:
            if len(self._fitting) >= BITMAPS_REMEMBERED:
                self._fitting.clear()
            words = np.zeros(self._variants.shape[1] // BLOCK_MAX + 2, np.uint64)
            mark_fitting(self._variants, playable, limits, words)
            self._fitting[key] = words
        return words


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
