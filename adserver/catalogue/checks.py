"""What a catalogue must satisfy beyond the shape of its parts: references, times, addresses."""

import re
from collections.abc import Iterable
from contextlib import suppress
from typing import get_args
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from adserver.catalogue.vectors import FLOAT32_MAX
from adserver.domain.campaign import (
    DIMENSIONS,
    Campaign,
    Catalogue,
    Circle,
    Creative,
    Flight,
    Targeting,
    TargetingLists,
    Variant,
)
from adserver.domain.errors import Problem
from adserver.domain.request import DeviceType, Intent
from adserver.domain.units import parse_time_ms

# ASCII only: these go into HTTP headers and XML as they stand.
_URL = re.compile(
    r"(?i:https?)://(?:[a-z0-9._~%-]+|\[[0-9a-f:.]+\])(?::\d{1,5})?(?:[/?#][!-~]*)?", re.IGNORECASE
)
_MIME = re.compile(r"[A-Za-z0-9][\w!#$&^.+-]*/[A-Za-z0-9][\w!#$&^.+-]*", re.ASCII)
_RFC3339 = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)", re.ASCII)
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ufffe\uffff]")

CIRCLES_MAX = 2048
"""Distinct ``near`` circles: a request is measured against each of them."""
_CHOICES: dict[str, tuple[str, ...]] = {"device": get_args(DeviceType), "moment": get_args(Intent)}


def check_catalogue(catalogue: Catalogue, problems: list[Problem]) -> None:
    """Note everything wrong with a catalogue whose parts have the right shape.

    Parameters
    ----------
    catalogue
        As converted; parts that failed are empty, and nothing here objects to an empty part twice.
    problems
        What conversion found; is extended.
    """
    _Checker(catalogue, problems).run()


