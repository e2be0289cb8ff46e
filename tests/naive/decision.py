"""Oracles: the steps of a decision, one after another, each by its own oracle. Plain Python."""

import math
from collections.abc import MutableMapping, MutableSequence, Sequence
from typing import Any

from tests.naive.choice import NOTHING, choose_arm, margin_of, set_bars
from tests.naive.dosage import apply_viewer_state
from tests.naive.eligibility import match_campaigns
from tests.naive.pacing import hold_back
from tests.naive.scoring import shortlist_candidates
from tests.naive.separation import keep_apart


def affinity_scale(taste: Sequence[float], fade: float) -> float:
    """Fade the taste; take the length of that."""
    return fade / (1 + math.hypot(*(fade * each for each in taste)))


def decide_request(  # noqa: PLR0913, PLR0917  (the kernel's parameters)
    frame: MutableMapping[str, Any],
    request: Sequence[float],
    state: Sequence[int],
    taste: Sequence[float],
    playable: Sequence[int],
    closed: Sequence[int],
    pace: Sequence[float],
    outcome: MutableSequence[float],
) -> int:
    """Decide; the frame holds the arrays as lists, by name. Long because it names them all."""
    (
        now_s, half_life_s, n_rows, n_row_starts, n_refused, fade, bias_c, bias_n,
        duration_ms_min, duration_ms_max, skip_forbidden, placement_threshold,
        dose_weight, exploration, gamma, epsilon, surprise_share, band, surprises_a_day, draw,
        pacing_draw,
    ) = request  # fmt: skip

    def of(*names: str) -> list[Any]:
        return [frame[name] for name in names]

    match_campaigns(
        frame["bitmaps"],
        frame["rows"][: int(n_rows)],
        frame["row_start"][: int(n_row_starts)],
        frame["refused"][: int(n_refused)],
        *of("in_flight", "matched"),
    )
    apply_viewer_state(
        state, frame["viewer_caps"], int(now_s), half_life_s,
        *of("campaign_keys", "campaign_lookup", "creative_keys", "creative_lookup",
            "advertiser_keys", "caps", "cap_start",
            "campaign_flags", "creative_flags", "campaign_dose", "touched", "viewer"),
    )  # fmt: skip
    keep_apart(
        state, int(now_s),
        *of("bitmaps", "rivals", "rival_start", "matched", "campaign_keys", "campaign_lookup",
            "campaign_flags", "touched"),
    )  # fmt: skip
    dose, viewer_capped, surprises = frame["viewer"]
    of_affinity, of_dose_and_after = frame["weights"][1:3], frame["weights"][5:]
    scale = affinity_scale(taste, fade)
    weights = [scale, *of_affinity, bias_c, bias_n, *of_dose_and_after]
    limits = [duration_ms_min, duration_ms_max, skip_forbidden, viewer_capped]
    shut, held_back = closed, 0
    if pacing_draw >= 0:
        shut, seed = frame["held"], int(pacing_draw * 2**53)
        held_back = hold_back(frame["matched"], pace, closed, seed, *of("held", "held_back"))
    length = shortlist_candidates(
        *of("vectors", "heads", "variants", "campaign_start", "matched"),
        taste, weights, limits, playable, shut,
        *of("campaign_flags", "creative_flags", "campaign_dose", "ids", "values", "counts", "rest"),
    )  # fmt: skip

    may_surprise = surprises < surprises_a_day
    share = surprise_share if may_surprise else 0.0
    arms = length, *of("ids", "values")
    set_bars(*arms, *of("campaign_values", "campaign_times"), placement_threshold)
    settings = (dose_weight * dose, exploration, gamma, epsilon, share, band, draw)
    chosen = choose_arm(*arms, settings, frame["result"])
    p_chosen, p_nothing, n_above, _, best_but_for_dose, *_ = frame["result"]
    outcome[:] = [
        length, dose, p_chosen, p_nothing, n_above, best_but_for_dose,
        may_surprise, share, *frame["rest"],
        margin_of(frame["values"], chosen, settings[0]) if chosen != NOTHING else 0.0,
        held_back,
    ]  # fmt: skip
    return chosen
