"""Every clip that a catalogue may name is there, and is as long and as large as its name says."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from adserver import page
from adserver.worlds.clips import (
    CONTENT_S,
    KINDS,
    LENGTHS_S,
    SIZES,
    content_name,
    kind_of_genres,
    kind_of_number,
    name,
)

CLIPS = Path(page.__file__).parent / "clips"
NAMED = {
    name(kind, seconds, height): (seconds, width, height)
    for kind in KINDS
    for seconds in LENGTHS_S
    for width, height in SIZES
} | {content_name(): (CONTENT_S, *SIZES[1])}


def test_the_clips_are_those_that_are_named():
    assert {path.name for path in CLIPS.iterdir()} == set(NAMED)


def test_all_of_them_are_a_few_hundred_kilobytes():
    assert sum(path.stat().st_size for path in CLIPS.iterdir()) < 700_000


@pytest.mark.skipif(shutil.which("ffprobe") is None, reason="needs ffprobe: apt-get install ffmpeg")
@pytest.mark.parametrize("file", sorted(NAMED)[::7])
def test_a_clip_is_what_its_name_says(file: str):
    command = ["ffprobe", "-v", "error", "-of", "json", "-show_streams", str(CLIPS / file)]
    (stream,) = json.loads(subprocess.check_output(command))["streams"]
    seconds, width, height = NAMED[file]
    assert (stream["width"], stream["height"]) == (width, height)
    assert float(stream["duration"]) == pytest.approx(seconds, abs=0.1)
    assert stream["codec_name"] == "h264"


def test_a_film_is_of_the_kind_of_its_first_genre():
    assert kind_of_genres(("Thriller", "Comedy")) == "thriller"
    assert kind_of_genres(()) == "documentary"
    assert {kind_of_number(number) for number in range(20)} == set(KINDS)
