"""One request of a showcase, kept so that a second start need not look for it again."""

from msgspec import Struct


class Example(Struct, frozen=True):
    """One viewer's request and what it is most likely answered."""

    viewer: str
    category: str
    campaign: str | None
    variant: str | None
    reason: str | None
    probability: float


class Showcase(Struct, frozen=True):
    """What was found in one snapshot."""

    snapshot: str
    examples: tuple[Example, ...]
