"""From resolved decisions to what the learner takes: coordinates, values and labels."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from adserver.catalogue.columns import Columns, Texts, Versions
from adserver.catalogue.shelf import Shelf
from adserver.domain.decision import IdRow, ValueRow
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
from kernels.ftrl import ABSENT


@dataclass(frozen=True, slots=True)
class Lesson:
    """n decisions, their shortlists, and the m of them that teach."""

    resolved: Resolved
    columns: DecisionColumns
    usable: NDArray[np.bool_]
    """bool[n]: the catalogue it was decided from is still there, and the candidates are its."""
    variant: NDArray[np.int32]
    """int32[start[n]]: coordinate of each candidate; ``ABSENT`` where not usable."""
    campaign: NDArray[np.int32]
    own: NDArray[np.int32]
    """int32[n, 3]: coordinates of viewer, device and intent, ``ABSENT`` where there is none."""
    viewer: NDArray[np.int64]
    """int64[n]: row of the audience, or ``NOBODY``."""
    labels: NDArray[np.float64]
    """float64[2, n] of (complete, annoyed)."""
    taught: NDArray[np.int64]
    """int64[m]: which decisions teach, ascending."""
    rows: Rows
    """Of those."""
    vectors: list[NDArray[np.float32] | None]
    """By ``columns.version``: float32[n_variants, dim]."""

    @property
    def chosen(self) -> NDArray[np.int64]:
        """int64[m]: place among the candidates of what the taught decisions showed."""
        return self.columns.start[self.taught] + self.columns.chosen[self.taught]

    @property
    def may_move(self) -> NDArray[np.bool_]:
        """bool[m]: the viewer is known, and consent allowed the profile to be updated."""
        rows = self.resolved.rows
        may = np.array([rows[i].may for i in self.taught.tolist()], np.int64)
        allowed: NDArray[np.bool_] = (may & MAY_UPDATE_PROFILE) != 0
        known: NDArray[np.bool_] = self.viewer[self.taught] != NOBODY
        return allowed & known


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
        self._catalogues: dict[str, _Catalogue | None] = {}
        self._contexts: dict[tuple[str | None, str | None], int] = {}
        self._context_at = np.zeros((0, 2), np.int32)
        """Coordinates of the pairs of device and intent met so far."""
        self._viewer_at = np.full(len(audience), ABSENT, np.int32)
        self._known_viewers = known_viewers

    def read(self, resolved: Resolved) -> Lesson:
        """Look up everything one batch names."""
        logged = resolved.columns
        found = [self._catalogue(versions) for versions in logged.versions]
        variant, campaign = self._candidates(logged, found)
        usable = _all_known(logged, variant, found)
        viewer = self._audience.find([row.pseudonym for row in resolved.rows])
        viewer[~usable] = NOBODY
        own = np.column_stack([self._viewers(viewer), self._context(resolved)])
        at = np.flatnonzero(taught(resolved) & usable)
        labels = np.stack([resolved.complete, resolved.annoyed]).astype(np.float64)
        return Lesson(
            resolved=resolved,
            columns=logged,
            usable=usable,
            variant=variant,
            campaign=campaign,
            own=own,
            viewer=viewer,
            taught=at,
            labels=labels,
            rows=_rows(logged, labels, (variant, campaign, own), at),
            vectors=[None if one is None else one.vectors for one in found],
        )

    def _candidates(
        self, logged: DecisionColumns, found: "list[_Catalogue | None]"
    ) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
        """int32[start[n]] twice: coordinates of every candidate's variant and campaign."""
        version = np.repeat(logged.version, np.diff(logged.start))
        variant = np.full(len(version), ABSENT, np.int32)
        campaign = np.full(len(version), ABSENT, np.int32)
        for number, one in enumerate(found):
            if one is not None:
                mine = (version == number) & one.has(logged)
                variant[mine] = one.variant[logged.ids[IdRow.VARIANT, mine]]
                campaign[mine] = one.campaign[logged.ids[IdRow.CAMPAIGN, mine]]
        return variant, campaign

    def _catalogue(self, versions: tuple[str, str, str]) -> "_Catalogue | None":
        name = versions[0]
        if name not in self._catalogues:
            try:
                held = self._shelf.columns(Versions(*versions))
            except AdserverError:  # taken away, or damaged: its decisions cannot be read any more
                self._catalogues[name] = None
            else:
                self._catalogues[name] = _Catalogue(held, self._table)
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

    def _context(self, resolved: Resolved) -> NDArray[np.int32]:
        """int32[n, 2]: coordinates of device and intent."""
        find, met = self._contexts.get, [row.context for row in resolved.rows]
        pairs = [find((one.device, one.intent), -1) for one in met]
        if pairs and min(pairs) < 0:
            pairs = [self._pair(one.device, one.intent) for one in met]
        return self._context_at[np.array(pairs, np.intp)]

    def _pair(self, device: str | None, intent: str | None) -> int:
        """Return the row of ``_context_at``, made when it is met for the first time."""
        at = self._contexts.get((device, intent))
        if at is None:
            at = self._contexts[device, intent] = len(self._contexts)
            found = [
                ABSENT if value is None else self._table.find("context", [f"{kind}:{value}"])[0]
                for kind, value in (("device", device), ("intent", intent))
            ]
            self._context_at = np.vstack([self._context_at, np.array([found], np.int32)])
        return at


