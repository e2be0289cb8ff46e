"""Oracles: the steps of a decision, one after another, each by its own oracle. Plain Python."""

import math
import struct
from collections.abc import MutableMapping, Sequence
from typing import Any

from tests.naive.choice import NOTHING, choose_arm, margin_of, set_bars
from tests.naive.dosage import apply_viewer_state
from tests.naive.eligibility import match_campaigns
from tests.naive.pacing import hold_back
from tests.naive.record import HEADER, affinity_scale, fading, is_sound
from tests.naive.scoring import shortlist_candidates
from tests.naive.separation import keep_apart
from tests.naive.shortlist import pack_shortlist, tell


def read_record(
    record: Sequence[int], dim: int, now_ms: int, half_life_s: float
) -> tuple[list[int], list[float], float, float, float]:
    """Return state, taste, affinity scale and the viewer's two weights."""
    stranger = [0.0] * dim
    if not record:
        return [], stranger, 0.0, 0.0, 0.0
    own = record[0] // 65_536
    state = list(record[HEADER + own :])
    if record[1] % 2:
        return state, stranger, 0.0, 0.0, 0.0
    of_floats = struct.unpack(f"<{len(record)}f", struct.pack(f"<{len(record)}I", *record))
    taste, scale = stranger, 0.0
    if own == dim:
        (vector_ms,) = struct.unpack("<q", struct.pack("<2I", *record[6:8]))
        taste = list(of_floats[HEADER : HEADER + own])
        scale = affinity_scale(taste, fading(now_ms - vector_ms, half_life_s))
    return state, taste, scale, of_floats[12], of_floats[13]


def decide_request(  # noqa: PLR0915 - the kernel's statements
    frame: MutableMapping[str, Any],
    record: Sequence[int],
    asked: Sequence[int],
    fits: Sequence[int],
    closed: Sequence[int],
    pace: Sequence[float],
) -> int:
    """Decide; the frame holds the arrays as lists, by name. Long because it names them all."""
    numbers, outcome, flags = (frame[name] for name in ("numbers", "outcome", "flags"))
    numbers[:] = [0, 0, 0, 0, 0, -1, -1]
    outcome[:] = [math.nan, math.nan, *[0.0] * 6]
    flags[:] = [0, 0]
    (
        now_ms, bias_c, bias_n,
        placement_threshold, draw, pacing_draw,
        half_life_s, profile_half_life_s,
        dose_weight, exploration, gamma, epsilon, surprise_share, band, surprises_a_day,
    ) = frame["request"]  # fmt: skip
    if record and not is_sound(record):
        numbers[0] = 1
        return NOTHING
    state, taste, scale, own_c, own_n = read_record(
        record, len(frame["stranger"]), int(now_ms), profile_half_life_s
    )
    now_s = int(now_ms) // 1000

    def of(*names: str) -> list[Any]:
        return [frame[name] for name in names]

    n_row_starts, n_refused, *rest = asked
    row_start, rest = rest[:n_row_starts], rest[n_row_starts:]
    refused, rows = rest[:n_refused], rest[n_refused:]
    match_campaigns(frame["bitmaps"], rows, row_start, refused, *of("in_flight", "matched"))
    apply_viewer_state(
        state, frame["viewer_caps"], now_s, half_life_s,
        *of("campaign_keys", "campaign_lookup", "creative_keys", "creative_lookup",
            "advertiser_keys", "caps", "cap_start",
            "campaign_flags", "creative_flags", "campaign_dose", "touched", "viewer"),
    )  # fmt: skip
    keep_apart(
        state, now_s,
        *of("bitmaps", "rivals", "rival_start", "matched", "campaign_keys", "campaign_lookup",
            "campaign_flags", "touched"),
    )  # fmt: skip
    dose, viewer_capped, surprises = frame["viewer"]
    of_affinity, of_dose_and_after = frame["weights"][1:3], frame["weights"][5:]
    weights = [scale, *of_affinity, bias_c + own_c, bias_n + own_n, *of_dose_and_after]
    shut = closed
    if pacing_draw >= 0:
        shut, seed = frame["held"], int(pacing_draw * 2**53)
        numbers[1] = hold_back(frame["matched"], pace, closed, seed, *of("held", "held_back"))
    length = shortlist_candidates(
        *of("vectors", "heads", "variants", "campaign_start", "matched"),
        taste, weights, fits, int(viewer_capped), shut,
        *of("campaign_flags", "creative_flags", "campaign_dose", "ids", "values", "counts", "rest"),
    )  # fmt: skip

    may_surprise = surprises < surprises_a_day
    share = surprise_share if may_surprise else 0.0
    arms = length, *of("ids", "values")
    set_bars(*arms, *of("campaign_values", "campaign_times"), placement_threshold)
    settings = (dose_weight * dose, exploration, gamma, epsilon, share, band, draw)
    chosen = choose_arm(*arms, settings, frame["result"])
    p_chosen, p_nothing, n_above, _, best_but_for_dose, *_ = frame["result"]
    numbers[2:5] = n_above, best_but_for_dose, length
    outcome[2:] = p_chosen, p_nothing, *frame["rest"], dose, share
    surprising = chosen != NOTHING and margin_of(frame["values"], chosen, settings[0]) < 0
    flags[:] = [surprising, may_surprise]
    if length:
        tell(length, chosen, *of("ids", "values"), settings[0], numbers, outcome)
    else:
        outcome[2:4] = 1.0, 1.0
    bits = [list(struct.unpack(f"<{len(row)}i", struct.pack(f"<{len(row)}f", *row)))
            for row in frame["values"]]  # fmt: skip
    pack_shortlist(length, frame["ids"], bits, frame["packed"])
    return chosen
