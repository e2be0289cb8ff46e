"""The decision, top to bottom: eligibility, relevance, threshold and dose, choice.

Pure: what comes out depends on the snapshot, the request, the viewer record, the time and the draw
handed in, and on nothing else. The buffers a ``Decider`` reuses are wiped before they are read.
What is decided stands in ``kernels.decision``; this prepares its numbers and reads its outcome.
"""

from struct import Struct as Layout
from typing import Any, Final

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from adserver.catalogue.columns import HOUSE_TIER, TIER, Columns
from adserver.decide.context import context_weight
from adserver.decide.moment import read_moment
from adserver.decide.player import Players
from adserver.decide.targeting import QUARTER_HOUR_MS, Targeting
from adserver.decide.terms import below_floor, unsold
from adserver.domain.decision import (
    NOTHING,
    SHORTLIST_MAX,
    THROTTLED_MAX,
    Decision,
    Exploration,
    IdRow,
    Rules,
    ValueRow,
    gated,
)
from adserver.domain.errors import Broken
from adserver.domain.reasons import STAGE_REASONS, Reason, Stage
from adserver.domain.request import NO_TERMS, AdRequest
from adserver.domain.viewer import OpenRecord
from kernels import choice, decision, eligibility, scoring
from kernels.frame import make_frame

EXPLORATIONS: Final = {
    "greedy": Exploration.GREEDY,
    "epsilon_greedy": Exploration.EPSILON_GREEDY,
    "inverse_gap": Exploration.INVERSE_GAP,
}
GAMMA_PER_ROOT_OUTCOME: Final = 30.0
"""gamma = 30 sqrt(resolved outcomes), up to the policy's gamma_max."""
NO_RECORD: Final = np.zeros(0, np.uint32)
NO_RECORD.flags.writeable = False
REQUEST: Final = Layout(f"={decision.N_VARYING}d")
"""What one request tells the kernel; the order is that of the index constants."""
OUTCOME: Final = Layout(
    f"={len(Stage) + 1}q{decision.N_NUMBERS}q{decision.N_OUTCOME}d{decision.N_FLAGS}?"
)
"""What the kernel fills, in one buffer: ``counts``, ``numbers``, ``outcome``, ``flags``."""
NUMBERS: Final = len(Stage) + 1
DAMAGED: Final = NUMBERS + decision.DAMAGED
N_HELD_BACK: Final = NUMBERS + decision.N_HELD_BACK
N_ABOVE: Final = NUMBERS + decision.OUT_N_ABOVE
BEST_BUT_FOR_DOSE: Final = NUMBERS + decision.OUT_BEST_BUT_FOR_DOSE
LENGTH: Final = NUMBERS + decision.LENGTH
"""From here on the outcome is the end of a ``Decision``, field by field."""
SHORTLIST_BYTES: Final = 4 * (len(IdRow) + len(ValueRow))
"""Of one packed candidate."""


class Pacing(Struct, frozen=True, gc=False):
    """What budgets and pacing say about one request."""

    pace: NDArray[np.float32]
    """float32[n_campaigns]: share of its requests each campaign lets pass; 0 is closed."""
    draw: float
    """Uniform in [0, 1), derived from the decision id: who passes depends on it alone."""


UNPACED: Final = Pacing(np.zeros(0, np.float32), -1.0)
"""Every campaign lets every request pass."""


def held_as(throttled: list[int], n_campaigns: int) -> Pacing:
    """Hold back whom a decision says were held back, and nobody else."""
    if not throttled:
        return UNPACED
    pace = np.ones(n_campaigns, np.float32)
    pace[throttled] = 0.0
    return Pacing(pace, 0.0)


