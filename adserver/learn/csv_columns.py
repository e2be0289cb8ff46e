"""Columns of a CSV file, plain or gzipped, a chunk of rows at a time; errors name row and column.

RFC 4180 in UTF-8, a byte order mark allowed, with a header. Rows are counted from 1 below the
header; blank lines are no rows.
"""

import csv
import gzip
import zlib
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from io import TextIOWrapper
from itertools import islice
from pathlib import Path
from typing import Any, Final, TextIO

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from adserver.domain.errors import InvalidInput, Problem

CHUNK_ROWS: Final = 512
"""Fewer new lists than wake the garbage collector: a million rows in 2.2 s, not 5.2 as by 8,192."""
SHOWN_MAX: Final = 40
"""Characters of a wrong value that are shown."""
_GZIP_MAGIC: Final = b"\x1f\x8b"


class Chunk(Struct, frozen=True):
    """Neighbouring rows of the columns that were asked for, by their place in the asking."""

    path: Path
    first_row: int
    names: tuple[str, ...]
    columns: tuple[Sequence[str], ...]

    def numbers(self, k: int) -> NDArray[np.float64]:
        """Return a column as finite numbers.

        Raises
        ------
        InvalidInput
            For the first value that is none.
        """
        texts = self.columns[k]
        try:
            values = np.array(texts, np.float64)
        except ValueError:
            values = np.array([_number(text) for text in texts])
        # float() reads "1_000" as a thousand; nobody who writes that in a CSV expects it.
        if not np.isfinite(values).all() or "_" in "".join(texts):
            i = next(i for i, text in enumerate(texts) if not np.isfinite(_number(text)))
            raise self.wrong(k, i, "a finite number with a decimal point")
        return values

    def words(self, k: int) -> Sequence[str]:
        """Return a column of names, none of them empty."""
        texts = self.columns[k]
        if "" in texts:
            raise self.wrong(k, texts.index(""), "a name")
        if _strange_byte("".join(texts)):
            raise self.wrong(k, next(i for i, t in enumerate(texts) if _strange_byte(t)), "a name")
        return texts

    def wrong(self, k: int, i: int, expected: str) -> InvalidInput:
        """Return the error about the i-th value of a column."""
        text = self.columns[k][i]
        where = f"{_place(self.path, self.first_row + i)}, column {self.names[k]!r}"
        if strange := _strange_byte(text):
            return refusal(self.path, strange, where)
        found = f"{text[:SHOWN_MAX]!r}{'...' * (len(text) > SHOWN_MAX)}" if text else "nothing"
        return refusal(self.path, f"expected {expected}, found {found}", where)


def read_chunks(path: Path, asked: Sequence[tuple[str, ...]]) -> Iterator[Chunk]:
    """Read columns.

    Parameters
    ----------
    path
        A file, or a pipe: it is read once.
    asked
        Of each column, what it may be called: the first name that the header has counts.

    Raises
    ------
    InvalidInput
        When the file is not there, not CSV, not what its name says, or lacks a column or a row.
    """
    row = 0
    with _open(path) as file, _telling(path, csv.reader(file, strict=True)) as reader:
        header: list[str] = next(reader, [])
        names = tuple(_find(path, header, called) for called in asked)
        places = [header.index(name) for name in names]
        while rows := list(islice(reader, CHUNK_ROWS)):
            rows = [cells for cells in rows if cells]
            _check_widths(path, rows, row, len(header))
            every = list(zip(*rows, strict=True))
            if every:
                yield Chunk(path, row + 1, names, tuple(every[place] for place in places))
                row += len(rows)
    if not row:
        raise refusal(path, "has a header and no rows")


def refusal(path: Path, message: str, where: str = "") -> InvalidInput:
    """Return an error about a file."""
    return InvalidInput(str(path), [Problem(where or "the file", message)])


@contextmanager
def _telling(path: Path, reader: Any) -> Iterator[Any]:
    """Hand on a ``csv.reader``; tell what is wrong with the file, and on which line."""
    try:
        yield reader
    except csv.Error as error:
        raise refusal(path, str(error), f"line {reader.line_num}") from error
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        problem = f"the gzip data is damaged or cut off: {error}"
        raise refusal(path, problem, f"after line {reader.line_num}") from error


@contextmanager
def _open(path: Path) -> Iterator[TextIO]:
    with ExitStack() as stack:
        try:
            raw = stack.enter_context(path.open("rb"))
            zipped = raw.peek(len(_GZIP_MAGIC)).startswith(_GZIP_MAGIC)
        except OSError as error:
            raise refusal(path, f"cannot be read: {error.strerror}") from error
        if path.suffix == ".gz" and not zipped:
            raise refusal(path, "is named .gz and is not gzip")
        plain = stack.enter_context(gzip.GzipFile(fileobj=raw)) if zipped else raw
        # What is not UTF-8 comes through, so that whoever looks at the value can say where it is.
        yield TextIOWrapper(plain, encoding="utf-8-sig", errors="surrogateescape", newline="")


def _find(path: Path, header: list[str], called: tuple[str, ...]) -> str:
    """Return the name of a column that may be called so."""
    if not header:
        raise refusal(path, "is empty: expected a header")
    if strange := _strange_byte("".join(header)):
        raise refusal(path, strange, "header")
    name = next((name for name in called if name in header), None)
    if name is None:
        has = ", ".join(map(repr, header[:20]))
        hint = ": columns are parted by commas" if len(header) == 1 else ""
        wanted = " or ".join(map(repr, dict.fromkeys(called)))
        raise refusal(path, f"has no column {wanted}; it has {has}{hint}", "header")
    if header.count(name) > 1:
        raise refusal(path, f"has more than one column {name!r}", "header")
    return name


def _check_widths(path: Path, rows: list[list[str]], before: int, width: int) -> None:
    if set(map(len, rows)) - {width}:
        row, found = next((i, len(r)) for i, r in enumerate(rows, before + 1) if len(r) != width)
        raise refusal(path, f"has {found} values, the header {width}", _place(path, row))


def _place(path: Path, row: int) -> str:
    """Say which row, and on which line it ends: only an error asks, so the file is read again."""
    if not path.is_file():  # what came through a pipe is gone
        return f"row {row}"
    with _open(path) as file:
        reader = csv.reader(file)
        next(islice((cells for cells in reader if cells), row, None))
        return f"row {row} (line {reader.line_num})"


def _strange_byte(text: str) -> str:
    """Say which byte of a text was not UTF-8; nothing when all were."""
    try:
        text.encode()
    except UnicodeEncodeError as error:
        byte = text[error.start].encode(errors="surrogateescape")[0]
        return f"byte {byte:#04x} is not UTF-8"
    return ""


def _number(text: str) -> float:
    try:
        return float(text) if "_" not in text else np.nan
    except ValueError:
        return np.nan
