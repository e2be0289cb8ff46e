"""The policy: what relevance must clear, what annoyance costs, how much is explored."""

from typing import Annotated, Literal

from msgspec import Meta, Struct, field

Share = Annotated[float, Meta(ge=0.0, le=1.0)]
NotNegative = Annotated[float, Meta(ge=0.0)]


class Cap(Struct, frozen=True, forbid_unknown_fields=True):
    """At most ``count`` prerolls in any ``window_s`` seconds."""

    count: Annotated[int, Meta(ge=1, le=10_000)]
    window_s: Annotated[int, Meta(ge=1, le=366 * 86_400)]


class Thresholds(Struct, frozen=True, forbid_unknown_fields=True):
    """The relevance bar by level; an absent entry is no opinion."""

    overall: float = field(name="global", default=0.0)
    placements: dict[str, float] = {}
    campaigns: dict[str, float] = {}


class DoseSettings(Struct, frozen=True, forbid_unknown_fields=True):
    """How much each recent preroll raises the bar for the next."""

    weight: NotNegative = 0.05
    half_life_s: Annotated[float, Meta(gt=0.0)] = 86_400.0


class ViewerCaps(Struct, frozen=True, forbid_unknown_fields=True):
    """Hard caps over all prerolls one viewer sees."""

    viewer: tuple[Cap, ...] = (Cap(count=10, window_s=86_400),)


class Policy(Struct, frozen=True, forbid_unknown_fields=True):
    """One version of the rules analysts tune; every key optional."""

    exploration: Literal["greedy", "epsilon_greedy", "inverse_gap"] = "greedy"
    gamma_max: NotNegative = 3000.0
    epsilon: Share = 0.02
    surprise: Share = 0.02
    surprise_band: NotNegative = 0.25
    surprises_per_day: Annotated[int, Meta(ge=0, le=1000)] = 1
    annoyance_cost: NotNegative = 3.0
    hold_out: Share = 0.0
    threshold: Thresholds = Thresholds()
    dose: DoseSettings = DoseSettings()
    caps: ViewerCaps = ViewerCaps()
