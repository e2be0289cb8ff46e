"""Consent strings written by the book, one field after the other; nothing of ours is imported."""

from base64 import urlsafe_b64encode


def text_of(bits, group=6):
    """Spell bits as base64url, filled with zeros to a whole group: 6, 8 or 24 of them."""
    bits += "0" * (-len(bits) % group)
    characters = -(-len(bits) // 6)
    bits += "0" * (-len(bits) % 24)
    data = bytes(int(bits[i : i + 8], 2) for i in range(0, len(bits), 8))
    return urlsafe_b64encode(data).decode()[:characters]


def number(value, width):
    return format(value, f"0{width}b")


def members(ids, width):
    """Write a set as a bitfield, its first member first."""
    return "".join("1" if each in ids else "0" for each in range(1, width + 1))


def runs(ids):
    """Cut ids into runs of neighbours."""
    found = []
    for each in sorted(ids):
        if found and found[-1][1] == each - 1:
            found[-1][1] = each
        else:
            found.append([each, each])
    return found


def ranges(ids):
    entries = runs(ids)
    body = "".join(
        "0" + number(first, 16) if first == last else "1" + number(first, 16) + number(last, 16)
        for first, last in entries
    )
    return number(len(entries), 12) + body


def vendors(ids, *, as_ranges=False, id_max=None):
    id_max = max(ids, default=0) if id_max is None else id_max
    head = number(id_max, 16)
    return head + ("1" + ranges(ids) if as_ranges else "0" + members(ids, id_max))


def core(  # noqa: PLR0913 - the fields of the specification
    *,
    consents=(),
    interests=(),
    features=(),
    vendor_consents=(),
    vendor_interests=(),
    restrictions=(),
    version=2,
    policy=4,
    as_ranges=False,
):
    """Return the bits of a core segment; restrictions are (purpose, type, vendor ids)."""
    return "".join(
        [
            number(version, 6),
            number(17_000_000_000, 36) * 2,
            number(92, 12) + number(1, 12) + number(1, 6) + number(4 << 6 | 13, 12),
            number(120, 12) + number(policy, 6) + "10",
            members(features, 12) + members(consents, 24) + members(interests, 24),
            "0" + number(13 << 6 | 11, 12),
            vendors(vendor_consents, as_ranges=as_ranges),
            vendors(vendor_interests, as_ranges=as_ranges),
            number(len(restrictions), 12),
            *(number(p, 6) + number(kind, 2) + ranges(ids) for p, kind, ids in restrictions),
        ]
    )


def tc_string(group=6, **fields):
    return text_of(core(**fields), group)


def fibonacci(value):
    """Return the code of a number: which Fibonacci numbers add up to it, then a 1."""
    terms = [1, 2]
    while terms[-1] <= value:
        terms.append(terms[-1] + terms[-2])
    digits = ["0"] * len(terms)
    for i in reversed(range(len(terms))):
        if terms[i] <= value:
            value -= terms[i]
            digits[i] = "1"
    return "".join(digits).rstrip("0") + "1"


def gpp_header(ids, kind=3, version=1):
    """Return the header of sections, neighbours as a range."""
    bits, last = number(kind, 6) + number(version, 6), 0
    entries = runs(ids)
    bits += number(len(entries), 12)
    for first, end in entries:
        bits += ("1" if end > first else "0") + fibonacci(first - last)
        bits += fibonacci(end - first) if end > first else ""
        last = end
    return text_of(bits)


def gpp(sections):
    """Return a string of sections by id."""
    return "~".join([gpp_header(sections), *(sections[each] for each in sorted(sections))])
