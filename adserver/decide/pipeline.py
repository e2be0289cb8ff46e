"""The decision, top to bottom: eligibility, relevance, threshold and dose, choice.

Pure: what comes out depends on the snapshot, the request, the viewer record, the time and the draw
handed in, and on nothing else. The buffers a ``Decider`` reuses are wiped before they are read.
What is decided stands in ``kernels.decision``; this prepares its numbers and reads its outcome.
"""

import math
from struct import Struct as Layout
from typing import Any, Final

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from adserver.catalogue.columns import HOUSE_TIER, TIER, Columns, Place
from adserver.decide.context import context_weight
from adserver.decide.moment import Moment, read_moment
from adserver.decide.player import Players, duration_window_ms
from adserver.decide.targeting import Targeting
from adserver.decide.terms import below_floor, unsold
from adserver.domain.decision import NOTHING, SHORTLIST_MAX, THROTTLED_MAX, Decision, Exploration
from adserver.domain.reasons import STAGE_REASONS, Reason, Stage
from adserver.domain.request import NO_TERMS, AdRequest, Terms
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
NO_MOMENT: Final = Moment(-1, None, None, None)
"""Of a decision made before the moment was read."""
NO_STATE: Final = np.zeros(0, np.uint32)
NO_STATE.flags.writeable = False
REQUEST: Final = Layout(f"={decision.N_REQUEST}d")
"""What one request tells the kernel; the order is that of the index constants."""
OUTCOME: Final = Layout(f"={decision.N_OUTCOME}d")
GATED: Final = (0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0, math.nan, math.nan, 0.0, 0.0)
"""Outcome of a decision that looked at no candidate."""


class Pacing(Struct, frozen=True, gc=False):
    """What budgets and pacing say about one request."""

    pace: NDArray[np.float32]
    """float32[n_campaigns]: share of its requests each campaign lets pass; 0 is closed."""
    draw: float
    """Uniform in [0, 1), derived from the decision id: who passes depends on it alone."""


