"""The law of even pacing."""

from collections import Counter
from typing import Final

from adserver.domain.campaign import Campaign
from adserver.domain.units import DAY_MS
from adserver.worlds.day import QUARTER_MS
from adserver.worlds.law import Law
from adserver.worlds.truth import Asked, Book, Paid

SHORT: Final = 0.05
"""Of its budget a campaign may miss, or one impression, whichever is more."""
BEHIND: Final = 2.0
"""Impressions below its line that are no fault: some are on their way to the screen."""
HELD_MAX: Final = 0.1
"""Share of the requests while a campaign is open that may be held back though it is behind. The
line is that of the law of traffic; the server has to learn it."""


class Even(Law):
    """Demand cannot be known of a campaign that was held back; whether it was, and when, can.

    A period is a UTC day for a daily budget and the whole run for a total one.
    """

    says = "who ends an even day short of its budget was not held back while behind its line"

    def __init__(self, book: Book) -> None:
        super().__init__(book)
        self._requests: Counter[int] = Counter()
        self._paid: Counter[tuple[int, int]] = Counter()
        self._held: Counter[tuple[int, int]] = Counter()

    def asked(self, asked: Asked) -> None:
        """Count whom budget and pacing held back though it was behind."""
        quarter = (asked.row.time_ms - self.book.start_ms) // QUARTER_MS
        self._requests[quarter] += 1
        for k in asked.row.throttled:
            line = self.book.lines.get(k)
            if line is None or not 0 < quarter < len(line):
                continue
            campaign = self.book.campaigns[k]
            period = self._period(campaign, asked.row.time_ms)
            buys = _buys(campaign)
            due = line[quarter - 1] * buys if line[quarter - 1] <= line[quarter] else 0.0
            if self._paid[k, period] < due - max(BEHIND, SHORT * buys):
                self._held[k, period] += 1

    def paid(self, paid: Paid) -> None:
        """Count what a period brought; the day of the decision pays."""
        campaign = self.book.campaigns[paid.campaign]
        self._paid[paid.campaign, self._period(campaign, paid.decision_ms)] += 1

    def ended(self) -> None:
        """Look at those that are short."""
        for k, line in self.book.lines.items():
            campaign = self.book.campaigns[k]
            length = DAY_MS // QUARTER_MS if campaign.budget.daily_micros else len(line)
            buys = _buys(campaign)
            for period, at in enumerate(range(0, len(line), length)):
                steps = [line[at], *(line[q] - line[q - 1] for q in range(at + 1, at + length))]
                asked = sum(self._requests[at + q] for q, step in enumerate(steps) if step > 0)
                short = buys - self._paid[k, period] > max(SHORT * buys, 1.0)
                held = self._held[k, period]
                fault = (
                    f"{campaign.id}, period {period}: {self._paid[k, period]} of {buys}, "
                    f"held back {held} times in {asked} requests"
                )
                self.hold(not short or held <= HELD_MAX * asked, None, fault)

    def _period(self, campaign: Campaign, time_ms: int) -> int:
        return (time_ms - self.book.start_ms) // DAY_MS if campaign.budget.daily_micros else 0


def _buys(campaign: Campaign) -> int:
    """Return how many impressions the budget of a period pays for."""
    budget = campaign.budget
    return 1000 * (budget.daily_micros or budget.total_micros) // campaign.bid_cpm_micros
