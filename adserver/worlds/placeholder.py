"""What every demonstration makes up: lengths, files, bids, advertisers. Labelled synthetic.

Everything follows from the number of the film or campaign, so that the same world always gives the
same catalogue.
"""

from typing import Final

from adserver.domain.campaign import (
    Advertiser,
    Campaign,
    Creative,
    Media,
    Placement,
    Targeting,
    Variant,
)
from adserver.worlds.clips import SIZES, name

PLACEMENT: Final = Placement(id="trailer-preroll", time_zone="Europe/Amsterdam")
MOVIES: Final = "IAB1-5"
"""The category of a page about films; every campaign accepts it."""
SYNTHETIC: Final = "length, files, click address, bid, advertiser and cap are synthetic"
"""Stands in the labels of every variant."""

MEDIA: Final = "https://media.example/"
"""Where the clips would be; the demo puts its own address in its place."""
LANDING: Final = "https://films.example/"
"""And likewise where a click would lead."""
_BITRATES: Final = (2, 3, 4)
"""kbit/s of a clip in each of its sizes, more or less."""
_LENGTHS_S: Final = (15, 20, 30, 20, 15, 30, 6)
"""By film number; a film in seven has a bumper of 6 s, too short for a skip button."""
_BUMPER_S: Final = 6
_SKIP_AFTER_MS: Final = 5000
_BID_LOWEST_MICROS: Final = 3_000_000
_BID_STEP_MICROS: Final = 250_000
_BID_STEPS: Final = 9
_SCATTER: Final = 7
"""Coprime to the number of steps: neighbours in the catalogue do not bid alike."""


def advertiser(identity: str, genre: str) -> Advertiser:
    """Make up who pays for a genre's trailers."""
    return Advertiser(
        id=identity, name=f"{genre} pictures (synthetic)", domain=f"{identity}.example"
    )


def campaign(
    number: int, identity: str, name: str, payer: str, creatives: tuple[Creative, ...]
) -> Campaign:
    """Make up the terms of a campaign for these creatives, open to every category."""
    bid = _BID_LOWEST_MICROS + number * _SCATTER % _BID_STEPS * _BID_STEP_MICROS
    return Campaign(
        id=identity,
        advertiser=payer,
        name=f"{name} (synthetic terms)",
        bid_cpm_micros=bid,
        targeting=Targeting(category=(MOVIES,)),
        creatives=creatives,
    )


def creative(number: int, kind: str, labels: dict[str, str]) -> Creative:
    """Make up the one variant of a film's trailer, played by the clip of its kind."""
    length_s = _LENGTHS_S[number % len(_LENGTHS_S)]
    variant = Variant(
        id=f"film-{number}",
        labels=labels | {"synthetic": SYNTHETIC},
        duration_ms=1000 * length_s,
        skip_after_ms=None if length_s == _BUMPER_S else _SKIP_AFTER_MS,
        click_url=f"{LANDING}{number}",
        media=tuple(
            Media(
                url=MEDIA + name(kind, length_s, height),
                mime="video/mp4",
                width=width,
                height=height,
                bitrate_kbps=bitrate_kbps,
            )
            for (width, height), bitrate_kbps in zip(SIZES, _BITRATES, strict=True)
        ),
    )
    return Creative(id=f"trailer-{number}", variants=(variant,))
