"""Draws the clips of the demo: ``python -m adserver.page.draw DIRECTORY``.

What stands in ``clips/`` was made by this module and nothing else; it needs ffmpeg with libx264 and
a font to write with. A clip is a colour, a shape and a word for a kind of film, and a bar that
fills as it plays: one sees at a glance which kind it is, and that it plays.
"""

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from adserver.worlds.clips import (
    CONTENT,
    CONTENT_COLOUR,
    CONTENT_S,
    KINDS,
    LENGTHS_S,
    SIZES,
    content_name,
    name,
)

Plane = NDArray[np.float32]
Shape = Callable[[Plane, Plane], Plane]
"""Signed distance to a shape about the origin, negative inside; its radius is about 1."""

FRAMES_PER_S: Final = 2
"""A change costs bytes, and a ring that ticks moves enough."""
WIDTH, HEIGHT = SIZES[-1]
FONT: Final = "DejaVu Sans"
_RADIUS: Final = 0.3
"""Of the shape, in heights of the picture."""
_CENTRE_Y: Final = 0.4
_BAR: Final = 0.125
"""Height of the bar at the foot, which grows with the time gone."""
_WHITE: Final = np.full(3, 250, np.float32)
_WORD_Y: Final = 0.745
ENCODER: Final = (
    *("-c:v", "libx264", "-preset", "veryslow", "-tune", "animation", "-crf", "40", "-an"),
    *("-x264-params", "keyint=9999:scenecut=0:aq-mode=0:psy=0:info=0", "-bitexact"),
    *("-pix_fmt", "yuv420p", "-movflags", "+faststart"),
)
"""Flat pictures: no bits for texture that is not there."""


def _circle(x: Plane, y: Plane, radius: float = 1.0) -> Plane:
    return np.asarray(np.hypot(x, y) - radius, np.float32)


def _box(x: Plane, y: Plane, width: float, height: float) -> Plane:
    return np.maximum(np.abs(x) - width, np.abs(y) - height)


def _polygon(x: Plane, y: Plane, corners: list[tuple[float, float]]) -> Plane:
    """Even-odd inside test with the distance to the nearest edge."""
    nearest = np.full_like(x, np.inf)
    inside = np.zeros(x.shape, bool)
    for (ax, ay), (bx, by) in zip(corners, corners[1:] + corners[:1], strict=True):
        ex, ey = bx - ax, by - ay
        along = np.clip(((x - ax) * ex + (y - ay) * ey) / (ex * ex + ey * ey), 0.0, 1.0)
        nearest = np.minimum(nearest, np.hypot(x - ax - along * ex, y - ay - along * ey))
        crosses = (ay > y) != (by > y)
        if ey:
            inside ^= crosses & (x < ax + (y - ay) * ex / ey)
    return np.asarray(np.where(inside, -nearest, nearest), np.float32)


def _smile(x: Plane, y: Plane) -> Plane:
    eyes = np.minimum(_circle(x - 0.36, y + 0.28, 0.14), _circle(x + 0.36, y + 0.28, 0.14))
    mouth: Plane = np.maximum(np.abs(_circle(x, y - 0.02, 0.55)) - 0.08, 0.18 - y)
    return np.maximum(_circle(x, y), -np.minimum(eyes, mouth))


def _balloon(x: Plane, y: Plane) -> Plane:
    knot = _polygon(x, y, [(0.0, 0.62), (0.16, 0.9), (-0.16, 0.9)])
    string = _box(x - 0.06 * np.sin(14.0 * y), y - 1.0, 0.03, 0.12)
    return np.minimum(np.minimum(_circle(x, (y + 0.2) * 0.88, 0.8), knot), string)


def _heart(x: Plane, y: Plane) -> Plane:
    lobes = np.minimum(_circle(x - 0.46, y + 0.3, 0.54), _circle(x + 0.46, y + 0.3, 0.54))
    return np.minimum(lobes, _polygon(x, y, [(-0.93, -0.02), (0.0, -0.5), (0.93, -0.02), (0, 1.0)]))


def _drop(x: Plane, y: Plane) -> Plane:
    return np.minimum(
        _circle(x, y - 0.3, 0.66), _polygon(x, y, [(0.0, -1.1), (0.6, 0.03), (-0.6, 0.03)])
    )


def _bolt(x: Plane, y: Plane) -> Plane:
    return _polygon(
        x, y, [(0.25, -1.1), (-0.65, 0.18), (-0.1, 0.18), (-0.3, 1.1), (0.65, -0.25), (0.08, -0.25)]
    )


def _moon(x: Plane, y: Plane) -> Plane:
    return np.maximum(_circle(x, y), -_circle(x - 0.48, y + 0.22, 0.86))


def _planet(x: Plane, y: Plane) -> Plane:
    u, v = 0.94 * x + 0.34 * y, 0.94 * y - 0.34 * x
    ring = np.abs(np.hypot(u, 3.6 * v) - 1.15) - 0.1
    return np.minimum(
        _circle(x, y, 0.64), np.where(v < 0, np.maximum(ring, 0.68 - np.hypot(x, y)), ring)
    )


