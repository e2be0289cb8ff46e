"""Offers: what a variant is to a player and to a seller; variants alike to both share one.

There are far fewer of them than variants, so that what a request rules out is worked out over
offers once, and a variant only looks up its own.
"""

from collections.abc import Hashable
from typing import Final, TypeVar

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from adserver.catalogue.columns import NEVER_SKIPPABLE, MediaFile, Payer
from adserver.catalogue.vectors import read_order
from adserver.domain.campaign import (
    Advertiser,
    Catalogue,
    Creative,
    Variant,
    advertiser_domain,
)

_SECURE: Final = "https://"
_H = TypeVar("_H", bound=Hashable)


class Tables(Struct, frozen=True):
    """What the rows of ``Columns.offers`` are indices into."""

    media_classes: tuple[tuple[MediaFile, ...], ...]
    advertisers: tuple[Payer, ...]
    category_sets: tuple[tuple[str, ...], ...]
    languages: tuple[str, ...]


def index_offers(catalogue: Catalogue) -> tuple[NDArray[np.int32], NDArray[np.int32], Tables]:
    """Return ``Columns.variants``, ``Columns.offers`` and the tables of the latter."""
    advertisers = {advertiser.id: advertiser for advertiser in catalogue.advertisers}
    offers: dict[tuple[int, ...], int] = {}
    files: dict[tuple[MediaFile, ...], int] = {}
    payers: dict[Payer, int] = {}
    category_sets: dict[tuple[str, ...], int] = {}
    languages: dict[str, int] = {}
    rows: list[tuple[int, int, int, int]] = []
    creative_index = -1
    creative_before: Creative | None = None
    for campaign, creative, variant in read_order(catalogue):
        if creative is not creative_before:
            creative_index, creative_before = creative_index + 1, creative
        skip_ms = NEVER_SKIPPABLE if variant.skip_after_ms is None else variant.skip_after_ms
        offer = (
            _number(files, _files(variant)),
            _number(payers, _payer(advertisers[campaign.advertiser], variant)),
            _number(category_sets, variant.categories),
            _number(languages, variant.language.casefold()),
            variant.duration_ms,
            all(_is_secure(script.url) for script in creative.verification),
        )
        rows.append((creative_index, variant.duration_ms, skip_ms, _number(offers, offer)))
    tables = Tables(tuple(files), tuple(payers), tuple(category_sets), tuple(languages))
    return (
        np.array(rows, np.int32).reshape(-1, 4).T,
        np.array(list(offers), np.int32).reshape(-1, 6).T,
        tables,
    )


def _number(known: dict[_H, int], entry: _H) -> int:
    return known.setdefault(entry, len(known))


def _files(variant: Variant) -> tuple[MediaFile, ...]:
    return tuple(
        MediaFile(
            media.mime.lower(),
            media.width,
            media.height,
            media.mezzanine,
            media.bitrate_kbps,
            _is_secure(media.url),
        )
        for media in variant.media
    )


def _payer(advertiser: Advertiser, variant: Variant) -> Payer:
    return Payer(advertiser.id, advertiser_domain(advertiser, variant))


def _is_secure(url: str) -> bool:
    return url.lower().startswith(_SECURE)
