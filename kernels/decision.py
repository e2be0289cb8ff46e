"""The decision as one call: eligibility, viewer state, shortlist, choice, on one frame.

A request makes one call into compiled code. What the steps do stands in their own modules; this one
only hands each its arrays.
"""

import numpy as np
from numba import types
from numpy.typing import NDArray

from kernels import frame as fr
from kernels._jit import F4_IN, I4_IN, I8_IN_2D, U1_IN, U4_IN, U8_IN, kernel
from kernels.choice import (
    BEST_BUT_FOR_DOSE,
    DOSE_PART,
    DRAW,
    EPSILON,
    EXPLORATION,
    GAMMA,
    N_ABOVE,
    NOTHING,
    P_CHOSEN,
    P_NOTHING,
    SURPRISE_BAND,
    SURPRISE_SHARE,
    choose_arm,
    margin_of,
    set_bars,
)
from kernels.dosage import DOSE, SURPRISES, VIEWER_CAPPED, apply_viewer_state
from kernels.eligibility import match_campaigns
from kernels.pacing import hold_back
from kernels.record import (
    HEADER_WORDS,
    OPTED_OUT,
    RECORD_DIM,
    RECORD_FLAGS,
    VECTOR_MS,
    WEIGHT_C,
    WEIGHT_N,
    affinity_scale,
    fading,
    is_sound,
)
from kernels.scoring import (
    AFFINITY_SCALE,
    BIAS_C,
    BIAS_N,
    shortlist_candidates,
)
from kernels.separation import keep_apart
from kernels.shortlist import (
    TOLD_CAMPAIGN,
    TOLD_RELEVANCE,
    TOLD_THRESHOLD,
    TOLD_VARIANT,
    pack_shortlist,
    tell,
)

# Indices into ``request``: what differs from one request to the next, then what a snapshot fixes.
NOW_MS = 0
REQUEST_BIAS_C = 1
REQUEST_BIAS_N = 2
PLACEMENT_THRESHOLD = 3
REQUEST_DRAW = 4
PACING_DRAW = 5
"""Negative: nobody is held back, and ``pace`` is not read."""
N_VARYING = 6
HALF_LIFE_S = 6
PROFILE_HALF_LIFE_S = 7
DOSE_WEIGHT = 8
REQUEST_EXPLORATION = 9
REQUEST_GAMMA = 10
REQUEST_EPSILON = 11
REQUEST_SURPRISE_SHARE = 12
REQUEST_SURPRISE_BAND = 13
SURPRISES_A_DAY = 14
N_REQUEST = 15

# Indices into ``asked``; behind them stand the starts, the refused rows and the rows themselves.
N_ROW_STARTS = 0
N_REFUSED = 1
N_ASKED = 2

# Indices into ``numbers``.
DAMAGED = 0
"""Not 0: the record's counts do not fit its length, and nothing was decided."""
N_HELD_BACK = 1
OUT_N_ABOVE = 2
OUT_BEST_BUT_FOR_DOSE = 3
LENGTH = 4
N_NUMBERS = 7
"""5 and 6: see ``shortlist.tell``."""

# Indices into ``outcome``; 0 and 1: see ``shortlist.tell``.
OUT_P_CHOSEN = 2
OUT_P_NOTHING = 3
OUT_REST_RELEVANCE = 4
OUT_REST_P_COMPLETE = 5
OUT_DOSE = 6
OUT_SURPRISE_SHARE = 7
N_OUTCOME = 8

# Indices into ``flags``.
IS_SURPRISE = 0
SURPRISE_ALLOWED = 1
N_FLAGS = 2

BITMAPS = fr.ROW["bitmaps"]
IN_FLIGHT, MATCHED, VIEWER_CAPS = (fr.ROW[n] for n in ("in_flight", "matched", "viewer_caps"))
CAMPAIGN_KEYS, CAMPAIGN_LOOKUP = fr.ROW["campaign_keys"], fr.ROW["campaign_lookup"]
CREATIVE_KEYS, CREATIVE_LOOKUP = fr.ROW["creative_keys"], fr.ROW["creative_lookup"]
ADVERTISER_KEYS, CAPS, CAP_START = (fr.ROW[n] for n in ("advertiser_keys", "caps", "cap_start"))
RIVALS, RIVAL_START = fr.ROW["rivals"], fr.ROW["rival_start"]
CAMPAIGN_FLAGS, CREATIVE_FLAGS = fr.ROW["campaign_flags"], fr.ROW["creative_flags"]
CAMPAIGN_DOSE, TOUCHED, VIEWER = (fr.ROW[n] for n in ("campaign_dose", "touched", "viewer"))
VECTORS, HEADS, VARIANTS = (fr.ROW[n] for n in ("vectors", "heads", "variants"))
CAMPAIGN_START, WEIGHTS = fr.ROW["campaign_start"], fr.ROW["weights"]
IDS, VALUES, COUNTS, REST = (fr.ROW[n] for n in ("ids", "values", "counts", "rest"))
CAMPAIGN_VALUES, CAMPAIGN_TIMES = fr.ROW["campaign_values"], fr.ROW["campaign_times"]
SETTINGS, RESULT = fr.ROW["settings"], fr.ROW["result"]
HELD, HELD_BACK = fr.ROW["held"], fr.ROW["held_back"]
REQUEST, STRANGER, PACKED = (fr.ROW[n] for n in ("request", "stranger", "packed"))
VALUE_BITS, NUMBERS = fr.ROW["value_bits"], fr.ROW["numbers"]
OUTCOME, FLAGS = fr.ROW["outcome"], fr.ROW["flags"]


