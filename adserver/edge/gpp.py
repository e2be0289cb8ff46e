"""GPP strings: which sections they hold, and what those about the United States object to.

Layouts: IAB Tech Lab, Global Privacy Platform, "Consent String Specification" and the sections'
own. Every US section is a version, a row of two-bit fields (0 not applicable, 1 yes, 2 no) in the
same order, and an optional segment that repeats the browser's Global Privacy Control.

Fails closed: unknown sections, unknown versions, missing bits, a value of 3 or anything but padding
behind the fields make the whole string unreadable. Not read are the Canadian section and sections
24 to 27, whose published layout and reference encoder contradict each other.
"""

from typing import Final

from msgspec import Struct

from adserver.edge import us_privacy
from adserver.edge.tcf import BITS_PER_CHARACTER, READ_LENGTH_MAX

TCF_EU: Final = 2
USP: Final = 6
_HEADER: Final = "000011000001"
"""Type 3, version 1."""
SECTIONS_MAX: Final = 32
"""More than there are sections to name."""
PADDING_BITS_MAX: Final = 23
_RANGES_AT: Final = 24
"""Bit of the header behind type, version and count."""
_CODE_BITS_MAX: Final = 12
"""Of one Fibonacci number: section ids go up to 27, which takes 8."""
_FIBONACCI: Final = (1, 2, 3, 5, 8, 13, 21, 34, 55, 89, 144, 233)
_LENGTH_MAX: Final = 64
"""Characters of a header or of a core: twice what any needs."""
_DIGITS: Final = {
    character: value
    for value, character in enumerate(
        b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    )
}
_VERSION_BITS: Final = 6
_AGREEMENT: Final = 3
"""Fields about the Multi-State Privacy Agreement, the last of every section."""

_UNREADABLE: Final = -1
_OPTED_OUT: Final = 1
_CHILD: Final = 2
GPC_SEGMENTS: Final = {
    spelling + b"A" * filled: flags
    for spelling, flags in ((b"Q", 0), (b"Y", _OPTED_OUT))
    for filled in range(4)
}
"""The segment that repeats the browser's signal, type 1 in two bits and the signal in one, with
every padding."""


class Layout(Struct, frozen=True, gc=False):
    """How many two-bit fields of each kind a section has, in this order, and then three more."""

    notices: int
    opt_outs: int
    """Of sale, of sharing where the law knows it, of targeted advertising."""
    sensitive: int
    children: int
    """Consents concerning a known child: not 0 means that there is one."""
    consents: int = 0
    """To further processing."""

    @property
    def fields(self) -> int:
        """All of them; the last three are about the Multi-State Privacy Agreement."""
        return (
            self.notices
            + self.opt_outs
            + self.sensitive
            + self.children
            + self.consents
            + _AGREEMENT
        )


LAYOUTS: Final[dict[tuple[int, int], Layout]] = {
    (7, 1): Layout(6, 3, 12, 2, 1),  # national
    (7, 2): Layout(6, 3, 16, 3, 1),
    (8, 1): Layout(3, 2, 9, 2, 1),  # California
    (9, 1): Layout(3, 2, 8, 1),  # Virginia
    (10, 1): Layout(3, 2, 7, 1),  # Colorado
    (11, 1): Layout(4, 2, 8, 1),  # Utah
    (12, 1): Layout(3, 2, 8, 3),  # Connecticut
    (13, 1): Layout(3, 2, 8, 3, 1),  # Florida
    (14, 1): Layout(3, 2, 8, 3, 1),  # Montana
    (15, 1): Layout(3, 2, 11, 3, 1),  # Oregon
    (16, 1): Layout(3, 2, 8, 1, 1),  # Texas
    (17, 1): Layout(3, 2, 9, 5, 1),  # Delaware
    (18, 1): Layout(4, 2, 8, 1),  # Iowa
    (19, 1): Layout(3, 2, 8, 1, 1),  # Nebraska
    (20, 1): Layout(3, 2, 8, 3, 1),  # New Hampshire
    (21, 1): Layout(3, 2, 10, 5, 1),  # New Jersey
    (22, 1): Layout(3, 2, 8, 1, 1),  # Tennessee
    (23, 1): Layout(3, 2, 8, 1, 1),  # Minnesota
}
"""By section and version."""


class _Masks(Struct, frozen=True, gc=False):
    """Where in a section's bits to look; its last field ends at bit 0."""

    bits: int
    pairs: int
    """The lower bit of every field."""
    opt_outs: int
    children: int


