"""From nothing: the learner meets a world's viewers one request at a time and learns as it goes.

Every request offers the films of a replay request, and nothing. The outcome of each is known from
the history; only that of the film shown is told. Scores, shortlist, draw and propensities are the
server's kernels, the steps the learner's.
"""

from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from adserver.catalogue.columns import NEVER_SKIPPABLE
from adserver.decide.pipeline import EXPLORATIONS, GAMMA_PER_ROOT_OUTCOME
from adserver.domain.decision import NOTHING, SHORTLIST_MAX, Exploration
from adserver.domain.model import Model
from adserver.domain.policy import Policy
from adserver.domain.viewer import PSEUDONYM_KEY_BYTES, ViewerRecord
from adserver.learn.coordinates import AFFINITY, BIAS, HEADS
from adserver.learn.labels import signal
from adserver.learn.online import (
    AT_AFFINITY,
    AT_BIAS,
    AT_CAMPAIGN,
    AT_VARIANT,
    AT_VIEWER,
    N_FEATURES,
    Learner,
    Rows,
)
from adserver.viewer.changes import move_vector
from adserver.worlds.dice import Dice, throw
from adserver.worlds.requests import replay_requests
from adserver.worlds.world import World
from kernels import choice, ftrl, scoring
from kernels import record as stored

COLD: Final = Model()
"""What a server has that was never taught."""
TENTHS: Final = 10
SPREAD_MIN: Final = 0.05
"""Added to a feature's standard deviation: a genre of three films must not be all they are."""
_TOLD_EVERY: Final = 500
_DURATION_MS: Final = 20_000


class Course(Struct, frozen=True):
    """How one pass went."""

    requests: int
    reward: float
    """Mean over requests of complete - c * annoyed; 0 where nothing was shown."""
    annoyed: float
    """Share of requests that annoyed."""
    shown: float
    surprises: float
    """Share of requests that were shown a surprise."""
    propensity_low: float
    """First percentile of the propensities of what was done."""
    silence_max: int
    """Most requests in a row that were shown nothing."""
    reward_by_tenth: list[float]
    shown_by_tenth: list[float]


class Step(NamedTuple):
    """What came of one request."""

    reward: float
    annoyed: float
    shown: bool
    surprise: bool
    propensity: float


def play(
    world: World,
    policy: Policy,
    seed: int,
    base: Model = COLD,
    tell: Callable[[float], None] = lambda _share: None,
) -> Course:
    """Meet every replay request of a world once, learning from each before the next.

    Parameters
    ----------
    world
        Its films' vectors are made from their metadata, not from anyone's taste.
    policy
        Exploration, surprises, annoyance cost and global threshold. Caps, doses and budgets have no
        part: no viewer is offered anything twice.
    seed
        Of the draws, and of the order in which a request names its films.
    base
        What is known at the start.
    tell
        Is told the share of the work that is done.

    Returns
    -------
    Course
        The same for the same arguments.
    """
    stage = Stage(world, policy, base, throw(seed))
    requests = replay_requests(world.history)
    steps = []
    for i, events in enumerate(requests):
        steps.append(stage.meet(events))
        if i % _TOLD_EVERY == 0:
            tell(i / len(requests))
    tell(1.0)
    return _course(steps)


def metadata_vectors(features: NDArray[np.float64]) -> NDArray[np.float32]:
    """float32[n_variants, n_features]: unit vectors of what is known before anyone has watched.

    Every feature less its mean, in units of its spread. Without the mean the inverse-gap rule earns
    .004 less on the demo's replay requests; without the spread as much.
    """
    rows = (features - features.mean(axis=0)) / (features.std(axis=0) + SPREAD_MIN)
    length = np.linalg.norm(rows, axis=1, keepdims=True)
    return np.asarray(rows / np.maximum(length, 1e-12), np.float32)


