"""Oracles: consent strings read as text of zeros and ones, a field at a time, by exception."""

MALFORMED = -1
ALPHABET = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"


def unpack(text, data):
    """Look every character up, join their digits, cut them into bytes."""
    if not len(text) or any(character not in ALPHABET for character in text):
        return MALFORMED
    digits = "".join(format(ALPHABET.index(character), "06b") for character in text)
    padded = digits + "0" * (-len(digits) % 8)
    data[:] = [int(padded[i : i + 8], 2) for i in range(0, len(padded), 8)]
    return len(digits)


class _Bits:
    """A string of bits that ends where it ends."""

    def __init__(self, data, n_bits, at=0):
        self.text = "".join(format(int(byte), "08b") for byte in data)[:n_bits]
        self.at = at

    def take(self, width):
        piece = self.text[self.at : self.at + width]
        if len(piece) < width:
            raise ValueError("the end")
        self.at += width
        return int(piece or "0", 2)


def read_bits(data, at, width):
    """Cut the digits out."""
    return _Bits(data, 8 * len(data), at).take(width)


def _ranges(bits, n_entries, id_max):
    ids = set()
    for _ in range(n_entries):
        is_range = bits.take(1)
        first = bits.take(16)
        last = bits.take(16) if is_range else first
        if not 1 <= first <= last <= id_max:
            raise ValueError("no range")
        ids |= set(range(first, last + 1))
    return ids


def _vendors(bits):
    id_max = bits.take(16)
    if bits.take(1):
        return _ranges(bits, bits.take(12), id_max)
    return {number for number in range(1, id_max + 1) if bits.take(1)}


def _behind(read, data, n_bits, at, vendor):
    bits = _Bits(data, n_bits, at)
    try:
        ids = read(bits)
    except ValueError:
        return MALFORMED
    return 2 * bits.at + (vendor in ids)


def read_ranges(data, n_bits, at, n_entries, id_max, vendor):
    """Gather all ids, then look."""
    return _behind(lambda bits: _ranges(bits, n_entries, id_max), data, n_bits, at, vendor)


def read_vendors(data, n_bits, at, vendor):
    """Gather all ids, then look."""
    return _behind(_vendors, data, n_bits, at, vendor)


def ends_at(data, n_bits, at):
    """Look at the rest."""
    rest = _Bits(data, n_bits).text[at:]
    return 1 if at <= n_bits and len(rest) < 24 and "1" not in rest else MALFORMED


def decode_core(data, n_bits, vendor, result):
    """Read field by field in the order of the specification."""
    bits = _Bits(data, n_bits)
    try:
        version = bits.take(6)
        bits.take(36 + 36 + 12 + 12 + 6 + 12 + 12)
        policy = bits.take(6)
        bits.take(2)
        features, consents, interests = bits.take(12), bits.take(24), bits.take(24)
        bits.take(1 + 12)
        consenting, interested = _vendors(bits), _vendors(bits)
        restricted = [0, 0, 0]
        for _ in range(bits.take(12)):
            purpose, kind = bits.take(6), bits.take(2)
            ids = _ranges(bits, bits.take(12), 65535)
            if not 1 <= purpose <= 24 or kind == 3:
                return MALFORMED
            if vendor in ids:
                restricted[kind] |= 1 << 24 - purpose
    except ValueError:
        return MALFORMED
    if version != 2 or policy < 2:
        return MALFORMED
    result[:3] = features, consents, interests
    result[3:] = vendor in consenting, vendor in interested, *restricted
    return ends_at(data, n_bits, bits.at)


def decode_segment(data, n_bits, vendor):
    """Read the type, then what the type says."""
    bits = _Bits(data, n_bits)
    ids = set()
    try:
        kind = bits.take(3)
        if kind in {1, 2}:
            ids = _vendors(bits)
        elif kind == 3:
            bits.take(48)
            bits.take(2 * bits.take(6))
        else:
            return MALFORMED
    except ValueError:
        return MALFORMED
    return MALFORMED if ends_at(data, n_bits, bits.at) == MALFORMED else 2 * kind + (vendor in ids)
