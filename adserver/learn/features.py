"""From resolved decisions to what the learner takes: coordinates, values and labels."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from adserver.catalogue.columns import Columns, Texts, Versions
from adserver.catalogue.shelf import Shelf
from adserver.domain.decision import IdRow
from adserver.domain.errors import AdserverError
from adserver.journal.columns import DecisionColumns
from adserver.journal.outcomes import Resolved
from adserver.journal.schema import MAY_UPDATE_PROFILE
from adserver.learn.audience import NOBODY, Audience
from adserver.learn.coordinates import AFFINITY, BIAS, DOSE, Coordinates
from adserver.learn.labels import taught
from adserver.learn.online import (
    AT_AFFINITY,
    AT_BIAS,
    AT_CAMPAIGN,
    AT_DEVICE,
    AT_DOSE,
    AT_INTENT,
    AT_VARIANT,
    AT_VIEWER,
    N_FEATURES,
    Rows,
)
from kernels import lessons
from kernels.ftrl import ABSENT


@dataclass(frozen=True)
class Lesson:
    """n decisions, their shortlists, and the m of them that teach."""

    resolved: Resolved
    catalogues: list["Catalogue | None"]
    """By ``columns.version``; None for one that cannot be read any more."""
    usable: NDArray[np.bool_]
    """bool[n]: the catalogue it was decided from is still there, and the candidates are its."""
    own: NDArray[np.int32]
    """int32[n, 3]: coordinates of viewer, device and intent, ``ABSENT`` where there is none."""
    viewer: NDArray[np.int64]
    """int64[n]: row of the audience, or ``NOBODY``."""
    labels: NDArray[np.float64]
    """float64[2, n] of (complete, annoyed)."""
    taught: NDArray[np.int64]
    """int64[m]: which decisions teach, ascending."""
    variant: NDArray[np.int32]
    """int32[m]: what those showed, an index into the catalogue version."""
    rows: Rows
    """Of those."""

    @property
    def columns(self) -> DecisionColumns:
        """All n decisions."""
        return self.resolved.columns

    @cached_property
    def candidates(self) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
        """int32[start[n]] twice: coordinates of every candidate's variant and campaign.

        ``ABSENT`` where the decision is not usable.
        """
        logged = self.columns
        version = np.repeat(np.where(self.usable, logged.version, ABSENT), logged.widths)
        variant = np.full(len(version), ABSENT, np.int32)
        campaign = np.full(len(version), ABSENT, np.int32)
        for number, one in enumerate(self.catalogues):
            if one is not None:
                mine = version == number
                variant[mine] = one.variant[logged.ids[IdRow.VARIANT, mine]]
                campaign[mine] = one.campaign[logged.ids[IdRow.CAMPAIGN, mine]]
        return variant, campaign

    @property
    def chosen(self) -> NDArray[np.int64]:
        """int64[m]: place among the candidates of what the taught decisions showed."""
        return self.columns.start[self.taught] + self.columns.chosen[self.taught]

    @property
    def may_move(self) -> NDArray[np.bool_]:
        """bool[m]: the viewer is known, and consent allowed the profile to be updated."""
        rows = self.resolved.rows
        allowed = [rows[i].may & MAY_UPDATE_PROFILE != 0 for i in self.taught.tolist()]
        known = self.viewer[self.taught] != NOBODY
        return np.array(allowed, np.bool_) & np.asarray(known, np.bool_)


class Reader:
    """Makes lessons of batches; knows which coordinate every index of a catalogue version is.

    Parameters
    ----------
    shelf
        Of the versions that decisions name.
    table
        Of the learner that will take the lessons.
    audience
        Who may be learnt about.
    known_viewers
        Viewers met for the first time begin with the weights of their records; else with 0.
    """

    def __init__(
        self, shelf: Shelf, table: Coordinates, audience: Audience, *, known_viewers: bool = True
    ) -> None:
        self._shelf = shelf
        self._table = table
        self._audience = audience
        self._catalogues: dict[str, Catalogue | None] = {}
        self._contexts = _Contexts(table)
        self._viewer_at = np.full(len(audience), ABSENT, np.int32)
        self._known_viewers = known_viewers

    def read(self, resolved: Resolved) -> Lesson:
        """Look up everything one batch names."""
        logged = resolved.columns
        found = [self._catalogue(versions) for versions in logged.versions]
        usable, shown, told = _looked_up(logged, found)
        viewer = self._audience.find([row.pseudonym for row in logged.rows])
        viewer[~usable] = NOBODY
        own = np.column_stack([self._viewers(viewer), self._contexts.at(logged)])
        at = np.flatnonzero(taught(resolved) & usable)
        labels = np.stack([resolved.complete, resolved.annoyed]).astype(np.float64)
        coordinates = np.full((len(at), N_FEATURES), ABSENT, np.int32)
        coordinates[:, AT_BIAS] = BIAS
        coordinates[:, [AT_VIEWER, AT_DEVICE, AT_INTENT]] = own[at]
        coordinates[:, AT_AFFINITY] = AFFINITY
        coordinates[:, AT_DOSE] = DOSE
        for number, one in enumerate(found):
            if one is not None:
                mine = np.flatnonzero(logged.version[at] == number)
                coordinates[mine, AT_VARIANT] = one.variant[shown[0, at[mine]]]
                coordinates[mine, AT_CAMPAIGN] = one.campaign[shown[1, at[mine]]]
        x = np.ones((len(at), N_FEATURES))
        x[:, AT_AFFINITY] = told[0, at]
        x[:, AT_DOSE] = np.log1p(told[1, at])
        return Lesson(
            resolved=resolved,
            catalogues=found,
            usable=usable,
            own=own,
            viewer=viewer,
            labels=labels,
            taught=at,
            variant=shown[0, at],
            rows=Rows(coordinates, x, np.ascontiguousarray(labels[:, at])),
        )

    def _catalogue(self, versions: tuple[str, str, str]) -> "Catalogue | None":
        name = versions[0]
        if name not in self._catalogues:
            try:
                held = self._shelf.columns(Versions(*versions))
            except AdserverError:  # taken away, or damaged: its decisions cannot be read any more
                self._catalogues[name] = None
            else:
                self._catalogues[name] = Catalogue(held, self._table)
        return self._catalogues[name]

    def _viewers(self, viewer: NDArray[np.int64]) -> NDArray[np.int32]:
        """int32[n]: coordinate of each viewer."""
        own = np.full(len(viewer), ABSENT, np.int32)
        known = viewer != NOBODY
        met = viewer[known]
        fresh = np.unique(met[self._viewer_at[met] == ABSENT])
        if len(fresh):
            weights = self._audience.weights[:, fresh]
            if not self._known_viewers:
                weights = np.zeros_like(weights)
            names = [self._audience.pseudonym(row) for row in fresh]
            self._viewer_at[fresh] = self._table.find_viewers(names, weights)
        own[known] = self._viewer_at[met]
        return own


class Catalogue:
    """A catalogue version, as far as lessons look at it.

    Attributes
    ----------
    variant, campaign : int32[n_variants], int32[n_campaigns]
        The coordinate of each.
    vectors : float32[n_variants, dim]
    """

    def __init__(self, held: Columns, table: Coordinates) -> None:
        texts = held.texts
        self.variant = table.find("variant", _spelt(texts["variant"]))
        self.campaign = table.find("campaign", _spelt(texts["campaign"]))
        self.vectors = held.vectors


class _Contexts(dict[tuple[str | None, str | None], int]):
    """Where each pair of device and intent stands that was met so far."""

    def __init__(self, table: Coordinates) -> None:
        self._table = table
        self._coordinates = np.zeros((0, 2), np.int32)

    def at(self, logged: DecisionColumns) -> NDArray[np.int32]:
        """int32[n, 2]: coordinates of device and intent."""
        pairs = [self[one.device, one.intent] for one in [row.context for row in logged.rows]]
        return self._coordinates[np.fromiter(pairs, np.int64, len(pairs))]

    def __missing__(self, pair: tuple[str | None, str | None]) -> int:
        """Give a pair its place."""
        found = [
            ABSENT if value is None else self._table.find("context", [f"{kind}:{value}"])[0]
            for kind, value in zip(("device", "intent"), pair, strict=True)
        ]
        self._coordinates = np.vstack([self._coordinates, np.array([found], np.int32)])
        self[pair] = len(self)
        return self[pair]


def _looked_up(
    logged: DecisionColumns, found: list[Catalogue | None]
) -> tuple[NDArray[np.bool_], NDArray[np.int32], NDArray[np.float32]]:
    """bool[n] usable, int32[2, n] and float32[2, n] of what was shown: ``lessons.look_up``."""
    sizes = [
        (lessons.GONE,) * 2 if one is None else (len(one.variant), len(one.campaign))
        for one in found
    ]
    count = len(logged)
    usable, shown = np.empty(count, np.uint8), np.empty((2, count), np.int32)
    told = np.empty((2, count), np.float32)
    lessons.look_up(
        logged.start,
        logged.flat_ids,
        logged.flat_values,
        logged.chosen,
        logged.version,
        np.array(sizes, np.int64),
        usable,
        shown,
        told,
    )
    return usable.view(np.bool_), shown, told


def _spelt(texts: Texts) -> Iterator[str]:
    return (texts[i].decode() for i in range(len(texts)))
