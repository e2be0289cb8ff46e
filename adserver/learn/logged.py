"""Logged-bandit files: what another policy did, how likely that was, and what came of it.

The prediction is the log's own: an action's mean reward, drawn towards the mean of the whole log as
by ``PRIOR_ROWS`` rows of it.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from adserver.learn.csv_columns import read_chunks, refusal
from adserver.learn.estimate import Evidence, Floats

PRIOR_ROWS: Final = 100.0
ROUNDING: Final = 1e-6
"""What probabilities may be off for having been printed."""

_ACTION, _REWARD, _PROPENSITY, _CLUSTER = range(4)
_PROBABILITY = 1


class ColumnNames(Struct, frozen=True):
    """How a log calls its columns."""

    action: str = "action"
    reward: str = "reward"
    propensity: str = "propensity"
    cluster: str | None = None


class Log(Struct, frozen=True):
    """n rows."""

    actions: tuple[str, ...]
    """Distinct, in the order of appearance."""
    action: NDArray[np.int64]
    """int64[n], index into ``actions``."""
    reward: Floats
    propensity: Floats
    """float64[n], in (0, 1]."""
    cluster: NDArray[np.int64] | None
    """int64[n], from 0 without gaps."""


def read_log(path: Path, names: ColumnNames) -> Log:
    """Read a log.

    Raises
    ------
    InvalidInput
        With row and column: a reward that is no finite number, a propensity outside (0, 1], an
        action or cluster without a name; or whatever is wrong with the file.
    """
    actions: dict[str, int] = {}
    clusters: dict[str, int] = {}
    columns: list[tuple[NDArray[np.int64], Floats, Floats, NDArray[np.int64]]] = []
    asked = [(names.action,), (names.reward,), (names.propensity,)]
    for chunk in read_chunks(path, asked if names.cluster is None else [*asked, (names.cluster,)]):
        propensity = chunk.numbers(_PROPENSITY)
        outside = ~((propensity > 0.0) & (propensity <= 1.0 + ROUNDING))
        if outside.any():
            i = int(outside.argmax())
            raise chunk.wrong(_PROPENSITY, i, "a probability above 0 and at most 1")
        action = _numbered(chunk.words(_ACTION), actions)
        whose = action[:0] if names.cluster is None else _numbered(chunk.words(_CLUSTER), clusters)
        columns.append((action, chunk.numbers(_REWARD), propensity, whose))
    action, reward, propensity, cluster = map(np.concatenate, zip(*columns, strict=True))
    return Log(
        tuple(actions), action, reward, propensity, None if names.cluster is None else cluster
    )


def read_target(path: Path, action: str = "action") -> dict[str, float]:
    """Read a target policy: the probability of each action, whatever the context.

    Parameters
    ----------
    path
        CSV with the columns ``action``, or else the name given, and ``probability``.
    action
        What the log calls it.

    Raises
    ------
    InvalidInput
        When a probability is outside [0, 1], an action comes twice, or they do not sum to 1.
    """
    target: dict[str, float] = {}
    for chunk in read_chunks(path, [("action", action), ("probability",)]):
        values = chunk.numbers(_PROBABILITY).tolist()
        for i, (word, p) in enumerate(zip(chunk.words(_ACTION), values, strict=True)):
            if word in target:
                raise chunk.wrong(_ACTION, i, "every action once")
            if not 0.0 <= p <= 1.0 + ROUNDING:
                raise chunk.wrong(_PROBABILITY, i, "a probability from 0 to 1")
            target[word] = p
    total = sum(target.values())
    if abs(total - 1.0) > ROUNDING:
        raise refusal(
            path, f"the probabilities sum to {total:.9g}, not to 1", "column 'probability'"
        )
    return target


def weigh(log: Log, target: Mapping[str, float]) -> Evidence:
    """Return what a log says about a target that does not look at the context.

    An action that the target does not name has probability 0 under it. One that was never logged is
    predicted to earn the mean of the log.
    """
    seen = {name: index for index, name in enumerate(log.actions)}
    chances = np.array([target.get(name, 0.0) for name in log.actions])
    count = np.bincount(log.action, minlength=len(seen))
    with np.errstate(over="ignore", invalid="ignore"):  # what overflows, the gate refuses
        total = np.bincount(log.action, log.reward, minlength=len(seen))
        mean = log.reward.mean()
        predicted = (total + PRIOR_ROWS * mean) / (count + PRIOR_ROWS)
        unseen = sum(p for name, p in target.items() if name not in seen)
        return Evidence(
            reward=log.reward,
            weight=chances[log.action] / log.propensity,
            qbar=np.full_like(log.reward, float(chances @ predicted) + unseen * mean),
            qa=predicted[log.action],
        )


def unnamed_rows(log: Log, target: Mapping[str, float]) -> int:
    """Count the rows whose action the target does not name."""
    named = np.array([name in target for name in log.actions])
    return int((~named[log.action]).sum())


def _numbered(words: Iterable[str], index: dict[str, int]) -> NDArray[np.int64]:
    """Return the numbers of words, in the order of first appearance."""
    return np.array([index.setdefault(word, len(index)) for word in words], np.int64)
