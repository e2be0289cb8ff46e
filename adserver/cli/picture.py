"""The picture of a simulation, as SVG written by hand: traffic, pacing and dose over the days.

SVG needs no library to write and none to look at, and stays sharp at any size.
"""

import math
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final
from xml.sax.saxutils import escape

from msgspec import Struct

from adserver.domain.errors import InvalidInput, Problem
from adserver.worlds.day import N_QUARTERS
from adserver.worlds.tally import Spend, Summary

WIDTH: Final = 1000
LEFT: Final = 76
RIGHT: Final = 44
TOP: Final = 144
PANEL_HEIGHTS: Final = (130, 270, 170)
PANEL_GAP: Final = 112
LEGEND_ROW: Final = 19
LETTER: Final = 7.0
"""Width a letter of a legend is given: enough in any of the fonts."""
BOTTOM: Final = 58
LINES_MAX: Final = 4
HOURS_A_DAY: Final = 24
HOURS_BETWEEN: Final = {1: 3, 2: 12, 3: 12, 4: 12}
"""Between two marks, by days; else a day."""
CONVERTER: Final = "rsvg-convert"
PNG_ZOOM: Final = 2

INK, FAINT, GRID, PAPER = "#1f2328", "#59636e", "#e3e7eb", "#ffffff"
COLOURS: Final = ("#0072b2", "#d55e00", "#007a59", "#9b4f96")
"""After Okabe and Ito: told apart also by those who see fewer colours."""
TRAFFIC, SHOWN, DOSE, DOSE_HIGH = "#c9d3dd", "#56789a", "#0072b2", "#cfe2f0"

Point = tuple[float, float]


class Panel(Struct, frozen=True):
    """One diagram: where it stands, and what its edges mean."""

    top: float
    height: float
    quarters: int
    most: float

    def x(self, quarter: float) -> float:
        """Return where a quarter of an hour stands."""
        return LEFT + (WIDTH - LEFT - RIGHT) * quarter / self.quarters

    def y(self, value: float) -> float:
        """Return how high a value stands."""
        return self.top + self.height * (1.0 - min(value, self.most) / self.most)


def check_picture(path: Path) -> None:
    """Refuse a file that could not be written in the end; InvalidInput says what could."""
    problem = None
    if path.suffix.lower() not in (".svg", ".png"):
        problem = f"{path.name!r} ends neither in .svg nor in .png"
    elif path.suffix.lower() == ".png" and shutil.which(CONVERTER) is None:
        problem = f"a .png needs {CONVERTER} (librsvg) on the path; a .svg needs nothing"
    elif not path.parent.is_dir():
        problem = f"{path.parent} is no directory"
    if problem is not None:
        raise InvalidInput("the picture cannot be drawn", [Problem("--picture", problem)])


def write_picture(path: Path, svg: str) -> None:
    """Write the picture in the form its name asks for."""
    if path.suffix.lower() == ".svg":
        path.write_text(svg, encoding="utf-8")
        return
    command = [CONVERTER, "--zoom", str(PNG_ZOOM), "--output", str(path)]
    # Found on the path by ``check_picture``; the words are ours but for the name of the file.
    subprocess.run(command, input=svg.encode(), check=True)  # noqa: S603


