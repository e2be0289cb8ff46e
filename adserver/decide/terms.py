"""What the seller of a placement takes: advertisers, categories, lengths, files and prices."""

from collections.abc import Iterable
from typing import Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from adserver.catalogue.columns import (
    BID_CPM_MICROS,
    HOUSE_TIER,
    OFFER_ADVERTISER,
    OFFER_CATEGORIES,
    OFFER_DURATION_MS,
    OFFER_LANGUAGE,
    OFFER_SECURE,
    TIER,
    Columns,
    MediaFile,
    Place,
)
from adserver.domain.request import Terms
from adserver.domain.taxonomy import ad_names, asked_names

_MS_PER_S: Final = 1000
_NOT_OF_OFFERS: Final = frozenset({"floor_cpm_micros", "auction", "test"})


def kind_of(terms: Terms) -> tuple[object, ...]:
    """Return what decides which offers are taken; the floor, no two alike, is not part of it."""
    asked = msgspec.structs.asdict(terms)
    return tuple(value for name, value in asked.items() if name not in _NOT_OF_OFFERS)


def takes_file(terms: Terms, file: MediaFile) -> bool:
    """Whether the seller takes a file."""
    low, high = terms.bitrate_kbps_min, terms.bitrate_kbps_max
    return (
        (file.secure or not terms.secure)
        and (low is None or file.bitrate_kbps >= low)
        and (not high or file.bitrate_kbps <= high)
    )


def limits_of(terms: Terms) -> tuple[object, ...]:
    """Return what decides which files of an offer are taken."""
    return (terms.secure, terms.bitrate_kbps_min, terms.bitrate_kbps_max)


class Sellers:
    """The offers of one snapshot by what sellers ask about."""

    def __init__(self, columns: Columns) -> None:
        meta = columns.meta
        self._offers = columns.offers
        self._languages = meta.languages
        self._count = len(meta.advertisers)
        self._names = [
            [ad_names(category) for category in categories] for categories in meta.category_sets
        ]
        self._by_domain = _index(_domains(payer.domain) for payer in meta.advertisers)
        self._by_seat = _index([payer.id] for payer in meta.advertisers)
        self._by_category = _index({n for names in each for n in names} for each in self._names)

    def taken(self, terms: Terms) -> NDArray[np.uint8]:
        """uint8[n_offers]: 1 where the terms exclude nothing of the offer."""
        offers = self._offers
        marks = (
            self._advertisers(terms)[offers[OFFER_ADVERTISER]]
            & self._categories(terms)[offers[OFFER_CATEGORIES]]
        )
        if terms.languages:
            wanted = set(map(_tongue, terms.languages))
            spoken = [_tongue(language) in wanted for language in self._languages]
            marks &= np.array(spoken, bool)[offers[OFFER_LANGUAGE]]
        if terms.durations_s:
            lengths = np.array(terms.durations_s, np.int64) * _MS_PER_S
            marks &= np.isin(offers[OFFER_DURATION_MS], lengths)
        if terms.secure:
            marks &= offers[OFFER_SECURE].astype(bool)
        taken: NDArray[np.uint8] = marks.astype(np.uint8)
        return taken

    def _advertisers(self, terms: Terms) -> NDArray[np.bool_]:
        open_ = np.ones(self._count, bool)
        if terms.allowed_seats:
            open_[:] = False
            _set(open_, self._by_seat, terms.allowed_seats, to=True)
        _set(open_, self._by_seat, terms.blocked_seats, to=False)
        if terms.blocked_advertisers:
            # Whose domain nobody knows might be blocked.
            blocked = [_domain(domain) for domain in terms.blocked_advertisers]
            _set(open_, self._by_domain, ["", *blocked], to=False)
        return open_

    def _categories(self, terms: Terms) -> NDArray[np.bool_]:
        open_ = np.ones(len(self._names), bool)
        if terms.allowed_categories:
            allowed = _asked(terms.allowed_categories, terms.cattax)
            open_[:] = [
                bool(each) and all(names & allowed for names in each) for each in self._names
            ]
        _set(open_, self._by_category, _asked(terms.blocked_categories, terms.cattax), to=False)
        return open_


def unsold(columns: Columns, place: Place, terms: Terms) -> NDArray[np.uint8]:
    """uint8[n_campaigns]: 1 where a campaign bids less than placement and seller ask."""
    floor = max(place.floor_cpm_micros, terms.floor_cpm_micros, int(terms.auction > 0))
    return below_floor(columns, floor, house=terms.auction > 0)


def below_floor(
    columns: Columns, floor_cpm_micros: int, *, house: bool = False
) -> NDArray[np.uint8]:
    """uint8[n_campaigns]: 1 where a paid campaign bids too little, and for ``house`` ones."""
    is_house = columns.campaign_times[TIER] >= HOUSE_TIER
    is_low = columns.campaign_values[BID_CPM_MICROS] < floor_cpm_micros
    closed = is_low | is_house if house else is_low & ~is_house
    marks: NDArray[np.uint8] = closed.astype(np.uint8)
    return marks


def _asked(categories: Iterable[str], cattax: int) -> set[str]:
    return {name for category in categories for name in asked_names(category, cattax)}


def _tongue(language: str) -> str:
    """Return a language without its region or script; ISO 639-1 and BCP 47 begin alike."""
    return language.casefold().partition("-")[0]


def _domain(written: str) -> str:
    return written.strip().casefold().removeprefix("www.").rstrip(".")


def _domains(domain: str) -> list[str]:
    """Return a domain and all it is part of: who blocks one of them blocks it."""
    labels = domain.split(".")
    return [".".join(labels[start:]) for start in range(len(labels))]


def _index(names: Iterable[Iterable[str]]) -> dict[str, list[int]]:
    rows: dict[str, list[int]] = {}
    for row, each in enumerate(names):
        for name in each:
            rows.setdefault(name, []).append(row)
    return rows


def _set(
    marks: NDArray[np.bool_], rows: dict[str, list[int]], names: Iterable[str], *, to: bool
) -> None:
    for name in names:
        marks[rows.get(name, [])] = to
