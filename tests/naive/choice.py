"""Oracles: the choice rule as the decision model writes it. Plain Python; nothing of ours."""

import math
from collections.abc import MutableSequence, Sequence

import numpy as np

Ids = Sequence[MutableSequence[int]]
Values = Sequence[MutableSequence[float]]

NOTHING = -1
GREEDY, EPSILON_GREEDY, INVERSE_GAP = 0, 1, 2


def set_bars(
    length: int,
    ids: Ids,
    values: Values,
    campaign_values: Sequence[Sequence[float]],
    campaign_times: Sequence[Sequence[int]],
    placement_threshold: float,
) -> None:
    """Look each candidate's campaign up."""
    for j, k in enumerate(ids[1][:length]):
        ids[2][j] = campaign_times[0][k]
        values[5][j] = max(placement_threshold, campaign_values[0][k])
        values[6][j] = campaign_values[1][k] / 1_000_000


def margin_of(values: Values, j: int, dose_part: float) -> float:
    """Relevance less the threshold, dose included."""
    return float(values[4][j]) - float(values[5][j]) - dose_part


def worth_of(values: Values, j: int, dose_part: float, bid_max: float) -> float:
    """Margin times the bid's share of the highest; when nobody bids, the margin."""
    share = float(values[6][j]) / bid_max if bid_max else 1.0
    return margin_of(values, j, dose_part) * share


def _arms(length: int, ids: Ids, values: Values, dose_part: float) -> list[int]:
    """Columns that may be shown: at or above the bar, in the first tier that has any."""
    above = [j for j in range(length) if margin_of(values, j, dose_part) >= 0]
    first = min((ids[2][j] for j in above), default=None)
    return [j for j in above if ids[2][j] == first]


def _band(length: int, values: Values, dose_part: float, band: float) -> list[int]:
    """Columns that may surprise."""
    return [j for j in range(length) if -band <= margin_of(values, j, dose_part) < 0]


def find_arms(
    length: int,
    ids: Ids,
    values: Values,
    dose_part: float,
    band: float,
    result: MutableSequence[float],
) -> None:
    """List the arms and the band, and count them."""
    arms = _arms(length, ids, values, dose_part)
    bid_max = max((float(values[6][j]) for j in arms), default=0.0)
    worths = [worth_of(values, j, dose_part, bid_max) for j in arms]
    result[0] = result[1] = 0.0
    result[2] = len(arms)
    result[3] = len(_band(length, values, dose_part, band))
    result[4] = any(
        values[4][j] >= values[5][j] and margin_of(values, j, dose_part) < 0 for j in range(length)
    )
    result[5] = ids[2][arms[0]] if arms else math.inf
    result[6] = bid_max
    result[7] = arms[worths.index(max(worths))] if arms else NOTHING


def mix_arms(
    length: int, ids: Ids, values: Values, settings: Sequence[float], result: MutableSequence[float]
) -> None:
    """Probabilities in the order of the decision model: rule, floor, surprise."""
    dose_part, exploration, gamma, epsilon, sigma, delta, _ = settings
    arms = _arms(length, ids, values, dose_part)
    bid_max = max((float(values[6][j]) for j in arms), default=0.0)
    worth = {j: worth_of(values, j, dose_part, bid_max) for j in arms}
    worth[NOTHING] = 0.0
    best = max(worth, key=lambda arm: worth[arm])

    n = len(worth)
    if exploration == INVERSE_GAP:
        p = {arm: 1 / (n + gamma * (worth[best] - worth[arm])) for arm in worth if arm != best}
        p[best] = 1 - math.fsum(p.values())
    else:
        p = {arm: float(arm == best) for arm in worth}
    if exploration != GREEDY:
        p = {arm: (1 - epsilon) * p[arm] + epsilon / n for arm in p}
    band = _band(length, values, dose_part, delta)
    if band:
        p = {arm: (1 - sigma) * p[arm] for arm in p} | {j: sigma / len(band) for j in band}

    for j in range(length):
        values[7][j] = p.get(j, 0.0)
    result[1] = p[NOTHING]


def choose_arm(
    length: int, ids: Ids, values: Values, settings: Sequence[float], result: MutableSequence[float]
) -> int:
    """Lay the probabilities end to end, nothing last; see where the draw falls."""
    find_arms(length, ids, values, settings[0], settings[5], result)
    mix_arms(length, ids, values, settings, result)
    arms = [(j, float(np.float32(values[7][j]))) for j in range(length)]
    arms = [(j, p) for j, p in arms if p > 0]
    if result[1] > 0:
        arms.append((NOTHING, result[1]))
    end = 0.0
    fallen = []
    for arm in arms:
        end += arm[1]
        fallen.append(arm)
        if settings[6] < end:
            break
    chosen, result[0] = fallen[-1]
    return chosen
