"""One round of learning: what the journal has resolved since the last, to a model or a reason."""

from pathlib import Path
from typing import Final

import numpy as np
from msgspec import Struct, field
from msgspec.structs import replace

from adserver.catalogue.pointer import Pointer
from adserver.catalogue.shelf import Shelf
from adserver.catalogue.versions import Versions
from adserver.domain.model import Model
from adserver.domain.units import format_time_ms, parse_time_ms
from adserver.journal.framing import Damage
from adserver.journal.outcomes import GRACE_MS, Outcome, Outcomes
from adserver.learn.audience import Audience, Weights, move_profiles, set_weights
from adserver.learn.features import Lesson, Reader
from adserver.learn.judge import JUDGED_MIN, Judge, Judgement
from adserver.learn.moves import Moves
from adserver.learn.online import Learner
from adserver.learn.state import Progress, State
from adserver.viewer.store import ViewerStore

STATE_LOST: Final = (
    "the learner's state was lost: learning again from the whole journal; viewers' own weights "
    "begin at 0, profiles are moved by later outcomes only"
)


class Report(Struct):
    """What a round did, and why."""

    decisions: int = 0
    """Resolved since the last round."""
    learnt: int = 0
    """Outcomes learnt among them."""
    learnt_in_all: int = 0
    unknown: int = 0
    """Shown, begun, and how it ended was never heard: nothing is learnt from these."""
    unplayed: int = 0
    """Shown and never heard of, or failed."""
    waiting: bool = False
    """The journal holds decisions whose events may still arrive."""
    unreadable: int = 0
    """Decisions whose catalogue version is gone or does not fit."""
    profiles_moved: int = 0
    viewers_forgotten: int = 0
    late: int = 0
    duplicates: int = 0
    damage: Damage = field(default_factory=Damage)
    state_lost: bool = False
    judgement: Judgement | None = None
    published: str | None = None
    """Version of the model that is in force now."""
    why: str = ""


class Learning:
    """Learns from one data directory.

    Parameters
    ----------
    directory
        Of the learner's state.
    journal
        Of the segments.
    versions, store
        Of the same data directory.
    grace_ms
        How long after the end of what was shown its beacons are waited for.
    """

    def __init__(
        self,
        directory: Path,
        journal: Path,
        versions: Versions,
        store: ViewerStore,
        grace_ms: int = GRACE_MS,
    ) -> None:
        self._state = State(directory)
        self._journal = journal
        self._versions = versions
        self._store = store
        self._grace_ms = grace_ms

    def round(self, now_ms: int) -> Report:
        """Learn what was resolved, and publish a model unless it is worse.

        Killed at any moment, the next round goes on as if it had not been: a model is the same
        whatever the rounds it was learnt in.
        """
        with self._state.held():
            report = Report()
            pointer = self._versions.pointer()
            if pointer.catalogue is None:
                report.why = "no catalogue is published: there are no decisions to learn from"
                return report
            learner = _Round(self._state, self._versions, self._store, pointer, report, now_ms)
            return learner.go(self._journal, self._grace_ms)


