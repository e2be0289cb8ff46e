"""``adserver journal``: look into the log of decisions and events."""

from collections.abc import Iterator

import click
import msgspec

from adserver.cli.session import Session, pass_session
from adserver.domain.units import format_time_ms
from adserver.journal.stats import JournalStats, read_stats
from adserver.runtime.clock import SystemClock


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
    found = read_stats(session.need_data() / "journal", SystemClock().now_ms())
    session.show(msgspec.to_builtins(found), "\n".join(_lines(found)))


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
