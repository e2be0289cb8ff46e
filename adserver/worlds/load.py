"""From the name of a world to everything a server starts from."""

from collections.abc import Callable, Mapping
from typing import Final

import msgspec
import numpy as np
from msgspec import Struct
from msgspec.structs import replace
from numpy.typing import NDArray

from adserver.domain.errors import InvalidInput, Problem
from adserver.domain.model import Model
from adserver.domain.units import format_time_ms
from adserver.domain.viewer import (
    FOREVER_S,
    PSEUDONYM_KEY_BYTES,
    Suppression,
    SuppressionCause,
    SuppressionKind,
    ViewerRecord,
    key32,
)
from adserver.learn.evaluate import (
    Outcomes,
    Report,
    calibration,
    or_nothing,
    oracle_value,
    predict,
    score,
    score_random,
)
from adserver.learn.heads import Learned, Lesson, fit_heads, study
from adserver.learn.history import Part
from adserver.runtime.entropy import Entropy
from adserver.worlds.movielens import build_movielens
from adserver.worlds.requests import CANDIDATES, evaluation_requests
from adserver.worlds.synthetic import build_synthetic, true_probabilities
from adserver.worlds.world import World

WORLDS: Final = ("movielens", "synthetic")

Tell = Callable[[str, float], None]
"""Is told a stage and the share of it that is done."""


class Prepared(Struct, frozen=True):
    """What is published and stored before the first request."""

    catalogue: bytes
    """JSON; names the file of vectors beside it."""
    vectors: NDArray[np.float32]
    """float32[n_variants, dim], in the catalogue's reading order."""
    model: Model
    records: Mapping[str, ViewerRecord]
    """By viewer id, in the world's order."""
    report: Report


def build_world(name: str, seed: int = 1) -> World:
    """Build the world of this name.

    Parameters
    ----------
    name
        One of ``WORLDS``.
    seed
        Of a made-up world; the demo data has none.

    Returns
    -------
    World
        The same for the same name and seed.

    Raises
    ------
    InvalidInput
        For an unknown name, and when the world's data is not installed.
    """
    if name == "movielens":
        return build_movielens()
    if name == "synthetic":
        return build_synthetic(seed)
    problem = Problem("--world", f"{name!r} is not one of {', '.join(WORLDS)}")
    raise InvalidInput("world", [problem])


def prepare(
    world: World, clock_ms: int, entropy: Entropy, tell: Tell = lambda _stage, _share: None
) -> Prepared:
    """Learn a world and say how well it was learnt.

    Parameters
    ----------
    world
        From ``build_world``.
    clock_ms
        Now: when the model was trained and the profiles were current.
    entropy
        Gives each viewer's record a fresh pseudonym key.
    tell
        Is told how far it has come.

    Returns
    -------
    Prepared
        The report is about exactly this model and these records.
    """
    lesson = study(
        world.history,
        world.campaign_ids,
        world.variant_ids,
        world.catalogue.dim,
        lambda share: tell("learning viewers and films", share),
    )
    tell("fitting both heads", 0.0)
    learned = fit_heads(lesson)
    records = _records(world, learned, clock_ms, entropy)
    tell("judging on what was not learnt from", 0.0)
    report = _report(world, lesson, learned, records)
    metrics = {"ndcg": report.full.ndcg, "value": report.full.value}
    model = replace(learned.model, trained_at=format_time_ms(clock_ms), metrics=metrics)
    tell("writing the catalogue", 0.0)
    catalogue = msgspec.json.encode(world.catalogue)
    tell("writing the catalogue", 1.0)
    return Prepared(catalogue, learned.vectors, model, records, report)


def _records(
    world: World, learned: Learned, clock_ms: int, entropy: Entropy
) -> dict[str, ViewerRecord]:
    """Return the records the server starts with: taste, weights, and what was seen before.

    Each viewer's history is moved in time as a whole, so that the newest event the profile was
    learnt from is now: profiles fade by half in 90 days, and the demo's are of 1995 to 2016.
    Nothing else about a record is made up. The events of the last part are left out of everything:
    their variants may be shown, and the viewer's outcome is known.
    """
    known = world.history.until(Part.MIDDLE)
    keys = np.array([key32("creative", identity) for identity in world.creative_ids], np.uint32)
    start = known.viewer_start
    records = {}
    for v, identity in enumerate(world.viewer_ids):
        seen = np.unique(keys[known.variant[start[v] : start[v + 1]]])
        records[identity] = ViewerRecord(
            pseudonym_key=entropy.take(PSEUDONYM_KEY_BYTES),
            vector=learned.profiles[v],
            vector_ms=clock_ms,
            weight_complete=float(learned.weights[0, v]),
            weight_annoyed=float(learned.weights[1, v]),
            last_seen_ms=clock_ms,
            suppressions=[
                Suppression(
                    SuppressionKind.CREATIVE, SuppressionCause.SEEN, FOREVER_S, seen.tolist()
                )
            ],
        )
    return records


def _report(
    world: World, lesson: Lesson, learned: Learned, records: Mapping[str, ViewerRecord]
) -> Report:
    history = world.history
    # A world too small for the usual number of candidates is judged on fewer.
    most = int(np.bincount(history.only(Part.LAST).viewer).max())
    outcomes = Outcomes(history, evaluation_requests(history, min(CANDIDATES, most)))
    ids = (world.campaign_ids, world.variant_ids)
    stored = list(records.values())
    p = predict(learned.model, ids, learned.vectors, stored, history)
    nobody = [_unknown(record) for record in stored]
    rates = predict(fit_heads(lesson, personal=False).model, ids, learned.vectors, nobody, history)
    of_many, of_one = world.reference_allowed
    return Report(
        random=score_random(outcomes),
        item_rate=score(rates, outcomes),
        full=score(p, outcomes),
        oracle=oracle_value(outcomes),
        law=score(true_probabilities(world.law, history), outcomes) if world.law else None,
        choice=or_nothing(p, history, outcomes.requests, of_many),
        single=or_nothing(p, history, evaluation_requests(history, 1), of_one),
        calibration=calibration(p, history),
        request_count=len(outcomes.requests),
        reference=world.reference,
    )


def _unknown(record: ViewerRecord) -> ViewerRecord:
    """Return a record that says nothing about its viewer."""
    return ViewerRecord(pseudonym_key=record.pseudonym_key, vector=np.zeros_like(record.vector))
