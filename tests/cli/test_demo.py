"""The demo as a user starts it, in the synthetic world that needs no data package."""

import json
import signal
import ssl
import subprocess
import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import msgspec
import numpy as np
import psutil
import pytest
from click.testing import CliRunner

from adserver.cli.demo import Notes, at_this_address
from adserver.cli.root import main
from adserver.domain.model import Head, Model
from adserver.page.scene import CATALOGUE, SOURCE
from adserver.settings import Settings
from adserver.start import open_versions
from adserver.worlds.clips import SIZES
from adserver.worlds.synthetic import Size, build_synthetic
from adserver.worlds.world import VECTORS_FILE
from tests.serve.small import catalogue, settings_of

ADSERVER = [sys.executable, "-m", "adserver"]
ASKED = 15
NO_TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
"""Nothing here speaks TLS, and reading the world's certificates takes 40 ms a request."""


def demo_of(data: Path) -> list[str]:
    """Return the command and its flags."""
    flags = ["--data", str(data), "--port", "0", "--no-browser", "--no-fetch", "--json"]
    return ["demo", *flags]


def start(data: Path, *flags: str) -> subprocess.Popen:
    return subprocess.Popen(
        [*ADSERVER, *demo_of(data), *flags],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def stop(demo: subprocess.Popen) -> None:
    workers = psutil.Process(demo.pid).children(recursive=True)
    assert workers
    demo.send_signal(signal.SIGINT)
    assert demo.wait(20) == 0
    assert not any(worker.is_running() for worker in workers)
    demo.stdout.close()
    demo.stderr.close()


def post(url: str, body: dict) -> httpx.Response:
    """Ask over a connection of its own: any of the workers may answer."""
    return httpx.post(url, json=body, verify=NO_TLS)


def get(url: str, **more: object) -> httpx.Response:
    return httpx.get(url, verify=NO_TLS, **more)


def usual(url: str, body: dict) -> tuple:
    """Return what is answered most often: the demo explores, so now and then it is another."""
    tally = Counter()
    for _ in range(ASKED):
        answer = post(f"{url}/v1/decisions", {**body, "deadline_ms": 5000})
        assert answer.status_code == 200
        decided = answer.json()
        tally[tuple(decided.get(key) for key in ("campaign", "variant", "reason"))] += 1
    return tally.most_common(1)[0][0]


def playable(ready: dict) -> bool:
    """Whether the files of an answer, and where a click leads, are where this demo says."""
    answer = post(f"{ready['url']}/v1/decisions", ready["examples"][0]).json()
    while answer["action"] != "show":
        answer = post(f"{ready['url']}/v1/decisions", ready["examples"][0]).json()
    urls = [file["url"] for file in answer["media"]]
    assert len(urls) == len(SIZES)
    answers = [get(url, headers={"range": "bytes=0-9"}) for url in urls]
    return all(url.startswith(ready["url"]) for url in urls) and {
        (got.status_code, got.headers["content-type"]) for got in answers
    } == {(206, "video/mp4")}


def test_three_viewers_get_what_was_announced_and_a_second_start_reuses_it(tmp_path):
    demo = start(tmp_path / "data", "--world", "synthetic")
    try:
        ready = json.loads(demo.stdout.readline())
        first, second, third = (usual(ready["url"], body) for body in ready["examples"])
        assert first[0] == second[0] is not None
        assert first[1] != second[1]
        assert third == (None, None, "below_threshold")
        assert get(ready["page"]).headers["content-type"].startswith("text/html")
        assert playable(ready)
        explained = post(f"{ready['url']}/v1/decisions", {**ready["examples"][0], "explain": True})
        assert explained.json()["explanation"]["candidates"]
    finally:
        stop(demo)

    again = start(tmp_path / "data", "--workers", "1")
    try:
        ready = json.loads(again.stdout.readline())
        assert len(ready["examples"]) == 3
        assert playable(ready)  # on another port, where the clips are now
    finally:
        stop(again)


@pytest.fixture
def published(tmp_path: Path) -> tuple[Settings, Notes]:
    """Prepare a directory as a first start on port 8001 leaves it."""
    settings = settings_of(tmp_path / "data", port=8001)
    world = build_synthetic(size=Size(viewers=2, campaigns=1, variants=3, events_per_viewer=2))
    versions = open_versions(settings)
    versions.publish_model(Model(complete=Head(), annoyed=Head()))
    source = settings.data / SOURCE
    source.mkdir()
    (source / CATALOGUE).write_bytes(msgspec.json.encode(world.catalogue))
    np.save(source / VECTORS_FILE, np.zeros((3, world.catalogue.dim), np.float32))
    empty = Notes("synthetic", "", 1, 3, 2, [], [], address="", catalogue=None, format=2)
    return settings, at_this_address(settings, empty)


def clip_hosts(settings: Settings) -> set[str]:
    versions = open_versions(settings)
    catalogue = versions.read_catalogue(versions.pointer().catalogue)
    files = catalogue.campaigns[0].creatives[0].variants[0].media
    return {urlsplit(file.url).netloc for file in files}


def test_a_start_on_another_port_says_where_the_clips_are_now(published):
    settings, notes = published
    assert clip_hosts(settings) == {"127.0.0.1:8001"}
    assert at_this_address(settings, notes) == notes
    moved = at_this_address(replace(settings, port=8002), notes)
    assert clip_hosts(settings) == {"127.0.0.1:8002"}
    assert moved.catalogue != notes.catalogue


def test_a_catalogue_that_somebody_published_since_is_left_alone(published):
    settings, notes = published
    theirs = json.dumps(catalogue()).encode()
    version = open_versions(settings).publish_catalogue(theirs, None).version
    assert at_this_address(replace(settings, port=8002), notes) == notes
    assert open_versions(settings).pointer().catalogue == version


@pytest.fixture
def refusal(monkeypatch):
    """Return a function that starts a demo which must not start, and returns what it says."""

    def start_here(data: Path) -> str:
        told = CliRunner().invoke(main, demo_of(data))
        assert told.exit_code == 1
        return told.stderr

    def prepared(*_) -> None:
        pytest.fail("the demo was about to start")

    monkeypatch.setattr("adserver.cli.demo._prepare", prepared)
    monkeypatch.setattr("adserver.start.serve", prepared)
    return start_here


def test_a_demo_of_an_earlier_version_is_refused_in_words(tmp_path, refusal):
    data = tmp_path / "data"
    data.mkdir()
    (data / "demo.json").write_text('{"world": "synthetic", "format": 1}')
    assert "delete the directory" in refusal(data)


def test_another_world_or_foreign_data_is_refused_in_words(tmp_path, refusal):
    data = tmp_path / "data"
    data.mkdir()
    (data / "current.json").write_text("{}")
    assert "overwrites nothing" in refusal(data)
