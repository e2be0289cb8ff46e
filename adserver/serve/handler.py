"""One request, top to bottom: bytes → request → consent → record → decision → answer → journal.

Only two steps touch the outside: *get* reads the viewer record and *offer* hands the journal its
row, in memory; everything between is computed. One snapshot is taken at the top and used to the
end.
"""

import logging
from collections.abc import Callable
from functools import partial
from typing import Final

import msgspec
from msgspec import Struct

from adserver.budget.budgets import Budgets
from adserver.decide.hold_out import held_out
from adserver.decide.pipeline import UNPACED, Pacing
from adserver.domain.decision import NOTHING, Decision, gated
from adserver.domain.errors import AdserverError, Broken
from adserver.domain.reasons import Reason
from adserver.domain.request import NO_VIEWER, AdRequest
from adserver.domain.viewer import PENDING_S, Impression, OpenRecord
from adserver.edge.consent import Verdict
from adserver.edge.dosage_token import DosageTokens
from adserver.edge.json_response import Handles
from adserver.edge.token import MAY_MEASURE, MAY_UPDATE, SURPRISE, TokenBody, Tokens, bid_body
from adserver.journal.schema import NO_LENGTH, DecisionRow, Full, decision_row
from adserver.journal.writer import JournalWriter
from adserver.runtime.clock import Clock
from adserver.runtime.counters import COUNTER_OF_REASON, Counter, Counters
from adserver.runtime.entropy import Entropy, draw, format_decision_id, new_decision_id
from adserver.serve.auth import Bearers
from adserver.serve.dosage import (
    NOTHING_CARRIED,
    Carried,
    carried,
    next_token,
    with_carried,
)
from adserver.serve.once import Once
from adserver.serve.snapshots import Serving, Snapshots
from adserver.serve.spending import Spending
from adserver.viewer import codec
from adserver.viewer.changes import NO_KEY
from adserver.viewer.pending import Glance, Pending
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
PACING: Final = b"pacing"
"""Purpose of the draw that says which campaigns let the request pass."""
FULL_ONE_IN: Final = 100
"""Of so many decisions one is journaled with its whole inputs, beside every explained one."""

_SAMPLED_BELOW: Final = 65_536 // FULL_ONE_IN
_NS_PER_MS: Final = 1_000_000
_REQUESTS: Final = int(Counter.REQUESTS)  # a member takes longer to look up than to count
_SHOWN: Final = int(Counter.SHOWN)
_NS_PER_S: Final = 1_000_000_000

_log = logging.getLogger(__name__)


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


class Made(Struct, gc=False):
    """A decision and what it was made from."""

    decision: Decision
    request: AdRequest
    serving: Serving
    deadline_ns: int
    verdict: Verdict
    viewer: OpenRecord | None = None
    came: Carried = NOTHING_CARRIED
    """The dosage the player carries; counted in ``viewer``."""
    glance: Glance | None = None
    """What was pending for the viewer; None where nothing may be kept of them."""
    claimed: bool = False

    def row(self) -> DecisionRow:
        """Return what the journal keeps; its thread asks, once the request is answered."""
        decision, request, viewer, may = self.decision, self.request, self.viewer, self.verdict.may
        length_ms = NO_LENGTH
        if decision.chosen != NOTHING:
            length_ms = self.serving.shown(decision.variant, decision.campaign).length_ms
        named = viewer is not None and may.measure and viewer.pseudonym_key != NO_KEY
        return decision_row(
            decision,
            request,
            self.serving.versions,
            pseudonym_key=viewer.pseudonym_key if viewer is not None and named else None,
            full=_full(self, request) if _sampled(decision, request) else None,
            length_ms=length_ms,
            may=may.bits,
        )


Render = Callable[[Made, AdRequest], bytes]
Decide = Callable[[float, Pacing], Decision]
"""A decision that only waits for its draw and for who is held back."""


