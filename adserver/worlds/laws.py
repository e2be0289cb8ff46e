"""The laws of a decision server, as checkers that read every decision and impression once.

Each says what it means exactly. Caps, doses and surprises count impressions that had been
acknowledged when the decision was made: a preroll that is still on its way to the screen is in no
record yet, so a viewer with two requests under way at once can be shown one more than a cap says.
What is held is that nothing is decided after the count was full.
"""

import math
from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import Final

import numpy as np

from adserver.decide.hold_out import held_out
from adserver.domain.decision import NOTHING, IdRow, ValueRow
from adserver.domain.reasons import GATES, Reason
from adserver.domain.viewer import FOREVER_S, SuppressionKind
from adserver.worlds.chance import chance_of, chance_of_count
from adserver.worlds.even import Even
from adserver.worlds.law import Law
from adserver.worlds.truth import NANOS_PER_MICRO, RESERVED_MS, Asked, Book, Paid, read_answer

ERROR_RATE: Final = 1e-6
"""With which a statistical law finds fault with a server that keeps it."""
FLOAT: Final = 2e-6
"""What single precision may differ by."""
SUM_ERROR: Final = 1e-5
"""What a sum of some thirty of them may."""
APART_S: Final = 1800
"""Between a campaign and its competitors."""
DAY_S: Final = 86_400
FORGOTTEN_HALF_LIVES: Final = 6.99
"""A record may forget an impression this old, when no cap counts it any more."""
FORGOTTEN_DOSE: Final = 2.0**-FORGOTTEN_HALF_LIVES
DOSE_ERROR: Final = 1e-3
VARIANCE_MIN: Final = 100.0
"""Variance of a part below which it is left out: its count is too small to be near to normal."""
_SHOW: Final = "show"


class Caps(Law):
    """Of a viewer who was recognised; recomputed from the impressions, not from the record."""

    says = "nothing is shown to a viewer whose cap was full: campaign, creative, all prerolls"

    def asked(self, asked: Asked) -> None:
        """Count what every cap counts."""
        if not asked.row.shown or not asked.known:
            return
        now_s, k = asked.row.time_ms // 1000, asked.campaign
        film = self.book.films[asked.ids[IdRow.VARIANT][asked.row.chosen]]
        for cap in self.book.campaigns[k].caps:
            count = sum(
                seen.campaign == k
                and now_s - seen.time_s < cap.window_s
                and (cap.per == "campaign" or seen.creative == film.creative)
                for seen in asked.seen
            )
            self.hold(count < cap.count, asked, f"cap {cap} of campaign {k}, {count} seen")
        for limit in self.book.policy.caps.viewer:
            count = sum(now_s - seen.time_s < limit.window_s for seen in asked.seen)
            self.hold(count < limit.count, asked, f"viewer's cap {limit}, {count} seen")


class Budgets(Law):
    """Money is nanos, 1e-9 of the currency. The day of the decision pays."""

    says = "no budget is overspent but by impressions heard of after their reservation ended"

    def __init__(self, book: Book) -> None:
        super().__init__(book)
        self.spent: defaultdict[int, int] = defaultdict(int)
        self._late: Counter[int] = Counter()
        self._spent_of_day: defaultdict[tuple[int, int], int] = defaultdict(int)
        self._late_of_day: Counter[tuple[int, int]] = Counter()

    def paid(self, paid: Paid) -> None:
        """Add up, and compare with the limits."""
        k = paid.campaign
        campaign = self.book.campaigns[k]
        price = campaign.bid_cpm_micros  # micros for a thousand are nanos for one
        self.spent[k] += price
        self._spent_of_day[k, paid.day] += price
        if paid.age_ms >= RESERVED_MS:
            self._late[k] += 1
            self._late_of_day[k, paid.day] += 1
        total, daily = campaign.budget.total_micros, campaign.budget.daily_micros
        if total:
            over = self.spent[k] - total * NANOS_PER_MICRO
            self.hold(over <= self._late[k] * price, None, f"{campaign.id} is {over} nanos over")
        if daily:
            over = self._spent_of_day[k, paid.day] - daily * NANOS_PER_MICRO
            late = self._late_of_day[k, paid.day] * price
            self.hold(over <= late, None, f"{campaign.id}: day {paid.day} is {over} nanos over")