@kernel(types.int64(I8_IN_2D, U4_IN, I4_IN, U8_IN, U1_IN, F4_IN))
def decide_request(  # noqa: PLR0915 - one statement per thing that is handed on
    frame: NDArray[np.int64],
    record: NDArray[np.uint32],
    asked: NDArray[np.int32],
    fits: NDArray[np.uint64],
    closed: NDArray[np.uint8],
    pace: NDArray[np.float32],
) -> int:
    """Column of the shortlist that is shown, or ``NOTHING``, for one request.

    Parameters
    ----------
    frame : int64[n_fields, 3]
        From ``frame.make_frame``; its buffers are filled, its columns and ``request`` read. What
        came out stands in ``counts``, ``numbers``, ``outcome``, ``flags`` and ``packed``.
    record : uint32[n_words]
        The viewer's record; empty for an unknown viewer.
    asked : int32[2 + n_dimensions + 1 + n_refused + n_rows]
        How many row starts and refused rows there are, then the three as ``match_campaigns`` takes
        them: ``row_start``, ``refused``, ``rows``.
    fits : uint64[n_variants // 64 + 2]
        Variants the player takes, from ``eligibility.mark_fitting``.
    closed : uint8[n_campaigns]
        1 where a campaign may not serve whatever its relevance.
    pace : float32[n_campaigns]
        Share of its requests each campaign lets pass.

    Returns
    -------
    int64

    Notes
    -----
    Longer than most functions here because it names every array once; there is nothing else in it.
    Oracle: ``tests.naive.decision.decide_request``. O(n_eligible * d).
    """
    request = fr.f8(frame, REQUEST)
    numbers = fr.i8(frame, NUMBERS)
    outcome = fr.f8(frame, OUTCOME)
    flags = fr.u1(frame, FLAGS)
    numbers[:] = 0
    numbers[TOLD_VARIANT] = numbers[TOLD_CAMPAIGN] = -1
    outcome[:] = 0.0
    outcome[TOLD_RELEVANCE] = outcome[TOLD_THRESHOLD] = np.nan
    flags[:] = 0
    now_ms = int(request[NOW_MS])
    now_s = now_ms // 1000
    weights = fr.f8(frame, WEIGHTS)
    weights[BIAS_C] = request[REQUEST_BIAS_C]
    weights[BIAS_N] = request[REQUEST_BIAS_N]
    weights[AFFINITY_SCALE] = 0.0
    taste = fr.f4(frame, STRANGER)
    state = record
    if record.shape[0] != 0:
        if not is_sound(record):
            numbers[DAMAGED] = 1
            return NOTHING
        state_start = HEADER_WORDS + np.int64(record[RECORD_DIM] >> np.uint32(16))
        state = record[state_start:]
        if record[RECORD_FLAGS] & np.uint32(OPTED_OUT) == 0:
            floats = record.view(np.float32)
            weights[BIAS_C] += floats[WEIGHT_C]
            weights[BIAS_N] += floats[WEIGHT_N]
            if state_start - HEADER_WORDS == taste.shape[0]:
                # Taste of another catalogue's space says nothing here.
                taste = floats[HEADER_WORDS:state_start]
                moved_ms = np.int64(record[VECTOR_MS]) | np.int64(record[VECTOR_MS + 1]) << 32
                fade = fading(int(now_ms - moved_ms), request[PROFILE_HALF_LIFE_S])
                weights[AFFINITY_SCALE] = affinity_scale(taste, fade)

    starts_end = N_ASKED + np.int64(asked[N_ROW_STARTS])
    refused_end = starts_end + np.int64(asked[N_REFUSED])
    match_campaigns(
        fr.u8_matrix(frame, BITMAPS),
        asked[refused_end:],
        asked[N_ASKED:starts_end],
        asked[starts_end:refused_end],
        fr.u8(frame, IN_FLIGHT),
        fr.u8(frame, MATCHED),
    )
    viewer = fr.f8(frame, VIEWER)
    apply_viewer_state(
        state,
        fr.i8_matrix(frame, VIEWER_CAPS),
        now_s,
        request[HALF_LIFE_S],
        fr.u4(frame, CAMPAIGN_KEYS),
        fr.i4(frame, CAMPAIGN_LOOKUP),
        fr.u4(frame, CREATIVE_KEYS),
        fr.i4(frame, CREATIVE_LOOKUP),
        fr.u4(frame, ADVERTISER_KEYS),
        fr.i8_matrix(frame, CAPS),
        fr.i4(frame, CAP_START),
        fr.u1(frame, CAMPAIGN_FLAGS),
        fr.u1(frame, CREATIVE_FLAGS),
        fr.f4(frame, CAMPAIGN_DOSE),
        fr.i4(frame, TOUCHED),
        viewer,
    )
    keep_apart(
        state,
        now_s,
        fr.u8_matrix(frame, BITMAPS),
        fr.i4(frame, RIVALS),
        fr.i4(frame, RIVAL_START),
        fr.u8(frame, MATCHED),
        fr.u4(frame, CAMPAIGN_KEYS),
        fr.i4(frame, CAMPAIGN_LOOKUP),
        fr.u1(frame, CAMPAIGN_FLAGS),
        fr.i4(frame, TOUCHED),
    )

    shut = closed
    if request[PACING_DRAW] >= 0.0:
        shut = fr.u1(frame, HELD)
        seed = np.uint64(request[PACING_DRAW] * 2.0**53)
        numbers[N_HELD_BACK] = hold_back(
            fr.u8(frame, MATCHED), pace, closed, seed, shut, fr.i4(frame, HELD_BACK)
        )
    ids = fr.i4_matrix(frame, IDS)
    values = fr.f4_matrix(frame, VALUES)
    rest = fr.f8(frame, REST)
    length = shortlist_candidates(
        fr.f4_matrix(frame, VECTORS),
        fr.f4_matrix(frame, HEADS),
        fr.i4_matrix(frame, VARIANTS),
        fr.i4(frame, CAMPAIGN_START),
        fr.u8(frame, MATCHED),
        taste,
        weights,
        fits,
        int(viewer[VIEWER_CAPPED]),
        shut,
        fr.u1(frame, CAMPAIGN_FLAGS),
        fr.u1(frame, CREATIVE_FLAGS),
        fr.f4(frame, CAMPAIGN_DOSE),
        ids,
        values,
        fr.i8(frame, COUNTS),
        rest,
    )
    numbers[LENGTH] = length
    outcome[OUT_DOSE] = viewer[DOSE]
    outcome[OUT_REST_RELEVANCE] = rest[0]
    outcome[OUT_REST_P_COMPLETE] = rest[1]
    if viewer[SURPRISES] < request[SURPRISES_A_DAY]:
        flags[SURPRISE_ALLOWED] = 1
        outcome[OUT_SURPRISE_SHARE] = request[REQUEST_SURPRISE_SHARE]

    set_bars(
        length,
        ids,
        values,
        fr.f8_matrix(frame, CAMPAIGN_VALUES),
        fr.i8_matrix(frame, CAMPAIGN_TIMES),
        request[PLACEMENT_THRESHOLD],
    )
    settings = fr.f8(frame, SETTINGS)
    settings[DOSE_PART] = request[DOSE_WEIGHT] * viewer[DOSE]
    settings[EXPLORATION] = request[REQUEST_EXPLORATION]
    settings[GAMMA] = request[REQUEST_GAMMA]
    settings[EPSILON] = request[REQUEST_EPSILON]
    settings[SURPRISE_SHARE] = outcome[OUT_SURPRISE_SHARE]
    settings[SURPRISE_BAND] = request[REQUEST_SURPRISE_BAND]
    settings[DRAW] = request[REQUEST_DRAW]
    result = fr.f8(frame, RESULT)
    chosen = choose_arm(length, ids, values, settings, result)
    outcome[OUT_P_CHOSEN] = result[P_CHOSEN]
    outcome[OUT_P_NOTHING] = result[P_NOTHING]
    numbers[OUT_N_ABOVE] = np.int64(result[N_ABOVE])
    numbers[OUT_BEST_BUT_FOR_DOSE] = np.int64(result[BEST_BUT_FOR_DOSE])
    if chosen != NOTHING and margin_of(values, chosen, settings[DOSE_PART]) < 0.0:
        flags[IS_SURPRISE] = 1
    if length:
        tell(length, chosen, ids, values, settings[DOSE_PART], numbers, outcome)
    else:
        outcome[OUT_P_CHOSEN] = outcome[OUT_P_NOTHING] = 1.0
    pack_shortlist(length, ids, fr.i4_matrix(frame, VALUE_BITS), fr.i4(frame, PACKED))
    return chosen
