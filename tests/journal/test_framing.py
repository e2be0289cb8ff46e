"""Blocks: damage is passed over and counted; a row that was never written is never read."""

import struct

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from adserver.journal.framing import MAGIC, ROWS_PER_BLOCK, Damage, Framer, RowDecoder, scan
from tests.journal import rows as make


def blocks_of(*groups):
    return [b"".join(Framer().frame(group)) for group in groups]


def read(content):
    damage = Damage()
    decoder = RowDecoder()
    found = [row for block in scan(content, damage) for row in decoder.rows(block, damage)]
    return found, damage


ONE, TWO, THREE = [make.shown(1), make.event(1)], [make.refused(2)], [make.event(3), make.shown(3)]
BLOCKS = blocks_of(ONE, TWO, THREE)
WHOLE = b"".join(BLOCKS)
ALL = ONE + TWO + THREE


@given(st.lists(make.rows, max_size=2 * ROWS_PER_BLOCK + 1))
@example([make.shown()] * (ROWS_PER_BLOCK - 1))
@example([make.shown()] * ROWS_PER_BLOCK)
@example([make.shown()] * (ROWS_PER_BLOCK + 1))
def test_rows_go_round(rows):
    damage = Damage()
    blocks = list(scan(b"".join(Framer().frame(rows)), damage))
    assert [row for block in blocks for row in RowDecoder().rows(block, damage)] == rows
    assert len(blocks) == max(1, -(-len(rows) // ROWS_PER_BLOCK))
    assert [block.rows for block in blocks[:-1]] == [ROWS_PER_BLOCK] * (len(blocks) - 1)
    assert not damage.any


def test_cut_anywhere_the_whole_blocks_before_are_read():
    ends = [0, len(BLOCKS[0]), len(BLOCKS[0] + BLOCKS[1]), len(WHOLE)]
    rows_until = [[], ONE, ONE + TWO, ALL]
    for cut in range(len(WHOLE) + 1):
        found, damage = read(WHOLE[:cut])
        complete = sum(end <= cut for end in ends) - 1
        assert found == rows_until[complete]
        assert damage == Damage(
            torn_tails=int(cut not in ends), skipped_bytes=cut - ends[complete]
        ), cut


@pytest.mark.parametrize("bit", [0, 3, 7])
def test_a_flipped_bit_costs_its_block_and_no_other(bit):
    for position in range(len(WHOLE)):
        changed = bytearray(WHOLE)
        changed[position] ^= 1 << bit
        found, damage = read(bytes(changed))
        hit = sum(position >= len(b"".join(BLOCKS[: index + 1])) for index in range(3))
        assert found == [
            row for index in range(3) if index != hit for row in (ONE, TWO, THREE)[index]
        ]
        assert damage.skipped_bytes == len(BLOCKS[hit])
        assert damage.damaged_blocks + damage.torn_tails == 1


@given(st.data())
def test_no_damage_makes_a_row_that_was_not_written(data):
    content = bytearray(WHOLE)
    for _ in range(data.draw(st.integers(1, 4))):
        start = data.draw(st.integers(0, len(content)))
        end = data.draw(st.integers(start, min(len(content), start + 300)))
        content[start:end] = data.draw(st.binary(max_size=50) | st.just(BLOCKS[1][:40]))
    found, damage = read(bytes(content))
    assert all(row in ALL for row in found)
    assert damage.any or found == ALL or len(content) == 0 or bytes(content) in _joins()


def _joins():
    """Damage that leaves whole blocks only is none."""
    kept = [b""]
    for block in BLOCKS:
        kept += [some + block for some in kept]
    return kept


@given(st.binary(max_size=300))
@example(MAGIC)
@example(MAGIC * 20)
@example(MAGIC + struct.pack("<IHHI", 0, 1, 1, 2**32 - 1))
@example(bytes(4096))
def test_what_is_no_journal_yields_nothing(content):
    found, damage = read(content)
    assert found == []
    assert damage.skipped_bytes == len(content)
    assert read(content + WHOLE)[0] == ALL
    assert read(WHOLE + content)[0] == ALL


def test_a_block_of_a_later_schema_is_counted_and_passed_over():
    found, damage = read(BLOCKS[0] + make.block(b"whatever it means", version=2) + BLOCKS[1])
    assert found == ONE + TWO
    assert damage == Damage(newer_blocks=1)


def test_rows_of_an_unknown_kind_are_counted_and_their_neighbours_read():
    encode = msgspec.msgpack.encode
    payload = encode([msgspec.Raw(encode(ONE[0])), [99, "later"], msgspec.Raw(encode(ONE[1]))])
    found, damage = read(make.block(payload, 3))
    assert found == ONE
    assert damage == Damage(unknown_rows=1)


def test_a_payload_that_is_no_array_is_counted():
    assert read(make.block(b"\xc1", 5)) == ([], Damage(unknown_rows=5))
