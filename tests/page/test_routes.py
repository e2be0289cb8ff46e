"""What the demo serves beside the server: in process, over the small catalogue."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from adserver.app import open_past
from adserver.page.routes import SITE, routes
from adserver.page.scene import CATALOGUE, MEMBERS, SOURCE, write_scene
from adserver.serve.past import PastEndpoint
from adserver.worlds.cast import Member
from adserver.worlds.example import Example
from tests.serve.small import PLACEMENT, Running, catalogue, fill, problem_of, running, settings_of

CLIP = "/demo/clips/drama-6s-180p.mp4"
TOKEN = re.compile(r"[?&]d=([\w-]+)")
FOREIGN = re.compile(rb"""(?:https?:)?//(?!www\.w3\.org)[\w.-]+\.\w""")


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    settings = settings_of(tmp_path_factory.mktemp("data") / "data", open_explain=True)
    fill(settings)
    data = settings.data
    (data / SOURCE).mkdir()
    document = catalogue()
    (variant,) = document["campaigns"][0]["creatives"][0]["variants"]
    variant["labels"] = {"title": "East", "year": "1999", "genres": "Comedy|War"}
    (data / SOURCE / CATALOGUE).write_text(json.dumps(document))
    members = [
        Member("likes-east", "Comedy", "East", 3, 60, 9, 1),
        Member("likes-north", "War", "North", 2, 60, 9, 1),
    ]
    (data / MEMBERS).write_text(json.dumps([_plain(member) for member in members]))
    example = Example("likes-north", "War", "trailers", "north-1", None, 0.9)
    write_scene(data, "small", PLACEMENT, ["Comedy", "War"], [example])
    with running(settings) as api:
        engines = api.app.state.engines
        past = PastEndpoint(open_past(settings), engines.bearers, engines.clock)
        api.app.router.routes.extend(routes(settings, engines, past))
        yield api


def _plain(member: Member) -> dict:
    return {name: getattr(member, name) for name in member.__struct_fields__}


def story(demo: Running, **query: str) -> dict:
    vast = demo.get("/v1/vast", params={"placement": PLACEMENT, **query})
    token = TOKEN.search(vast.text)[1]
    answer = demo.get("/demo/story", params={"d": token})
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_the_page_loads_nothing_from_anywhere_else(demo: Running):
    page = demo.get("/")
    assert page.headers["content-type"].startswith("text/html")
    policy = page.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "http" not in policy
    named = re.findall(r'(?:src|href)="(/[^"]*)"', page.text)
    assert len(named) >= 2
    for path in named:
        assert demo.get(path).status_code == 200
    for file in SITE.iterdir():
        assert not FOREIGN.search(file.read_bytes()), file


def test_the_scene_names_the_examples_first_and_how_it_will_be_played(demo: Running):
    scene = demo.get("/demo/scene.json").json()
    assert [member["viewer"] for member in scene["members"]] == ["likes-north", "likes-east"]
    assert scene["player"] is None
    assert demo.get(scene["content"]).status_code == 200


def test_a_clip_comes_in_ranges_and_to_any_origin(demo: Running):
    headers = {"range": "bytes=100-199", "origin": "https://pages.example"}
    part = demo.get(CLIP, headers=headers)
    assert part.status_code == 206
    assert len(part.content) == 100
    assert part.headers["content-type"] == "video/mp4"
    assert part.headers["access-control-allow-origin"] == "https://pages.example"
    assert part.content == demo.get(CLIP).content[100:200]


def test_a_clip_that_is_not_there_is_a_problem_a_page_can_read(demo: Running):
    missing = demo.get("/demo/clips/none.mp4", headers={"origin": "https://pages.example"})
    assert missing.status_code == 404
    assert missing.headers["access-control-allow-origin"] == "https://pages.example"
    problem_of(missing)


@pytest.mark.parametrize(
    "path",
    [
        "/demo/..%2fkeys.json",
        "/demo/clips/..%2f..%2frouting.py",
        "/demo/clips/%2e%2e",
        "/demo/player/..%2fformat.json",
        "/demo/format.json",
        "/demo/routes.py",
    ],
)
def test_nothing_but_its_own_files_is_served(demo: Running, path: str):
    assert demo.get(path).status_code == 404


def test_a_shown_decision_is_told_with_titles_and_what_was_heard(demo: Running):
    told = story(demo, viewer="likes-east")
    assert told["account"]["variant"] == "east-1"
    assert told["films"]["east-1"] == {"title": "East (1999)", "kind": "comedy"}
    assert told["why"] is None
    assert told["account"]["events"] == []
    assert "Shown: east-1" in told["words"]


def test_an_event_is_in_the_story_once_it_was_acknowledged(demo: Running):
    vast = demo.get("/v1/vast", params={"placement": PLACEMENT, "viewer": "likes-east"}).text
    token = TOKEN.search(vast)[1]
    for _ in range(2):
        assert demo.get("/v1/track/start", params={"d": token}).status_code < 300
    heard = demo.get("/demo/story", params={"d": token}).json()["account"]["events"]
    assert [each["event"] for each in heard] == ["start"]


def test_nothing_shown_is_told_with_its_reason(demo: Running):
    told = story(demo, viewer="likes-nothing")
    assert told["account"]["action"] == "none"
    assert told["why"] == "no candidate was relevant enough"


def test_the_same_request_identifier_is_the_same_decision(demo: Running):
    first = story(demo, viewer="likes-east", rid="once")
    again = story(demo, viewer="likes-east", rid="once")
    assert first["account"]["decision_id"] == again["account"]["decision_id"]


@pytest.mark.parametrize("token", ["", "AQFRK0IT", "x" * 2000])
def test_a_story_is_told_for_our_own_tokens_only(demo: Running, token: str):
    answer = demo.get("/demo/story", params={"d": token})
    assert answer.status_code == 403
    problem_of(answer)


def test_only_reading(demo: Running):
    for path in ("/", "/demo/story", "/demo/scene.json", CLIP):
        answer = demo.request("POST", path)
        assert answer.status_code == 405
        assert "GET" in answer.headers["allow"]


def test_serve_has_no_page(tmp_path: Path):
    settings = settings_of(tmp_path / "data")
    fill(settings)
    with running(settings) as api:
        answers = [api.get(path) for path in ("/", CLIP, "/demo/story")]
    assert {answer.status_code for answer in answers} == {404}
