"""The decision as one call: eligibility, viewer state, shortlist, choice, on one frame.

A request makes one call into compiled code. What the steps do stands in their own modules; this one
only hands each its arrays.
"""

import math

import numpy as np
from numba import types
from numpy.typing import NDArray

from kernels import frame as fr
from kernels._jit import F4_IN, F8_IN, F8_OUT, I8_IN_2D, U1_IN, U4_IN, kernel
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
from kernels.eligibility import VIEWER_IS_CAPPED, match_campaigns
from kernels.pacing import hold_back
from kernels.scoring import (
    AFFINITY_SCALE,
    BIAS_C,
    BIAS_N,
    shortlist_candidates,
)
from kernels.separation import keep_apart

# Indices into ``request``.
NOW_S = 0
HALF_LIFE_S = 1
N_ROWS = 2
N_ROW_STARTS = 3
N_REFUSED = 4
FADE = 5
REQUEST_BIAS_C = 6
REQUEST_BIAS_N = 7
DURATION_MS_MIN = 8
DURATION_MS_MAX = 9
SKIP_FORBIDDEN = 10
PLACEMENT_THRESHOLD = 11
DOSE_WEIGHT = 12
REQUEST_EXPLORATION = 13
REQUEST_GAMMA = 14
REQUEST_EPSILON = 15
REQUEST_SURPRISE_SHARE = 16
REQUEST_SURPRISE_BAND = 17
SURPRISES_A_DAY = 18
REQUEST_DRAW = 19
PACING_DRAW = 20
"""Negative: nobody is held back, and ``pace`` is not read."""
N_REQUEST = 21

# Indices into ``outcome``.
LENGTH = 0
OUT_DOSE = 1
OUT_P_CHOSEN = 2
OUT_P_NOTHING = 3
OUT_N_ABOVE = 4
OUT_BEST_BUT_FOR_DOSE = 5
OUT_SURPRISE_ALLOWED = 6
OUT_SURPRISE_SHARE = 7
OUT_REST_RELEVANCE = 8
OUT_REST_P_COMPLETE = 9
OUT_MARGIN = 10
OUT_HELD_BACK = 11
N_OUTCOME = 12

BITMAPS, ROWS, ROW_START, REFUSED = (fr.ROW[n] for n in ("bitmaps", "rows", "row_start", "refused"))
IN_FLIGHT, MATCHED, VIEWER_CAPS = (fr.ROW[n] for n in ("in_flight", "matched", "viewer_caps"))
CAMPAIGN_KEYS, CAMPAIGN_LOOKUP = fr.ROW["campaign_keys"], fr.ROW["campaign_lookup"]
CREATIVE_KEYS, CREATIVE_LOOKUP = fr.ROW["creative_keys"], fr.ROW["creative_lookup"]
ADVERTISER_KEYS, CAPS, CAP_START = (fr.ROW[n] for n in ("advertiser_keys", "caps", "cap_start"))
RIVALS, RIVAL_START = fr.ROW["rivals"], fr.ROW["rival_start"]
CAMPAIGN_FLAGS, CREATIVE_FLAGS = fr.ROW["campaign_flags"], fr.ROW["creative_flags"]
CAMPAIGN_DOSE, TOUCHED, VIEWER = (fr.ROW[n] for n in ("campaign_dose", "touched", "viewer"))
VECTORS, HEADS, VARIANTS = (fr.ROW[n] for n in ("vectors", "heads", "variants"))
CAMPAIGN_START, WEIGHTS, LIMITS = (fr.ROW[n] for n in ("campaign_start", "weights", "limits"))
IDS, VALUES, COUNTS, REST = (fr.ROW[n] for n in ("ids", "values", "counts", "rest"))
CAMPAIGN_VALUES, CAMPAIGN_TIMES = fr.ROW["campaign_values"], fr.ROW["campaign_times"]
SETTINGS, RESULT = fr.ROW["settings"], fr.ROW["result"]
HELD, HELD_BACK = fr.ROW["held"], fr.ROW["held_back"]


@kernel(types.float64(F4_IN, types.float64))
def affinity_scale(taste: NDArray[np.float32], fade: float) -> float:
    """Factor from ``u . e`` to the affinity ``u' . e / (1 + |u'|)`` of the faded taste ``u'``.

    Parameters
    ----------
    taste : float32[d]
        u, as the viewer record holds it.
    fade : float64
        ``u' = fade * u``; 0 when the taste is not to be used.

    Returns
    -------
    float64

    Notes
    -----
    Oracle: ``tests.naive.decision.affinity_scale``. O(d).
    """
    square = 0.0
    for i in range(taste.shape[0]):
        square += np.float64(taste[i]) * np.float64(taste[i])
    return fade / (1.0 + fade * math.sqrt(square))


