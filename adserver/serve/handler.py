"""One request, top to bottom: bytes → request → consent → record → decision → answer → journal.

Only two steps touch the outside: *get* reads the viewer record and *offer* hands the journal its
row, in memory; everything between is computed. One snapshot is taken at the top and used to the
end.
"""

from collections.abc import Callable
from typing import Final

from msgspec import Struct

from adserver.budget.budgets import Budgets
from adserver.decide.hold_out import held_out
from adserver.decide.pipeline import UNPACED, Decider, Pacing
from adserver.domain.decision import NOTHING, Decision, gated
from adserver.domain.errors import AdserverError, Broken
from adserver.domain.reasons import Reason
from adserver.domain.request import AdRequest
from adserver.domain.units import MILLISECONDS_PER_SECOND
from adserver.domain.viewer import OpenRecord
from adserver.edge.consent import Verdict
from adserver.edge.dosage_token import DosageTokens
from adserver.edge.json_response import Handles
from adserver.edge.token import MAY_MEASURE, MAY_UPDATE, SURPRISE, TokenBody, Tokens, bid_body
from adserver.journal.writer import JournalWriter
from adserver.runtime.clock import Clock
from adserver.runtime.counters import COUNTER_OF_REASON, Counter, Counters
from adserver.runtime.entropy import Entropy, draw, format_decision_id, new_decision_id
from adserver.serve.auth import Bearers
from adserver.serve.dosage import (
    NOTHING_CARRIED,
    carried,
    next_token,
    with_carried,
)
from adserver.serve.made import Made
from adserver.serve.once import Once
from adserver.serve.snapshots import Snapshots
from adserver.serve.spending import Spending
from adserver.viewer import codec
from adserver.viewer.pending import Pending
from adserver.viewer.store import Change, ViewerStore

CHOICE: Final = b"choice"
"""Purpose of the draw that picks the arm."""
CHOICE_AGAIN: Final = b"choice-again"
"""The same once more, when what was picked could no longer be paid: knowing that the first draw
fell there, it would be no chance any more."""
CHOICE_UNBUDGETED: Final = b"unbudgeted"
"""And the last."""
CLOSINGS_MAX: Final = 4
"""How often a shortlist is made anew because somebody in it could not pay: each time those who
cannot are closed until the budgets are next looked at."""
CLAIMS_MAX: Final = 8
"""How often a decision is made anew because the viewer was shown something meanwhile."""
LATE: Final = (Reason.DEADLINE, Reason.OVERLOAD)
PACING: Final = b"pacing"
"""Purpose of the draw that says which campaigns let the request pass."""
_NS_PER_MS: Final = 1_000_000
_REQUESTS: Final = int(Counter.REQUESTS)  # a member takes longer to look up than to count
_SHOWN: Final = int(Counter.SHOWN)
_NS_PER_S: Final = 1_000_000_000


class Engines(Struct, frozen=True):
    """What a request is served with; the composition root hands it in."""

    clock: Clock
    entropy: Entropy
    draw_key: bytes
    tokens: Tokens
    store: ViewerStore
    journal: JournalWriter[Change]
    counters: Counters
    snapshots: Snapshots
    spending: Spending
    once: Once
    bearers: Bearers
    open_explain: bool
    deadline_ms: int
    body_bytes_max: int
    decision_ttl_s: int
    tcf_vendor_id: int
    pending: Pending
    dosage: DosageTokens


class Asked(Struct, frozen=True, gc=False):
    """A request for a decision, whatever dialect it came in."""

    request: AdRequest
    """Reduced to what consent allows, so a viewer id in it may be looked up."""
    verdict: Verdict
    """What consent allows."""
    began_ns: int
    """Monotonic time at which somebody turned to it."""
    waited_ns: int
    """How long it had lain there by then; the deadline counts from when it could have been read."""
    key: bytes | None
    """Repeats of one key within a minute get the answer of the first."""
    body: bytes
    """The request as it came; a key belongs to one."""


Render = Callable[[Made, AdRequest], bytes]