def draw(summary: Summary) -> str:
    """Return the picture of a simulation."""
    course = summary.course
    quarters = len(course.requests)
    tops = [TOP]
    for height in PANEL_HEIGHTS[:-1]:
        tops.append(tops[-1] + height + PANEL_GAP)
    total = tops[-1] + PANEL_HEIGHTS[-1] + BOTTOM
    hourly = _by_hour(course.requests)
    traffic = Panel(tops[0], PANEL_HEIGHTS[0], quarters, _nice(max(hourly)))
    spent = Panel(tops[1], PANEL_HEIGHTS[1], quarters, 1.05)
    highest = max([dose for dose in course.dose_high if dose is not None], default=1.0)
    dose = Panel(tops[2], PANEL_HEIGHTS[2], quarters, _nice(highest))
    days = "one day" if summary.days == 1 else f"{summary.days} days"
    parts = [
        (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {total}" '
            f'width="{WIDTH}" height="{total}" font-family="Inter, Helvetica, Arial, '
            f'DejaVu Sans, sans-serif" font-size="14" fill="{INK}">'
        ),
        f"<title>Simulation of {days}, seed {summary.seed}</title>",
        f'<rect width="{WIDTH}" height="{total}" fill="{PAPER}"/>',
        _text(LEFT, 34, f"Simulation of {days}: traffic, pacing and dose", size=20, weight=600),
        _text(
            LEFT,
            56,
            f"seed {summary.seed}, {summary.totals.requests:,} requests, "
            f"{summary.totals.shown:,} shown "
            f"({summary.fill:.0%}), "
            + (f"laws broken {summary.broken:,} times" if summary.broken else "every law kept"),
            colour=FAINT,
        ),
        *_traffic(traffic, summary, hourly),
        *_pacing(spent, summary),
        *_dose(dose, summary),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def _traffic(panel: Panel, summary: Summary, hourly: Sequence[float]) -> Iterator[str]:
    course = summary.course
    steps = [panel.most * share for share in (0.0, 0.5, 1.0)]
    yield from _frame(panel, steps, "{:,.0f}")
    yield _area(panel, _steps(hourly), TRAFFIC)
    yield _area(panel, _steps(_by_hour(course.shown)), SHOWN)
    entries = [("requests", TRAFFIC, "box"), ("shown", SHOWN, "box")]
    yield from _legend(panel, "Requests and prerolls shown, per hour", entries)


def _pacing(panel: Panel, summary: Summary) -> Iterator[str]:
    course = summary.course
    steps = [0.0, 0.25, 0.5, 0.75, 1.0]
    yield from _frame(panel, steps, "{:.0%}")
    chosen = _examples(summary)
    entries = []
    for colour, spend in zip(COLOURS, chosen, strict=False):
        if spend.pacing == "even":
            line = _cut(course.line[spend.campaign], spend.period == "day")
            yield from (_line(panel, part, colour, "1.5", dashes="3 4") for part in line)
        spent = _cut(course.spent[spend.campaign], spend.period == "day")
        yield from (_line(panel, part, colour, "2.5") for part in spent)
        kind = "evenly" if spend.pacing == "even" else "as soon as possible"
        part = "" if spend.whole else ", on part of the days"
        entries.append((f"{spend.campaign}: {kind}, by {spend.period}{part}", colour, "line"))
    entries.append(("where it should be", FAINT, "dots"))
    yield from _legend(panel, "Budget spent, share of its day or flight", entries)


def _dose(panel: Panel, summary: Summary) -> Iterator[str]:
    course = summary.course
    steps = [panel.most * share for share in (0.0, 0.25, 0.5, 0.75, 1.0)]
    yield from _frame(panel, steps, "{:.1f}")
    yield _area(panel, _known(course.dose_high), DOSE_HIGH)
    yield _line(panel, _known(course.dose), DOSE, "2.5")
    entries = [("mean", DOSE, "line"), ("nine in ten have less", DOSE_HIGH, "box")]
    yield from _legend(
        panel, "Dose of the viewers who ask, in prerolls they still remember", entries
    )
    yield _text(
        (LEFT + WIDTH - RIGHT) / 2,
        panel.top + panel.height + 46,
        "hour of the day, UTC" if summary.days == 1 else "day and hour, UTC",
        colour=FAINT,
        anchor="middle",
    )


def _examples(summary: Summary) -> list[Spend]:
    """Return the largest budgets, one of each kind first; of one day, day and flight are alike."""
    kinds: dict[tuple[str, str, bool], list[Spend]] = {}
    for spend in sorted(summary.spend, key=lambda spend: -spend.budget):
        period = "day" if summary.days == 1 else spend.period
        kinds.setdefault((spend.pacing, period, spend.whole), []).append(spend)
    ranks = max((len(kind) for kind in kinds.values()), default=0)
    turns = [kind[rank] for rank in range(ranks) for kind in kinds.values() if rank < len(kind)]
    return turns[:LINES_MAX]


def _frame(panel: Panel, steps: Sequence[float], form: str) -> Iterator[str]:
    """Draw the horizontal grid with its values, and the hours."""
    for step in steps:
        y = panel.y(step)
        yield f'<path d="M{LEFT} {y:.1f}H{WIDTH - RIGHT}" stroke="{GRID}"/>'
        yield _text(LEFT - 10, y + 5, form.format(step), colour=FAINT, anchor="end")
    days = panel.quarters // N_QUARTERS
    every = HOURS_BETWEEN.get(days, HOURS_A_DAY)
    bottom = panel.top + panel.height
    yield f'<path d="M{LEFT} {bottom}H{WIDTH - RIGHT}" stroke="{FAINT}"/>'
    for hour in range(0, days * HOURS_A_DAY + 1, every):
        x = panel.x(hour * N_QUARTERS / HOURS_A_DAY)
        yield f'<path d="M{x:.1f} {bottom}v5" stroke="{FAINT}"/>'
        label = f"{hour:02}:00" if days == 1 else _day_and_hour(hour, days)
        yield _text(x, bottom + 22, label, colour=FAINT, anchor="middle", size=13)


def _day_and_hour(hour: int, days: int) -> str:
    day, hour = divmod(hour, HOURS_A_DAY)
    if hour:
        return f"{hour:02}:00"
    return f"day {day + 1}" if day < days else "end"


def _legend(panel: Panel, title: str, entries: Sequence[tuple[str, str, str]]) -> Iterator[str]:
    """Say what is what in as many rows as it takes, the last one just above the panel."""
    rows: list[list[tuple[float, str, str, str]]] = [[]]
    x = float(LEFT)
    for label, colour, mark in entries:
        width = 24 + LETTER * len(label) + 20
        if x + width > WIDTH - RIGHT and rows[-1]:
            rows.append([])
            x = float(LEFT)
        rows[-1].append((x, label, colour, mark))
        x += width
    y = panel.top - 16 - LEGEND_ROW * len(rows)
    yield _text(LEFT, y - 4, title, size=16, weight=600)
    for below, row in enumerate(reversed(rows)):
        y = panel.top - 16 - LEGEND_ROW * below
        for x, label, colour, mark in row:
            yield _mark(x, y, colour, mark)
            yield _text(x + 24, y, label, colour=FAINT, size=13)


def _mark(x: float, y: float, colour: str, mark: str) -> str:
    if mark == "box":
        return f'<rect x="{x:.0f}" y="{y - 10}" width="18" height="11" fill="{colour}"/>'
    dashes = ' stroke-dasharray="3 4"' if mark == "dots" else ""
    return f'<path d="M{x:.0f} {y - 5}h18" stroke="{colour}" stroke-width="3"{dashes}/>'


def _line(panel: Panel, points: Sequence[Point], colour: str, width: str, dashes: str = "") -> str:
    path = "M" + "L".join(f"{panel.x(x):.1f} {panel.y(y):.1f}" for x, y in points)
    dashed = f' stroke-dasharray="{dashes}"' if dashes else ""
    return (
        f'<path d="{path}" fill="none" stroke="{colour}" stroke-width="{width}" '
        f'stroke-linejoin="round"{dashed}/>'
    )


def _area(panel: Panel, points: Sequence[Point], colour: str) -> str:
    path = "L".join(f"{panel.x(x):.1f} {panel.y(y):.1f}" for x, y in points)
    end, begin = panel.x(points[-1][0]), panel.x(points[0][0])
    base = panel.top + panel.height
    return f'<path d="M{begin:.1f} {base}L{path}L{end:.1f} {base}Z" fill="{colour}"/>'


def _text(
    x: float,
    y: float,
    text: str,
    *,
    size: int = 14,
    weight: int = 400,
    colour: str = INK,
    anchor: str = "start",
) -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" font-weight="{weight}" '
        f'fill="{colour}" text-anchor="{anchor}">{escape(text)}</text>'
    )


