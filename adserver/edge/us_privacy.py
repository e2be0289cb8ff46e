"""The US Privacy string of the IAB's CCPA framework, version 1: four characters."""

from typing import Final

_VERSION: Final = "1"
_LENGTH: Final = 4
_ANSWERS: Final = frozenset("YyNn-")
_OPT_OUT: Final = 2
"""Index of the character that says whether the viewer opted out of sale."""


def decode(text: str) -> bool | None:
    """Return whether the viewer opted out; None for what is no such string."""
    if len(text) != _LENGTH or text[0] != _VERSION or not _ANSWERS.issuperset(text[1:]):
        return None
    return text[_OPT_OUT] in "Yy"
