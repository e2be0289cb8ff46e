"""``adserver data``: simulated days, learning from nothing, and requests for load generators."""

from functools import partial
from pathlib import Path
from statistics import stdev
from typing import TYPE_CHECKING, Any, Final

import click

from adserver.cli.progress import stages
from adserver.cli.session import Session, pass_session

if TYPE_CHECKING:
    from collections.abc import Iterator

    from adserver.worlds.cold_start import Course
    from adserver.worlds.tally import Summary

REQUESTS_MAX: Final = 10_000_000
_NAME_WIDTH: Final = 26


@click.group()
def command() -> None:
    """Simulate days, learn from nothing, and write requests for load generators.

    Example: adserver data simulate --picture day.svg
    """


@command.command()
@click.option("--seed", type=int, default=1, show_default=True, help="The same, the same days.")
@click.option("--days", type=click.IntRange(1, 31), default=1, show_default=True)
@click.option("--viewers", type=click.IntRange(20, 1_000_000), default=1000, show_default=True)
@click.option(
    "--requests",
    type=click.IntRange(1, REQUESTS_MAX),
    default=10_000,
    show_default=True,
    help="A day.",
)
@click.option(
    "--workers", type=click.IntRange(1, 16), default=1, show_default=True, help="Of the server."
)
@click.option(
    "--policy",
    "policy_file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Rules to play under; else rules that all have something to do.",
)
@click.option("--faultless", is_flag=True, help="Nothing is late, lost or slow.")
@click.option(
    "--picture",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Draw pacing and dose over the day: FILE.svg, or FILE.png where rsvg-convert is there.",
)
@pass_session
def simulate(  # noqa: PLR0917  (one argument an option)
    session: Session,
    seed: int,
    days: int,
    viewers: int,
    requests: int,
    workers: int,
    policy_file: Path | None,
    picture: Path | None,
    *,
    faultless: bool,
) -> None:
    """Live through whole days in seconds, and check the laws.

    A made-up market with every kind of campaign, viewers who watch, skip and tire by a known law,
    and beacons that are lost, late or doubled, ask the real server in this process. Nothing of the
    data directory is read or written. Exit code 1 when a law is broken.

    Example: adserver data simulate --seed 7 --days 2 --picture days.svg
    """
    from adserver.catalogue.policy import parse_policy  # noqa: PLC0415  (--help stays quick)
    from adserver.cli import sandbox  # noqa: PLC0415
    from adserver.cli.picture import check_picture, draw, write_picture  # noqa: PLC0415
    from adserver.worlds.market import POLICY, Scale  # noqa: PLC0415
    from adserver.worlds.stubs import NO_FAULTS, Faults  # noqa: PLC0415

    if picture is not None:
        check_picture(picture)
    policy = POLICY if policy_file is None else parse_policy(policy_file.read_bytes())
    session.say(f"seed {seed}")
    scale = Scale(days=days, viewers=viewers, requests=requests)
    faults = NO_FAULTS if faultless else Faults()
    with stages(session) as tell:
        summary = sandbox.simulate(seed, scale, policy, faults=faults, workers=workers, tell=tell)
    if picture is not None:
        write_picture(picture, draw(summary))
    session.show(_data(summary), "\n".join(_lines(summary, picture)))
    if summary.broken:
        click.get_current_context().exit(1)


@command.command("cold-start")
@click.option(
    "--world",
    type=click.Choice(["movielens", "synthetic"]),
    default="movielens",
    show_default=True,
    help="Whose viewers, films and outcomes.",
)
@click.option(
    "--exploration",
    type=click.Choice(["greedy", "epsilon_greedy", "inverse_gap"]),
    multiple=True,
    default=["greedy", "inverse_gap"],
    show_default=True,
    help="How arms are chosen; may be given more than once.",
)
@click.option("--seeds", type=click.IntRange(1, 100), default=3, show_default=True, help="Runs.")
@click.option(
    "--policy",
    "policy_file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Shares, cost and threshold; else the built-in ones.",
)
@pass_session
def cold_start(
    session: Session, world: str, exploration: tuple[str, ...], seeds: int, policy_file: Path | None
) -> None:
    """Learn a world from nothing, one request at a time, and say what was earned.

    Each request offers five films of which the viewer's outcome is known, and nothing. Only the
    outcome of the film shown is told, and learnt before the next request. Nothing of the data
    directory is read or written.

    Example: adserver data cold-start --exploration inverse_gap --seeds 1
    """
    import msgspec  # noqa: PLC0415  (--help stays quick)

    from adserver.catalogue.policy import parse_policy  # noqa: PLC0415
    from adserver.domain.policy import Policy  # noqa: PLC0415
    from adserver.worlds.cold_start import play  # noqa: PLC0415
    from adserver.worlds.load import build_world  # noqa: PLC0415

    policy = Policy() if policy_file is None else parse_policy(policy_file.read_bytes())
    courses: dict[str, list[Course]] = {name: [] for name in exploration}
    with stages(session) as tell:
        tell("making up the world", 0.0)
        made = build_world(world)
        for name, runs in courses.items():
            rules = msgspec.structs.replace(policy, exploration=name)
            for seed in range(1, seeds + 1):
                stage = f"learning, {name}, seed {seed}"
                runs.append(play(made, rules, seed, tell=partial(tell, stage)))
    data = {
        "world": world,
        "runs": {name: msgspec.to_builtins(runs) for name, runs in courses.items()},
        "reward": {name: _mean([run.reward for run in runs]) for name, runs in courses.items()},
    }
    session.show(data, "\n".join(_course_lines(courses)))