class Stage:
    """A server's decision and its learner, for requests of a few films each."""

    def __init__(self, world: World, policy: Policy, base: Model, dice: Dice) -> None:
        history = world.history
        self.learner = Learner(base)
        self._policy = policy
        self._dice = dice
        self._history = history
        self._vectors = metadata_vectors(history.features)
        table = self.learner.table
        self._variants = table.find("variant", world.variant_ids)
        self._campaigns = table.find("campaign", world.campaign_ids)
        self._viewers = table.find_viewers(
            [viewer.encode() for viewer in world.viewer_ids],
            np.zeros((HEADS, history.viewer_count)),
        )
        nothing = np.zeros(self._vectors.shape[1], np.float32)
        self._records = [
            ViewerRecord(pseudonym_key=bytes(PSEUDONYM_KEY_BYTES), vector=nothing)
            for _ in world.viewer_ids
        ]
        self._ids = np.zeros((3, SHORTLIST_MAX), np.int32)
        self._values = np.zeros((8, SHORTLIST_MAX), np.float32)
        self._result = np.zeros(choice.N_RESULTS)
        self._exploration = EXPLORATIONS[policy.exploration]

    def meet(self, events: NDArray[np.int64]) -> Step:
        """Decide one request, and learn what came of it.

        Parameters
        ----------
        events
            int64[n_candidates]: rows of the history, all of one viewer, whose films are offered.
        """
        history = self._history
        # The kernels read candidates campaign by campaign; within one, in an order by lot.
        events = events[self._dice.permutation(len(events))]
        events = events[np.argsort(history.campaign[history.variant[events]], kind="stable")]
        now_ms = int(history.time_ms[events].max())
        length = self._shortlist(events, now_ms)
        chosen = self._choose(length)
        propensity = float(self._result[choice.P_CHOSEN])
        if chosen == NOTHING:
            return Step(0.0, 0.0, shown=False, surprise=False, propensity=propensity)
        event = int(events[self._ids[0, chosen]])
        self._learn(event, float(self._values[0, chosen]), now_ms)
        annoyed = float(history.annoyed[event])
        reward = float(history.complete[event]) - self._policy.annoyance_cost * annoyed
        surprise = bool(choice.margin_of(self._values, chosen, 0.0) < 0.0)
        return Step(reward, annoyed, shown=True, surprise=surprise, propensity=propensity)

    def _shortlist(self, events: NDArray[np.int64], now_ms: int) -> int:
        """Score the candidates as a decision does; return how many are shortlisted."""
        history, learner = self._history, self.learner
        variants = history.variant[events]
        campaigns, start = np.unique(history.campaign[variants], return_index=True)
        viewer = int(history.viewer[events[0]])
        record = self._records[viewer]

        at = np.concatenate(
            [
                [BIAS, AFFINITY, self._viewers[viewer]],
                self._variants[variants],
                self._campaigns[history.campaign[variants]],
            ]
        )
        own = learner.weights(at.astype(np.int32))
        bias, slope, personal = own[:, 0], own[:, 1], own[:, 2]
        of_variant, of_campaign = own[:, 3 : 3 + len(events)], own[:, 3 + len(events) :]
        heads = (learner.offsets + bias)[:, None] + of_campaign + of_variant

        weights = np.zeros(scoring.N_WEIGHTS)
        fade = stored.fading(now_ms - record.vector_ms, learner.base.profile_half_life_s)
        weights[scoring.AFFINITY_SCALE] = stored.affinity_scale(record.vector, fade)
        weights[scoring.AFFINITY_C : scoring.AFFINITY_N + 1] = slope
        weights[scoring.BIAS_C : scoring.BIAS_N + 1] = personal
        for h, calibrator in enumerate(learner.calibrators):
            weights[scoring.SLOPE_C + h] = calibrator.a
            weights[scoring.INTERCEPT_C + h] = calibrator.b
        weights[scoring.ANNOYANCE_COST] = self._policy.annoyance_cost
        return scoring.shortlist_candidates(
            self._vectors[variants],
            heads.astype(np.float32),
            _anything(len(events)),
            np.append(start, len(events)).astype(np.int32),
            np.array([(1 << len(campaigns)) - 1], np.uint64),
            record.vector,
            weights,
            _ANY_PLAYER,
            0,
            np.zeros(len(campaigns), np.uint8),
            np.zeros(len(campaigns), np.uint8),
            np.zeros(1, np.uint8),
            np.zeros(len(campaigns), np.float32),
            self._ids,
            self._values,
            np.zeros(7, np.int64),
            np.zeros(2),
        )

    def _choose(self, length: int) -> int:
        """Draw an arm under the policy, as many outcomes as were learnt behind it."""
        policy = self._policy
        greedy = self._exploration is Exploration.GREEDY
        self._ids[2, :length] = 0
        self._values[5, :length] = policy.threshold.overall
        self._values[6, :length] = 0.0
        learnt = self.learner.base.resolved + self.learner.learnt
        settings = np.zeros(choice.N_SETTINGS)
        settings[choice.EXPLORATION] = self._exploration
        settings[choice.GAMMA] = min(GAMMA_PER_ROOT_OUTCOME * learnt**0.5, policy.gamma_max)
        settings[choice.EPSILON] = 0.0 if greedy else policy.epsilon
        settings[choice.SURPRISE_SHARE] = 0.0 if greedy else policy.surprise
        settings[choice.SURPRISE_BAND] = policy.surprise_band
        settings[choice.DRAW] = self._dice.random()
        return choice.choose_arm(length, self._ids, self._values, settings, self._result)

    def _learn(self, event: int, affinity: float, now_ms: int) -> None:
        """Take one step, and move the viewer's profile."""
        history, base = self._history, self.learner.base
        variant, viewer = int(history.variant[event]), int(history.viewer[event])
        coordinates = np.full((1, N_FEATURES), ftrl.ABSENT, np.int32)
        x = np.ones((1, N_FEATURES))
        coordinates[0, AT_BIAS] = BIAS
        coordinates[0, AT_CAMPAIGN] = self._campaigns[history.campaign[variant]]
        coordinates[0, AT_VARIANT] = self._variants[variant]
        coordinates[0, AT_VIEWER] = self._viewers[viewer]
        coordinates[0, AT_AFFINITY] = AFFINITY
        x[0, AT_AFFINITY] = affinity
        outcomes = np.array([[history.complete[event]], [history.annoyed[event]]])
        self.learner.learn(Rows(coordinates, x, outcomes))
        self._records[viewer] = move_vector(
            self._records[viewer],
            self._vectors[variant],
            float(signal(outcomes)[0]),
            now_ms,
            base.profile_half_life_s,
            base.profile_rate,
        )


