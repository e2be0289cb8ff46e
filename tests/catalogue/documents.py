"""A small valid catalogue document to bend, and a data directory with a clock of its own."""

import json
from pathlib import Path
from typing import Any

from adserver.catalogue.versions import Versions
from adserver.domain.campaign import Advertiser, Campaign, Creative, Media, Variant


def media(**fields: Any) -> dict[str, Any]:
    return {
        "url": "https://m.example/a.mp4",
        "mime": "video/mp4",
        "width": 1280,
        "height": 720,
        **fields,
    }


def variant(name: str, /, **fields: Any) -> dict[str, Any]:
    return {
        "id": name,
        "vector": [3.0, 4.0],
        "duration_ms": 15_000,
        "skip_after_ms": 5_000,
        "click_url": "https://shop.example/?q=1",
        "media": [media()],
        **fields,
    }


def campaign(name: str, /, *variants: dict[str, Any], **fields: Any) -> dict[str, Any]:
    return {
        "id": name,
        "advertiser": "acme",
        "bid_cpm_micros": 4_000_000,
        "creatives": [
            {"id": f"{name}-film", "variants": list(variants) or [variant(f"{name}-a")]},
        ],
        **fields,
    }


def document(*campaigns: dict[str, Any], **fields: Any) -> dict[str, Any]:
    return {
        "dim": 2,
        "advertisers": [{"id": "acme", "name": "Acme & Söhne"}, {"id": "other"}],
        "placements": [{"id": "home", "time_zone": "Europe/Amsterdam"}, {"id": "news"}],
        "campaigns": list(campaigns) or [campaign("spring")],
        **fields,
    }


def encoded(*campaigns: dict[str, Any], **fields: Any) -> bytes:
    return json.dumps(document(*campaigns, **fields)).encode()


def tree(directory: Path) -> dict[str, bytes]:
    """Read everything in a data directory but the lock."""
    return {
        str(path.relative_to(directory)): path.read_bytes()
        for path in directory.rglob("*")
        if path.is_file() and path.name != "publish.lock"
    }


class StubClock:
    """Stands still until told otherwise."""

    def __init__(self, time_ms: int = 1_795_300_503_000) -> None:
        self.time_ms = time_ms

    def now_ms(self) -> int:
        """Return the time it was told."""
        return self.time_ms

    def monotonic_ns(self) -> int:
        """Return the same in nanoseconds."""
        return self.time_ms * 1_000_000


def label(
    campaign: Campaign, creative: Creative, variant: Variant, advertiser: Advertiser
) -> bytes:
    return f"{advertiser.name}/{campaign.id}/{creative.id}/{variant.id}".encode()


def address(media: Media, duration_ms: int) -> bytes:
    return f"{media.url} {duration_ms}".encode()


def open_at(directory: Path, clock: StubClock | None = None) -> Versions:
    return Versions(directory, clock or StubClock(), {"label": label}, {"address": address})
