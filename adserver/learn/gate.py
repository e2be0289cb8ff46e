"""The gate: an estimate is given, given with a warning, or refused, and why.

Every condition is written so that NaN fails it.
"""

from enum import StrEnum
from typing import Final

from msgspec import Struct

from adserver.learn.estimate import Support

ESS_REFUSED: Final = 200.0
ESS_WARNED: Final = 1000.0
SHARE_WARNED: Final = 0.05
"""ESS below this share of the rows: few rows carry the estimate."""
ERRORS_MAX: Final = 4.0
"""Standard errors the mean weight may be off 1."""
ROUNDING: Final = 1e-6
"""What the mean weight may be off 1 in any case."""


class Verdict(StrEnum):
    """What may be done with an estimate."""

    OK = "ok"
    WARN = "warn"
    """Use it with care."""
    REFUSE = "refuse"
    """Do not use it."""


class Judged(Struct, frozen=True):
    """A verdict and its reasons, those for refusing first."""

    verdict: Verdict
    reasons: tuple[str, ...]

    @property
    def why(self) -> str:
        """All reasons in one line."""
        return "; ".join(self.reasons)


def judge(found: Support, refusal: str | None = None) -> Judged:
    """Judge how far a log's estimates of a target can be trusted.

    Parameters
    ----------
    found
        ``Estimated.support``.
    refusal
        Why its outcomes alone forbid an estimate, as ``journal.observed.Observed.refusal`` says
        where too many are unknown; None when nothing does.

    Returns
    -------
    Judged
        Every reason of the worst verdict and of the milder one. Of one quantity only the worst is
        said: an effective sample size that is refused is not warned about as well.
    """
    refused, warned = _too_few(found)
    refused += _off_one(found)
    if refusal is not None:
        refused.append(refusal)
    if refused:
        return Judged(Verdict.REFUSE, (*refused, *warned))
    if warned:
        return Judged(Verdict.WARN, tuple(warned))
    fine = (
        f"the effective sample size is {found.ess:,.1f} of {found.rows:,} rows, and the mean "
        f"weight {found.weight_mean:.4f}"
    )
    return Judged(Verdict.OK, (fine,))


def _too_few(found: Support) -> tuple[list[str], list[str]]:
    """Say whether too few rows carry the estimate: reasons to refuse, and to warn."""
    size = f"the effective sample size is {found.ess:,.1f}"
    if not found.ess >= ESS_REFUSED:
        likely = "the log hardly ever does what the target does"
        if found.ess > found.rows / 2:
            likely = "the log is too short"
        return [f"{size}, below {ESS_REFUSED:g}: {likely}"], []
    low = [f"below {ESS_WARNED:,.0f}"] if found.ess < ESS_WARNED else []
    if found.ess < SHARE_WARNED * found.rows:
        share = found.ess / found.rows
        low.append(f"{share:.1%} of {found.rows:,} rows, below {SHARE_WARNED:.0%}")
    return [], [f"{size}, {' and '.join(low)}: few rows carry the estimate"] if low else []


def _off_one(found: Support) -> list[str]:
    """Say whether the log's propensities and the target disagree with each other."""
    off = abs(found.weight_mean - 1.0)
    if found.rows == 1:  # no standard error; refused for its sample size anyway
        return []
    if off <= max(ERRORS_MAX * found.weight_error, ROUNDING):  # in this order NaN stays NaN
        return []
    likely = "the target does what the log never did, or the propensities are too large"
    if found.weight_mean > 1.0:
        likely = "the propensities are smaller than the log's own frequencies"
    off_by = f"by more than {ERRORS_MAX:g} standard errors of {found.weight_error:.2g}"
    return [f"the mean weight is {found.weight_mean:.6g} and not 1, {off_by}: {likely}"]