_ANY_PLAYER: Final = np.full(SHORTLIST_MAX // 64 + 2, 2**64 - 1, np.uint64)
"""Takes every variant of a request."""


def _anything(count: int) -> NDArray[np.int32]:
    """int32[4, count]: variants that nothing but their relevance tells apart."""
    rows = (0, _DURATION_MS, NEVER_SKIPPABLE, 0)
    return np.repeat(np.array(rows, np.int32)[:, None], count, axis=1)


def _course(steps: Sequence[Step]) -> Course:
    log = np.array(steps, np.float64).reshape(-1, len(Step._fields))
    reward, annoyed, shown, surprise, propensity = log.T
    tenths = np.array_split(np.arange(len(log)), min(TENTHS, max(len(log), 1)))
    said = np.flatnonzero(np.concatenate([[1.0], shown, [1.0]]))
    return Course(
        requests=len(log),
        reward=float(reward.mean()),
        annoyed=float(annoyed.mean()),
        shown=float(shown.mean()),
        surprises=float(surprise.mean()),
        propensity_low=float(np.quantile(propensity, 0.01)),
        silence_max=int(np.diff(said).max()) - 1,
        reward_by_tenth=[float(reward[rows].mean()) for rows in tenths],
        shown_by_tenth=[float(shown[rows].mean()) for rows in tenths],
    )
