"""The journal's reading end: segments to rows."""

from collections.abc import Iterator
from pathlib import Path

from adserver.journal.framing import Block, Damage, RowDecoder, scan
from adserver.journal.schema import EventRow, Row
from adserver.journal.segment import Segment, segments


class JournalReader:
    """Reads a journal while it is being written, whatever happened to it.

    Segments come in the order they were begun; the rows of one segment in the order they were
    written. Workers write side by side, so rows of two segments overlap in time by up to
    ``SEGMENT_AGE_MS_MAX``.

    Attributes
    ----------
    damage : Damage
        What had to be passed over so far. A segment still being written may count a torn tail.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._decoder = RowDecoder()
        self.damage = Damage()

    def segments(self) -> list[Segment]:
        """Return the journal's segments, the earliest begun first."""
        return segments(self._directory)

    def rows(self) -> Iterator[Row]:
        """Yield every row."""
        for segment in self.segments():
            for rows in self.blocks(segment):
                yield from rows

    def blocks(self, segment: Segment) -> Iterator[list[Row]]:
        """Yield the rows of a segment, block by block."""
        for block in self._intact(segment):
            yield self._decoder.rows(block, self.damage)

    def events(self, segment: Segment) -> Iterator[list[EventRow]]:
        """Yield the events alone of a segment, block by block."""
        for block in self._intact(segment):
            yield self._decoder.events(block, self.damage)

    def _intact(self, segment: Segment) -> Iterator[Block]:
        # Read, not mapped: a writer whose disk fails cuts its segment short, and whoever then
        # touches the end of a mapping is killed.
        try:
            content = segment.path.read_bytes()
        except OSError:
            self.damage.unreadable_segments += 1
            return
        yield from scan(content, self.damage)