class Threshold(Law):
    """The bar is read from the documents, the dose is recomputed; probabilities are the journal's.

    A surprise lies below the bar by no more than the policy's band, and says so.
    """

    says = "nothing below its threshold, dose included, is shown but a surprise within its band"

    def asked(self, asked: Asked) -> None:
        """Check bar, dose, relevance and margin of what was shown."""
        row = asked.row
        if row.drawn and not asked.blind:
            dose, forgotten = self._dose(asked)
            near = -FORGOTTEN_DOSE * forgotten - DOSE_ERROR <= row.dose - dose <= DOSE_ERROR
            self.hold(near, asked, f"dose {row.dose}, recomputed {dose}")
        if not row.shown:
            return
        policy, j, k = self.book.policy, row.chosen, asked.campaign
        at = [values[j] for values in asked.values]
        bar = self.book.bars[row.placement, k]
        relevance = at[ValueRow.P_COMPLETE] - policy.annoyance_cost * at[ValueRow.P_ANNOYED]
        self.hold(abs(at[ValueRow.THRESHOLD] - bar) <= FLOAT, asked, f"bar {bar} of campaign {k}")
        self.hold(abs(at[ValueRow.RELEVANCE] - relevance) <= FLOAT, asked, f"relevance {relevance}")
        self.hold(row.dose_weight == policy.dose.weight, asked, f"dose weight {row.dose_weight}")
        margin = asked.margin
        if row.surprise:
            within = -policy.surprise_band - FLOAT <= margin < FLOAT
            self.hold(within, asked, f"a surprise with margin {margin}")
        else:
            self.hold(margin >= -FLOAT, asked, f"shown with margin {margin}")

    def _dose(self, asked: Asked) -> tuple[float, int]:
        """Return the dose a decision must have counted, and how many it may have left out."""
        half_life_s = self.book.policy.dose.half_life_s
        now_s = asked.row.time_ms // 1000
        half_lives = [max(now_s - seen.time_s, 0) / half_life_s for seen in asked.seen]
        forgotten = sum(age > FORGOTTEN_HALF_LIVES for age in half_lives)
        return math.fsum(2.0**-age for age in half_lives), forgotten


class Surprises(Law):
    """A day is the last 24 hours."""

    says = "a viewer gets no more surprises a day than the policy allows"

    def asked(self, asked: Asked) -> None:
        """Count the surprises before this one."""
        if not asked.row.surprise or not asked.known:
            return
        now_s = asked.row.time_ms // 1000
        count = sum(seen.surprise and now_s - seen.time_s < DAY_S for seen in asked.seen)
        allowed = self.book.policy.surprises_per_day
        self.hold(count < allowed, asked, f"{count} surprises in 24 hours")


class Propensities(Law):
    """As journaled, in single precision."""

    says = "the propensities of a decision sum to 1, and the answer's is the chosen arm's"

    def asked(self, asked: Asked) -> None:
        """Add them up."""
        row = asked.row
        if not row.drawn:
            return
        arms = asked.values[ValueRow.PROPENSITY]
        total = math.fsum([row.p_nothing, *arms])
        fair = abs(total - 1.0) <= SUM_ERROR and min(arms, default=0.0) >= 0.0 <= row.p_nothing
        self.hold(fair, asked, f"propensities sum to {total}")
        chosen = row.p_nothing if row.chosen == NOTHING else arms[row.chosen]
        same = row.propensity is not None and abs(row.propensity - chosen) <= FLOAT < chosen
        self.hold(same, asked, f"propensity {row.propensity}, of the arm chosen {chosen}")


class Frequencies(Law):
    """Chi-square over the arms' parts: nothing, the likeliest, the others, surprises.

    Every decision is one multinomial draw over the four parts, so their counts have a known mean
    and covariance, whatever a decision depends on.
    """

    says = "arms are chosen as often as their propensities say"
    PARTS: Final = ("nothing", "likeliest", "others", "surprises")

    def __init__(self, book: Book) -> None:
        super().__init__(book)
        self._chosen = np.zeros(len(self.PARTS))
        self._expected = np.zeros(len(self.PARTS))
        self._covariance = np.zeros((len(self.PARTS), len(self.PARTS)))
        self._waiting: list[list[float]] = []
        self.p_value = 1.0

    def asked(self, asked: Asked) -> None:
        """Add the decision's arms to their parts."""
        row = asked.row
        arms = asked.values[ValueRow.PROPENSITY]
        if not row.drawn or not arms:
            return
        dose_part = row.dose_weight * row.dose
        parts = [row.p_nothing, 0.0, 0.0, 0.0]
        part_of_chosen = 0
        likeliest = arms.index(max(arms))
        relevance, bars = asked.values[ValueRow.RELEVANCE], asked.values[ValueRow.THRESHOLD]
        for j, p in enumerate(arms):
            surprise = relevance[j] - bars[j] - dose_part < -FLOAT
            part = 3 if surprise else 1 if j == likeliest else 2
            parts[part] += p
            if j == row.chosen:
                part_of_chosen = part
        self._chosen[part_of_chosen] += 1.0
        self._waiting.append(parts)
        if len(self._waiting) >= 1000:  # noqa: PLR2004  (a batch: one product instead of many)
            self._gather()

    def _gather(self) -> None:
        p = np.array(self._waiting).reshape(-1, len(self.PARTS))
        self._expected += p.sum(axis=0)
        self._covariance += np.diag(p.sum(axis=0)) - p.T @ p
        self._waiting.clear()

    def ended(self) -> None:
        """Weigh how far the counts are from their means."""
        self._gather()
        few = np.diag(self._covariance) < VARIANCE_MIN
        together = np.eye(len(self.PARTS))[~few]
        difference = together @ (self._chosen - self._expected)
        self.p_value = chance_of(difference, together @ self._covariance @ together.T)
        told = ", ".join(
            f"{part} {chosen:.0f} for {expected:.1f}"
            for part, chosen, expected in zip(self.PARTS, self._chosen, self._expected, strict=True)
        )
        self.hold(self.p_value >= ERROR_RATE, None, f"p = {self.p_value:.2g}: {told}")