class _Checker:
    """One pass over the document, remembering where each id was first used."""

    def __init__(self, catalogue: Catalogue, problems: list[Problem]) -> None:
        self._catalogue = catalogue
        self._problems = problems
        self._used: dict[tuple[str, str], str] = {}
        self._advertisers = {advertiser.id for advertiser in catalogue.advertisers}
        self._placements = {placement.id.casefold() for placement in catalogue.placements}
        # An id that could not be read must not turn every reference to it into an error.
        unread = {problem.path for problem in problems}
        self._advertisers_read = not ("" in self._advertisers or "$.advertisers" in unread)
        self._placements_read = not ("" in self._placements or "$.placements" in unread)
        self._mimes: set[str] = set()
        self._circles: set[Circle] = set()

    def run(self) -> None:
        for i, advertiser in enumerate(self._catalogue.advertisers):
            path = f"$.advertisers[{i}]"
            self._unique("advertiser", advertiser.id, path)
            self._text(advertiser.name, f"{path}.name")
            self._text(advertiser.domain, f"{path}.domain")
        for i, placement in enumerate(self._catalogue.placements):
            path = f"$.placements[{i}]"
            # Targeting compares without case, so two placements must differ in more than case.
            self._unique("placement", placement.id, path, key=placement.id.casefold())
            self._time_zone(placement.time_zone, f"{path}.time_zone")
        for i, campaign in enumerate(self._catalogue.campaigns):
            self._campaign(campaign, f"$.campaigns[{i}]")
        if len(self._circles) > CIRCLES_MAX:
            self._note(
                "$.campaigns",
                f"{len(self._circles)} different `near` circles, at most {CIRCLES_MAX}",
            )

    def _note(self, path: str, message: str) -> None:
        self._problems.append(Problem(path, message))

    def _campaign(self, campaign: Campaign, path: str) -> None:
        self._unique("campaign", campaign.id, path)
        self._text(campaign.name, f"{path}.name")
        known = campaign.advertiser in self._advertisers or not campaign.advertiser
        if not known and self._advertisers_read:
            self._note(f"{path}.advertiser", f"no advertiser has the id {campaign.advertiser!r}")
        self._flight(campaign.flight, f"{path}.flight")
        self._words(campaign.competes_with, f"{path}.competes_with")
        for i, rule in enumerate(campaign.suppress_on):
            self._id(rule.touchpoint, f"{path}.suppress_on[{i}].touchpoint")
        self._targeting(campaign.targeting, f"{path}.targeting")
        for i, creative in enumerate(campaign.creatives):
            self._creative(creative, f"{path}.creatives[{i}]")

    def _creative(self, creative: Creative, path: str) -> None:
        self._unique("creative", creative.id, path)
        if creative.ad_id is not None:
            self._id(creative.ad_id.registry, f"{path}.ad_id.registry")
            self._id(creative.ad_id.value, f"{path}.ad_id.value")
        for i, script in enumerate(creative.verification):
            self._id(script.vendor, f"{path}.verification[{i}].vendor")
            self._url(script.url, f"{path}.verification[{i}].url")
            self._text(script.parameters, f"{path}.verification[{i}].parameters")
        for i, variant in enumerate(creative.variants):
            self._variant(variant, f"{path}.variants[{i}]")

    def _variant(self, variant: Variant, path: str) -> None:
        self._unique("variant", variant.id, path)
        self._url(variant.click_url, f"{path}.click_url")
        skip_ms, duration_ms = variant.skip_after_ms, variant.duration_ms
        if skip_ms is not None and duration_ms and skip_ms >= duration_ms:
            self._note(f"{path}.skip_after_ms", f"must be less than duration_ms ({duration_ms})")
        self._words(variant.categories, f"{path}.categories")
        self._vector(variant, path)
        for i, media in enumerate(variant.media):
            self._url(media.url, f"{path}.media[{i}].url")
            if media.mime and media.mime not in self._mimes:
                if _MIME.fullmatch(media.mime):
                    self._mimes.add(media.mime)
                else:
                    self._note(f"{path}.media[{i}].mime", "must be type/subtype, as video/mp4")
        if variant.media and all(media.mezzanine for media in variant.media):
            self._note(f"{path}.media", "needs a file that is not the mezzanine")

    def _vector(self, variant: Variant, path: str) -> None:
        vector, dim = variant.vector, self._catalogue.dim
        if vector is None:
            return
        if self._catalogue.vectors is not None:
            self._note(f"{path}.vector", "stands in the file named by $.vectors already")
        elif dim and len(vector) != dim:
            self._note(f"{path}.vector", f"has {len(vector)} numbers, $.dim is {dim}")
        if vector and max(map(abs, vector)) > FLOAT32_MAX:
            self._note(f"{path}.vector", "has a number beyond the range of float32")

    def _unique(self, kind: str, identity: str, path: str, key: str | None = None) -> None:
        path = f"{path}.id"
        self._id(identity, path)
        first = self._used.setdefault((kind, identity if key is None else key), path)
        if identity and first != path:
            self._note(path, f"{identity!r} is the id of another {kind} already, at {first}")

    def _id(self, identity: str, path: str) -> None:
        if not (identity.isascii() and identity.isprintable()):
            self._note(path, "must be printable ASCII characters")

    def _url(self, url: str, path: str) -> None:
        if url and not _URL.fullmatch(url):
            self._note(path, "must be http:// or https://, of ASCII characters without spaces")

    def _text(self, text: str, path: str) -> None:
        if not text.isprintable() and _CONTROL.search(text):
            self._note(path, "must not contain control characters")

    def _words(self, words: Iterable[str], path: str) -> None:
        for i, word in enumerate(words):
            if not word.strip():
                self._note(f"{path}[{i}]", "must not be empty")

    def _time_zone(self, name: str, path: str) -> None:
        try:
            ZoneInfo(name)
        except (ZoneInfoNotFoundError, ValueError, OSError):  # OSError: a folder, as in "Europe"
            self._note(path, f"{name!r} is not an IANA time zone, as Europe/Amsterdam")

    def _flight(self, flight: Flight, path: str) -> None:
        start_ms = self._time(flight.start, f"{path}.start")
        end_ms = self._time(flight.end, f"{path}.end")
        if start_ms is not None and end_ms is not None and start_ms >= end_ms:
            self._note(f"{path}.end", "must be later than the start")

    def _time(self, text: str | None, path: str) -> int | None:
        if text is None:
            return None
        if _RFC3339.fullmatch(text):
            with suppress(ValueError):  # the 31st of February
                return parse_time_ms(text)
        self._note(path, f"{text!r} is not an RFC 3339 time, as 2026-01-31T12:00:00Z")
        return None

    def _targeting(self, targeting: Targeting, path: str) -> None:
        self._targeting_lists(targeting, path)
        self._targeting_lists(targeting.exclude, f"{path}.not")

    def _targeting_lists(self, lists: TargetingLists, path: str) -> None:
        self._circles.update(lists.near)
        for name in DIMENSIONS:
            values = getattr(lists, name)
            if not values or name in {"hour_of_week", "near"}:
                continue
            self._words(values, f"{path}.{name}")
            for i, value in enumerate(values):
                choices = _CHOICES.get(name)
                if choices and value.strip() and value.casefold() not in choices:
                    self._note(f"{path}.{name}[{i}]", f"must be one of {', '.join(choices)}")
                if name == "placement" and not self._known_placement(value):
                    self._note(f"{path}.{name}[{i}]", f"no placement has the id {value!r}")

    def _known_placement(self, value: str) -> bool:
        known = value.casefold() in self._placements or not value.strip()
        return known or not self._placements_read
