"""A journal to export, and what came of it."""

import hashlib

import duckdb
from msgspec.structs import replace

from adserver.domain.event import EventType
from adserver.journal.export import HOUR_MS, export
from adserver.journal.parquet import Naming
from adserver.journal.schema import MAY_PRECISE_GEO, MAY_USE_PROFILE, decision_row
from tests.journal import rows as make
from tests.journal.joined import shown, write

NOW_MS = make.NOW_MS  # 17:20 UTC
START_MS = NOW_MS // HOUR_MS * HOUR_MS
LATER_MS = NOW_MS + 12 * HOUR_MS
NAMING = Naming(
    [f"v{index}" for index in range(300)],
    [f"cr{index // 2}" for index in range(300)],
    [f"c{index}" for index in range(300)],
)
HOURS = [f"day=2026-07-25/hour={hour}/decisions.parquet" for hour in (17, 18, 19)]


def names(versions):
    return NAMING if versions == make.VERSIONS else None


def run(directory, to, now_ms=LATER_MS, **more):
    return export(directory, to, names, now_ms=now_ms, **more)


def everything(to):
    return duckdb.sql(
        f"select * from read_parquet('{to}/**/*.parquet', hive_partitioning=true) order by time"  # noqa: S608
    ).fetchall()


def files(to):
    return {
        str(path.relative_to(to)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(to.rglob("*"))
        if path.is_file()
    }


def three_hours(directory):
    """Write a journal of three hours: three shown, one of a catalogue gone; one refused."""
    played = [make.event(1, kind, NOW_MS + 9000) for kind in (EventType.START, EventType.SKIP)]
    unnamed = decision_row(make.decision(4, 2), make.REQUEST, ("gone", "p-1", "m-1"))
    named = replace(unnamed, pseudonym=bytes(range(16)))
    refused = replace(make.refused(3, NOW_MS + HOUR_MS), throttled=[5, 400])
    first = replace(shown(1, width=4), is_bid=True, may=MAY_USE_PROFILE | MAY_PRECISE_GEO)
    write(directory, NOW_MS, first, *played, named)
    write(directory, NOW_MS + HOUR_MS, refused)
    write(directory, NOW_MS + 2 * HOUR_MS, shown(2, NOW_MS + 2 * HOUR_MS))
    return directory
