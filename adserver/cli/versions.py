"""What the groups ``catalogue`` and ``policy`` say alike about versions."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click
import msgspec

from adserver.catalogue.diff import Difference
from adserver.catalogue.log import Kind
from adserver.catalogue.versions import Change, Versions
from adserver.cli.session import Session
from adserver.domain.errors import InvalidInput, Problem

_SIDES_MAX = 2
_LINES_MAX = 200
_VALUE_LENGTH_MAX = 60
_SIGNS = {"added": "+", "removed": "-", "changed": "~"}


def open_here(session: Session) -> Versions:
    """Open the versions of the data directory the command was pointed at."""
    from adserver.start import open_versions  # noqa: PLC0415  (brings the whole server; not for help)

    return open_versions(session.settings)


def tell_change(
    session: Session, change: Change, details: Mapping[str, Any] | None = None, text: str = ""
) -> None:
    """Say what was put in force, and whether anything changed."""
    if change.changed:
        former = f", in place of {change.former}" if change.former else ""
        first = f"{change.kind} {change.version} is in force{former}."
    else:
        first = f"{change.kind} {change.version} was in force already; nothing changed."
    if change.snapshot is None:
        text = "Decisions start with the first catalogue: adserver catalogue publish FILE"
    session.show({**msgspec.to_builtins(change), **(details or {})}, f"{first} {text}".rstrip())


def tell_log(session: Session, versions: Versions, kind: Kind) -> None:
    """List the changes, the latest first, and mark what is in force."""
    entries = versions.log(kind)[::-1]
    current = versions.pointer().version(kind)
    lines = [
        f"{entry.time}  {entry.action:<8}  {entry.version}  by {entry.who}" for entry in entries
    ]
    lines.append(f"In force: {current}" if current else f"No {kind} was published yet.")
    session.show({"in_force": current, "log": msgspec.to_builtins(entries)}, "\n".join(lines))


def resolve_sides(versions: Versions, kind: Kind, sides: Sequence[str]) -> tuple[str, str]:
    """Return (before, after): files or versions, what was left out taken from what is in force."""
    if len(sides) > _SIDES_MAX:
        raise click.UsageError("Compare at most two files or versions.")
    if len(sides) == _SIDES_MAX:
        return sides[0], sides[1]
    current = versions.pointer().version(kind)
    if current is None:
        raise InvalidInput("nothing to compare", [Problem(kind, "none was published yet")])
    if not sides:
        former = versions.former(kind)
        if former is None:
            raise InvalidInput(
                "nothing to compare", [Problem(kind, f"there is none before {current}")]
            )
        return former, current
    return (current, sides[0]) if Path(sides[0]).is_file() else (sides[0], current)


def tell_differences(
    session: Session, before: str, after: str, differences: Sequence[Difference]
) -> None:
    """List the differences, one thing a line and its changed fields below."""
    data = {"before": before, "after": after, "differences": msgspec.to_builtins(differences)}
    lines = [line for difference in differences for line in _lines(difference)]
    hidden = len(lines) - _LINES_MAX
    if hidden > 0:
        lines = [*lines[:_LINES_MAX], f"... and {hidden:,} lines more; --json has them all"]
    count = f"{len(differences):,} differences" if len(differences) != 1 else "1 difference"
    session.show(data, "\n".join([f"{before} -> {after}: {count}", *lines]))


def _lines(difference: Difference) -> list[str]:
    name = f"{difference.kind} {difference.id}".rstrip()
    fields = [
        f"    {change.name}: {change.after}"
        if change.name == "vector"
        else f"    {change.name}: {_short(change.before)} -> {_short(change.after)}"
        for change in difference.fields
    ]
    return [f"{_SIGNS[difference.action]} {name}", *fields]


def _short(value: object) -> str:
    if value is None:
        return "(none)"
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _VALUE_LENGTH_MAX else f"{text[: _VALUE_LENGTH_MAX - 3]}..."