def _camera(x: Plane, y: Plane) -> Plane:
    lens = _polygon(x, y, [(0.3, 0.15), (1.05, -0.35), (1.05, 0.75), (0.3, 0.35)])
    reels = np.minimum(_circle(x + 0.62, y + 0.6, 0.34), _circle(x - 0.08, y + 0.66, 0.4))
    return np.minimum(np.minimum(_box(x + 0.25, y - 0.2, 0.62, 0.45), lens), reels)


def _screen(x: Plane, y: Plane) -> Plane:
    play = _polygon(x, y, [(-0.26, -0.42), (0.5, 0.0), (-0.26, 0.42)])
    return np.maximum(_box(x, y, 1.1, 0.72), -play)


SHAPES: Final[dict[str, Shape]] = {
    "comedy": _smile,
    "family": _balloon,
    "romance": _heart,
    "drama": _drop,
    "action": _bolt,
    "thriller": _moon,
    "fantasy": _planet,
    "documentary": _camera,
    CONTENT: _screen,
}


def main() -> None:
    """Draw every clip into the directory given."""
    if len(sys.argv) != 2:  # noqa: PLR2004
        sys.exit("usage: python -m adserver.page.draw DIRECTORY")
    directory = Path(sys.argv[1])
    directory.mkdir(parents=True, exist_ok=True)
    for kind, colour in KINDS.items():
        for seconds in LENGTHS_S:
            files = {name(kind, seconds, height): (width, height) for width, height in SIZES}
            _encode(directory, kind, colour, seconds, files)
    _encode(directory, CONTENT, CONTENT_COLOUR, CONTENT_S, {content_name(): SIZES[1]})


def _encode(
    directory: Path, kind: str, colour: str, seconds: int, files: dict[str, tuple[int, int]]
) -> None:
    """Pipe the frames of a clip into one ffmpeg that writes it in every size."""
    marks = range(len(files))
    chains = [
        f"[0]drawtext=font='{FONT}\\:bold':text='{kind.upper()}':fontcolor=white:"
        f"fontsize={HEIGHT // 11}:x=(w-text_w)/2:y=h*{_WORD_Y},"
        f"split={len(files)}" + "".join(f"[s{mark}]" for mark in marks)
    ]
    command = ["ffmpeg", "-v", "error", "-y", "-f", "rawvideo", "-pix_fmt", "rgb24"]
    command += ["-s", f"{WIDTH}x{HEIGHT}", "-r", str(FRAMES_PER_S), "-i", "-"]
    sizes = enumerate(files.values())
    chains += [f"[s{mark}]scale={width}:{height}[o{mark}]" for mark, (width, height) in sizes]
    command += ["-filter_complex", ";".join(chains)]
    for mark, file in enumerate(files):
        command += ["-map", f"[o{mark}]", *ENCODER, str(directory / file)]
    with subprocess.Popen(command, stdin=subprocess.PIPE) as ffmpeg:  # noqa: S603  (our own)
        if ffmpeg.stdin is None:
            sys.exit("ffmpeg has no input")
        for frame in _frames(kind, colour, seconds):
            ffmpeg.stdin.write(frame.tobytes())
        ffmpeg.stdin.close()
        if ffmpeg.wait():
            sys.exit(f"ffmpeg could not write {kind}")


def _frames(kind: str, colour: str, seconds: int) -> Iterator[NDArray[np.uint8]]:
    """Yield uint8[HEIGHT, WIDTH, 3], one for every frame of so many seconds."""
    rows, columns = np.mgrid[0:HEIGHT, 0:WIDTH].astype(np.float32)
    x = (columns + 0.5 - WIDTH / 2) / HEIGHT
    y = (rows + 0.5) / HEIGHT - _CENTRE_Y
    paint = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)], np.float32)
    shape = _cover(SHAPES[kind](x / _RADIUS, y / _RADIUS) * _RADIUS)
    still = _over(np.broadcast_to(paint, (HEIGHT, WIDTH, 3)), _WHITE, shape)
    foot = int(HEIGHT * (1 - _BAR))
    still[foot:] = 0.7 * paint
    frames = seconds * FRAMES_PER_S
    for number in range(frames):
        frame = still.astype(np.uint8)
        frame[foot:, : round(WIDTH * (number + 1) / frames)] = _WHITE
        yield frame


def _cover(distance: Plane) -> Plane:
    """How much of each pixel lies inside."""
    return np.asarray(np.clip(0.5 - distance * HEIGHT, 0.0, 1.0), np.float32)


def _over(ground: Plane, paint: Plane, cover: Plane) -> Plane:
    return np.asarray(ground + (paint - ground) * cover[..., None], np.float32)


if __name__ == "__main__":
    main()
