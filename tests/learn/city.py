"""A small world that is served day by day: a data directory, decisions, and outcomes by its law."""

import itertools
from pathlib import Path

import msgspec
import numpy as np

from adserver.catalogue.versions import Versions
from adserver.decide.pipeline import Decider
from adserver.domain.decision import IdRow
from adserver.domain.event import EventType
from adserver.domain.policy import DoseSettings, Policy, ViewerCaps
from adserver.domain.request import AdRequest, Content, Device, Viewer
from adserver.domain.units import DAY_MS
from adserver.domain.viewer import ViewerRecord, pseudonym
from adserver.journal.framing import Framer
from adserver.journal.schema import (
    MAY_MEASURE,
    MAY_UPDATE_PROFILE,
    NO_LENGTH,
    DecisionRow,
    EventRow,
    decision_row,
)
from adserver.journal.segment import SegmentWriter
from adserver.learn.logistic import sigmoid
from adserver.learn.rounds import Learning, Report
from adserver.viewer.codec import decode, encode, open_record
from adserver.viewer.embedded import EmbeddedStore
from adserver.worlds.cold_start import metadata_vectors
from adserver.worlds.dice import throw
from adserver.worlds.placeholder import MOVIES
from adserver.worlds.synthetic import EPOCH_MS, Size, build_synthetic
from adserver.worlds.world import VECTORS_FILE

SIZE = Size(viewers=60, variants=48, campaigns=6, content=4, dim=4, events_per_viewer=20)
POLICY = Policy(
    exploration="inverse_gap",
    dose=DoseSettings(weight=0.0),
    caps=ViewerCaps(viewer=()),
    surprises_per_day=1000,
)
START_MS = EPOCH_MS + 40 * DAY_MS
MAY = MAY_MEASURE | MAY_UPDATE_PROFILE
SETTLED_MS = 3_600_000
DURATION_MS, SKIP_MS = 20_000, 5_000


class Clock:
    """The time of the city."""

    def __init__(self, ms: int = START_MS) -> None:
        self.ms = ms

    def now_ms(self) -> int:
        """Return when the last day was served, or what a test made of it."""
        return self.ms

    def monotonic_ns(self) -> int:
        """Return the same time in nanoseconds."""
        return self.ms * 1_000_000


