"""A VAST answer and its token: how long one takes, beside the same document out of ElementTree.

ElementTree gets the best it can have: the tree of the variant is there, and a request only changes
the texts that differ and writes it out. Both documents must be the same XML.
"""

import time
import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from adserver.domain.campaign import Advertiser, Campaign, Creative, Media, Variant
from adserver.edge.json_response import Handles
from adserver.edge.token import TokenBody, Tokens
from adserver.edge.vast_parts import (
    MEDIA_FRAGMENT,
    VARIANT_FRAGMENT,
    media_fragment,
    variant_fragment,
)
from adserver.edge.vast_response import Prepared, VastAnswers
from adserver.edge.vast_version import LAYOUTS
from adserver.runtime.entropy import SystemEntropy

NAMESPACE = "http://www.iab.com/VAST"
BASE_URL = "https://ads.example"
NOW_MS = 1_795_300_503_000
TOKEN_US_MAX = 15.0
RENDERING_US_MAX = 30.0
HERE, THERE = "x" * 200, "y" * 200
"""Two tokens, the length of a real one."""
FIRST = Handles("01a20065-1a08-75e5-a290-2ed5e6f42a3c", HERE, 0)
OTHER = Handles("01a20065-1a09-7b00-8123-000000000000", THERE, 0)
BODY = TokenBody(
    decision_id=bytes(range(16)),
    expires_ms=NOW_MS + 3_600_000,
    viewer_id="ml-42",
    campaign_key=1,
    creative_key=2,
    variant="film-4973",
    placement="trailer-preroll",
)


@dataclass(frozen=True)
class Effort:
    """How often each is done."""

    calls_count: int = 2_000
    rounds_count: int = 7


SMALLEST = Effort(calls_count=2, rounds_count=1)
"""Enough to see that both write the same; not a measurement."""


@dataclass(frozen=True)
class Comparison:
    """Microseconds of processor time, the least of the rounds: noise only ever adds."""

    put_together: dict[str, float]
    """Of a variant nobody was shown before, by version."""
    joined: dict[str, float]
    """Of one that was, as nearly all are."""
    tree: dict[str, float]
    token: float
    """Sealed and opened."""

    @property
    def passed(self) -> bool:
        """Whether everything took no longer than it may."""
        slowest = max(*self.put_together.values(), *self.joined.values())
        return slowest <= RENDERING_US_MAX and self.token <= TOKEN_US_MAX

    def lines(self) -> Iterator[str]:
        """Return what a report says."""
        yield "  version   first time   rendering   ElementTree   of ElementTree"
        for version, joined in self.joined.items():
            tree = self.tree[version]
            yield (
                f"  {version:7} {self.put_together[version]:9.2f} µs {joined:8.2f} µs"
                f" {tree:10.1f} µs          1/{tree / joined:.0f}"
            )
        yield f"  at most {RENDERING_US_MAX:.0f} µs"
        yield f"  token sealed and opened {self.token:.2f} µs, at most {TOKEN_US_MAX:.0f} µs"


def compare(effort: Effort) -> Comparison:
    """Measure every version.

    Raises
    ------
    AssertionError
        The two documents differ.
    """
    answers = _answers()
    files = range(3)
    put_together, joined, tree = {}, {}, {}
    for version in LAYOUTS:
        prepared = answers.prepared(0, files, version)
        fill = _filler(answers, prepared)
        wanted = answers.show(prepared, OTHER).decode()
        assert ET.canonicalize(fill().decode()) == ET.canonicalize(wanted)
        put_together[version] = _least(
            effort, lambda version=version: answers.prepared(0, files, version)
        )
        joined[version] = _least(effort, lambda p=prepared: answers.show(p, OTHER))
        tree[version] = _least(effort, fill)
    tokens = Tokens(bytes(32), 1, SystemEntropy().take)
    assert tokens.open(tokens.seal(BODY), NOW_MS) == BODY
    return Comparison(
        put_together, joined, tree, _least(effort, lambda: tokens.open(tokens.seal(BODY), NOW_MS))
    )


def _answers() -> VastAnswers:
    media = tuple(
        Media(
            url=f"https://media.example/4973/{height}p.mp4",
            mime="video/mp4",
            width=height * 16 // 9,
            height=height,
            bitrate_kbps=height * 3,
        )
        for height in (360, 720, 1080)
    )
    variant = Variant(
        id="film-4973",
        duration_ms=20_000,
        skip_after_ms=5_000,
        media=media,
        click_url="https://films.example/4973",
    )
    creative = Creative(id="trailer-4973", variants=(variant,))
    campaign = Campaign(id="comedy", advertiser="films", creatives=(creative,))
    texts = {
        VARIANT_FRAGMENT: [variant_fragment(campaign, creative, variant, Advertiser(id="films"))],
        MEDIA_FRAGMENT: [media_fragment(each, 20_000) for each in media],
    }
    return VastAnswers(texts, BASE_URL, 3600)


def _filler(answers: VastAnswers, prepared: Prepared) -> Callable[[], bytes]:
    """Return what fills the tree of a document for the other handles and writes it."""
    root = ET.fromstring(answers.show(prepared, FIRST))  # noqa: S314  (our own)
    version = root.get("version", "")
    if version >= "4":
        ET.register_namespace("", NAMESPACE)
    changing = [
        (element, element.text)
        for element in root.iter()
        if element.text and (HERE in element.text or FIRST.decision_id in element.text)
    ]

    def fill() -> bytes:
        for element, text in changing:
            element.text = text.replace(HERE, OTHER.token).replace(
                FIRST.decision_id, OTHER.decision_id
            )
        written: bytes = ET.tostring(root, "utf-8", xml_declaration=True)
        return written

    return fill


def _least(effort: Effort, call: Callable[[], object]) -> float:
    """Return microseconds a call."""
    rounds = []
    for _ in range(effort.rounds_count):
        begun_ns = time.process_time_ns()
        for _ in range(effort.calls_count):
            call()
        rounds.append(time.process_time_ns() - begun_ns)
    return min(rounds) / effort.calls_count / 1000