def _by_hour(quarters: Sequence[int]) -> list[float]:
    return [float(sum(quarters[at : at + 4])) for at in range(0, len(quarters), 4)]


def _steps(hourly: Sequence[float]) -> list[Point]:
    """Return a staircase: each hour is as high as it was."""
    return [
        point
        for hour, value in enumerate(hourly)
        for point in ((4.0 * hour, value), (4.0 * hour + 4.0, value))
    ]


def _cut(values: Sequence[float], daily: bool) -> list[list[Point]]:
    """Return the points by the end of each quarter, from 0 anew every day for a daily budget."""
    length = N_QUARTERS if daily else len(values)
    return [
        [
            (float(begin), 0.0),
            *((begin + at + 1.0, value) for at, value in enumerate(values[begin : begin + length])),
        ]
        for begin in range(0, len(values), length)
    ]


def _known(values: Sequence[float | None]) -> list[Point]:
    """Return the points by the end of each quarter in which anything is known."""
    points = [(at + 1.0, value) for at, value in enumerate(values) if value is not None]
    return points or [(0.0, 0.0)]


def _nice(value: float) -> float:
    """Return the next number that four steps divide well."""
    if value <= 0.0:
        return 1.0
    power = 10.0 ** math.floor(math.log10(value))
    return next(step * power for step in (1.0, 2.0, 4.0, 6.0, 8.0, 10.0) if step * power >= value)