class Decider:
    """Decides against one snapshot. One per worker: it owns the buffers, so one call at a time."""

    def __init__(self, columns: Columns) -> None:
        self.columns = columns
        meta = columns.meta
        policy = meta.policy
        self._targeting = Targeting(columns)
        self._players = Players(columns)
        self._in_flight = np.zeros(columns.bitmaps.shape[1], np.uint64)
        self._flight = np.zeros(2, np.int64)
        self._placements = meta.placements
        self._hours: dict[str, int] = {}
        self._same_from_ms = 0
        self._same_until_ms = 0
        """Time within which who is in flight, and the hour everywhere, stay what they are."""
        self._ids = np.zeros((len(IdRow), SHORTLIST_MAX), np.int32)
        self._values = np.zeros((len(ValueRow), SHORTLIST_MAX), np.float32)
        self._packed = np.zeros((len(IdRow) + len(ValueRow)) * SHORTLIST_MAX, np.int32)
        self._packed_bytes = self._packed.data.cast("B")
        self._held_back = np.zeros(THROTTLED_MAX, np.int32)
        self._request = np.zeros(decision.N_REQUEST, np.float64)
        self._request_bytes = self._request.data.cast("B")
        self._outcome = bytearray(OUTCOME.size)
        self._counts, *self._outcomes = _parts(self._outcome)
        self._closed = {
            place.floor_cpm_micros: below_floor(columns, place.floor_cpm_micros)
            for place in meta.placements.values()
        }
        self._paid = (columns.campaign_times[TIER] < HOUSE_TIER).astype(np.uint8)
        self._counts[0] = columns.variant_count
        self._arrays = self._all_arrays()  # kept: the frame holds only their addresses
        self._frame = make_frame(self._arrays)

        self.exploration = EXPLORATIONS[policy.exploration]
        self.gamma = min(GAMMA_PER_ROOT_OUTCOME * meta.resolved**0.5, policy.gamma_max)
        greedy = self.exploration is Exploration.GREEDY
        self.epsilon = 0.0 if greedy else policy.epsilon
        self._rules = Rules(
            policy.dose.weight,
            policy.annoyance_cost,
            self.exploration,
            self.gamma,
            self.epsilon,
            policy.surprise_band,
        )
        self._request[decision.N_VARYING :] = (
            policy.dose.half_life_s,
            meta.profile_half_life_s,
            policy.dose.weight,
            self.exploration,
            self.gamma,
            self.epsilon,
            0.0 if greedy else policy.surprise,
            policy.surprise_band,
            policy.surprises_per_day,
        )
        self._has_context = bool(meta.complete.context or meta.annoyed.context)

    def decide(  # noqa: PLR0913 - what a decision depends on, and nothing else
        self,
        request: AdRequest,
        viewer: OpenRecord | None,
        now_ms: int,
        decision_id: bytes,
        draw: float,
        pacing: Pacing = UNPACED,
        *,
        house_only: bool = False,
    ) -> Decision:
        """Return the decision for one request.

        Parameters
        ----------
        request : AdRequest
            Within its limits; its viewer id is not read.
        viewer : OpenRecord or None
            The viewer's record; None for a viewer unknown or not to be recognised, which makes the
            decision contextual.
        now_ms : int
            Milliseconds since the epoch.
        decision_id : bytes
            16 bytes.
        draw : float
            Uniform in [0, 1), derived from the decision id.
        pacing : Pacing
            Who is held back by budget or pacing.
        house_only : bool
            Paid campaigns are out: the viewer did not consent to be advertised to. When that is
            what stopped the last candidates, the decision is the gate ``consent``.

        Raises
        ------
        Broken
            The record is damaged.

        Notes
        -----
        Longer than most because every call costs more than a line.
        """
        place = self._placements.get(request.placement)
        if place is None:
            return gated(
                decision_id,
                now_ms,
                Reason.NO_CANDIDATES,
                drawn=True,
                draw=draw,
                rules=self._rules,
                n_variants=self.columns.variant_count,
            )
        if not self._same_from_ms <= now_ms < self._same_until_ms:
            self._look_at_the_clock(now_ms)
        moment = read_moment(request, viewer, now_ms, self._hours[place.time_zone])
        bias_c = bias_n = 0.0
        if self._has_context:
            meta = self.columns.meta
            bias_c = context_weight(meta.complete.context, request, moment)
            bias_n = context_weight(meta.annoyed.context, request, moment)
        closed = self._paid if house_only else self._closed[place.floor_cpm_micros]
        if request.terms is not NO_TERMS:
            closed = closed | unsold(self.columns, place, request.terms)
        REQUEST.pack_into(
            self._request_bytes,
            0,
            now_ms,
            bias_c,
            bias_n,
            place.threshold,
            draw,
            pacing.draw,
        )
        chosen = decision.decide_request(
            self._frame,
            NO_RECORD if viewer is None else viewer.words,
            self._targeting.select(request, moment),
            self._players.fitting(request.player, request.terms),
            closed,
            pacing.pace,
        )
        outcome = OUTCOME.unpack_from(self._outcome)
        if outcome[DAMAGED]:
            raise Broken("a viewer record is damaged: its counts do not fit its length")
        reason = None if chosen != NOTHING else _reason(outcome)
        if house_only and reason is Reason.BUDGET:
            return self.gate(Reason.CONSENT, now_ms, decision_id)
        # By position: thirty fields by name take three times as long (2.5 µs).
        return Decision(
            decision_id,
            now_ms,
            draw,
            moment,
            self._rules,
            chosen,
            reason,
            True,  # noqa: FBT003
            bytes(self._packed_bytes[: SHORTLIST_BYTES * outcome[LENGTH]]),
            self._held_back[: outcome[N_HELD_BACK]].tolist() if outcome[N_HELD_BACK] else [],
            outcome[:NUMBERS],
            *outcome[LENGTH:],
        )

    def gate(self, reason: Reason, now_ms: int, decision_id: bytes) -> Decision:
        """Return the decision to show nothing that is made before any candidate is looked at."""
        return gated(decision_id, now_ms, reason, rules=self._rules)

    def _look_at_the_clock(self, now_ms: int) -> None:
        """Find the campaigns in flight and the hour of each time zone, and until when they hold."""
        columns = self.columns
        eligibility.mark_in_flight(
            columns.campaign_times, columns.campaign_start, now_ms, self._in_flight, self._flight
        )
        self._counts[1] = self._flight[0]
        quarter = now_ms // QUARTER_HOUR_MS
        self._hours = self._targeting.hours_of_week(quarter)
        self._same_from_ms = now_ms
        self._same_until_ms = min(int(self._flight[1]), (quarter + 1) * QUARTER_HOUR_MS)

    def _all_arrays(self) -> dict[str, NDArray[Any]]:
        """Return what the kernel reads and fills, by field of the frame."""
        columns = self.columns
        n_campaigns, n_creatives = columns.campaign_count, len(columns.creative_keys)
        caps = [(cap.count, cap.window_s) for cap in columns.meta.policy.caps.viewer]
        return {
            **{name: getattr(columns, name) for name in FROM_COLUMNS},
            "in_flight": self._in_flight,
            "matched": np.zeros_like(self._in_flight),
            "viewer_caps": np.array(caps, np.int64).reshape(-1, 2),
            "campaign_flags": np.zeros(n_campaigns, np.uint8),
            "creative_flags": np.zeros(n_creatives, np.uint8),
            "campaign_dose": np.zeros(n_campaigns, np.float32),
            "touched": np.zeros(2 + n_campaigns + n_creatives, np.int32),
            "viewer": np.zeros(3, np.float64),
            "weights": _model_weights(columns),
            "ids": self._ids,
            "values": self._values,
            "request": self._request,
            "stranger": np.zeros(self.columns.meta.dim, np.float32),
            "value_bits": self._values.view(np.int32),
            "packed": self._packed,
            "counts": self._counts,
            **dict(zip(("numbers", "outcome", "flags"), self._outcomes, strict=True)),
            "rest": np.zeros(2, np.float64),
            "settings": np.zeros(choice.N_SETTINGS, np.float64),
            "result": np.zeros(choice.N_RESULTS, np.float64),
            "held": np.zeros(n_campaigns, np.uint8),
            "held_back": self._held_back,
        }


