"""``adserver viewers``: import, export and count viewer records."""

import sys
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from itertools import islice
from pathlib import Path
from typing import BinaryIO, Final, TypeVar

import click
import msgspec
from rich.console import Console
from rich.progress import Progress

from adserver.cli.session import Session, pass_session
from adserver.cli.versions import open_here
from adserver.domain.errors import InvalidInput, Problem
from adserver.domain.units import format_time_ms
from adserver.domain.viewer import SuppressionKind, key32
from adserver.runtime.clock import SystemClock
from adserver.runtime.entropy import SystemEntropy
from adserver.viewer.codec import vector_of
from adserver.viewer.exchange import export_viewers, import_viewers, read_all
from adserver.viewer.line import LineReader, Names
from adserver.viewer.open import open_store
from adserver.viewer.stats import Spread, ViewerStats, viewer_stats
from adserver.viewer.store import ViewerStore

Item = TypeVar("Item")

_STEPS: Final = 200
"""How often a progress bar moves; a move costs 20 µs, as much as a line."""


@click.group()
def command() -> None:
    """Import, export and count viewer records.

    Example: adserver viewers stats
    """


@command.command("import")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--dim", type=click.IntRange(1, 1024), help="Numbers in a vector; else as in use.")
@pass_session
def import_(session: Session, file: Path, dim: int | None) -> None:
    """Store every viewer of an NDJSON file, or none of them.

    Each line is an object as `viewers export` writes it; only "id" is required. A viewer who is
    known already is replaced. Example: adserver viewers import viewers.ndjson
    """
    with (
        closing(open_store(session.settings.store, session.settings.data)) as store,
        _progress(session, "Importing viewers", 2 * file.stat().st_size) as advance,
    ):
        reader = LineReader(_dim(session, store, dim), SystemClock().now_ms())
        imported = import_viewers(file, store, reader, SystemEntropy(), advance)
        viewers = store.count()
    session.show(
        {"imported": imported, "viewers": viewers},
        f"Imported {imported:,} viewers; the store holds {viewers:,}.",
    )


@command.command()
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path), required=False)
@pass_session
def export(session: Session, file: Path | None) -> None:
    """Write every viewer as a line of JSON, to a file or to standard output.

    The file appears when it is whole. Example: adserver viewers export viewers.ndjson
    """
    with _open(session) as store:
        if file is None:
            _export(session, store, sys.stdout.buffer)
            return
        partial = file.with_name(file.name + ".partial")
        try:
            with partial.open("wb") as out:
                exported = _export(session, store, out)
            partial.replace(file)
        finally:
            partial.unlink(missing_ok=True)
    session.show({"exported": exported, "file": str(file)}, f"Exported {exported:,} viewers.")


@command.command()
@pass_session
def stats(session: Session) -> None:
    """Count viewers and measure their records.

    Example: adserver viewers stats --json
    """
    with _open(session) as store, _progress(session, "Reading", store.count()) as advance:
        found = viewer_stats(_counted(read_all(store), advance))
    session.show(msgspec.to_builtins(found), "\n".join(_lines(found)))


@contextmanager
def _open(session: Session) -> Iterator[ViewerStore]:
    """Open the store to read it; a data directory that is not there is not made."""
    settings = session.settings
    if not settings.store:
        session.need_data()
    with closing(open_store(settings.store, settings.data)) as store:
        yield store


def _export(session: Session, store: ViewerStore, out: BinaryIO) -> int:
    names = _names(session)
    exported = 0
    with _progress(session, "Exporting viewers", store.count()) as advance:
        for line in _counted(export_viewers(store, names), advance):
            out.write(line)
            exported += 1
    out.flush()
    return exported


def _dim(session: Session, store: ViewerStore, given: int | None) -> int:
    """Length of a vector: the catalogue's, else that of the viewers there are, else the option."""
    columns = open_here(session).load_snapshot()
    known = columns.meta.dim if columns else None
    if known is None:
        for _, raw in islice(store.scan(), 1):
            known = len(vector_of(raw))
    if given is None and known is None:
        message = "is needed: there is neither a catalogue nor a viewer to take it from"
        raise InvalidInput("the length of a vector is not known", [Problem("--dim", message)])
    if given is not None and known is not None and given != known:
        raise InvalidInput("vectors cannot be compared", [Problem("--dim", f"{known} is in use")])
    return known or given or 0


def _names(session: Session) -> Names:
    """Ids of everything in the catalogue in force, by the keys that records keep."""
    versions = open_here(session)
    version = versions.pointer().catalogue
    if version is None:
        return {}
    catalogue = versions.read_catalogue(version)
    ids = {
        SuppressionKind.CAMPAIGN: (row.id for row in catalogue.campaigns),
        SuppressionKind.CREATIVE: (
            row.id for each in catalogue.campaigns for row in each.creatives
        ),
        SuppressionKind.ADVERTISER: (row.id for row in catalogue.advertisers),
    }
    return {
        kind: {key32(kind.name.lower(), identity): identity for identity in known}
        for kind, known in ids.items()
    }


@contextmanager
def _progress(session: Session, what: str, total: int) -> Iterator[Callable[[int], None]]:
    """Show a bar on stderr while the block runs, when someone is looking."""
    console = Console(stderr=True)
    shown = console.is_terminal and not session.as_json
    with Progress(console=console, transient=True, disable=not shown) as bar:
        task = bar.add_task(what, total=total)
        pending = 0

        def advance(amount: int) -> None:
            nonlocal pending
            pending += amount
            if pending * _STEPS >= total:
                bar.advance(task, pending)
                pending = 0

        yield advance


def _counted(items: Iterator[Item], advance: Callable[[int], None]) -> Iterator[Item]:
    for item in items:
        advance(1)
        yield item


def _lines(found: ViewerStats) -> Iterator[str]:
    yield f"{'viewers':<24}{found.viewers:>10,}"
    yield f"{'opted out':<24}{found.opted_out:>10,}"
    yield f"{'':<24}{'median':>10}{'95 %':>10}{'most':>10}"
    yield _line("record bytes", found.record_bytes)
    yield _line("impressions each", found.impressions)
    yield _line("suppressions each", found.suppressions)
    if found.first_seen_ms is not None and found.last_seen_ms is not None:
        yield f"{'seen last from':<24}{format_time_ms(found.first_seen_ms)}"
        yield f"{'to':<24}{format_time_ms(found.last_seen_ms)}"


def _line(name: str, spread: Spread) -> str:
    return f"{name:<24}{spread.median:>10,}{spread.p95:>10,}{spread.max:>10,}"
