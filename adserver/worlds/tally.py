"""What a simulation comes to: sums, each campaign's spend, and the course of the days."""

from collections import Counter
from typing import Final

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from adserver.domain.campaign import Campaign
from adserver.domain.reasons import Reason
from adserver.worlds.day import N_QUARTERS, QUARTER_MS
from adserver.worlds.line import line_of
from adserver.worlds.market import Market
from adserver.worlds.reaction import Viewing
from adserver.worlds.truth import NANOS_PER_MICRO, RESERVED_MS, Asked, Paid

MICROS: Final = 1e6


class Spend(Struct, frozen=True):
    """What became of one campaign's budget; money in units of currency."""

    campaign: str
    pacing: str
    """even or asap."""
    period: str
    """day or flight."""
    budget: float
    """Of all the days simulated."""
    whole: bool
    """It runs on all of them, from midnight to midnight."""
    spent: float
    late: float
    """Part of it that was paid after its reservation had ended."""
    deviation: float | None
    """Furthest from the line, as a share of a period's budget: even pacing only, and only where the
    period's budget was spent to 95 %: elsewhere demand was missing, not pace."""


class Verdict(Struct, frozen=True):
    """How one law fared."""

    law: str
    says: str
    checks: int
    broken: int
    examples: list[str]


class Course(Struct, frozen=True):
    """The days by quarters of an hour; what is shown as a picture."""

    requests: list[int]
    dose: list[float | None]
    """On average over the recognised viewers who asked; None when nobody did."""
    dose_high: list[float | None]
    """Nine in ten had less."""
    shown: list[int]
    spent: dict[str, list[float]]
    """By campaign with a budget: share of the period's budget that was spent by then."""
    line: dict[str, list[float]]
    """Where it should have been."""


class Totals(Struct, frozen=True):
    """What can be counted without the course of time."""

    requests: int
    shown: int
    none: dict[str, int]
    """By reason."""
    impressions: int
    late: int
    """Impressions paid after their reservation had ended."""
    completed: float
    """Share of those who watched."""
    annoyed: float
    surprises: int
    dose: float
    """On average over the recognised viewers who asked."""


class Summary(Struct, frozen=True):
    """The result of a simulation."""

    seed: int
    days: int
    workers: int
    totals: Totals
    spend: list[Spend]
    laws: list[Verdict]
    restarts: int
    refused_reservations: int
    digest: str
    """Of every row the journal was given, in order."""
    course: Course
    seconds: float = 0.0
    """It took; the one thing that differs between two runs of a seed."""

    @property
    def fill(self) -> float:
        """Share of the requests that were shown something."""
        return self.totals.shown / max(1, self.totals.requests)

    @property
    def broken(self) -> int:
        """How often any law was broken."""
        return sum(law.broken for law in self.laws)


