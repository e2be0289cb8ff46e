"""The seeded world that servers are measured in: a learnt catalogue and viewers by the million.

Taste is learnt for a few hundred viewers; all others are their neighbours, a learnt record with a
vector pushed a little aside. So every record is of the real size and every decision has something
to weigh, and a million viewers take seconds to make instead of hours to learn.
"""

import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import msgspec
import numpy as np
from msgspec import Struct
from msgspec.structs import replace

from adserver.domain.viewer import PSEUDONYM_KEY_BYTES
from adserver.runtime.clock import SystemClock
from adserver.runtime.entropy import SystemEntropy
from adserver.settings import load
from adserver.start import open_versions, open_viewers
from adserver.viewer.codec import encode
from adserver.worlds.load import Prepared, prepare
from adserver.worlds.synthetic import Size, build_synthetic
from adserver.worlds.world import VECTORS_FILE
from bench.servers import Subject, free_port, python
from bench.traffic import Audience

SEED = 7
LEARNT_VIEWERS_COUNT = 400
VARIANTS_PER_CAMPAIGN = 60
ASIDE = 0.3
"""Standard deviation of a neighbour's push, per number of the vector."""
NOTES = "bench.json"


class Dimensions(Struct, frozen=True, kw_only=True):
    """How large a world to measure in."""

    viewers: int = 20_000
    variants: int = 2_000
    dim: int = 64
    learnt: int = LEARNT_VIEWERS_COUNT

    @property
    def campaigns(self) -> int:
        """Enough for one request to be able to mean a few percent of them."""
        return max(16, self.variants // VARIANTS_PER_CAMPAIGN)

    @property
    def topics(self) -> list[str]:
        """What requests can be about; each campaign wants one."""
        return [f"topic-{number + 1}" for number in range(self.campaigns)]

    def describe(self) -> str:
        """Return what a report says of it."""
        return (
            f"{self.viewers:,} viewers, {self.variants:,} variants in {self.campaigns} campaigns,"
            f" vectors of {self.dim}, seed {SEED}"
        )


SMALLEST = Dimensions(viewers=60, variants=100, dim=8, learnt=60)
"""Enough to decide in; not to measure in."""


@contextmanager
def of(dimensions: Dimensions, data: Path | None = None) -> Iterator[Path]:
    """Yield a data directory of this world: the given one, made or reused, or a passing one."""
    if data is None:
        with tempfile.TemporaryDirectory() as scratch:
            _make(Path(scratch), dimensions)
            yield Path(scratch)
        return
    notes = data / NOTES
    if not notes.exists():
        _make(data, dimensions)
        notes.write_bytes(msgspec.json.encode(dimensions))
    made = msgspec.json.decode(notes.read_bytes(), type=Dimensions)
    if made != dimensions:
        raise FileExistsError(f"{data} holds another world: {made}")
    yield data


def subject(data: Path, dimensions: Dimensions, workers_count: int = 1, *flags: str) -> Subject:
    """Return how to start the server in this world, on a port that is free now."""
    port = free_port()
    arguments = ("serve", "--data", data, "--port", port, "--workers", workers_count, *flags)
    return Subject(python("adserver", *map(str, arguments)), port, audience(dimensions))


def audience(dimensions: Dimensions) -> Audience:
    """Return whom requests are for in this world."""
    return Audience(_viewer_ids(dimensions), dimensions.topics)


def _viewer_ids(dimensions: Dimensions) -> list[str]:
    return [f"syn-{number + 1}" for number in range(dimensions.viewers)]


def _make(data: Path, dimensions: Dimensions) -> None:
    """Learn, publish and store; what the demo does, for more viewers."""
    size = Size(
        viewers=dimensions.learnt,
        campaigns=dimensions.campaigns,
        variants=dimensions.variants,
        dim=dimensions.dim,
    )
    prepared = prepare(build_synthetic(SEED, size), SystemClock().now_ms(), SystemEntropy())
    settings = load(environment={}, flags={"data": data})
    versions = open_versions(settings)
    source = data / "source"
    source.mkdir()
    np.save(source / VECTORS_FILE, prepared.vectors)
    versions.publish_model(prepared.model)
    versions.publish_catalogue(prepared.catalogue, source)
    with closing(open_viewers(settings)) as store:
        stored_count = store.load(_records(prepared, dimensions))
    if stored_count != dimensions.viewers:
        raise RuntimeError(f"{stored_count} viewers stored of {dimensions.viewers}")


def _records(prepared: Prepared, dimensions: Dimensions) -> Iterator[tuple[str, bytes]]:
    """Yield every viewer's record: the learnt ones, then their neighbours."""
    dice = np.random.default_rng(SEED)
    learnt = list(prepared.records.values())
    for number, viewer_id in enumerate(_viewer_ids(dimensions)):
        record = learnt[number % len(learnt)]
        if number >= len(learnt):
            push = ASIDE * dice.standard_normal(dimensions.dim, np.float32)
            record = replace(
                record,
                pseudonym_key=dice.bytes(PSEUDONYM_KEY_BYTES),
                vector=record.vector + push,
            )
        yield viewer_id, encode(record)
