"""``adserver journal``: look into the log of decisions and events."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click
import msgspec

from adserver.catalogue.columns import CREATIVE, Versions
from adserver.catalogue.shelf import Shelf
from adserver.cli.session import Session, pass_session
from adserver.domain.errors import AdserverError, InvalidInput, Problem
from adserver.domain.units import format_time_ms, parse_time_ms
from adserver.journal.stats import JournalStats, read_stats
from adserver.runtime.clock import SystemClock
from adserver.start import journal_path, open_versions

if TYPE_CHECKING:
    from adserver.journal.export import Exported
    from adserver.journal.parquet import Names, Naming


@click.group()
def command() -> None:
    """Look into the log of decisions and events.

    Example: adserver journal stats
    """


@command.command()
@pass_session
def stats(session: Session) -> None:
    """Count decisions, reasons, events and outcomes, and say what could not be read.

    Safe while servers write.

    Example: adserver journal stats --json
    """
    session.need_data()
    found = read_stats(journal_path(session.settings), SystemClock().now_ms())
    session.show(msgspec.to_builtins(found), "\n".join(_lines(found)))


def _time(ctx: click.Context, param: click.Parameter, value: str | None) -> int | None:
    try:
        return None if value is None else parse_time_ms(value)
    except ValueError as error:
        expected = f"{error}; a time looks like 2026-01-31T12:00:00Z"
        raise click.BadParameter(expected, ctx, param) from None


@command.command()
@click.option(
    "--to", required=True, type=click.Path(path_type=Path, file_okay=False), help="Where to."
)
@click.option("--since", "since_ms", callback=_time, help="From the hour of this time on.")
@click.option("--until", "until_ms", callback=_time, help="Up to this time, to the hour's end.")
@pass_session
def export(session: Session, to: Path, since_ms: int | None, until_ms: int | None) -> None:
    """Write decisions and what became of them as Parquet, a file for each hour (UTC).

    DuckDB, polars, pandas and whatever else reads Parquet read DIR/day=2026-11-21/hour=13/. Safe
    while servers write. Hours in which nothing can change any more are written once; do it again
    for the rest and for what is new. adserver/docs/parquet.md describes the columns.

    Example: adserver journal export --to warehouse --since 2026-11-01T00:00:00Z
    """
    if since_ms is not None and until_ms is not None and since_ms >= until_ms:
        raise click.UsageError("--since is not before --until")
    try:
        from adserver.journal.export import export as write  # noqa: PLC0415  (optional)
    except ModuleNotFoundError as error:
        if error.name is None or error.name.split(".")[0] != "pyarrow":
            raise
        problem = Problem("pyarrow", "install it: pip install 'adserver[parquet]'")
        raise InvalidInput("Parquet needs an optional package", [problem]) from None
    session.need_data()
    settings = session.settings
    done = write(
        journal_path(settings),
        to,
        _names(Shelf(open_versions(settings))),
        now_ms=SystemClock().now_ms(),
        since_ms=since_ms,
        until_ms=until_ms,
    )
    session.show({"to": str(to), **msgspec.to_builtins(done)}, "\n".join(_told(done, to)))


def _names(shelf: Shelf) -> "Names":
    """Name variants and campaigns by the catalogue version that a decision was made from."""
    from adserver.journal.parquet import Naming  # noqa: PLC0415  (an optional dependency)

    def names(versions: tuple[str, str, str]) -> "Naming | None":
        try:
            columns = shelf.columns(Versions(*versions))
        except AdserverError:
            return None
        variants, creatives, campaigns = (
            [columns.texts[kind][index].decode() for index in range(len(columns.texts[kind]))]
            for kind in ("variant", "creative", "campaign")
        )
        of_variant = columns.variants[CREATIVE].tolist()
        return Naming(variants, [creatives[index] for index in of_variant], campaigns)

    return names


def _told(done: "Exported", to: Path) -> Iterator[str]:
    yield f"Parquet (version {done.version}) in {to}"
    yield _line("files written", done.files, f"{done.unsettled:,} of them not settled yet")
    yield _line("decisions in them", done.rows)
    yield _line("files left alone", done.kept, "settled hours, written before")
    if done.unnamed:
        yield _line("decisions unnamed", done.unnamed, "their catalogue version is gone")
    damage = done.damage
    if damage.any:
        yield _line(
            "damaged blocks", damage.damaged_blocks, f"{damage.skipped_bytes:,} bytes skipped"
        )
        yield _line("torn tails", damage.torn_tails, "a crash, or a write under way")
        yield _line("rows not understood", damage.unknown_rows, "not written")


def _lines(found: JournalStats) -> Iterator[str]:
    yield _line("segments", found.segments, f"{found.bytes / 1e6:,.1f} MB")
    if found.first_ms is not None and found.last_ms is not None:
        yield f"{'from':<24}{format_time_ms(found.first_ms)}"
        yield f"{'to':<24}{format_time_ms(found.last_ms)}"
    yield _line("decisions", found.decisions, f"{found.drawn:,} drawn, {found.full:,} kept whole")
    yield _line("  shown", found.shown, f"{found.surprises:,} surprises")
    yield from (_line(f"  none, {word}", count) for word, count in _most(found.none))
    yield from (_line(f"outcome {word}", count) for word, count in _most(found.outcomes))
    yield _line("annoyed", found.annoyed, "skipped at the first chance, muted or closed")
    yield from (_line(f"event {word}", count) for word, count in _most(found.events))
    yield _line("duplicate events", found.duplicates)
    yield _line("late events", found.late, "after their decision was closed")
    yield _line("unmatched events", found.unmatched, "of no decision here, or far too late")
    damage = found.damage
    yield _line("damaged blocks", damage.damaged_blocks, f"{damage.skipped_bytes:,} bytes skipped")
    yield _line("torn tails", damage.torn_tails, "a crash, or a write under way")
    if damage.newer_blocks or damage.unknown_rows:
        yield _line("blocks from later versions", damage.newer_blocks, "not counted")
        yield _line("rows not understood", damage.unknown_rows, "not counted")
    if damage.unreadable_segments:
        yield _line("segments not readable", damage.unreadable_segments)
    if found.repeated:
        yield _line("decisions repeated", found.repeated, "a copied segment; counted once")


def _most(counts: dict[str, int]) -> list[tuple[str, int]]:
    return sorted(counts.items(), key=lambda item: (-item[1], item[0]))


def _line(name: str, count: int, note: str = "") -> str:
    return f"{name:<24}{count:>12,}  {note}".rstrip()
