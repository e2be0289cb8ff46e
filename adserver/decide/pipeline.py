"""The decision, top to bottom: eligibility, relevance, threshold and dose, choice.

Pure: what comes out depends on the snapshot, the request, the viewer record, the time and the draw
handed in, and on nothing else. The buffers a ``Decider`` reuses are wiped before they are read.
"""

import math
from typing import Final

import numpy as np
from numpy.typing import NDArray

from adserver.catalogue.columns import BID_CPM_MICROS, HOUSE_TIER, TIER, Columns, Place
from adserver.decide.context import context_weight
from adserver.decide.moment import Moment, read_moment
from adserver.decide.player import Players, duration_window_ms
from adserver.decide.targeting import Targeting
from adserver.domain.decision import NOTHING, SHORTLIST_MAX, Decision, Exploration
from adserver.domain.reasons import STAGE_REASONS, Reason, Stage
from adserver.domain.request import AdRequest
from adserver.domain.viewer import OpenRecord
from kernels import choice, dosage, eligibility, scoring

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


class Decider:
    """Decides against one snapshot. One per worker: it owns the buffers, so one call at a time."""

    def __init__(self, columns: Columns) -> None:
        self.columns = columns
        meta = columns.meta
        policy = meta.policy
        n_campaigns = columns.campaign_count
        n_creatives = len(columns.creative_keys)
        n_words = columns.bitmaps.shape[1]

        self._targeting = Targeting(columns)
        self._in_flight = np.zeros(n_words, np.uint64)
        self._flight = np.zeros(2, np.int64)
        self._flight_from_ms = 0
        self._flight_until_ms = 0
        self._matched = np.zeros(n_words, np.uint64)
        self._campaign_flags = np.zeros(n_campaigns, np.uint8)
        self._creative_flags = np.zeros(n_creatives, np.uint8)
        self._campaign_dose = np.zeros(n_campaigns, np.float32)
        self._touched = np.zeros(2 + n_campaigns + n_creatives, np.int32)
        self._viewer = np.zeros(3, np.float64)
        self._ids = np.zeros((3, SHORTLIST_MAX), np.int32)
        self._values = np.zeros((8, SHORTLIST_MAX), np.float32)
        self._counts = np.zeros(len(Stage) + 1, np.int64)
        self._rest = np.zeros(2, np.float64)
        self._moment = NO_MOMENT
        self._result = np.zeros(choice.N_RESULTS, np.float64)
        self._stranger = np.zeros(meta.dim, np.float32)
        self._limits = np.zeros(scoring.N_LIMITS, np.int64)
        self._weights = np.zeros(scoring.N_WEIGHTS, np.float64)
        self._set_model_weights()
        self._settings = np.zeros(choice.N_SETTINGS, np.float64)
        self._viewer_caps = np.array(
            [(cap.count, cap.window_s) for cap in policy.caps.viewer], np.int64
        ).reshape(-1, 2)
        self._closed = {
            place.floor_cpm_micros: self._below_floor(place.floor_cpm_micros)
            for place in meta.placements.values()
        }
        self._players = Players(columns.meta.media_classes)

        self.exploration = EXPLORATIONS[policy.exploration]
        self.gamma = min(GAMMA_PER_ROOT_OUTCOME * meta.resolved**0.5, policy.gamma_max)
        self.epsilon = 0.0 if self.exploration is Exploration.GREEDY else policy.epsilon

    def decide(
        self,
        request: AdRequest,
        viewer: OpenRecord | None,
        now_ms: int,
        decision_id: bytes,
        draw: float,
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
        """
        columns = self.columns
        place = columns.meta.placements.get(request.placement)
        if place is None:
            self._forget()
            self._counts[0] = columns.variant_count
            return self._without_candidates(now_ms, decision_id, draw)

        hour_of_week = self._targeting.hour_of_week(place, now_ms)
        moment = self._moment = read_moment(request, viewer, now_ms, hour_of_week)
        self._match(request, moment, now_ms)
        self._apply_viewer(viewer, now_ms)
        length = self._shortlist(request, place, moment, viewer, now_ms)
        if length == 0:
            return self._without_candidates(now_ms, decision_id, draw)
        return self._choose(length, place, now_ms, decision_id, draw)

    def gate(self, reason: Reason, now_ms: int, decision_id: bytes) -> Decision:
        """Return the decision to show nothing that is made before any candidate is looked at."""
        self._forget()
        return self._decision(
            0, now_ms, decision_id, chosen=NOTHING, reason=reason, draw=0.0, drawn=False
        )

    def _forget(self) -> None:
        """Wipe what the last decision left, where this one will not look at a candidate."""
        self._moment = NO_MOMENT
        self._counts[:] = 0
        self._viewer[:] = 0.0
        self._rest[:] = np.nan

    def _match(self, request: AdRequest, moment: Moment, now_ms: int) -> None:
        """Flight and targeting: the bitmap of campaigns that want this request."""
        columns = self.columns
        if not self._flight_from_ms <= now_ms < self._flight_until_ms:
            eligibility.mark_in_flight(
                columns.campaign_times,
                columns.campaign_start,
                now_ms,
                self._in_flight,
                self._flight,
            )
            self._flight_from_ms, self._flight_until_ms = now_ms, int(self._flight[1])
        rows, row_start, refused = self._targeting.select(request, moment)
        eligibility.match_campaigns(
            columns.bitmaps, rows, row_start, refused, self._in_flight, self._matched
        )
        self._counts[0] = columns.variant_count
        self._counts[1] = self._flight[0]

    def _apply_viewer(self, viewer: OpenRecord | None, now_ms: int) -> None:
        """Doses, caps and suppressions of this viewer."""
        columns = self.columns
        dosage.apply_viewer_state(
            NO_STATE if viewer is None else viewer.state,
            self._viewer_caps,
            now_ms // 1000,
            columns.meta.policy.dose.half_life_s,
            columns.campaign_keys,
            columns.campaign_key_order,
            columns.creative_keys,
            columns.creative_key_order,
            columns.advertiser_keys,
            columns.caps,
            columns.cap_start,
            self._campaign_flags,
            self._creative_flags,
            self._campaign_dose,
            self._touched,
            self._viewer,
        )

    def _shortlist(
        self,
        request: AdRequest,
        place: Place,
        moment: Moment,
        viewer: OpenRecord | None,
        now_ms: int,
    ) -> int:
        """Player, suppression, caps, budget, relevance: the shortlist's length."""
        columns = self.columns
        player = request.player
        self._limits[:] = (
            *duration_window_ms(player),
            player.skippable is False,
            self._viewer[dosage.VIEWER_CAPPED] != 0.0,
        )
        self._set_request_weights(request, moment, viewer, now_ms)
        personal = viewer is not None and not viewer.opted_out
        return scoring.shortlist_candidates(
            columns.vectors,
            columns.heads,
            columns.variants,
            columns.campaign_start,
            self._matched,
            viewer.vector if viewer is not None and personal else self._stranger,
            self._weights,
            self._limits,
            self._players.playable(player),
            self._closed[place.floor_cpm_micros],
            self._campaign_flags,
            self._creative_flags,
            self._campaign_dose,
            self._ids,
            self._values,
            self._counts,
            self._rest,
        )

    def _choose(
        self, length: int, place: Place, now_ms: int, decision_id: bytes, draw: float
    ) -> Decision:
        """Threshold, dose and draw."""
        columns = self.columns
        policy = columns.meta.policy
        choice.set_bars(
            length,
            self._ids,
            self._values,
            columns.campaign_values,
            columns.campaign_times,
            place.threshold,
        )
        surprise_share = self._surprise_share()
        self._settings[:] = (
            policy.dose.weight * self._viewer[dosage.DOSE],
            self.exploration,
            self.gamma,
            self.epsilon,
            surprise_share,
            policy.surprise_band,
            draw,
        )
        chosen = choice.choose_arm(length, self._ids, self._values, self._settings, self._result)
        reason = None
        if chosen == NOTHING:
            if self._result[choice.N_ABOVE] > 0:
                reason = Reason.EXPLORED
            elif self._result[choice.BEST_BUT_FOR_DOSE]:
                reason = Reason.DOSE
            else:
                reason = Reason.BELOW_THRESHOLD
        return self._decision(
            length,
            now_ms,
            decision_id,
            chosen=chosen,
            reason=reason,
            draw=draw,
            surprise_share=surprise_share,
        )

    def _surprise_share(self) -> float:
        """Return the share of draws that may surprise this viewer; 0 when their budget is spent."""
        policy = self.columns.meta.policy
        if self.exploration is Exploration.GREEDY:
            return 0.0
        return policy.surprise if self._surprise_allowed() else 0.0

    def _surprise_allowed(self) -> bool:
        """Whether this viewer had fewer surprises in the last day than the policy allows."""
        allowed = self.columns.meta.policy.surprises_per_day
        return bool(self._viewer[dosage.SURPRISES] < allowed)

    def _without_candidates(self, now_ms: int, decision_id: bytes, draw: float) -> Decision:
        """Nothing is eligible: the reason is the last stage that any candidate reached."""
        counts = self._counts
        reason = Reason.NO_CANDIDATES
        for stage in Stage:
            if counts[stage] > 0:
                reason = STAGE_REASONS[stage]
        if not counts[1]:
            reason = Reason.NO_CANDIDATES
        self._rest[:] = np.nan
        self._result[choice.P_CHOSEN] = self._result[choice.P_NOTHING] = 1.0
        return self._decision(0, now_ms, decision_id, chosen=NOTHING, reason=reason, draw=draw)

    def _decision(  # noqa: PLR0913 - the two ends of a decision: where, and what came out
        self,
        length: int,
        now_ms: int,
        decision_id: bytes,
        *,
        chosen: int,
        reason: Reason | None,
        draw: float,
        drawn: bool = True,
        surprise_share: float = 0.0,
    ) -> Decision:
        policy = self.columns.meta.policy
        values = self._values[:, :length]
        dose = float(self._viewer[dosage.DOSE])
        surprise = False
        if chosen != NOTHING:
            bar = float(values[5, chosen]) + policy.dose.weight * dose
            surprise = float(values[4, chosen]) - bar < 0.0
        return Decision(
            decision_id=decision_id,
            time_ms=now_ms,
            chosen=chosen,
            reason=reason,
            drawn=drawn,
            draw=draw,
            propensity=float(self._result[choice.P_CHOSEN]) if drawn else None,
            surprise=surprise,
            hour_of_week=self._moment.hour_of_week,
            intent=self._moment.intent,
            urgency=self._moment.urgency,
            moment_source=self._moment.source,
            ids=self._ids[:, :length],
            values=values,
            p_nothing=float(self._result[choice.P_NOTHING]) if drawn else 1.0,
            counts=self._counts,
            rest_best_relevance=float(self._rest[0]),
            rest_best_p_complete=float(self._rest[1]),
            dose=dose,
            dose_weight=policy.dose.weight,
            annoyance_cost=policy.annoyance_cost,
            exploration=self.exploration,
            gamma=self.gamma,
            epsilon=self.epsilon,
            surprise_share=surprise_share,
            surprise_band=policy.surprise_band,
            surprise_allowed=self._surprise_allowed(),
        )

    def _below_floor(self, floor_cpm_micros: int) -> NDArray[np.uint8]:
        """uint8[n_campaigns]: 1 where a paid campaign bids less than the placement asks."""
        bids = self.columns.campaign_values[BID_CPM_MICROS]
        paid = self.columns.campaign_times[TIER] < HOUSE_TIER
        closed: NDArray[np.uint8] = ((bids < floor_cpm_micros) & paid).astype(np.uint8)
        return closed

    def _set_model_weights(self) -> None:
        """Write the weights that only a new snapshot changes."""
        meta = self.columns.meta
        weights = self._weights
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

    def _set_request_weights(
        self, request: AdRequest, moment: Moment, viewer: OpenRecord | None, now_ms: int
    ) -> None:
        """Write the weights of this request: what is the same for all its candidates."""
        meta = self.columns.meta
        weights = self._weights
        bias_c = context_weight(meta.complete.context, request, moment)
        bias_n = context_weight(meta.annoyed.context, request, moment)
        scale = 0.0
        if viewer is not None and not viewer.opted_out:
            bias_c += viewer.weight_complete
            bias_n += viewer.weight_annoyed
            scale = affinity_scale(viewer, now_ms, meta.profile_half_life_s)
        weights[scoring.AFFINITY_SCALE] = scale
        weights[scoring.BIAS_C] = bias_c
        weights[scoring.BIAS_N] = bias_n


def affinity_scale(viewer: OpenRecord, now_ms: int, half_life_s: float) -> float:
    """Return the factor from ``u . e`` to ``u' . e / (1 + |u'|)``, u' being u faded since then."""
    age_s = max(now_ms - viewer.vector_ms, 0) / 1000
    fade = math.exp2(-age_s / half_life_s)
    norm = math.sqrt(np.dot(viewer.vector, viewer.vector))
    return fade / (1.0 + fade * norm)
