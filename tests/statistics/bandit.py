"""A contextual bandit whose every policy has a known value: who logs, who is judged, and the log.

Arms are columns; the last is nothing, which is worth nothing.
"""

from dataclasses import dataclass

import numpy as np

from adserver.learn.estimate import Evidence


def with_nothing(values):
    """Return float64[n, K + 1]: the arms, and nothing beside them."""
    return np.column_stack([values, np.zeros(len(values))])


def inverse_gap(values, gamma):
    """Return the probabilities of ``1 / (n + gamma * gap)``, the best arm taking what is left."""
    best = values.argmax(axis=1)
    gap = values.max(axis=1, keepdims=True) - values
    p = 1.0 / (values.shape[1] + gamma * gap)
    rows = np.arange(len(values))
    p[rows, best] = 0.0
    p[rows, best] = 1.0 - p.sum(axis=1)
    return p


def best_above(values, threshold):
    """Return the probabilities of showing the best arm when it reaches the bar, else nothing."""
    shown = values[:, :-1]
    best = np.where(shown.max(axis=1) >= threshold, shown.argmax(axis=1), shown.shape[1])
    return np.eye(values.shape[1])[best]


@dataclass(frozen=True)
class Bandit:
    """n contexts; every array float64[n, arms]."""

    logging: np.ndarray
    predicted: np.ndarray
    """qhat."""
    target: np.ndarray

    def value(self, expected):
        """Return what the target earns, given every arm's expected reward."""
        return float((self.target * expected).sum(axis=1).mean())

    def choose(self, draws):
        """int64[n]: the arm the logging policy takes at draws in [0, 1)."""
        return (draws[:, None] >= self.logging.cumsum(axis=1)[:, :-1]).sum(axis=1)

    def log(self, rows, arms, rewards):
        """Return the evidence of some rows, each with the arm taken and its reward."""
        return Evidence(
            reward=rewards,
            weight=self.target[rows, arms] / self.logging[rows, arms],
            qbar=(self.target * self.predicted).sum(axis=1)[rows],
            qa=self.predicted[rows, arms],
        )
