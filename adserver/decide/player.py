"""What a player can play: files by mime and size, variants by length."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from adserver.catalogue.columns import MediaFile
from adserver.domain.request import Player

PLAYERS_REMEMBERED: Final = 256
RENDERED_VAST: Final = frozenset({"2", "3", "4"})
"""Major versions of VAST this server can render."""
DURATION_MS_MAX: Final = int(np.iinfo(np.int32).max)


Kind = tuple[tuple[str, ...], int | None, int | None, bool]
"""Mimes, width, height and whether it reads our VAST: players of one kind play the same files."""


class Players:
    """Which media classes of one snapshot each kind of player can play, worked out once a kind."""

    def __init__(self, media_classes: tuple[tuple[MediaFile, ...], ...]) -> None:
        self._media_classes = media_classes
        self._known: dict[Kind, NDArray[np.uint8]] = {}

    def playable(self, player: Player) -> NDArray[np.uint8]:
        """uint8[n_media_classes]: 1 where the player can play a file of the class."""
        key = (player.mimes, player.width, player.height, reads_vast(player))
        marks = self._known.get(key)
        if marks is None:
            if len(self._known) >= PLAYERS_REMEMBERED:
                self._known.clear()
            marks = np.array(
                [
                    key[-1] and any(fits(player, file) for file in files)
                    for files in self._media_classes
                ],
                np.uint8,
            )
            self._known[key] = marks
        return marks


def reads_vast(player: Player) -> bool:
    """Whether the player takes a VAST version this server can render; saying none excludes none."""
    versions = player.vast_versions
    return not versions or any(version.partition(".")[0] in RENDERED_VAST for version in versions)


def fits(player: Player, file: MediaFile) -> bool:
    """Whether a player can play a file; an absent limit excludes nothing, a master fits none."""
    return (
        not file.mezzanine
        and (not player.mimes or file.mime.casefold() in {mime.casefold() for mime in player.mimes})
        and (not player.width or file.width <= player.width)
        and (not player.height or file.height <= player.height)
    )


def duration_window_ms(player: Player) -> tuple[int, int]:
    """Shortest and longest variant the player takes, inclusive, ms."""
    shortest, longest = player.min_duration_s, player.max_duration_s
    return (
        0 if shortest is None else round(shortest * 1000),
        DURATION_MS_MAX if longest is None else round(longest * 1000),
    )
