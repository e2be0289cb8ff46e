"""What a test of a player is played on, and what it looks at afterwards."""

import re
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from psutil import Process

from adserver.journal.reader import JournalReader
from adserver.journal.schema import DecisionRow, EventRow
from adserver.runtime.entropy import parse_decision_id
from adserver.worlds.clips import SIZES, content_name, name
from tests.serve.small import catalogue as small_catalogue
from tests.serve.small import variant

if TYPE_CHECKING:
    from playwright.sync_api import Browser, ConsoleMessage, Page, Response

PACKAGES = ("fluid-player@3.58.0", "shaka-player@5.2.12", "esbuild@0.25")
PLAYERS = ("fluid", "shaka")
WHOLE, SKIPPABLE, STRICT = "whole", "skippable", "strict"
"""Placements: a clip of 6 s to watch, one of 15 s to skip after one, and a bar nobody reaches."""
SKIP_AFTER_MS = 1000
WAITED = "content after "
LANDING = "landing.html"
CONTENT_S_MAX = 30
AD_SERVING_ID = re.compile(r"<AdServingId>(.*?)</AdServingId>")


def catalogue(clips: str) -> dict[str, Any]:
    """Return a catalogue of two variants whose files the host of the clips has."""
    document = small_catalogue(threshold=0.0)
    document["placements"] = [{"id": WHOLE}, {"id": SKIPPABLE}, {"id": STRICT, "threshold": 1.0}]
    (campaign,) = document["campaigns"]
    document["campaigns"] = [
        {
            **campaign,
            "id": placement,
            "targeting": {"placement": [placement, STRICT]},
            "creatives": [{"id": placement, "variants": [_variant(clips, placement)]}],
        }
        for placement in (WHOLE, SKIPPABLE)
    ]
    return document


def _variant(clips: str, placement: str) -> dict[str, Any]:
    seconds = 15 if placement == SKIPPABLE else 6
    files = [
        {
            "url": f"{clips}/clips/{name('comedy', seconds, height)}",
            "mime": "video/mp4",
            "width": width,
            "height": height,
            "bitrate_kbps": height,
        }
        for width, height in SIZES
    ]
    return {
        **variant(f"{placement}-1", [0.0, 0.0]),
        "duration_ms": 1000 * seconds,
        "skip_after_ms": SKIP_AFTER_MS if placement == SKIPPABLE else None,
        "click_url": f"{clips}/site/{LANDING}",
        "media": files,
    }


@dataclass
class Stage:
    """A browser, three origins, and the server's data."""

    browser: "Browser"
    pages: str
    clips: str
    ads: str
    data: Path
    server: Process

    @contextmanager
    def hung(self) -> Iterator[None]:
        """Stop the workers in the middle of things: they hold their connections and say nothing."""
        workers = self.server.children(recursive=True)
        for worker in workers:
            worker.suspend()
        try:
            yield
        finally:
            for worker in workers:
                worker.resume()

    def tag(self, placement: str, **more: str) -> str:
        """Return a VAST tag of the server."""
        return f"{self.ads}/v1/vast?{urlencode({'placement': placement, **more})}"

    @contextmanager
    def play(self, player: str, tag: str) -> Iterator["Play"]:
        """Open a player's page on its own origin and press play, as a viewer would."""
        context = self.browser.new_context()
        page = context.new_page()
        play = Play(page, self.data)
        page.on("response", play.heard)
        page.on("pageerror", lambda error: play.complaints.append(str(error)))
        page.on("console", play.said)
        content = f"{self.clips}/clips/{content_name()}"
        page.goto(f"{self.pages}/site/{player}.html?{urlencode({'tag': tag, 'content': content})}")
        page.click("#play")
        try:
            yield play
        finally:
            context.close()


@dataclass
class Play:
    """One play and what came of it."""

    page: "Page"
    data: Path
    documents: list[str] = field(default_factory=list)
    """VAST documents received."""
    beacons: list[tuple[str, int]] = field(default_factory=list)
    """(event, status) of every beacon answered, in order."""
    complaints: list[str] = field(default_factory=list)
    """What the browser said was wrong: refused origins among it."""

    def heard(self, response: "Response") -> None:
        """Note an answer of the ad server."""
        path = response.url.partition("?")[0]
        if path.endswith("/v1/vast"):
            self.documents.append(response.text())
        elif "/v1/track/" in path:
            self.beacons.append((path.rpartition("/")[2], response.status))

    def said(self, message: "ConsoleMessage") -> None:
        """Note an error on the console."""
        if message.type == "error":
            self.complaints.append(message.text)

    def wait(self, what: str) -> None:
        """Wait until the page has seen it."""
        found = f"diary[{what!r}] !== undefined"
        self.page.wait_for_function(found, timeout=1000 * CONTENT_S_MAX)

    def saw(self, what: str) -> bool:
        """Whether the page has seen it."""
        return bool(self.page.evaluate(f"diary[{what!r}] !== undefined"))

    @property
    def middle(self) -> tuple[float, float]:
        """Of the picture, in pixels of the window."""
        box = self.page.locator("#stage").bounding_box()
        assert box is not None
        return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2

    @property
    def content_after_ms(self) -> float:
        """From the press of play to moving pictures of the content."""
        return float(self.page.evaluate("diary.content - diary.asked"))

    @property
    def decision_id(self) -> bytes:
        """Of the only decision."""
        (document,) = self.documents
        (text,) = AD_SERVING_ID.findall(document)
        return parse_decision_id(text)

    def journaled(self) -> dict[str, int]:
        """Return how often each event of the decision stands in the journal."""
        wanted = self.decision_id
        rows = list(JournalReader(self.data / "journal").rows())
        told = Counter(
            row.event.word
            for row in rows
            if isinstance(row, EventRow) and row.decision_id == wanted
        )
        decisions = [r for r in rows if isinstance(r, DecisionRow) and r.decision_id == wanted]
        assert len(decisions) == 1
        return dict(told)