@kernel(types.int64(I8_IN_2D, F8_IN, U4_IN, F4_IN, U1_IN, U1_IN, F4_IN, F8_OUT))
def decide_request(  # noqa: PLR0915 - one statement per thing that is handed on
    frame: NDArray[np.int64],
    request: NDArray[np.float64],
    state: NDArray[np.uint32],
    taste: NDArray[np.float32],
    playable: NDArray[np.uint8],
    closed: NDArray[np.uint8],
    pace: NDArray[np.float32],
    outcome: NDArray[np.float64],
) -> int:
    """Column of the shortlist that is shown, or ``NOTHING``, for one request.

    Parameters
    ----------
    frame : int64[n_fields, 3]
        From ``frame.make_frame``; its buffers are filled, its columns read.
    request : float64[N_REQUEST]
        See the index constants. Times in seconds and durations in ms are whole.
    state : uint32[n_state]
        See ``dosage.apply_viewer_state``; empty for an unknown viewer.
    taste : float32[d]
        The viewer's vector; zeros for an unknown viewer.
    playable : uint8[n_media_classes]
        1 where the player can play a file of the class.
    closed : uint8[n_campaigns]
        1 where a campaign may not serve whatever its relevance.
    pace : float32[n_campaigns]
        Share of its requests each campaign lets pass.
    outcome : float64[N_OUTCOME]
        Filled; see the index constants.

    Returns
    -------
    int64

    Notes
    -----
    Longer than most functions here because it names every array once; there is nothing else in it.
    Oracle: ``tests.naive.decision.decide_request``. O(n_eligible * d).
    """
    outcome[:] = 0.0
    match_campaigns(
        fr.u8_matrix(frame, BITMAPS),
        fr.i4(frame, ROWS)[: np.int64(request[N_ROWS])],
        fr.i4(frame, ROW_START)[: np.int64(request[N_ROW_STARTS])],
        fr.i4(frame, REFUSED)[: np.int64(request[N_REFUSED])],
        fr.u8(frame, IN_FLIGHT),
        fr.u8(frame, MATCHED),
    )
    viewer = fr.f8(frame, VIEWER)
    apply_viewer_state(
        state,
        fr.i8_matrix(frame, VIEWER_CAPS),
        int(request[NOW_S]),
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
        int(request[NOW_S]),
        fr.u8_matrix(frame, BITMAPS),
        fr.i4(frame, RIVALS),
        fr.i4(frame, RIVAL_START),
        fr.u8(frame, MATCHED),
        fr.u4(frame, CAMPAIGN_KEYS),
        fr.i4(frame, CAMPAIGN_LOOKUP),
        fr.u1(frame, CAMPAIGN_FLAGS),
        fr.i4(frame, TOUCHED),
    )

    weights = fr.f8(frame, WEIGHTS)
    weights[AFFINITY_SCALE] = affinity_scale(taste, request[FADE])
    weights[BIAS_C] = request[REQUEST_BIAS_C]
    weights[BIAS_N] = request[REQUEST_BIAS_N]
    limits = fr.i8(frame, LIMITS)
    for i in range(VIEWER_IS_CAPPED):
        limits[i] = np.int64(request[DURATION_MS_MIN + i])
    limits[VIEWER_IS_CAPPED] = np.int64(viewer[VIEWER_CAPPED])
    shut = closed
    if request[PACING_DRAW] >= 0.0:
        shut = fr.u1(frame, HELD)
        seed = np.uint64(request[PACING_DRAW] * 2.0**53)
        outcome[OUT_HELD_BACK] = hold_back(
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
        limits,
        playable,
        shut,
        fr.u1(frame, CAMPAIGN_FLAGS),
        fr.u1(frame, CREATIVE_FLAGS),
        fr.f4(frame, CAMPAIGN_DOSE),
        ids,
        values,
        fr.i8(frame, COUNTS),
        rest,
    )
    outcome[LENGTH] = length
    outcome[OUT_DOSE] = viewer[DOSE]
    outcome[OUT_REST_RELEVANCE] = rest[0]
    outcome[OUT_REST_P_COMPLETE] = rest[1]
    if viewer[SURPRISES] < request[SURPRISES_A_DAY]:
        outcome[OUT_SURPRISE_ALLOWED] = 1.0
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
    outcome[OUT_N_ABOVE] = result[N_ABOVE]
    outcome[OUT_BEST_BUT_FOR_DOSE] = result[BEST_BUT_FOR_DOSE]
    if chosen != NOTHING:
        outcome[OUT_MARGIN] = margin_of(values, chosen, settings[DOSE_PART])
    return chosen
