"""Join and learn together, after decoding: what a round of ``adserver learn`` does with its rows.

Two figures: all decisions judged as well, as when the model in force made them, and none. The step
itself is compared with the same step in NumPy, a row at a time as the algorithm asks.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from msgspec.structs import replace

from adserver.catalogue.columns import Texts
from adserver.domain.decision import IdRow, ValueRow
from adserver.domain.model import Model
from adserver.domain.viewer import ViewerRecord, pseudonym
from adserver.journal.outcomes import Outcomes
from adserver.journal.schema import MAY_MEASURE, MAY_UPDATE_PROFILE, Context, DecisionRow
from adserver.learn.audience import Audience
from adserver.learn.features import Reader
from adserver.learn.judge import Judge
from adserver.learn.moves import Moves
from adserver.learn.online import Learner
from adserver.viewer.codec import encode
from adserver.worlds.dice import throw
from bench.paths import join
from bench.paths.join import DECISIONS_PER_SECOND_MIN, NOW_MS, SHORTLISTED, SHOWN
from kernels import ftrl

CAMPAIGNS, VARIANTS, VIEWERS, DIM = 50, 1_000, 5_000, 64
KINDS = 4_096
"""Decisions that differ; then they come again."""


@dataclass(frozen=True)
class Effort:
    """How large a journal, and how often it is learnt."""

    decisions_count: int = 60_000
    per_second: int = 50
    rounds_count: int = 5
    numpy_rows_count: int = 5_000


SMALLEST = Effort(decisions_count=300, per_second=1, rounds_count=1, numpy_rows_count=100)


@dataclass(frozen=True)
class Comparison:
    """Processor time, the least of the rounds."""

    decisions: int
    learnt: int
    joined_s: float
    learnt_s: float
    """Joined, learnt, profiles moved."""
    judged_s: float
    """And every decision judged."""
    step_s: float
    """One step of both heads."""
    numpy_step_s: float

    @property
    def passed(self) -> bool:
        """Whether a core joins and learns as many decisions as it must."""
        return self.decisions / self.learnt_s >= DECISIONS_PER_SECOND_MIN

    def lines(self) -> Iterator[str]:
        """Return what a report says."""
        yield f"  {self.decisions:,} decisions of {SHORTLISTED} candidates, {self.learnt:,} teach"
        for name, seconds in (
            ("join", self.joined_s),
            ("join, learn", self.learnt_s),
            ("join, learn, judge", self.judged_s),
        ):
            each = seconds / self.decisions
            yield f"  {name:<20}{1 / each:>12,.0f} decisions/s{each * 1e6:>9.2f} µs each"
        times = self.numpy_step_s / self.step_s
        yield (
            f"  a step of both heads {self.step_s * 1e6:.2f} µs, in NumPy "
            f"{self.numpy_step_s * 1e6:.0f} µs: 1/{times:.0f}"
        )


class Held:
    """A catalogue as far as learning looks at it, on a shelf of its own."""

    def __init__(self) -> None:
        self.texts = {
            "variant": _texts([f"variant-{i}" for i in range(VARIANTS)]),
            "campaign": _texts([f"campaign-{k}" for k in range(CAMPAIGNS)]),
        }
        rows = throw(1).standard_normal((VARIANTS, DIM))
        self.vectors = (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)

    def columns(self, _: object) -> "Held":
        """Return itself, whatever the versions."""
        return self


class Store:
    """Viewers to scan."""

    def __init__(self) -> None:
        record = ViewerRecord(pseudonym_key=bytes(16), vector=np.zeros(DIM, np.float32))
        self.raw = encode(record)
        self.ids = [f"viewer-{v}" for v in range(VIEWERS)]

    def scan(self) -> Iterator[tuple[str, bytes]]:
        """Walk all."""
        return ((viewer, self.raw) for viewer in self.ids)


def compare(effort: Effort) -> Comparison:
    """Write a journal, and learn it."""
    kinds = _kinds()
    with TemporaryDirectory() as name:
        directory = Path(name)
        join.write(directory, effort, lambda number: kinds[number % KINDS])
        with join.decoded(directory):
            audience = Audience(Store())  # type: ignore[arg-type]  # only its scan is asked for
            learners = [_learn(directory, audience, version) for version in ("other", "m")]
            assert learners[0].model() == learners[1].model(), "judging must change nothing"
            rounds = effort.rounds_count
            return Comparison(
                effort.decisions_count,
                learners[0].learnt,
                join.least_s(lambda: join.joined(directory), rounds),
                join.least_s(lambda: _learn(directory, audience, "other"), rounds),
                join.least_s(lambda: _learn(directory, audience, "m"), rounds),
                *_steps(effort),
            )


def _learn(directory: Path, audience: Audience, in_force: str) -> Learner:
    learner, judge = Learner(Model()), Judge(in_force)
    reader = Reader(Held(), learner.table, audience)  # type: ignore[arg-type]
    moves = Moves(DIM, 90 * 86_400.0, 0.1)
    for resolved in Outcomes(directory, now_ms=NOW_MS + 10**10):
        lesson = reader.read(resolved)
        look = judge.look(learner, lesson)
        judge.remember(look, learner.learn(lesson.rows))
        moves.add(lesson)
    moves.made(audience)
    return learner


def _kinds() -> list[DecisionRow]:
    dice = throw(2)
    kinds = []
    for _ in range(KINDS):
        variants = dice.choice(VARIANTS, SHORTLISTED, replace=False).astype("<i4")
        ids = np.stack([variants, variants % CAMPAIGNS, np.zeros_like(variants)])
        assert ids.shape[0] == len(IdRow)
        values = dice.random((len(ValueRow), SHORTLISTED)).astype("<f4")
        values[ValueRow.RELEVANCE] = np.sort(values[ValueRow.RELEVANCE])[::-1] - 0.5
        values[ValueRow.PROPENSITY] = 1.0 / (SHORTLISTED + 1)
        viewer = f"viewer-{dice.integers(VIEWERS)}"
        kinds.append(
            replace(
                SHOWN,
                chosen=int(dice.integers(SHORTLISTED)),
                pseudonym=pseudonym(bytes(16), viewer),
                context=Context(None, None, None, "phone", "NL", 12, (), 1, None),
                p_nothing=1.0 / (SHORTLISTED + 1),
                ids=ids.tobytes(),
                values=values.tobytes(),
                may=MAY_MEASURE | MAY_UPDATE_PROFILE,
            )
        )
    return kinds


def _steps(effort: Effort) -> tuple[float, float]:
    """Seconds of one step of both heads: the kernel's, and NumPy's."""
    seconds = []
    for step, count in (
        (ftrl.learn, 50 * effort.numpy_rows_count),
        (numpy_learn, effort.numpy_rows_count),
    ):
        inputs = _inputs(count)
        seconds.append(join.least_s(lambda step=step, inputs=inputs: step(*inputs), 3) / count)
    kernel, other = (_inputs(50) for _ in range(2))
    ftrl.learn(*kernel)
    numpy_learn(*other)
    np.testing.assert_allclose(kernel[-1], other[-1], rtol=1e-9)
    return seconds[0], seconds[1]


def _inputs(count: int) -> tuple[Any, ...]:
    """Return what a step takes: eight features of a thousand."""
    dice = throw(3)
    coordinates = (dice.integers(0, 128, (count, 8)) + 128 * np.arange(8)).astype(np.int32)
    z, n = np.zeros((2, 1024)), np.zeros((2, 1024))
    outcomes = dice.integers(0, 2, (2, count)).astype(float)
    settings = np.array([0.7, 1.0, 0.0, 1.0])
    x = dice.random((count, 8))
    scores = np.zeros((2, count))
    return coordinates, x, outcomes, np.zeros(2), settings, np.zeros((2, 1024)), z, n, scores


def numpy_learn(  # noqa: PLR0913, PLR0917  (the kernel's parameters)
    coordinates: Any,
    x: Any,
    outcomes: Any,
    offsets: Any,
    settings: Any,
    prior: Any,
    z: Any,
    n: Any,
    scores: Any,
) -> None:
    """Take the kernel's steps with NumPy: vectors of both heads and all features of one row."""
    alpha, beta, l1, l2 = settings
    for r, at in enumerate(coordinates):
        z_r, n_r, x_r = z[:, at], n[:, at], x[r]
        pace = (beta + np.sqrt(n_r)) / alpha + l2
        w = np.where(np.abs(z_r) <= l1, 0.0, (np.sign(z_r) * l1 - z_r) / pace)
        scores[:, r] = offsets + (prior[:, at] + w) @ x_r
        g = (1.0 / (1.0 + np.exp(-scores[:, r])) - outcomes[:, r])[:, None] * x_r
        z[:, at] += g - (np.sqrt(n_r + g * g) - np.sqrt(n_r)) / alpha * w
        n[:, at] += g * g


def _texts(names: list[str]) -> Texts:
    starts = np.cumsum([0, *map(len, names)])
    return Texts(starts, np.frombuffer("".join(names).encode(), np.uint8))