class _Catalogue:
    def __init__(self, held: Columns, table: Coordinates) -> None:
        texts = held.texts
        self.variant = table.find("variant", _spelt(texts["variant"]))
        self.campaign = table.find("campaign", _spelt(texts["campaign"]))
        self.vectors = held.vectors

    def has(self, logged: DecisionColumns) -> NDArray[np.bool_]:
        """bool[start[n]]: candidates that a decision from this catalogue can have had."""
        variant, campaign = logged.ids[IdRow.VARIANT], logged.ids[IdRow.CAMPAIGN]
        inside = (variant >= 0) & (variant < len(self.variant))
        inside &= (campaign >= 0) & (campaign < len(self.campaign))
        numbers = logged.values[[ValueRow.AFFINITY, ValueRow.DOSE]]
        sound: NDArray[np.bool_] = inside & np.isfinite(numbers).all(axis=0) & (numbers[1] >= 0.0)
        return sound


def _all_known(
    logged: DecisionColumns, variant: NDArray[np.int32], found: "list[_Catalogue | None]"
) -> NDArray[np.bool_]:
    """bool[n]: decisions whose catalogue is there and has every candidate they name."""
    count = len(logged.version)
    decision = np.repeat(np.arange(count), np.diff(logged.start))
    strange = np.bincount(decision[variant == ABSENT], minlength=count)
    here = np.array([one is not None for one in found], np.bool_)
    return (strange == 0) & here[logged.version] if count else np.zeros(0, np.bool_)


def _spelt(texts: Texts) -> Iterator[str]:
    return (texts[i].decode() for i in range(len(texts)))


def _rows(
    logged: DecisionColumns,
    labels: NDArray[np.float64],
    found: tuple[NDArray[np.int32], NDArray[np.int32], NDArray[np.int32]],
    at: NDArray[np.int64],
) -> Rows:
    variant, campaign, own = found
    chosen = logged.start[at] + logged.chosen[at]
    coordinates = np.full((len(at), N_FEATURES), ABSENT, np.int32)
    coordinates[:, AT_BIAS] = BIAS
    coordinates[:, AT_CAMPAIGN] = campaign[chosen]
    coordinates[:, AT_VARIANT] = variant[chosen]
    coordinates[:, [AT_VIEWER, AT_DEVICE, AT_INTENT]] = own[at]
    coordinates[:, AT_AFFINITY] = AFFINITY
    coordinates[:, AT_DOSE] = DOSE
    x = np.ones((len(at), N_FEATURES))
    x[:, AT_AFFINITY] = logged.values[ValueRow.AFFINITY, chosen]
    x[:, AT_DOSE] = np.log1p(logged.values[ValueRow.DOSE, chosen])
    return Rows(coordinates, x, np.ascontiguousarray(labels[:, at]))
