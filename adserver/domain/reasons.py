"""Why a decision is what it is: one closed list, explicit numbers, never reused.

The numbers are what the journal keeps, so they only ever grow. The order in which the reasons
compete is ``Stage``, not the number.
"""

from enum import IntEnum


class Reason(IntEnum):
    """Reason of a decision to show nothing."""

    NOT_READY = 1
    OVERLOAD = 2
    DEADLINE = 3
    CONSENT = 4
    OPTED_OUT = 5
    HELD_OUT = 6
    NO_CANDIDATES = 10
    NOT_TARGETED = 11
    PLAYER = 12
    SUPPRESSED = 13
    CAPPED = 14
    BUDGET = 15
    BELOW_THRESHOLD = 16
    DOSE = 17
    EXPLORED = 18

    @property
    def word(self) -> str:
        """The reason as the wire spells it."""
        return self.name.lower()


GATES = frozenset(
    {
        Reason.NOT_READY,
        Reason.OVERLOAD,
        Reason.DEADLINE,
        Reason.CONSENT,
        Reason.OPTED_OUT,
        Reason.HELD_OUT,
    }
)
"""Reasons given before any draw: their propensity is null and estimates leave them out."""


class Stage(IntEnum):
    """Index of each filter stage in a decision's counts, in the order candidates meet them."""

    FLIGHT = 0
    TARGETING = 1
    PLAYER = 2
    SUPPRESSION = 3
    CAPS = 4
    BUDGET = 5


STAGE_REASONS: tuple[Reason, ...] = (
    Reason.NO_CANDIDATES,
    Reason.NOT_TARGETED,
    Reason.PLAYER,
    Reason.SUPPRESSED,
    Reason.CAPPED,
    Reason.BUDGET,
)
"""The reason for which a candidate falls at each ``Stage``."""
