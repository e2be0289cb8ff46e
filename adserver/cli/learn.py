"""``adserver learn``: from the journal's outcomes to a model, once or again and again."""

from collections.abc import Iterator
from threading import Event
from typing import TYPE_CHECKING, Any, Final

import click

from adserver.cli.session import Session, pass_session

if TYPE_CHECKING:
    from adserver.learn.judge import Judgement
    from adserver.learn.rounds import Report

EVERY_S: Final = 60.0
_NAME_WIDTH: Final = 26


@click.command()
@click.option("--watch", is_flag=True, help="Keep learning until Ctrl-C.")
@click.option(
    "--every",
    "every_s",
    type=click.FloatRange(min=0.1),
    default=EVERY_S,
    show_default=True,
    help="Seconds between two rounds of --watch.",
)
@click.option(
    "--grace",
    "grace_s",
    type=click.IntRange(0, 86_400),
    default=300,
    show_default=True,
    help="Seconds beacons are waited for after the end of what was shown.",
)
@pass_session
def command(session: Session, every_s: float, grace_s: int, *, watch: bool) -> None:
    """Learn from outcomes, and publish the model unless it is worse.

    Goes on where it left off. Outcomes are learnt once their time for beacons is over. What was
    learnt is judged against the model in force, on the decisions that one made on the newest day;
    workers swap to a published model by themselves. Nothing to learn, too little to judge by, or a
    model that is worse publishes nothing, says why, and is no failure. With --json and --watch, one
    object a line.

    Example: adserver learn --watch
    """
    from adserver.learn.rounds import Learning  # noqa: PLC0415  (--help stays quick)
    from adserver.runtime.clock import SystemClock  # noqa: PLC0415
    from adserver.start import journal_path, open_versions, open_viewers  # noqa: PLC0415

    data = session.need_data()
    clock = SystemClock()
    store = open_viewers(session.settings)
    try:
        learning = Learning(
            data / "learner",
            journal_path(session.settings),
            open_versions(session.settings, clock),
            store,
            grace_s * 1000,
        )
        pause = Event()
        while True:
            report = learning.round(clock.now_ms())
            session.show(_data(report), "\n".join(_lines(report)))
            if not watch:
                return
            pause.wait(every_s)
    except KeyboardInterrupt:
        session.say("stopped; the next round goes on from here")
    finally:
        store.close()


def _data(report: "Report") -> dict[str, Any]:
    import msgspec  # noqa: PLC0415

    data: dict[str, Any] = msgspec.to_builtins(report)
    return data


def _lines(report: "Report") -> Iterator[str]:
    if report.state_lost:
        from adserver.learn.rounds import STATE_LOST  # noqa: PLC0415

        yield STATE_LOST
    yield _line("decisions resolved", report.decisions, "later ones wait" * report.waiting)
    yield _line("outcomes learnt", report.learnt, f"{report.learnt_in_all:,} in all")
    for name, count, note in (
        ("  unknown", report.unknown, "how they ended was never heard"),
        ("  unplayed", report.unplayed, "nothing was heard, or they failed"),
        ("  unreadable", report.unreadable, "their catalogue is gone, or is not theirs"),
        ("events late", report.late, "not used"),
    ):
        if count:
            yield _line(name, count, note)
    damage = report.damage
    if damage.any:
        yield _line("damaged blocks", damage.damaged_blocks, f"{damage.skipped_bytes:,} bytes lost")
        yield _line("torn tails", damage.torn_tails, "a crash, or a write under way")
        yield _line("rows not understood", damage.unknown_rows)
        yield _line("blocks of later versions", damage.newer_blocks)
        yield _line("segments not opened", damage.unreadable_segments)
    yield _line("profiles moved", report.profiles_moved)
    if report.viewers_forgotten:
        yield _line("viewers forgotten", report.viewers_forgotten)
    if report.judgement is not None:
        yield from _table(report.judgement)
    yield ""
    if report.published:
        yield f"model {report.published}"
    yield report.why


def _table(judged: "Judgement") -> Iterator[str]:
    yield ""
    yield f"{judged.day}, {judged.decisions:,} decisions of the model in force:"
    yield f"{'':{_NAME_WIDTH}}{'learnt':>12}{'in force':>12}"
    for name in ("log_loss", "ece_complete", "ece_annoyed", "ndcg", "value"):
        pair = getattr(judged.learnt, name), getattr(judged.in_force, name)
        cells = "".join(f"{'-' if cell is None else format(cell, '.4f'):>12}" for cell in pair)
        yield f"{name.replace('_', ' '):{_NAME_WIDTH}}{cells}"


def _line(name: str, count: int, note: str = "") -> str:
    return f"{name:<{_NAME_WIDTH}}{count:>12,}  {note}".rstrip()
