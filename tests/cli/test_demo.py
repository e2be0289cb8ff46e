"""The demo as a user starts it, in the synthetic world that needs no data package."""

import json
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path

import httpx
import psutil

from adserver.worlds.clips import SIZES

ADSERVER = [sys.executable, "-m", "adserver"]
START_S_MAX = 60
ASKED = 15


def start(data: Path, *flags: str) -> subprocess.Popen:
    command = [*ADSERVER, "demo", "--data", str(data), "--port", "0", "--no-browser"]
    command += ["--no-fetch", "--json"]
    return subprocess.Popen(
        [*command, *flags], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def stop(demo: subprocess.Popen) -> None:
    workers = psutil.Process(demo.pid).children(recursive=True)
    assert workers
    demo.send_signal(signal.SIGINT)
    assert demo.wait(20) == 0
    assert not any(worker.is_running() for worker in workers)
    demo.stdout.close()
    demo.stderr.close()


def usual(url: str, body: dict) -> tuple:
    """Return what is answered most often: the demo explores, so now and then it is another."""
    tally = Counter()
    for _ in range(ASKED):
        answer = httpx.post(f"{url}/v1/decisions", json={**body, "deadline_ms": 5000})
        assert answer.status_code == 200
        decided = answer.json()
        tally[tuple(decided.get(key) for key in ("campaign", "variant", "reason"))] += 1
    return tally.most_common(1)[0][0]


def playable(ready: dict) -> bool:
    """Whether the files of an answer, and where a click leads, are where this demo says."""
    answer = httpx.post(f"{ready['url']}/v1/decisions", json=ready["examples"][0]).json()
    while answer["action"] != "show":
        answer = httpx.post(f"{ready['url']}/v1/decisions", json=ready["examples"][0]).json()
    urls = [file["url"] for file in answer["media"]]
    assert len(urls) == len(SIZES)
    answers = [httpx.get(url, headers={"range": "bytes=0-9"}) for url in urls]
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
        assert httpx.get(ready["page"]).headers["content-type"].startswith("text/html")
        assert playable(ready)
        explained = httpx.post(
            f"{ready['url']}/v1/decisions", json={**ready["examples"][0], "explain": True}
        )
        assert explained.json()["explanation"]["candidates"]
    finally:
        stop(demo)

    again = start(tmp_path / "data")
    try:
        ready = json.loads(again.stdout.readline())
        assert len(ready["examples"]) == 3
        assert playable(ready)  # on another port, where the clips are now
    finally:
        stop(again)


def test_another_world_or_foreign_data_is_refused_in_words(tmp_path):
    data = tmp_path / "data"
    data.mkdir()
    (data / "current.json").write_text("{}")
    refused = start(data)
    _, said = refused.communicate(timeout=START_S_MAX)
    assert refused.returncode == 1
    assert "overwrites nothing" in said