class Tally:
    """Counts while it runs."""

    def __init__(self, market: Market) -> None:
        self._market = market
        quarters = market.scale.days * N_QUARTERS
        self._campaigns = market.catalogue.campaigns
        self._spent = np.zeros((quarters, len(self._campaigns)), np.int64)
        self._late = np.zeros(len(self._campaigns), np.int64)
        self._requests = np.zeros(quarters, np.int64)
        self._shown = np.zeros(quarters, np.int64)
        self._doses: list[list[float]] = [[] for _ in range(quarters)]
        self._none: Counter[str] = Counter()
        self._surprises = 0
        self._watched = self._completed = self._annoyed = 0
        self._impressions = self._n_late = 0

    def asked(self, asked: Asked) -> None:
        """Count a decision."""
        row, quarter = asked.row, self._quarter(asked.visit.time_ms)
        self._requests[quarter] += 1
        if row.shown:
            self._shown[quarter] += 1
            self._surprises += row.surprise
        else:
            self._none[Reason(row.reason).word] += 1
        if row.drawn and asked.known:
            self._doses[quarter].append(row.dose)

    def watched(self, viewing: Viewing) -> None:
        """Count a viewing."""
        self._watched += 1
        self._completed += viewing.completed
        self._annoyed += viewing.annoyed

    def paid(self, paid: Paid) -> None:
        """Count an impression."""
        self._impressions += 1
        late = paid.age_ms >= RESERVED_MS
        self._n_late += late
        price = self._campaigns[paid.campaign].bid_cpm_micros
        self._spent[self._quarter(paid.time_ms), paid.campaign] += price
        self._late[paid.campaign] += price * late

    def _quarter(self, time_ms: int) -> int:
        """Return the quarter of an hour; what comes after the last day belongs to its end."""
        quarter = (time_ms - self._market.start_ms) // QUARTER_MS
        return min(quarter, len(self._requests) - 1)

    def totals(self) -> Totals:
        """Return the sums."""
        watched = max(1, self._watched)
        doses = [dose for quarter in self._doses for dose in quarter]
        return Totals(
            requests=int(self._requests.sum()),
            shown=int(self._shown.sum()),
            none=dict(self._none.most_common()),
            impressions=self._impressions,
            late=self._n_late,
            completed=self._completed / watched,
            annoyed=self._annoyed / watched,
            surprises=self._surprises,
            dose=float(np.mean(doses)) if doses else 0.0,
        )

    def spend(self) -> list[Spend]:
        """Return what became of every budget."""
        return [self._spend(k) for k in self._budgeted()]

    def course(self) -> Course:
        """Return the course of the days."""
        budgeted = [(self._campaigns[k], k) for k in self._budgeted()]
        return Course(
            requests=self._requests.tolist(),
            dose=[float(np.mean(doses)) if doses else None for doses in self._doses],
            dose_high=[float(np.quantile(doses, 0.9)) if doses else None for doses in self._doses],
            shown=self._shown.tolist(),
            spent={row.id: self._share_spent(row, k).tolist() for row, k in budgeted},
            line={row.id: self._line(row).tolist() for row, _ in budgeted},
        )

    def _budgeted(self) -> list[int]:
        return [
            k
            for k, row in enumerate(self._campaigns)
            if row.budget.daily_micros or row.budget.total_micros
        ]

    def _spend(self, k: int) -> Spend:
        campaign = self._campaigns[k]
        budget = campaign.budget
        days = self._market.scale.days
        micros = budget.daily_micros * days if budget.daily_micros else budget.total_micros
        return Spend(
            campaign=campaign.id,
            pacing=campaign.pacing,
            period="day" if budget.daily_micros else "flight",
            budget=micros / MICROS,
            whole=campaign.flight.start is None,
            spent=float(self._spent[:, k].sum()) / NANOS_PER_MICRO / MICROS,
            late=float(self._late[k]) / NANOS_PER_MICRO / MICROS,
            deviation=self._deviation(campaign, k),
        )

    def _deviation(self, campaign: Campaign, k: int) -> float | None:
        if campaign.pacing != "even":
            return None
        spent, line = self._share_spent(campaign, k), self._line(campaign)
        length = N_QUARTERS if campaign.budget.daily_micros else len(spent)
        off = [
            float(np.abs(spent[at : at + length] - line[at : at + length]).max())
            for at in range(0, len(spent), length)
            if spent[at + length - 1] >= 0.95  # noqa: PLR2004  (see ``Spend.deviation``)
        ]
        return max(off, default=None)

    def _share_spent(self, campaign: Campaign, k: int) -> NDArray[np.float64]:
        """float64[n_quarters]: by the end of each, share of the budget of its period."""
        spent = self._spent[:, k].astype(np.float64) / NANOS_PER_MICRO
        daily = campaign.budget.daily_micros
        if not daily:
            return np.asarray(np.cumsum(spent) / campaign.budget.total_micros)
        return np.asarray(np.cumsum(spent.reshape(-1, N_QUARTERS), axis=1).ravel() / daily)

    def _line(self, campaign: Campaign) -> NDArray[np.float64]:
        market = self._market
        placements = market.catalogue.placements
        return line_of(campaign, placements, market.start_ms, market.scale.days)