class Decisions:
    """Makes decisions, whatever dialect asks for them."""

    def __init__(self, engines: Engines) -> None:
        self.engines = engines
        self._lifetime_ms = engines.decision_ttl_s * MILLISECONDS_PER_SECOND

    async def answer(self, asked: Asked, render: Render) -> bytes:
        """Return the rendered decision, made within the deadline and journaled once.

        Parameters
        ----------
        asked
            What to decide.
        render
            Writes the answer in the caller's dialect.
        """
        request, key = asked.request, asked.key
        engines = self.engines
        if key is not None:
            former = engines.once.recall(key, asked.body)
            if former is not None:
                return former
        made = await self._make(asked)
        for _ in range(CLAIMS_MAX):
            if request.terms.auction or self._claim(made):
                break  # most bids lose, and would hold places that nobody takes
            self._release(made)
            made = await self._make(asked)
        try:
            answer = render(made, request)
            if engines.clock.monotonic_ns() > made.deadline_ns and self._give_up(made):
                answer = render(made, request)
            if key is not None and made.decision.drawn:
                in_force = engines.once.claim(key, asked.body, answer)
                if in_force != answer:
                    self._release(made)
                    return in_force  # another worker was first, and journaled its own
        except Exception:
            self._release(made)
            raise
        self._keep(made, len(asked.body))
        return answer

    async def _make(self, asked: Asked) -> Made:
        engines, request, verdict = self.engines, asked.request, asked.verdict
        serving = engines.snapshots.current
        decider, budgets, limits = serving.decider, serving.budgets, serving.limits
        now_ms = engines.clock.now_ms()
        decision_id = new_decision_id(now_ms, engines.entropy)
        allowed_ns = (request.deadline_ms or engines.deadline_ms) * _NS_PER_MS - asked.waited_ns
        deadline_ns = asked.began_ns + allowed_ns
        if decider is None or budgets is None or limits is None:
            decision = gated(decision_id, now_ms, Reason.NOT_READY)
            return Made(decision, request, serving, deadline_ns, verdict)

        engines.spending.requests.count(request.placement)
        viewer_id, viewer, glance, came = request.viewer.id, None, None, NOTHING_CARRIED
        recorded = viewer_id is not None and verdict.may.update_profile
        left_ns = deadline_ns - engines.clock.monotonic_ns()
        if viewer_id is not None and left_ns > 0:
            if recorded and limits.any:
                glance = engines.pending.look(viewer_id, now_ms)
            viewer = await self._read(viewer_id, left_ns, verdict)
        if request.viewer.dosage_token:
            came = carried(engines.dosage, request.viewer, now_ms)
            viewer = with_carried(viewer, came, decider.columns.meta.dim)
        if glance is not None and glance.entries:
            viewer = limits.reckon(viewer, glance)
        if left_ns <= 0:
            late = Reason.DEADLINE if allowed_ns > 0 else Reason.OVERLOAD
            decision = decider.gate(late, now_ms, decision_id)
        elif serving.hold_out and viewer_id is not None and held_out(viewer_id, serving.hold_out):
            decision = decider.gate(Reason.HELD_OUT, now_ms, decision_id)
        else:
            house = verdict.house_only
            try:
                decision = self._decide(
                    decider, budgets, request, viewer, now_ms, decision_id, house
                )
            except Broken:  # the viewer record is damaged, and nothing was decided
                engines.counters.add(Counter.VIEWER_READS_FAILED)
                viewer = None
                decision = self._decide(decider, budgets, request, None, now_ms, decision_id, house)
        shown = None
        if decision.chosen != NOTHING:
            shown = serving.shown(decision.variant, decision.campaign)
        return Made(
            decision, request, serving, deadline_ns, verdict, recorded, viewer, came, glance, shown
        )

    def _decide(  # noqa: PLR0913, PLR0917  (what a decision depends on)
        self,
        decider: Decider,
        budgets: Budgets,
        request: AdRequest,
        viewer: OpenRecord | None,
        now_ms: int,
        decision_id: bytes,
        house_only: bool,  # noqa: FBT001
    ) -> Decision:
        """Decide among what can be paid, and reserve the price of what is shown.

        Probabilities are exact given who is left, so who is left must not depend on the draw: the
        whole shortlist is looked at before its outcome is, and what cannot be paid leaves it. Only
        what another worker reserved within these microseconds is refused afterwards.
        """
        key = self.engines.draw_key
        of = request, viewer, now_ms, decision_id
        for purpose in (CHOICE, CHOICE_AGAIN):
            number = draw(key, decision_id, purpose)
            for _ in range(CLOSINGS_MAX):
                pacing = UNPACED
                if budgets.holds_back:
                    pacing = Pacing(budgets.pace, draw(key, decision_id, PACING))
                decision = decider.decide(*of, number, pacing, house_only=house_only)
                if not budgets.any or not budgets.close_full(decision.campaigns, now_ms):
                    break
            if decision.chosen == NOTHING or budgets.reserve(decision.campaign, now_ms):
                return decision
            self.engines.counters.add(Counter.RESERVATIONS_REFUSED)
        # Without the campaigns that have a budget there is nothing left to reserve.
        pacing = Pacing(budgets.unbudgeted, 0.0)
        number = draw(key, decision_id, CHOICE_UNBUDGETED)
        return decider.decide(*of, number, pacing, house_only=house_only)

    async def _read(self, viewer_id: str, left_ns: int, verdict: Verdict) -> OpenRecord | None:
        """Get the viewer's record; where the store fails, the decision is contextual."""
        engines = self.engines
        try:
            raw = await engines.store.get(viewer_id, left_ns / _NS_PER_S)
            if raw is not None:
                viewer = codec.open_record(raw)
                if verdict.may.use_profile:
                    return viewer
                return codec.open_record(codec.without_profile(raw))
        except AdserverError:
            engines.counters.add(Counter.VIEWER_READS_FAILED)
            return None
        engines.counters.add(Counter.VIEWERS_UNKNOWN)
        return None

    def _give_up(self, made: Made) -> bool:
        """Turn a decision that comes too late into nothing; False when it was that already."""
        former, decider = made.decision, made.serving.decider
        if decider is None or former.reason in LATE:
            return False
        self._release(made)
        made.decision = decider.gate(Reason.DEADLINE, former.time_ms, former.decision_id)
        made.shown = None
        return True

    def _claim(self, made: Made) -> bool:
        """Count what is shown against the viewer's caps until it is heard of.

        False when anything was claimed for them since they were looked at. A draw that shows
        nothing claims nothing, so the draw decides whether a race within microseconds is noticed.
        """
        decision, glance, shown = made.decision, made.glance, made.shown
        if glance is None or shown is None or not (shown.limited or decision.surprise):
            return True
        made.claimed = self.engines.pending.claim(
            glance, shown.pending_keys, surprise=decision.surprise, now_ms=decision.time_ms
        )
        return made.claimed

    def _release(self, made: Made) -> None:
        """Give back what was reserved for a decision nobody will hear of."""
        decision, shown, budgets = made.decision, made.shown, made.serving.budgets
        if shown is not None and budgets is not None:
            budgets.release(decision.campaign, decision.time_ms)
            if made.claimed and made.glance is not None:
                self.engines.pending.give_back(
                    made.glance,
                    shown.pending_keys,
                    surprise=decision.surprise,
                    now_ms=decision.time_ms,
                )

    def handles(self, made: Made, request: AdRequest, *, always: bool = False) -> Handles:
        """Seal what the player reports back with; only for something shown, unless ``always``."""
        decision, shown = made.decision, made.shown
        expires_ms = decision.time_ms + self._lifetime_ms
        decision_id = format_decision_id(decision.decision_id)
        if shown is not None:
            flags, viewer_id = SURPRISE if decision.surprise else 0, None
            if made.recorded:
                flags |= MAY_UPDATE | MAY_MEASURE if made.verdict.may.measure else MAY_UPDATE
                viewer_id = request.viewer.id
            body = TokenBody(
                decision.decision_id,
                expires_ms,
                viewer_id,
                shown.campaign_key,
                shown.creative_key,
                shown.variant,
                request.placement,
                flags,
                shown.account,
                shown.price,
            )
            if request.terms.auction:
                body = bid_body(body, request.terms, made.serving.bid_cpm_micros(decision.campaign))
        elif always:
            body = TokenBody(decision.decision_id, expires_ms, None, 0, 0, "", request.placement)
        else:
            return Handles(decision_id, "", expires_ms)
        return Handles(decision_id, self.engines.tokens.seal(body), expires_ms)

    def dosage_token(self, made: Made) -> str:
        """Seal what a player is to carry whose viewer's record is not written; empty for nobody."""
        columns = made.serving.columns
        if made.recorded or columns is None:
            return ""
        return next_token(self.engines.dosage, columns, made.decision, made.shown, made.came)

    def _keep(self, made: Made, weight: int) -> None:
        """Count the decision and hand it to the journal."""
        decision = made.decision
        if made.request.terms.test:
            self._release(made)
            return
        self.engines.journal.offer(made, weight)
        count = self.engines.counters.own_row
        count[_REQUESTS] += 1
        if decision.reason is None:
            count[_SHOWN] += 1
        else:
            count[COUNTER_OF_REASON[decision.reason]] += 1
            if decision.reason is Reason.DEADLINE:
                count[Counter.DEADLINE_OVERRUNS] += 1
        if decision.surprise:
            count[Counter.SURPRISES] += 1
        if not made.verdict.personal:
            count[Counter.VIEWERS_CONTEXTUAL] += 1
