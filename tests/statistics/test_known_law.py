"""In a world whose law is known, estimates are right on average and intervals as often as they say.

Seeds are fixed, so an unchanged tree stays green. Of fresh seeds, a sound estimator would fail the
bias of one estimate once in 15,000 (four standard errors), a coverage once in 4,000.
"""

from itertools import pairwise

import numpy as np
import pytest

from adserver.learn.estimate import Evidence, estimate
from adserver.learn.gate import Verdict, judge
from adserver.learn.logistic import sigmoid
from adserver.worlds.dice import throw
from adserver.worlds.synthetic import Size, build_synthetic
from tests.statistics.bandit import Bandit, best_above, inverse_gap, with_nothing

SEED = 20
VIEWERS = 200
CONTEXTS = 4_000
ARMS = 4
ROWS = 2_000
REPEATS = 200
COVERED_MIN, COVERED_MAX = 178, 199
"""Of 200 intervals at 95 %, fewer or more hold the truth once in 4,000 runs (binomial)."""
ESTIMATORS = ("ips", "snips", "dr", "sndr")
"""Those that promise the truth; the others trade some bias for calm."""


class Population:
    """Contexts of a made-up world, and the probabilities of what each arm would lead to."""

    def __init__(self, seed):
        world = build_synthetic(seed, Size(viewers=VIEWERS, variants=120))
        dice = throw(seed)
        self.viewer = np.sort(dice.integers(0, VIEWERS, CONTEXTS))
        variant = dice.integers(0, 120, (CONTEXTS, ARMS))
        law = world.law
        liking = np.einsum("nf,nkf->nk", law.taste[self.viewer], world.history.features[variant])
        shape = (CONTEXTS, ARMS, 1)
        z = law.bias.T[variant] + law.viewer.T[self.viewer][:, None]
        p = sigmoid(z + liking.reshape(shape) * np.array(law.taste_weight))
        self.complete, annoyed = p[..., 0], (1.0 - p[..., 0]) * p[..., 1]
        self.annoyed = annoyed
        self.expected = with_nothing(self.complete - 3.0 * annoyed)
        item = sigmoid(law.bias.T[variant])
        guessed = item[..., 0] - 3.0 * (1.0 - item[..., 0]) * item[..., 1]
        self.bandit = Bandit(
            logging=inverse_gap(with_nothing(guessed), 6.0),
            predicted=with_nothing(guessed),  # knows no viewer: biased, as predictions are
            target=best_above(self.expected, 0.0),
        )
        self.truth = self.bandit.value(self.expected)

    def log(self, dice, rows):
        """Let the logging policy choose in some contexts, and the law answer."""
        arms = self.bandit.choose(dice.random(CONTEXTS))[rows]
        luck = dice.random(len(rows))
        shown = arms < ARMS
        at = rows, np.minimum(arms, ARMS - 1)
        complete = luck < self.complete[at]
        annoyed = luck > 1.0 - self.annoyed[at]
        return self.bandit.log(rows, arms, shown * (complete - 3.0 * annoyed))


@pytest.fixture(scope="module")
def population():
    return Population(SEED)


@pytest.fixture(scope="module")
def repeated(population):
    """Estimate from 200 logs of independent contexts."""
    dice = throw(SEED + 1)
    return [
        estimate([population.log(dice, dice.integers(0, CONTEXTS, ROWS))])[0]
        for _ in range(REPEATS)
    ]


@pytest.mark.parametrize("name", ESTIMATORS)
def test_estimates_are_right_on_average(population, repeated, name):
    found = np.array([each.value(name) for each in repeated])
    error = found.std(ddof=1) / np.sqrt(REPEATS)
    assert found.mean() == pytest.approx(population.truth, abs=4 * error)
    assert error < 0.01  # or four of them would excuse anything


@pytest.mark.parametrize("name", ESTIMATORS)
def test_intervals_hold_the_truth_as_often_as_they_say(population, repeated, name):
    intervals = [each.interval(name) for each in repeated]
    covered = sum(low <= population.truth <= high for low, high in intervals)
    assert COVERED_MIN <= covered <= COVERED_MAX


def test_the_direct_method_is_off_and_would_be_noticed(population, repeated):
    found = np.array([each.value("dm") for each in repeated])
    assert abs(found.mean() - population.truth) > 20 * found.std(ddof=1) / np.sqrt(REPEATS)


def test_doubly_robust_is_calmer_than_inverse_propensity(repeated):
    width = {name: np.std([each.value(name) for each in repeated]) for name in ("dr", "ips")}
    assert width["dr"] < 0.9 * width["ips"]


def test_sound_logs_pass_the_gate(repeated):
    verdicts = [judge(each.support).verdict for each in repeated]
    assert verdicts.count(Verdict.REFUSE) == 0


def test_propensities_that_are_not_those_of_the_log_are_refused(population):
    """The weights of an off-by-half propensity have mean 2."""
    dice = throw(SEED + 2)
    log = population.log(dice, dice.integers(0, CONTEXTS, ROWS))
    wrong = Evidence(log.reward, 2.0 * log.weight, log.qbar, log.qa)
    assert judge(estimate([wrong])[0].support).verdict is Verdict.REFUSE


def test_intervals_of_viewers_need_clusters(population):
    """Whole viewers are sampled, 60 contexts of each; rows alone would promise too much."""
    dice = throw(SEED + 3)
    start = np.searchsorted(population.viewer, np.arange(VIEWERS + 1))
    covered = {"clustered": 0, "by row": 0}
    # Every viewer counts alike, however many contexts the population has of them.
    values = (population.bandit.target * population.expected).sum(axis=1)
    truth = np.mean([values[a:b].mean() for a, b in pairwise(start)])
    for number in range(REPEATS):
        drawn = dice.integers(0, VIEWERS, 100)
        rows = np.concatenate([dice.integers(start[v], start[v + 1], 60) for v in drawn])
        log = population.log(dice, rows)
        ways = {"clustered": np.repeat(np.arange(100), 60), "by row": None}
        # Every eighth log shows well enough that rows alone do not do, and they take longest.
        for way in ways if number % 8 == 0 else ("clustered",):
            low, high = estimate([log], ways[way])[0].interval("dr")
            covered[way] += int(low <= truth <= high)
    assert COVERED_MIN <= covered["clustered"] <= COVERED_MAX
    assert covered["by row"] < (COVERED_MIN - 20) / 8
