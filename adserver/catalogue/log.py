"""The log of publications: one JSON line each, only ever appended to."""

import os
from pathlib import Path
from typing import Literal

import msgspec
from msgspec import Struct

from adserver.domain.errors import Broken

Kind = Literal["catalogue", "policy", "model"]
"""What a version is a version of."""


class Entry(Struct, frozen=True, kw_only=True):
    """One change of what is served."""

    time: str
    """RFC 3339."""
    kind: Kind
    action: Literal["publish", "rollback"]
    version: str
    """In force from now on."""
    former: str | None
    """In force until now; None before the first catalogue."""
    who: str


def read_log(path: Path) -> list[Entry]:
    """Read every entry, oldest first; a last line torn by a crash was never promised to anyone."""
    try:
        lines = path.read_bytes().split(b"\n")
    except FileNotFoundError:
        return []
    entries = []
    for number, line in enumerate(lines[:-1], start=1):
        try:
            entries.append(msgspec.json.decode(line, type=Entry))
        except ValueError as error:
            raise Broken(
                f"{path}, line {number}, is damaged: {error}; mend or delete that line"
            ) from error
    return entries


def append_log(path: Path, entry: Entry) -> None:
    """Add one entry durably, after cutting off what a crash left of another."""
    with path.open("a+b") as file:
        file.seek(0)
        whole_bytes = file.read().rfind(b"\n") + 1
        file.truncate(whole_bytes)
        file.write(msgspec.json.encode(entry) + b"\n")
        file.flush()
        os.fsync(file.fileno())


def history(entries: list[Entry], kind: Kind) -> list[str | None]:
    """Return the versions a rollback can go through, the one in force last.

    A publication adds to them, a rollback takes the last one away: rolling back twice goes two
    versions back and not to and fro.
    """
    versions: list[str | None] = []
    for entry in entries:
        if entry.kind != kind:
            continue
        if entry.action == "rollback":
            del versions[-1:]
        else:
            versions = [*(versions or [entry.former]), entry.version]
    return versions