class _Round:
    def __init__(
        self,
        state: State,
        versions: Versions,
        store: ViewerStore,
        pointer: Pointer,
        report: Report,
        now_ms: int,
    ) -> None:
        self._state = state
        self._versions = versions
        self._store = store
        self._pointer = pointer
        self._report = report
        self._now_ms = now_ms
        progress = state.progress()
        if progress is None:
            self._progress = self._begin(versions.read_model(pointer.model))
            self._base = versions.read_model(self._progress.base)
            self._learner, self._judge = Learner(self._base), Judge(pointer.model)
        else:
            self._progress = progress
            self._base = versions.read_model(progress.base)
            self._learner, self._judge = state.load(self._base)
        if self._judge.version != pointer.model:
            self._judge = Judge(pointer.model)

    def _begin(self, in_force: Model) -> Progress:
        """Begin with the model in force, or, where it was learnt, with what that began with."""
        if in_force.base is None:
            return Progress(base=self._pointer.model)
        self._report.state_lost = True
        until_ms = 0 if in_force.trained_at is None else parse_time_ms(in_force.trained_at)
        return Progress(
            base=in_force.base,
            # The store remembers whom the runs of the lost state moved: no number comes again.
            run=self._now_ms,
            known_viewers=False,
            unmoved_until_ms=until_ms,
        )

    def go(self, journal: Path, grace_ms: int) -> Report:
        audience = Audience(self._store)
        self._move(audience)
        table = self._learner.table
        here = audience.find(list(table.viewers)) >= 0
        stay = [own for own, there in zip(table.viewers, here, strict=True) if there]
        self._report.viewers_forgotten = table.forget_viewers(stay)
        outcomes = Outcomes(
            journal, now_ms=self._now_ms, grace_ms=grace_ms, after=self._progress.place
        )
        moves = self._read(outcomes, audience)
        if self._report.decisions or self._report.viewers_forgotten:
            self._progress = replace(self._progress, run=self._progress.run + 1)
            self._state.save(self._progress, self._learner, self._judge, moves.made(audience))
            self._move(audience)
        self._tell(outcomes)
        self._publish(audience)
        return self._report

    def _read(self, outcomes: Outcomes, audience: Audience) -> Moves:
        learner, report, progress = self._learner, self._report, self._progress
        reader = Reader(
            Shelf(self._versions), learner.table, audience, known_viewers=progress.known_viewers
        )
        snapshot = self._versions.load_snapshot()
        moves = Moves(
            0 if snapshot is None else snapshot.meta.dim,
            self._base.profile_half_life_s,
            self._base.profile_rate,
            progress.unmoved_until_ms,
        )
        for resolved in outcomes:
            if not resolved.settled:
                report.waiting = True
                break
            lesson = reader.read(resolved)
            look = self._judge.look(learner, lesson)
            self._judge.remember(look, learner.learn(lesson.rows))
            moves.add(lesson)
            self._count(lesson)
            times = lesson.columns.time_ms[lesson.taught]
            progress = replace(
                progress,
                place=resolved.end,
                until_ms=max(progress.until_ms, int(times.max(initial=0))),
            )
        self._progress = progress
        return moves

    def _move(self, audience: Audience) -> None:
        """Make the moves of the last run that was saved, as far as they are not made."""
        run = self._progress.run
        self._report.profiles_moved += move_profiles(
            self._store,
            self._state.moves(run, audience),
            run,
            self._base.profile_half_life_s,
            self._now_ms,
        )
        self._state.moved()

    def _count(self, lesson: Lesson) -> None:
        report, outcome = self._report, lesson.resolved.outcome
        report.decisions += len(outcome)
        report.learnt += len(lesson.taught)
        report.unknown += int(np.count_nonzero(outcome == Outcome.UNKNOWN))
        report.unplayed += int(np.count_nonzero(outcome == Outcome.UNPLAYED))
        report.unreadable += int(np.count_nonzero(~lesson.usable))

    def _tell(self, outcomes: Outcomes) -> None:
        report = self._report
        report.learnt_in_all = self._learner.learnt
        report.late, report.duplicates = outcomes.late, outcomes.duplicates
        report.damage = outcomes.damage

    def _publish(self, audience: Audience) -> None:
        """Put the model in force that was learnt, unless it is worse or nobody can tell."""
        report, learner = self._report, self._learner
        if learner.learnt == self._progress.published:
            report.why = "nothing was learnt since the last model" + (
                "; decisions wait until their time for beacons is over" * report.waiting
            )
            return
        verdict = report.judgement = self._judge.verdict()
        if verdict is None:
            report.why = (
                "too little data to judge by: decisions that the model in force made have "
                f"{self._judge.known} known outcomes, and no day has {JUDGED_MIN}"
            )
            return
        if verdict.worse:
            report.why = f"not published, it is worse on {verdict.day}: {verdict.why}"
            return
        set_weights(self._store, self._viewer_weights(audience))
        model = replace(
            learner.model(),
            base=self._progress.base,
            trained_at=format_time_ms(self._progress.until_ms),
            metrics=_metrics(verdict),
        )
        report.published = self._versions.publish_model(model).version
        report.why = f"published, it is not worse on {verdict.day}: {verdict.why}"
        self._progress = replace(
            self._progress, run=self._progress.run + 1, published=learner.learnt
        )
        self._state.save(self._progress, learner, Judge(report.published), [])
        self._state.moved()

    def _viewer_weights(self, audience: Audience) -> list[Weights]:
        """Return what was learnt of viewers who have a record."""
        _, viewers, _, _ = self._learner.table.learnt()
        rows = audience.find(viewers)
        at = self._learner.table.find_viewers(viewers, np.zeros((2, len(viewers))))
        complete, annoyed = self._learner.weights(at).tolist()
        return [
            Weights(audience.viewer_id(row), own, complete[i], annoyed[i])
            for i, (own, row) in enumerate(zip(viewers, rows.tolist(), strict=True))
            if row >= 0
        ]


def _metrics(verdict: Judgement) -> dict[str, float]:
    """Return what was measured of the model, by name."""
    learnt = verdict.learnt
    told = {
        "log_loss": learnt.log_loss,
        "ece_complete": learnt.ece_complete,
        "ece_annoyed": learnt.ece_annoyed,
        "ndcg": learnt.ndcg,
        "value": learnt.value,
    }
    return {name: number for name, number in told.items() if number is not None}