def _masks(layout: Layout) -> _Masks:
    behind = layout.consents + _AGREEMENT
    children = ((1 << 2 * layout.children) - 1) << 2 * behind
    behind += layout.children + layout.sensitive
    opt_outs = ((1 << 2 * layout.opt_outs) - 1) << 2 * behind
    pairs = ((1 << 2 * layout.fields) - 1) // 3
    return _Masks(_VERSION_BITS + 2 * layout.fields, pairs, opt_outs & pairs, children)


_MASKS: Final = {key: _masks(layout) for key, layout in LAYOUTS.items()}


class Gpp(Struct, frozen=True, gc=False):
    """What a string says, as far as it concerns this server."""

    opted_out: bool = False
    """Of sale, sharing or targeted advertising, or by Global Privacy Control."""
    child: bool = False
    """The viewer is a known child."""
    tcf: str | None = None
    """The European section, still encoded."""


def decode(text: str) -> Gpp | None:
    """Read a string; None when any part of it is not understood."""
    if len(text) > READ_LENGTH_MAX or not text.isascii():
        return None
    header, *sections = text.encode("ascii").split(b"~", SECTIONS_MAX)
    ids = _section_ids(header)
    if ids is None or len(ids) != len(sections):
        return None
    flags, tcf = 0, None
    for section_id, section in zip(ids, sections, strict=True):
        if section_id == TCF_EU:
            tcf = section.decode("ascii")
            continue
        said = _usp(section) if section_id == USP else _us_section(section_id, section)
        if said == _UNREADABLE:
            return None
        flags |= said
    return Gpp(bool(flags & _OPTED_OUT), bool(flags & _CHILD), tcf)


def _word(text: bytes) -> int | None:
    """Return the bits of a short piece of base64url as one number; None of anything else."""
    if not 0 < len(text) <= _LENGTH_MAX:
        return None
    word = 0
    for character in text:
        digit = _DIGITS.get(character)
        if digit is None:
            return None
        word = word << BITS_PER_CHARACTER | digit
    return word


def _section_ids(header: bytes) -> list[int] | None:
    """Read which sections follow, in order: ranges of Fibonacci numbers, each from the last."""
    word = _word(header)
    digits = "" if word is None else format(word, f"0{BITS_PER_CHARACTER * len(header)}b")
    if len(digits) < _RANGES_AT or not digits.startswith(_HEADER):
        return None
    ids: list[int] = []
    last, at = 0, _RANGES_AT
    for _ in range(int(digits[len(_HEADER) : _RANGES_AT], 2)):
        first, behind = _fibonacci(digits, at + 1)
        length = 0
        if digits[at : at + 1] == "1":
            length, behind = _fibonacci(digits, behind)
            if length == 0:
                return None
        if first == 0 or last + first + length > SECTIONS_MAX:
            return None
        ids += range(last + first, last + first + length + 1)
        last, at = ids[-1], behind
    rest = digits[at:]
    return None if "1" in rest or len(rest) > PADDING_BITS_MAX else ids


def _fibonacci(digits: str, at: int) -> tuple[int, int]:
    """Return the number whose code begins here and where it ends; 0 when there is none."""
    end = digits.find("11", at, at + _CODE_BITS_MAX)
    if end < 0:
        return 0, at
    code = digits[at : end + 1]
    return sum(f for f, digit in zip(_FIBONACCI, code, strict=False) if digit == "1"), end + 2


def _usp(section: bytes) -> int:
    opted_out = us_privacy.decode(section.decode("ascii"))
    return _UNREADABLE if opted_out is None else _OPTED_OUT * opted_out


def _us_section(section_id: int, section: bytes) -> int:
    core, dot, segment = section.partition(b".")
    flags = GPC_SEGMENTS.get(segment, _UNREADABLE) if dot else 0
    word = _word(core)
    if word is None or flags == _UNREADABLE:
        return _UNREADABLE
    n_bits = BITS_PER_CHARACTER * len(core)
    masks = _MASKS.get((section_id, word >> (n_bits - _VERSION_BITS)))
    if masks is None or not 0 <= n_bits - masks.bits <= PADDING_BITS_MAX:
        return _UNREADABLE
    padding = n_bits - masks.bits
    fields = word >> padding
    if fields << padding != word or fields & (fields >> 1) & masks.pairs:  # padding, or a 3
        return _UNREADABLE
    if fields & masks.opt_outs:
        flags |= _OPTED_OUT
    return flags | _CHILD if fields & masks.children else flags
