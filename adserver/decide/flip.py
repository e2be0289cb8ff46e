"""What would have changed a decision: for each lever, the smallest pull that gives another answer.

The levers are read against the arm the policy prefers (what ``greedy`` would have done with the
same shortlist): under exploration a draw may have picked another, which no lever explains.
"""

from typing import Any, Final

from adserver.domain.decision import NOTHING, Decision, IdRow, ValueRow

BEYOND: Final = 1e-6
"""Added to every pull: at the boundary itself the answer is still the old one."""


class Preference:
    """The arms of a decision, and what ``greedy`` makes of them."""

    def __init__(self, decision: Decision) -> None:
        values = decision.values.astype(float)
        self.relevance = values[ValueRow.RELEVANCE].tolist()
        self.bids = values[ValueRow.BID].tolist()
        self.tiers = decision.ids[IdRow.TIER].tolist()
        self.margins = (
            values[ValueRow.RELEVANCE] - values[ValueRow.THRESHOLD] - decision.dose_part
        ).tolist()

    def best(self, without: int = NOTHING, lower: float = 0.0) -> int:
        """Return the column the greedy rule shows, or ``NOTHING``.

        Parameters
        ----------
        without
            A column that is left out.
        lower
            By how much every margin is less.
        """
        arms = [j for j, m in enumerate(self.margins) if m >= lower and j != without]
        tier = min((self.tiers[j] for j in arms), default=0)
        arms = [j for j in arms if self.tiers[j] == tier]
        return max(arms, key=lambda j: (self.worth(j, arms, lower), -j), default=NOTHING)

    def worth(self, j: int, arms: list[int], lower: float = 0.0) -> float:
        """Return margin times bid; the margin where nobody bids."""
        bids = any(self.bids[arm] > 0.0 for arm in arms)
        return float((self.margins[j] - lower) * (self.bids[j] if bids else 1.0))

    def overtaken(self, preferred: int) -> float:
        """Return by how much all margins must fall until the preferred arm is no longer the best.

        At the latest where its own is gone; before that where an arm of its tier that bids less,
        and clears its bar by more, is worth as much.
        """
        margin, bid = self.margins[preferred], self.bids[preferred]
        falls = (
            (margin * bid - self.margins[j] * self.bids[j]) / (bid - self.bids[j])
            for j, tier in enumerate(self.tiers)
            if tier == self.tiers[preferred] and self.margins[j] > margin and self.bids[j] < bid
        )
        return float(min((fall for fall in falls if fall >= 0.0), default=margin))


def flip(decision: Decision) -> dict[str, Any] | None:
    """Return the levers that would have flipped the preferred arm; None without a shortlist.

    ``{"preferred", "smallest", "levers": {lever: {"by", "then"}}}``, columns as indices: the caller
    names them. Threshold, relevance and bid are the preferred arm's own; the dose is the viewer's
    and moves every bar. ``by`` is signed, in the lever's own unit; a bid is currency per mille.
    ``smallest`` is the lever whose pull moves the margin least. Caps are not among them: what a
    cap keeps out has no margin (``uncapped.cap_lever``).
    """
    arms = Preference(decision)
    if not arms.margins:
        return None
    preferred = arms.best()
    levers: dict[str, dict[str, Any]] = {}
    if preferred == NOTHING:
        nearest = max(range(len(arms.margins)), key=lambda j: (arms.margins[j], -j))
        gap = -arms.margins[nearest] + BEYOND
        levers["threshold"] = {"by": -gap, "then": nearest}
        levers["relevance"] = {"by": gap, "then": nearest}
        if decision.rules.dose_weight > 0.0 and gap <= decision.dose_part:
            by = -gap / decision.rules.dose_weight
            levers["dose"] = {"by": by, "then": arms.best(lower=-gap)}
        moved = dict.fromkeys(levers, gap)
    else:
        margin = arms.margins[preferred]
        rival = arms.best(without=preferred)
        fall = margin
        if rival != NOTHING and arms.tiers[rival] == arms.tiers[preferred]:
            bid, rival_bid = arms.bids[preferred], arms.bids[rival]
            if bid > 0.0 and margin > 0.0:
                fall = margin - arms.margins[rival] * rival_bid / bid
                lower = arms.margins[rival] * rival_bid / margin - BEYOND
                if lower > 0.0:
                    levers["bid"] = {"by": lower - bid, "then": rival}
            elif rival_bid == 0.0:
                fall = margin - arms.margins[rival]
        levers["threshold"] = {"by": fall + BEYOND, "then": rival}
        levers["relevance"] = {"by": -(fall + BEYOND), "then": rival}
        moved = dict.fromkeys(levers, fall)
        if decision.rules.dose_weight > 0.0:
            last = arms.overtaken(preferred) + BEYOND
            by = last / decision.rules.dose_weight
            levers["dose"] = {"by": by, "then": arms.best(lower=last)}
            moved["dose"] = last
    smallest = min(moved, key=lambda lever: moved[lever])
    return {"preferred": preferred, "smallest": smallest, "levers": levers}
