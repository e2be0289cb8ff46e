"""A browser, two players as their makers publish them, and a real server on another origin.

Chromium is Debian's, the players come from the npm registry when the tests run; without either the
tests are skipped and say so. ``.ci/run`` installs what they need and refuses a skip.
"""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
import pytest

from adserver.start import open_versions
from tests.players.hosts import host
from tests.players.stage import PACKAGES, WAITED, Stage, catalogue
from tests.serve.small import MODEL, settings_of

if TYPE_CHECKING:
    from playwright.sync_api import Browser

CHROMIUM = "chromium"
NPM_S_MAX = 180
STOP_S_MAX = 90
CLIPS = Path(__file__).parents[2] / "adserver" / "page" / "clips"
SITE = Path(__file__).parent / "site"
FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
POLICY = b'exploration = "greedy"\nsurprise = 0.0\n'
"""What is decided must not be a matter of chance here."""


@pytest.fixture(scope="session")
def chromium() -> str:
    """Return where Chromium is."""
    found = shutil.which(CHROMIUM)
    if found is None:
        pytest.skip("needs Chromium: apt-get install chromium")
    pytest.importorskip("playwright", reason="needs playwright: pip install playwright")
    return found


@pytest.fixture(scope="session")
def players(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Fetch the players and return a folder with what their pages load."""
    npm = shutil.which("npm")
    if npm is None:
        pytest.skip("needs npm, to fetch the players")
    folder = tmp_path_factory.mktemp("npm")
    (folder / "package.json").write_text('{"private": true}')
    command = [npm, "install", "--silent", "--prefer-offline", "--fetch-retries=1", *PACKAGES]
    fetched = subprocess.run(
        command, cwd=folder, check=False, capture_output=True, timeout=NPM_S_MAX
    )
    if fetched.returncode:
        pytest.skip(f"npm could not fetch the players: {fetched.stderr.decode()[-300:]}")
    modules, built = folder / "node_modules", folder / "players"
    built.mkdir()
    shaka = modules / "shaka-player" / "dist"
    shutil.copy(shaka / "shaka-player.ui.js", built)
    # Its fonts lie on a host of somebody else's; a test asks nobody outside.
    style = re.sub(r"@font-face\s*{[^}]*}", "", (shaka / "controls.css").read_text())
    (built / "controls.css").write_text(style)
    # Fluid is published as modules; what it loads on demand for streams is not needed for files.
    streams = ("dashjs", "hls.js", "panolens", "videojs-vtt.js")
    subprocess.run(
        [
            modules / ".bin" / "esbuild",
            modules / "fluid-player" / "src" / "browser.js",
            *("--bundle", "--format=iife", "--loader:.svg=dataurl", "--log-level=error"),
            *(f"--external:{name}" for name in streams),
            f"--outfile={built / 'fluid.js'}",
        ],
        check=True,
        timeout=NPM_S_MAX,
    )
    return built


@contextmanager
def browser_of(chromium: str, home: Path) -> "Iterator[Browser]":
    """Start a browser that knows nothing of former ones."""
    from playwright.sync_api import sync_playwright  # noqa: PLC0415  (absent where tests skip)

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=chromium,
            args=list(FLAGS),
            env={"PATH": os.defpath, "HOME": str(home)},
        )
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def stage(
    chromium: str, players: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Stage]:
    """Start a server, the hosts and a browser."""
    settings = settings_of(tmp_path_factory.mktemp("data") / "data")
    with (
        host(site=SITE, players=players) as pages,
        host(clips=CLIPS, site=SITE) as clips,
        browser_of(chromium, settings.data.parent) as browser,
    ):
        versions = open_versions(settings)
        versions.publish_policy(POLICY)
        versions.publish_model(MODEL)
        versions.publish_catalogue(json.dumps(catalogue(clips)).encode(), None)
        command = [sys.executable, "-m", "adserver", "serve", "--data", str(settings.data)]
        server = subprocess.Popen(
            [*command, "--port", "0", "--deadline-ms", "5000", "--json"],
            stdout=subprocess.PIPE,
            text=True,
        )
        try:
            url = json.loads(server.stdout.readline())["url"]
            yield Stage(browser, pages, clips, url, settings.data, psutil.Process(server.pid))
        finally:
            server.send_signal(signal.SIGINT)
            server.wait(STOP_S_MAX)
            server.stdout.close()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Tell how long viewers waited for what they came for."""
    waits = [
        f"  {key}: {value:6.0f} ms"
        for report in terminalreporter.stats.get("passed", [])
        for key, value in report.user_properties
        if key.startswith(WAITED)
    ]
    if waits:
        terminalreporter.section("from play to content")
        terminalreporter.write_line("\n".join(waits))