FROM_COLUMNS: Final = (
    "bitmaps",
    "campaign_keys",
    "campaign_lookup",
    "creative_keys",
    "creative_lookup",
    "advertiser_keys",
    "caps",
    "cap_start",
    "rivals",
    "rival_start",
    "vectors",
    "heads",
    "variants",
    "campaign_start",
    "campaign_values",
    "campaign_times",
)
"""Fields of the frame that are columns of the snapshot, under the same name."""


def _parts(outcome: bytearray) -> list[NDArray[Any]]:
    """Return the arrays that ``OUTCOME`` lays side by side."""
    parts: list[NDArray[Any]] = []
    at = 0
    for count, dtype in (
        (NUMBERS, np.int64),
        (decision.N_NUMBERS, np.int64),
        (decision.N_OUTCOME, np.float64),
        (decision.N_FLAGS, np.uint8),
    ):
        parts.append(np.frombuffer(outcome, dtype, count, at))
        at += parts[-1].nbytes
    return parts


def _reason(outcome: tuple[Any, ...]) -> Reason:
    """Return why nothing is shown: what stopped the candidate that came furthest."""
    if outcome[N_ABOVE]:
        return Reason.EXPLORED
    if outcome[BEST_BUT_FOR_DOSE]:
        return Reason.DOSE
    if outcome[LENGTH]:
        return Reason.BELOW_THRESHOLD
    reached = [stage for stage in Stage if stage is Stage.FLIGHT or outcome[stage] > 0]
    return STAGE_REASONS[reached[-1]]


def _model_weights(columns: Columns) -> NDArray[np.float64]:
    """float64[N_WEIGHTS]: what only a new snapshot changes; the kernel fills in the request's."""
    meta = columns.meta
    weights = np.zeros(scoring.N_WEIGHTS, np.float64)
    weights[scoring.AFFINITY_C], weights[scoring.AFFINITY_N] = (
        meta.complete.affinity,
        meta.annoyed.affinity,
    )
    weights[scoring.DOSE_C], weights[scoring.DOSE_N] = meta.complete.dose, meta.annoyed.dose
    for head, slope, intercept in (
        (meta.complete, scoring.SLOPE_C, scoring.INTERCEPT_C),
        (meta.annoyed, scoring.SLOPE_N, scoring.INTERCEPT_N),
    ):
        weights[slope], weights[intercept] = head.calibrator.a, head.calibrator.b
    weights[scoring.ANNOYANCE_COST] = meta.policy.annoyance_cost
    return weights
