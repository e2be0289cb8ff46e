"""The model: two linear heads, the viewer watches to the end and the viewer is annoyed.

Only what is true of everyone stands here. What is true of one viewer lives in the viewer record,
so that deleting the record deletes it.
"""

from msgspec import Struct


class Calibrator(Struct, frozen=True, forbid_unknown_fields=True):
    """Platt scaling: ``p = sigmoid(a * z + b)``."""

    a: float = 1.0
    b: float = 0.0


class Head(Struct, frozen=True, forbid_unknown_fields=True):
    """One outcome.

    ``z = offset + campaign + variant + viewer + affinity*s + context + dose*log(1+n)``.
    """

    offset: float = 0.0
    affinity: float = 0.0
    dose: float = 0.0
    context: dict[str, float] = {}
    campaigns: dict[str, float] = {}
    variants: dict[str, float] = {}
    calibrator: Calibrator = Calibrator()


class Model(Struct, frozen=True, forbid_unknown_fields=True):
    """One version of what was learnt from outcomes."""

    complete: Head = Head(offset=1.0)
    annoyed: Head = Head(offset=-2.0)
    resolved: int = 0
    """Resolved outcomes behind the weights; exploration narrows with their square root."""
    profile_half_life_s: float = 90 * 86_400.0
    profile_rate: float = 0.1
    """How far one outcome moves a profile, in the units of the variants' vectors."""
    trained_at: str | None = None
    """Until when outcomes were learnt, RFC 3339."""
    base: str | None = None
    """Version that learning from outcomes began with; None for a model that begins."""
    metrics: dict[str, float] = {}