UNPACED: Final = Pacing(np.zeros(0, np.float32), -1.0)
"""Every campaign lets every request pass."""


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
        self._flight_from_ms = 0
        self._flight_until_ms = 0
        self._ids = np.zeros((3, SHORTLIST_MAX), np.int32)
        self._values = np.zeros((8, SHORTLIST_MAX), np.float32)
        self._counts = np.zeros(len(Stage) + 1, np.int64)
        self._held_back = np.zeros(THROTTLED_MAX, np.int32)
        self._stranger = np.zeros(meta.dim, np.float32)
        self._request = np.zeros(decision.N_REQUEST, np.float64)
        self._request_bytes = self._request.data.cast("B")
        self._outcome = np.zeros(decision.N_OUTCOME, np.float64)
        self._outcome_bytes = self._outcome.data.cast("B")
        self._closed = {
            place.floor_cpm_micros: below_floor(columns, place.floor_cpm_micros)
            for place in meta.placements.values()
        }
        self._paid = (columns.campaign_times[TIER] < HOUSE_TIER).astype(np.uint8)
        self._arrays = self._all_arrays()  # kept: the frame holds only their addresses
        self._frame = make_frame(self._arrays)

        self.exploration = EXPLORATIONS[policy.exploration]
        self.gamma = min(GAMMA_PER_ROOT_OUTCOME * meta.resolved**0.5, policy.gamma_max)
        greedy = self.exploration is Exploration.GREEDY
        self.epsilon = 0.0 if greedy else policy.epsilon
        self._surprise_band = policy.surprise_band
        self._rules = (
            policy.dose.weight,
            policy.annoyance_cost,
            self.exploration,
            self.gamma,
            self.epsilon,
        )
        self._threshold_to_draw = (
            policy.dose.weight,
            self.exploration,
            self.gamma,
            self.epsilon,
            0.0 if greedy else policy.surprise,
            policy.surprise_band,
            policy.surprises_per_day,
        )

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
        """
        columns = self.columns
        meta = columns.meta
        counts = self._counts
        counts[0] = columns.variant_count
        place = meta.placements.get(request.placement)
        if place is None:
            counts[1:] = 0
            return self._decision(GATED, now_ms, decision_id, draw, reason=Reason.NO_CANDIDATES)

        moment = read_moment(request, viewer, now_ms, self._targeting.hour_of_week(place, now_ms))
        if not self._flight_from_ms <= now_ms < self._flight_until_ms:
            self._mark_in_flight(now_ms)
        counts[1] = self._flight[0]

        personal = viewer is not None and not viewer.opted_out
        player = request.player
        REQUEST.pack_into(
            self._request_bytes,
            0,
            now_ms // 1000,
            meta.policy.dose.half_life_s,
            *self._targeting.select(request, moment),
            *self._fade_and_biases(request, viewer if personal else None, moment, now_ms),
            *duration_window_ms(player),
            player.skippable is False,
            place.threshold,
            *self._threshold_to_draw,
            draw,
            pacing.draw,
        )
        chosen = decision.decide_request(
            self._frame,
            self._request,
            NO_STATE if viewer is None else viewer.state,
            viewer.vector if viewer is not None and personal else self._stranger,
            self._players.playable(player, request.terms),
            self._closed_to(request.terms, place, house_only=house_only),
            pacing.pace,
            self._outcome,
        )
        outcome = OUTCOME.unpack_from(self._outcome_bytes)
        reason = None if chosen != NOTHING else self._reason(outcome)
        if house_only and reason is Reason.BUDGET:
            return self.gate(Reason.CONSENT, now_ms, decision_id)
        return self._decision(
            outcome, now_ms, decision_id, draw, chosen=chosen, reason=reason, moment=moment
        )

    def gate(self, reason: Reason, now_ms: int, decision_id: bytes) -> Decision:
        """Return the decision to show nothing that is made before any candidate is looked at."""
        self._counts[:] = 0
        return self._decision(GATED, now_ms, decision_id, 0.0, reason=reason, drawn=False)

    def _closed_to(self, terms: Terms, place: Place, *, house_only: bool) -> NDArray[np.uint8]:
        """uint8[n_campaigns]: 1 where price or consent keep a campaign out."""
        closed = self._paid if house_only else self._closed[place.floor_cpm_micros]
        return closed if terms is NO_TERMS else closed | unsold(self.columns, place, terms)

    def _fade_and_biases(
        self, request: AdRequest, viewer: OpenRecord | None, moment: Moment, now_ms: int
    ) -> tuple[float, float, float]:
        """Return what is left of the taste, and what moment and viewer add to the two heads."""
        meta = self.columns.meta
        fade, bias_c, bias_n = 0.0, 0.0, 0.0
        if meta.complete.context or meta.annoyed.context:
            bias_c = context_weight(meta.complete.context, request, moment)
            bias_n = context_weight(meta.annoyed.context, request, moment)
        if viewer is not None:
            bias_c += viewer.weight_complete
            bias_n += viewer.weight_annoyed
            fade = fading(now_ms - viewer.vector_ms, meta.profile_half_life_s)
        return fade, bias_c, bias_n

    def _mark_in_flight(self, now_ms: int) -> None:
        """Find the campaigns in flight, and until when they are."""
        columns = self.columns
        eligibility.mark_in_flight(
            columns.campaign_times, columns.campaign_start, now_ms, self._in_flight, self._flight
        )
        self._flight_from_ms, self._flight_until_ms = now_ms, int(self._flight[1])

    def _reason(self, outcome: tuple[float, ...]) -> Reason:
        """Return why nothing is shown: what stopped the candidate that came furthest."""
        if outcome[decision.OUT_N_ABOVE]:
            return Reason.EXPLORED
        if outcome[decision.OUT_BEST_BUT_FOR_DOSE]:
            return Reason.DOSE
        if outcome[decision.LENGTH]:
            return Reason.BELOW_THRESHOLD
        counts = self._counts.tolist()
        reached = [stage for stage in Stage if stage is Stage.FLIGHT or counts[stage] > 0]
        return STAGE_REASONS[reached[-1]]

    def _decision(  # noqa: PLR0913 - the two ends of a decision: where, and what came out
        self,
        outcome: tuple[float, ...],
        now_ms: int,
        decision_id: bytes,
        draw: float,
        *,
        chosen: int = NOTHING,
        reason: Reason | None,
        drawn: bool = True,
        moment: Moment = NO_MOMENT,
    ) -> Decision:
        length = int(outcome[decision.LENGTH])
        values = self._values[:, :length]
        if length == 0:
            propensity, p_nothing, surprise = 1.0, 1.0, False
        else:
            propensity, p_nothing = outcome[decision.OUT_P_CHOSEN], outcome[decision.OUT_P_NOTHING]
            surprise = chosen != NOTHING and outcome[decision.OUT_MARGIN] < 0.0
        # By position: thirty fields by name take three times as long (2.5 µs).
        return Decision(
            decision_id,
            now_ms,
            chosen,
            reason,
            drawn,
            draw,
            propensity if drawn else None,
            surprise,
            moment.hour_of_week,
            moment.intent,
            moment.urgency,
            moment.source,
            self._ids[:, :length],
            values,
            p_nothing,
            self._counts,
            outcome[decision.OUT_REST_RELEVANCE],
            outcome[decision.OUT_REST_P_COMPLETE],
            outcome[decision.OUT_DOSE],
            *self._rules,
            outcome[decision.OUT_SURPRISE_SHARE],
            self._surprise_band,
            outcome[decision.OUT_SURPRISE_ALLOWED] != 0.0,
            self._held_back[: int(outcome[decision.OUT_HELD_BACK])].tolist(),
        )

    def _all_arrays(self) -> dict[str, NDArray[Any]]:
        """Return what the kernel reads and fills, by field of the frame."""
        columns = self.columns
        n_campaigns, n_creatives = columns.campaign_count, len(columns.creative_keys)
        caps = [(cap.count, cap.window_s) for cap in columns.meta.policy.caps.viewer]
        return {
            **self._targeting.buffers(),
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
            "limits": np.zeros(eligibility.N_LIMITS, np.int64),
            "ids": self._ids,
            "values": self._values,
            "counts": self._counts,
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


def fading(age_ms: int, half_life_s: float) -> float:
    """Return what is left of a taste after so long; a taste from the future has not faded."""
    return math.exp2(-max(age_ms, 0) / 1000.0 / half_life_s)


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