class City:
    """``day`` serves a day and returns its mean reward; ``learn`` learns what it left behind."""

    def __init__(self, directory: Path, seed: int = 3, policy: Policy = POLICY, size: Size = SIZE):
        self.world = build_synthetic(seed, size)
        self.directory = directory
        self.clock = Clock()
        self.versions = Versions(directory, self.clock, {}, {})
        documents = directory / "documents"
        documents.mkdir(parents=True)
        np.save(documents / VECTORS_FILE, metadata_vectors(self.world.history.features))
        catalogue = msgspec.json.encode(self.world.catalogue)
        (documents / "catalogue.json").write_bytes(catalogue)
        self.versions.publish_catalogue(catalogue, documents)
        self.versions.publish_policy(_spelt(policy))
        self.store = EmbeddedStore(directory / "viewers", map_bytes=1 << 28)
        keys = throw(seed + 1)
        nothing = np.zeros(size.dim, np.float32)
        self.store.load(
            (name, encode(ViewerRecord(pseudonym_key=keys.bytes(16), vector=nothing)))
            for name in self.world.viewer_ids
        )
        self._dice = throw(seed + 2)
        self.days = 0

    def reopen(self, directory: Path) -> None:
        """Go on in a copy of the data directory."""
        self.directory = directory
        self.clock = Clock(self.clock.ms)
        self.versions = Versions(directory, self.clock, {}, {})
        self.store = EmbeddedStore(directory / "viewers", map_bytes=1 << 28)
        self._dice = throw(self.days)

    @property
    def journal(self) -> Path:
        """Where the segments are."""
        return self.directory / "journal"

    def record(self, viewer: str) -> ViewerRecord:
        """Return a viewer's record."""
        return decode(dict(self.store.scan())[viewer])

    def pseudonym(self, viewer: str) -> bytes:
        """Return what the journal calls a viewer."""
        return pseudonym(self.record(viewer).pseudonym_key, viewer)

    def day(self, requests: int = 1500, may: int = MAY, lost: float = 0.0) -> float:
        """Serve, and let viewers react by the law; some ends are never heard of."""
        decider = Decider(self.versions.load_snapshot())
        start_ms = START_MS + self.days * DAY_MS
        rows, earned = [], []
        for i in range(requests):
            now_ms = start_ms + 1000 * i
            made = self._ask(decider, now_ms, may)
            rows.append((now_ms, made))
            earned.append(0.0)
            if made.shown:
                events, earned[-1] = self._watch(made)
                heard = events[:2] if self._dice.random() < lost else events
                rows += [(event.time_ms, event) for event in heard]
        self.days += 1
        write_minutes(self.journal, rows)
        self.clock.ms = start_ms + 1000 * requests + SETTLED_MS
        return float(np.mean(earned))

    def learn(self) -> Report:
        """Learn what the days left behind."""
        learning = Learning(self.directory / "learner", self.journal, self.versions, self.store)
        return learning.round(self.clock.now_ms())

    def _ask(self, decider: Decider, now_ms: int, may: int) -> DecisionRow:
        dice = self._dice
        self.viewer = int(dice.integers(len(self.world.viewer_ids)))
        name = self.world.viewer_ids[self.viewer]
        viewer = None
        for _, raw in self._held(name):
            viewer = open_record(raw)
        request = AdRequest(
            self.world.catalogue.placements[0].id,
            viewer=Viewer(id=name),
            content=Content(categories=(MOVIES,)),
            device=Device(type=("phone", "tv")[int(dice.integers(2))]),
        )
        decision_id = now_ms.to_bytes(6, "big") + dice.bytes(10)
        decision = decider.decide(request, viewer, now_ms, decision_id, dice.random())
        versions = decider.columns.meta.versions
        return decision_row(
            decision,
            request,
            (versions.catalogue, versions.policy, versions.model),
            pseudonym_key=viewer.pseudonym_key if viewer and may & MAY_MEASURE else None,
            length_ms=(DURATION_MS, SKIP_MS) if decision.shown else NO_LENGTH,
            may=may,
        )

    def _held(self, name: str):
        asked = self.store.get(name, 1.0)
        try:
            asked.send(None)
        except StopIteration as answered:
            return [] if answered.value is None else [(name, answered.value)]
        raise AssertionError("the embedded store waited, so it needs an event loop")

    def _watch(self, row: DecisionRow) -> tuple[list[EventRow], float]:
        ids = np.frombuffer(row.ids, "<i4").reshape(len(IdRow), -1)
        variant = int(ids[IdRow.VARIANT, row.chosen])
        law, features = self.world.law, self.world.history.features
        liking = float(law.taste[self.viewer] @ features[variant])
        z = law.bias[:, variant] + law.viewer[:, self.viewer] + np.array(law.taste_weight) * liking
        p = sigmoid(z)
        lot = self._dice.random()
        complete, annoyed = lot < p[0], lot > 1.0 - (1.0 - p[0]) * p[1]
        begun_ms = row.time_ms + 400
        end = EventType.COMPLETE if complete else EventType.SKIP
        watched_ms = DURATION_MS if complete else SKIP_MS + (200 if annoyed else 6000)
        told = [
            (EventType.IMPRESSION, begun_ms),
            (EventType.START, begun_ms),
            (end, begun_ms + watched_ms),
        ]
        events = [EventRow(row.decision_id, kind, at, None, 1, 1, "") for kind, at in told]
        return events, float(complete) - 3.0 * annoyed


def write_minutes(journal: Path, rows: list) -> None:
    """Write rows by the minute they came in, a segment each."""
    rows = sorted(rows, key=lambda row: row[0])
    for minute, part in itertools.groupby(rows, key=lambda row: row[0] // 60_000):
        writer = SegmentWriter(journal, 0)
        writer.append(Framer().frame([row for _, row in part]), minute * 60_000)
        writer.close()


def _spelt(policy: Policy) -> bytes:
    lines = [
        f'exploration = "{policy.exploration}"',
        f"surprises_per_day = {policy.surprises_per_day}",
        "[dose]",
        f"weight = {policy.dose.weight}",
        "[caps]",
        "viewer = []",
    ]
    return "\n".join(lines).encode()
