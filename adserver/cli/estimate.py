"""``adserver estimate``: what another policy would have earned, by a log."""

import math
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from adserver.cli.session import Session, pass_session

if TYPE_CHECKING:
    from adserver.learn.estimate import Estimated
    from adserver.learn.gate import Judged

_NAMES: Final = {
    "dr": ("DR", "headline"),
    "snips": ("SNIPS", "cross-check"),
    "ips": ("IPS", "for audit"),
    "sndr": ("SNDR", ""),
    "switch_dr": ("Switch-DR", "leans on the prediction"),
    "dros": ("DRos", "leans on the prediction"),
    "dm": ("DM", "the prediction alone: never a headline"),
}
"""Estimator → how people call it, and what it is for."""
_WIDTH: Final = 36
_CLUSTERS_FEW: Final = 40
"""Cameron, Gelbach and Miller 2008, "Bootstrap-Based Improvements for Inference with Clustered
Errors", section 1: asymptotics of clusters fail somewhere between 5 and 30."""
_FILE: Final = click.Path(dir_okay=False, path_type=Path)


@click.command()
@click.argument("log", type=_FILE)
@click.option("--target", required=True, type=_FILE, help="CSV: action, probability.")
@click.option("--action", default="action", show_default=True, help="Column of the log.")
@click.option("--reward", default="reward", show_default=True, help="Column of the log.")
@click.option("--propensity", default="propensity", show_default=True, help="Column of the log.")
@click.option("--cluster", help="Column of what belongs together, such as the viewer.")
@pass_session
def command(  # noqa: PLR0917  (one argument an option)
    session: Session,
    log: Path,
    target: Path,
    action: str,
    reward: str,
    propensity: str,
    cluster: str | None,
) -> None:
    """Estimate what another policy would have earned, from a log.

    LOG is CSV, plain or gzipped, with a header: the action taken, its reward, and its propensity,
    which is the exact probability it had. The target gives every action a probability, whatever the
    context; the column of its actions may be called as in the log. They must sum to 1. A logged
    action the target does not name has probability 0 there; one that was never logged is predicted
    to earn the log's mean.

    Intervals are at 95 %, from 1,000 bootstrap draws of whole clusters; without --cluster every row
    stands for itself, which is too narrow when rows of one viewer are alike. Differences are
    against the policy that made the log, from the same draws.

    The verdict is ok, warn or refuse. A refused estimate is an answer, too: exit code 0. Exit code
    1 when a file cannot be used.

    Example: adserver estimate log.csv.gz --target new.csv --action item_id --reward click
    """
    from adserver.learn.estimate import estimate  # noqa: PLC0415
    from adserver.learn.gate import judge  # noqa: PLC0415  (--help stays quick)
    from adserver.learn.logged import (  # noqa: PLC0415
        ColumnNames,
        read_log,
        read_target,
        unnamed_rows,
        weigh,
    )

    wanted = read_target(target, action)
    logged = read_log(log, ColumnNames(action, reward, propensity, cluster))
    evidence = weigh(logged, wanted)
    (found,) = estimate([evidence], logged.cluster)
    judged = judge(found.support)
    notes = list(_notes(found, unnamed_rows(logged, wanted)))
    session.show(_data(found, judged) | {"notes": notes}, "\n".join(_lines(found, judged, notes)))


def _data(found: "Estimated", judged: "Judged") -> dict[str, Any]:
    from adserver.learn.estimate import NAMES, ON_POLICY  # noqa: PLC0415

    support, difference = found.support, found.less_logged()
    return {
        "estimates": {name: found.value(name) for name in NAMES},
        "ess": _finite(support.ess),
        "weight_mean": _finite(support.weight_mean),
        "weight_max": _finite(support.weight_max),
        "verdict": judged.verdict.value,
        "why": judged.why,
        "reasons": judged.reasons,
        "intervals": {name: found.interval(name) for name in NAMES},
        "logged": {"value": found.value(ON_POLICY), "interval": found.interval(ON_POLICY)},
        "differences": {
            name: {"value": difference.value(name), "interval": difference.interval(name)}
            for name in NAMES
        },
        "rows": support.rows,
        "clusters": support.clusters,
    }


def _notes(found: "Estimated", unnamed: int) -> Iterator[str]:
    """Say what the verdict does not depend on, and a reader should know."""
    if unnamed:
        yield f"{unnamed:,} rows have an action the target does not name: probability 0"
    clusters = found.support.clusters
    if clusters < min(_CLUSTERS_FEW, found.support.rows):
        yield f"{clusters} clusters are few: intervals of fewer than {_CLUSTERS_FEW} are too narrow"


def _lines(found: "Estimated", judged: "Judged", notes: list[str]) -> Iterator[str]:
    support = found.support
    verdict = {"ok": "OK", "warn": "WARNING", "refuse": "REFUSED"}[judged.verdict.value]
    for i, reason in enumerate(judged.reasons):
        yield f"{verdict if not i else '':<9}{reason}"
    yield ""
    of = "" if support.clusters == support.rows else f" of {support.clusters:,} clusters"
    yield (
        f"{support.rows:,} rows{of}; weights: mean {support.weight_mean:.4g}, "
        f"largest {support.weight_max:,.4g}, worth {support.ess:,.1f} rows"
    )
    yield from notes
    yield f"the policy that made the log earned {_spell(found, 'on_policy')}"
    yield ""
    if judged.verdict.value == "refuse":
        yield "No estimate: the log cannot tell. What the formulas give is in --json, for audit."
        return
    yield f"{'':<11}{'estimate':<{_WIDTH}}{'less what the log earned':<{_WIDTH}}".rstrip()
    difference = found.less_logged()
    for name, (word, use) in _NAMES.items():
        cells = _spell(found, name), _spell(difference, name, "+")
        yield f"{word:<11}{cells[0]:<{_WIDTH}}{cells[1]:<{_WIDTH}}{use}".rstrip()


def _spell(estimated: "Estimated", name: str, sign: str = "") -> str:
    value, interval = estimated.value(name), estimated.interval(name)
    if value is None:
        return "none"
    spelt = f"{value:{sign}.4g}"
    if interval is None:
        return spelt
    low, high = (f"{end:{sign}.3g}" for end in interval)
    return f"{spelt} ({low} to {high})"


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