class Decisions:
    """Makes decisions, whatever dialect asks for them."""

    def __init__(self, engines: Engines) -> None:
        self.engines = engines

    async def answer(
        self,
        request: AdRequest,
        verdict: Verdict,
        started_ns: int,
        render: Render,
        key: bytes | None,
        body: bytes,
    ) -> bytes:
        """Return the rendered decision, made within the deadline and journaled once.

        Parameters
        ----------
        request
            Reduced to what consent allows, so a viewer id in it may be looked up.
        verdict
            What consent allows.
        started_ns
            Monotonic time at which the request had been read; the deadline counts from it.
        render
            Writes the answer in the caller's dialect.
        key
            Repeats of one key within a minute get the answer of the first.
        body
            The request as it came; a key belongs to one.
        """
        engines = self.engines
        if key is not None:
            former = engines.once.recall(key, body)
            if former is not None:
                return former
        made = await self._make(request, verdict, started_ns)
        for _ in range(CLAIMS_MAX):
            if request.terms.auction or self._claim(made):
                break  # most bids lose, and would hold places that nobody takes
            self._release(made)
            made = await self._make(request, verdict, started_ns)
        answer = render(made, request)
        if engines.clock.monotonic_ns() > made.deadline_ns and self._give_up(made):
            answer = render(made, request)
        if key is not None and made.decision.drawn:
            in_force = engines.once.claim(key, body, answer)
            if in_force != answer:
                self._release(made)
                return in_force  # another worker was first, and journaled its own
        self._keep(made, len(body))
        return answer

    async def _make(self, request: AdRequest, verdict: Verdict, started_ns: int) -> Made:
        engines = self.engines
        clock = engines.clock
        serving = engines.snapshots.current
        now_ms = clock.now_ms()
        decision_id = new_decision_id(now_ms, engines.entropy)
        deadline_ns = started_ns + (request.deadline_ms or engines.deadline_ms) * _NS_PER_MS
        decider, budgets = serving.decider, serving.budgets
        if decider is None or budgets is None:
            decision = gated(decision_id, now_ms, Reason.NOT_READY)
            return Made(decision, request, serving, deadline_ns, verdict)

        engines.spending.requests.count(request.placement)
        viewer = None
        viewer_id = request.viewer.id
        glance = None
        if viewer_id is not None and verdict.may.update_profile:
            glance = engines.pending.look(viewer_id, now_ms)
        left_ns = deadline_ns - clock.monotonic_ns()
        if viewer_id is not None and left_ns > 0:
            viewer = await self._read(viewer_id, left_ns, verdict)
            left_ns = deadline_ns - clock.monotonic_ns()
        came = NOTHING_CARRIED
        if request.viewer.dosage_token:
            came = carried(engines.dosage, request.viewer, now_ms)
            viewer = with_carried(viewer, came, decider.columns.meta.dim)
        if glance is not None and glance.entries and serving.limits is not None:
            viewer = serving.limits.reckon(viewer, glance)
        share = decider.columns.meta.policy.hold_out
        if left_ns <= 0:
            decision = decider.gate(Reason.DEADLINE, now_ms, decision_id)
        elif share and viewer_id is not None and held_out(viewer_id, share):
            decision = decider.gate(Reason.HELD_OUT, now_ms, decision_id)
        else:
            at, house = (now_ms, decision_id), verdict.house_only
            try:
                decide = partial(decider.decide, request, viewer, *at, house_only=house)
                decision = self._decide(decide, budgets, *at)
            except Broken:  # the viewer record is damaged, and nothing was decided
                engines.counters.add(Counter.VIEWER_READS_FAILED)
                viewer = None
                decide = partial(decider.decide, request, None, *at, house_only=house)
                decision = self._decide(decide, budgets, *at)
        return Made(decision, request, serving, deadline_ns, verdict, viewer, came, glance)

    def _decide(
        self, decide: Decide, budgets: Budgets, now_ms: int, decision_id: bytes
    ) -> Decision:
        """Decide among what can be paid, and reserve the price of what is shown.

        Probabilities are exact given who is left, so who is left must not depend on the draw: the
        whole shortlist is looked at before its outcome is, and what cannot be paid leaves it. Only
        what another worker reserved within these microseconds is refused afterwards.
        """
        key = self.engines.draw_key
        for purpose in (CHOICE, CHOICE_AGAIN):
            number = draw(key, decision_id, purpose)
            for _ in range(CLOSINGS_MAX):
                pacing = UNPACED
                if budgets.holds_back:
                    pacing = Pacing(budgets.pace, draw(key, decision_id, PACING))
                decision = decide(number, pacing)
                if not budgets.any or not budgets.close_full(decision.campaigns, now_ms):
                    break
            if decision.chosen == NOTHING or budgets.reserve(decision.campaign, now_ms):
                return decision
            self.engines.counters.add(Counter.RESERVATIONS_REFUSED)
        # Without the campaigns that have a budget there is nothing left to reserve.
        pacing = Pacing(budgets.unbudgeted, 0.0)
        number = draw(key, decision_id, CHOICE_UNBUDGETED)
        return decide(number, pacing)

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
        if decider is None or former.reason is Reason.DEADLINE:
            return False
        self._release(made)
        made.decision = decider.gate(Reason.DEADLINE, former.time_ms, former.decision_id)
        return True

    def _claim(self, made: Made) -> bool:
        """Count what is shown against the viewer's caps until it is heard of.

        False when anything was claimed for them since they were looked at. A draw that shows
        nothing claims nothing, so the draw decides whether a race within microseconds is noticed.
        """
        decision, glance = made.decision, made.glance
        if glance is None or decision.chosen == NOTHING:
            return True
        shown = made.serving.shown(decision.variant, decision.campaign)
        surprise = decision.surprise
        if not shown.limited and not surprise:
            return True
        made.claimed = self.engines.pending.claim_keys(
            glance, shown.pending_keys, surprise=surprise, now_ms=decision.time_ms
        )
        return made.claimed

    def _release(self, made: Made) -> None:
        """Give back what was reserved for a decision nobody will hear of."""
        decision, budgets = made.decision, made.serving.budgets
        if decision.shown and budgets is not None:
            budgets.release(decision.campaign, decision.time_ms)
            if made.claimed and made.glance is not None:
                self.engines.pending.give_back(made.glance, _shown(made), decision.time_ms)

    def handles(self, made: Made, request: AdRequest, *, always: bool = False) -> Handles:
        """Seal what the player reports back with; only for something shown, unless ``always``."""
        decision = made.decision
        expires_ms = decision.time_ms + self.engines.decision_ttl_s * 1000
        decision_id = format_decision_id(decision.decision_id)
        if decision.chosen != NOTHING:
            shown = made.serving.shown(decision.variant, decision.campaign)
            may = made.verdict.may
            viewer_id = request.viewer.id if may.update_profile else None
            body = TokenBody(
                decision.decision_id,
                expires_ms,
                viewer_id,
                shown.campaign_key,
                shown.creative_key,
                shown.variant,
                request.placement,
                (SURPRISE if decision.surprise else 0)
                | (MAY_UPDATE if viewer_id else 0)
                | (MAY_MEASURE if viewer_id and may.measure else 0),
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

    def dosage_token(self, made: Made, request: AdRequest) -> str:
        """Seal what a player is to carry whose viewer's record is not written; empty for nobody."""
        tokens, may = self.engines.dosage, made.verdict.may
        return next_token(tokens, made.serving, made.decision, made.came, request.viewer, may)

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


def _shown(made: Made) -> Impression:
    """Return the impression that a decision comes to if it is played."""
    decision = made.decision
    shown = made.serving.shown(decision.variant, decision.campaign)
    return Impression(PENDING_S, shown.campaign_key, shown.creative_key, decision.surprise)


def _sampled(decision: Decision, request: AdRequest) -> bool:
    return request.explain or int.from_bytes(decision.decision_id[-2:], "big") < _SAMPLED_BELOW


def _full(made: Made, request: AdRequest) -> Full | None:
    """Gather the whole inputs, without the viewer's id and without the key of the pseudonym.

    With either of them in it the journal could name a viewer who asked to be forgotten. A record
    that is not to be measured by is not kept, nor what a player carried, and nothing else would
    replay.
    """
    if made.came.impressions or (made.viewer is not None and not made.verdict.may.measure):
        return None
    asked = msgspec.json.encode(msgspec.structs.replace(request, viewer=NO_VIEWER))
    allowed = msgspec.json.encode(made.verdict)
    if made.viewer is None:
        return Full(asked, None, allowed)
    record = msgspec.structs.replace(codec.decode(made.viewer.raw), pseudonym_key=NO_KEY)
    return Full(asked, codec.encode(record), allowed)
