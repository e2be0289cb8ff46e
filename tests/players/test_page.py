"""The demo's page in a browser, as a visitor uses it: choose, play, read why, watch events come."""

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.players.conftest import STOP_S_MAX, browser_of

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

LAPTOP, PHONE = {"width": 1440, "height": 900}, {"width": 390, "height": 844}
SHOWN, NOTHING = 0, 2
"""Which of the viewers offered: the demo's examples come first, and the third is shown nothing."""
WAIT_MS, POLL_MS = 60_000, 100


TOLD = "document.querySelector('.verdict.show, .verdict.none') !== null"


@dataclass
class Demo:
    """A running demo and a browser."""

    url: str
    browser: "Browser"
    data: Path


@pytest.fixture(scope="module")
def demo(chromium: str, players: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    assert players.is_dir()  # npm can fetch, so the demo can
    data = tmp_path_factory.mktemp("demo") / "data"
    settings = data.parent / "settings.toml"
    settings.write_text("deadline_ms = 5000\n")  # the browser shares the machine's two cores
    command = [sys.executable, "-m", "adserver", "demo", "--world", "synthetic", "--port", "0"]
    command += ["--config", str(settings)]
    process = subprocess.Popen(
        [*command, "--no-browser", "--json", "--data", str(data)], stdout=subprocess.PIPE, text=True
    )
    try:
        url = json.loads(process.stdout.readline())["page"]
        with browser_of(chromium, data) as browser:
            yield Demo(url, browser, data)
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(STOP_S_MAX)
        process.stdout.close()


class Visit:
    """One visit to the page."""

    def __init__(self, demo: Demo, size: dict[str, int]) -> None:
        self.context = demo.browser.new_context(viewport=size)
        self.page: Page = self.context.new_page()
        self.complaints: list[str] = []
        self.asked: set[str] = set()
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("console", self._said)
        self.page.on("request", lambda request: self.asked.add(request.url))
        self.page.goto(demo.url)
        self.page.wait_for_selector("#viewers input", state="attached")

    def _said(self, message) -> None:
        if message.type == "error":
            self.complaints.append(message.text)

    def play(self, viewer: int) -> None:
        """Choose the nth viewer and press play."""
        self.page.locator("#viewers label").nth(viewer).click()
        self.page.click("#play")

    def until(self, condition: str) -> None:
        """Wait for a condition of the page, whose policy forbids it to be evaluated there."""
        for _ in range(WAIT_MS // POLL_MS):
            if self.page.evaluate(condition):
                return
            self.page.wait_for_timeout(POLL_MS)
        pytest.fail(f"never so: {condition}; the page says: {self.text('body')}")

    def text(self, selector: str) -> str:
        """Return what a part of the page says."""
        return self.page.inner_text(selector)


def shown(demo: Demo, size: dict[str, int]) -> Visit:
    """Play to the example viewer until the draw picks something: the demo explores."""
    for _ in range(5):
        visit = Visit(demo, size)
        visit.play(SHOWN)
        visit.until(TOLD)
        if "NOTHING" not in visit.text(".verdict").upper():
            return visit
        visit.context.close()
    pytest.fail("five times nothing, for a viewer who is shown something nearly always")


@pytest.mark.parametrize("size", [LAPTOP, PHONE], ids=["laptop", "phone"])
def test_a_preroll_is_shown_explained_and_its_events_arrive(demo: Demo, size: dict[str, int]):
    visit = shown(demo, size)
    visit.until("!document.querySelector('#caption').hidden")
    title = visit.text("#why h2")
    assert title.startswith("Synthetic film")
    assert visit.text("#caption").startswith(title)
    picture = visit.page.get_attribute("#why svg", "aria-label")
    assert "probability" in picture
    assert visit.page.locator("#why svg rect").count() > 8
    assert "relevance is" in visit.text("#why")
    visit.until("document.querySelectorAll('#events .heard').length >= 2")
    visit.until("document.querySelector('#status').textContent.includes('The film plays')")
    visit.until("/complete|skip/.test([...document.querySelectorAll('.heard')].at(-1).textContent)")
    assert visit.complaints == []
    assert {url for url in visit.asked if not url.startswith((demo.url, "data:", "blob:"))} == set()
    assert visit.page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    visit.context.close()


def test_nothing_is_explained_and_the_film_plays_at_once(demo: Demo):
    visit = Visit(demo, LAPTOP)
    visit.play(NOTHING)
    visit.until("document.querySelector('#status').textContent.includes('the film played after')")
    visit.until(TOLD)
    assert visit.text(".verdict").upper() == "NOTHING SHOWN"
    assert visit.text("#why h2") == "No candidate was relevant enough."
    assert visit.page.locator("#why svg").count() == 1
    assert visit.page.is_hidden("#events")
    assert visit.complaints == []
    visit.context.close()


def test_the_keyboard_is_enough(demo: Demo):
    visit = Visit(demo, LAPTOP)
    visit.page.focus("#viewers input")
    visit.page.keyboard.press("ArrowRight")
    chosen = visit.page.evaluate("document.querySelector('#viewers input:checked').value")
    assert chosen == visit.page.evaluate("document.querySelectorAll('#viewers input')[1].value")
    for _ in range(3):
        visit.page.keyboard.press("Tab")
    assert visit.page.evaluate("document.activeElement.id") == "play"
    visit.page.keyboard.press("Enter")
    visit.until(TOLD)
    assert visit.complaints == []
    visit.context.close()


def test_without_the_player_the_browsers_own_plays_and_says_so(demo: Demo):
    player = demo.data / "player"
    player.rename(demo.data / "away")
    try:
        visit = shown(demo, LAPTOP)
        assert "the browser's own player" in visit.text("#about")
        visit.until("document.querySelectorAll('#events .heard').length >= 2")
        assert visit.complaints == []
        visit.context.close()
    finally:
        (demo.data / "away").rename(player)