@command.command("requests")
@click.option("--n", "count", type=click.IntRange(1, REQUESTS_MAX), required=True, help="How many.")
@click.option(
    "--world",
    type=click.Choice(["movielens", "synthetic"]),
    default="movielens",
    show_default=True,
    help="Whose viewers and categories, as `adserver demo --world` serves them.",
)
@click.option("--seed", type=int, default=1, show_default=True, help="The same, the same file.")
@click.option(
    "--out", type=click.Path(dir_okay=False, path_type=Path), required=True, help="File to write."
)
@pass_session
def requests_(session: Session, count: int, world: str, seed: int, out: Path) -> None:
    """Write ad requests, one JSON object a line, in the order of a day.

    Each line is the body of a POST to /v1/decisions, for any load generator.

    Example: adserver data requests --n 1000 --out requests.ndjson
    """
    from adserver.worlds.day import crowd_of, visits  # noqa: PLC0415
    from adserver.worlds.dice import throw  # noqa: PLC0415
    from adserver.worlds.load import build_world  # noqa: PLC0415

    with stages(session) as tell:
        tell("making up the world", 0.0)
        crowd = crowd_of(build_world(world))
        tell("writing requests", 0.0)
        with out.open("wb") as file:
            for done, visit in enumerate(visits(throw(seed), crowd, 0, count), 1):
                file.write(visit.body + b"\n")
                if not done % 1000:
                    tell("writing requests", done / count)
    data = {"file": str(out), "requests": count, "world": world, "seed": seed}
    session.show(data, f"Wrote {count:,} requests to {out}.")


def _course_lines(courses: "dict[str, list[Course]]") -> "Iterator[str]":
    heads = ("reward", "sd", "annoyed", "shown", "surprises", "silence")
    yield f"{'':{_NAME_WIDTH}}{''.join(f'{head:>11}' for head in heads)}"
    for name, runs in courses.items():
        reward = [run.reward for run in runs]
        spread = stdev(reward) if len(runs) > 1 else 0.0
        cells = (
            f"{_mean(reward):.4f}",
            f"{spread:.4f}",
            f"{_mean([run.annoyed for run in runs]):.4f}",
            f"{_mean([run.shown for run in runs]):.1%}",
            f"{_mean([run.surprises for run in runs]):.2%}",
            f"{max(run.silence_max for run in runs)}",
        )
        yield f"{name:{_NAME_WIDTH}}{''.join(f'{cell:>11}' for cell in cells)}"
    first = next(iter(courses.values()))
    yield ""
    yield f"{first[0].requests:,} requests a run, {len(first)} seeds; reward, annoyed, shown and"
    yield "surprises a request; silence: most requests in a row that were shown nothing"


def _mean(numbers: list[float]) -> float:
    return sum(numbers) / len(numbers)


def _data(summary: "Summary") -> dict[str, Any]:
    import msgspec  # noqa: PLC0415

    data: dict[str, Any] = msgspec.to_builtins(summary)
    del data["course"]
    return data | {"fill": summary.fill, "broken": summary.broken}


def _lines(summary: "Summary", picture: Path | None) -> "Iterator[str]":
    totals = summary.totals
    rate = totals.requests / summary.seconds
    yield _line("requests", f"{totals.requests:,}", f"{rate:,.0f} a second, laws checked")
    yield _line("shown", f"{totals.shown:,}", f"{summary.fill:.1%} of the requests")
    for reason, count in totals.none.items():
        yield _line(f"  none, {reason}", f"{count:,}")
    yield _line("surprises", f"{totals.surprises:,}")
    yield _line("impressions", f"{totals.impressions:,}", f"{totals.late:,} late")
    yield _line("completed", f"{totals.completed:.1%}", "of those who watched")
    yield _line("annoyed", f"{totals.annoyed:.1%}")
    yield _line("average dose", f"{totals.dose:.2f}", "prerolls a viewer who asks remembers")
    yield ""
    heads = ("pacing", "by", "budget", "spent", "", "off line")
    yield _columns("campaign", *heads)
    for spend in summary.spend:
        off = "" if spend.deviation is None else f"{spend.deviation:.1%}"
        yield _columns(
            spend.campaign,
            spend.pacing,
            spend.period,
            f"{spend.budget:.3f}",
            f"{spend.spent:.3f}",
            f"{spend.spent / spend.budget:.1%}",
            off,
        )
    yield ""
    for law in summary.laws:
        verdict = f"BROKEN {law.broken:,} times" if law.broken else "kept"
        yield f"{law.law:<14}{law.checks:>9,} checks  {verdict:<8}{law.says}"
        yield from (f"    {example}" for example in law.examples)
    yield ""
    yield f"seed {summary.seed}, digest of the journal {summary.digest}"
    if picture is not None:
        yield f"picture in {picture}"


def _line(name: str, value: str, note: str = "") -> str:
    return f"{name:<{_NAME_WIDTH}}{value:>12}  {note}".rstrip()


def _columns(name: str, *cells: str) -> str:
    return f"{name:<12}{''.join(f'{cell:>10}' for cell in cells)}".rstrip()