class Gates(Law):
    """Not ready, overload, deadline, consent, opted out, held out."""

    says = "a gate is never drawn, and whatever else is decided always is"

    def asked(self, asked: Asked) -> None:
        """Look at what a gate must not have."""
        row = asked.row
        is_gate = not row.shown and Reason(row.reason) in GATES
        bare = not row.drawn and row.propensity is None and not asked.values[ValueRow.PROPENSITY]
        self.hold(bare if is_gate else row.drawn, asked, f"reason {row.reason}, drawn {row.drawn}")


class HoldOut(Law):
    """A viewer whose id may not be read is nobody, and cannot be held out."""

    says = "held-out viewers are shown nothing, and there are as many of them as the policy says"

    def __init__(self, book: Book) -> None:
        super().__init__(book)
        self._viewers: dict[str, bool] = {}

    def asked(self, asked: Asked) -> None:
        """Tell members from others."""
        viewer = asked.visit.viewer
        if viewer is None or not asked.visit.recognised:
            return
        member = self._viewers.get(viewer)
        if member is None:
            member = self._viewers[viewer] = held_out(viewer, self.book.policy.hold_out)
        gated = asked.row.reason == Reason.HELD_OUT
        late = asked.row.reason == Reason.DEADLINE
        self.hold(gated == member or late, asked, f"{viewer}: member {member}, gated {gated}")

    def ended(self) -> None:
        """Compare their number with the share."""
        found, share = sum(self._viewers.values()), self.book.policy.hold_out
        if 0.0 < share < 1.0 and self._viewers:
            p = chance_of_count(found, len(self._viewers), share)
            self.hold(p >= ERROR_RATE, None, f"{found} of {len(self._viewers)} viewers held out")


class Suppressions(Law):
    """What viewers asked for, by the names they said."""

    says = "nothing is shown that its viewer asked to be spared"

    def asked(self, asked: Asked) -> None:
        """Compare what is shown with every wish."""
        if not asked.row.shown or not asked.known or asked.visit.viewer is None:
            return
        now_s = asked.row.time_ms // 1000
        film = self.book.films[asked.ids[IdRow.VARIANT][asked.row.chosen]]
        campaign = self.book.campaigns[film.campaign]
        names = {
            SuppressionKind.CREATIVE: film.creative,
            SuppressionKind.CAMPAIGN: campaign.id,
            SuppressionKind.ADVERTISER: campaign.advertiser,
        }
        for wish in self.book.left.get(asked.visit.viewer, ()):
            lives = wish.until_s == FOREVER_S or now_s < wish.until_s
            spared = lives and names[wish.kind] in wish.names
            self.hold(not spared, asked, f"{names[wish.kind]} shown to {asked.visit.viewer}")


class Separation(Law):
    """Competition by advertiser, named by either side; impressions as for caps."""

    says = "nothing is shown within half an hour of a competitor"

    def asked(self, asked: Asked) -> None:
        """Compare what is shown with what was just seen."""
        if not asked.row.shown or not asked.known:
            return
        now_s, shown = asked.row.time_ms // 1000, self.book.campaigns[asked.campaign]
        for seen in asked.seen:
            if now_s - seen.time_s < APART_S and seen.campaign != asked.campaign:
                rival = self.book.campaigns[seen.campaign]
                apart = (
                    rival.advertiser not in shown.competes_with
                    and shown.advertiser not in rival.competes_with
                )
                self.hold(apart, asked, f"{shown.id} shown soon after {rival.id}")


class Answers(Law):
    """Action, variant, reason and propensity."""

    says = "the answer says what the journal says"

    def asked(self, asked: Asked) -> None:
        """Read both."""
        row, told = asked.row, read_answer(asked.answer)
        if row.shown:
            variant = self.book.films[asked.ids[IdRow.VARIANT][row.chosen]].variant
            same = told.action == _SHOW and told.variant == variant
        else:
            same = told.action == "none" and told.reason == Reason(row.reason).word
        if told.propensity is None or row.propensity is None:
            same = same and told.propensity is row.propensity
        else:
            same = same and abs(told.propensity - row.propensity) <= FLOAT
        self.hold(same, asked, f"answered {told}")


LAWS: Final[Sequence[type[Law]]] = (
    Caps,
    Budgets,
    Even,
    Threshold,
    Surprises,
    Propensities,
    Frequencies,
    Gates,
    HoldOut,
    Suppressions,
    Separation,
    Answers,
)
