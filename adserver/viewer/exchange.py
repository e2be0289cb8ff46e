"""Viewer records in and out as NDJSON files; a file is checked whole before anything is written."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from msgspec import structs

from adserver.domain.errors import Broken, InvalidInput, Problem
from adserver.domain.viewer import PSEUDONYM_KEY_BYTES, ViewerRecord
from adserver.runtime.entropy import Entropy
from adserver.viewer.codec import decode, encode, open_record
from adserver.viewer.line import LineReader, Names, write_line
from adserver.viewer.store import Change, Update, ViewerStore

LINE_BYTES_MAX: Final = 4 << 20
PROBLEMS_MAX: Final = 100
"""Problems listed of one file; beyond, it is not a slip but another format."""

Advance = Callable[[int], None]
"""Told how many more bytes of the file have been read."""


def import_viewers(
    path: Path, store: ViewerStore, reader: LineReader, entropy: Entropy, advance: Advance
) -> int:
    """Store every viewer of the file, or none; return how many.

    The file is read twice: once to find everything wrong with it (``InvalidInput``), once to write
    it in one transaction. A viewer who is there already is replaced but keeps the pseudonym key,
    so that the journal still knows them.
    """
    seen: dict[str, int] = {}
    for number, line in _lines(path, reader, advance):
        viewer_id, _ = reader.read(line, number)
        first = seen.setdefault(viewer_id, number)
        if first != number and viewer_id:
            reader.note("$.id", f"{viewer_id!r} stands on line {first} already")
        if len(reader.problems) >= PROBLEMS_MAX:
            reader.problems.append(Problem(f"line {number}", "stopped here: too many problems"))
            break
    _refuse_problems(path, reader)
    return len(store.transact(_changes(path, reader, entropy, advance)))


def _changes(
    path: Path, reader: LineReader, entropy: Entropy, advance: Advance
) -> Iterator[Change]:
    for number, line in _lines(path, reader, advance):
        viewer_id, record = reader.read(line, number)
        _refuse_problems(path, reader)  # the file has changed since it was checked
        yield Change(viewer_id=viewer_id, update=_replacement(record, entropy))


def _replacement(record: ViewerRecord, entropy: Entropy) -> Update:
    def update(old: bytes | None) -> bytes:
        key = entropy.take(PSEUDONYM_KEY_BYTES) if old is None else open_record(old).pseudonym_key
        return encode(structs.replace(record, pseudonym_key=key))

    return update


def _lines(path: Path, reader: LineReader, advance: Advance) -> Iterator[tuple[int, bytes]]:
    """Walk the lines that are not blank, with their numbers from 1."""
    number = 0
    with path.open("rb") as file:
        while line := file.readline(LINE_BYTES_MAX + 1):
            number += 1
            advance(len(line))
            if len(line) > LINE_BYTES_MAX:
                problem = Problem(f"line {number}", f"longer than {LINE_BYTES_MAX} bytes")
                reader.problems.append(problem)
                return
            if not line.isspace():
                yield number, line


def _refuse_problems(path: Path, reader: LineReader) -> None:
    if reader.problems:
        raise InvalidInput(f"{path} was not imported", reader.problems)


def read_all(store: ViewerStore) -> Iterator[tuple[str, bytes, ViewerRecord]]:
    """Walk every viewer: id, bytes and decoded record; Broken names the viewer."""
    for viewer_id, raw in store.scan():
        try:
            yield viewer_id, raw, decode(raw)
        except Broken as error:
            raise Broken(f"viewer {viewer_id!r}: {error}") from error


def export_viewers(store: ViewerStore, names: Names) -> Iterator[bytes]:
    """Write every viewer as a line, in the order of their ids."""
    for viewer_id, _, record in read_all(store):
        yield write_line(viewer_id, record, names)
