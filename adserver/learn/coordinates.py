"""Names of weights and where they stand: one row of numbers a name, growing as names are met."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from adserver.domain.model import Head, Model

HEADS: Final = 2
BIAS: Final = 0
"""What the outcomes say about the base rate, beside the offset that was given."""
AFFINITY: Final = 1
DOSE: Final = 2
FIXED: Final = ("bias", "affinity", "dose")
"""Names of the first coordinates; every other name is a kind, a colon and an id."""
SCALE: Final[Mapping[str, float]] = {
    "bias": 0.1,
    "campaign": 0.5,
    "variant": 1.0,
    "viewer": 1.0,
    "affinity": 2.0,
    "dose": 1.0,
    "context": 0.5,
}
"""What a feature of each kind is multiplied by: a weight's first steps are with its square.

What concerns everybody moves slowly and what concerns one quickly, or a few bad outcomes at the
start talk the base rate below what any single variant can make up for, and nothing is shown again.
Reward of the inverse-gap rule, all at 1: .352 on the demo's replay requests and .05 on twelve
made-up worlds whose average preroll is not worth showing; with these .356 and .33."""
ORPHAN: Final = -1
_ROOM: Final = 1024


class Coordinates:
    """Prior, z and n of every weight of both heads, as ``kernels.ftrl`` wants them.

    Attributes
    ----------
    prior, z, n : float64[2, n_room]
        Columns from ``len(self)`` on are spare. Weights here are of scaled features.
    scale : float64[n_room]
        ``SCALE`` of each.
    parent : int32[n_room]
        The campaign of a variant that has outcomes, ``BIAS`` for a campaign; else ``ORPHAN``.
    """

    def __init__(self, base: Model) -> None:
        self._base = (base.complete, base.annoyed)
        self._names: dict[str, int] = {}
        self._viewers: dict[bytes, int] = {}
        self._count = 0
        self.prior, self.z, self.n = (np.zeros((HEADS, _ROOM)) for _ in range(3))
        self.scale = np.ones(_ROOM)
        self.parent = np.full(_ROOM, ORPHAN, np.int32)
        for name in FIXED:
            self._named(name)

    def __len__(self) -> int:
        """How many weights there are a head."""
        return self._count

    @property
    def names(self) -> dict[str, int]:
        """Coordinate by name, viewers aside."""
        return self._names

    @property
    def viewers(self) -> dict[bytes, int]:
        """Coordinate by pseudonym."""
        return self._viewers

    def find(self, kind: str, ids: Iterable[str]) -> NDArray[np.int32]:
        """int32[n_ids]: the coordinates of campaigns, variants or features of the context.

        A name met for the first time gets one, at the weight the model it began from gives it.
        """
        return np.array([self._named(f"{kind}:{one}") for one in ids], np.int32)

    def find_viewers(
        self, pseudonyms: Sequence[bytes], weights: NDArray[np.float64]
    ) -> NDArray[np.int32]:
        """int32[n]: the coordinates of viewers.

        Parameters
        ----------
        pseudonyms
            16 bytes each.
        weights
            float64[2, n]: the weights of (complete, annoyed) a viewer has who is met for the first
            time.
        """
        known, place = self._viewers, {own: i for i, own in enumerate(pseudonyms)}
        fresh = [own for own in place if own not in known]
        if fresh:
            first = self._add("viewer", weights[:, [place[own] for own in fresh]])
            known.update(zip(fresh, range(first, first + len(fresh)), strict=True))
        return np.array([known[own] for own in pseudonyms], np.int32)

    def forget_viewers(self, keep: Iterable[bytes]) -> int:
        """Let go of all viewers but these; return how many went."""
        stay = {pseudonym: self._viewers[pseudonym] for pseudonym in keep}
        gone = len(self._viewers) - len(stay)
        if gone:
            old = list(self._names.values()) + list(stay.values())
            self._names = {name: i for i, name in enumerate(self._names)}
            start = len(self._names)
            self._viewers = {pseudonym: start + i for i, pseudonym in enumerate(stay)}
            self._move(old, max(_ROOM, len(old)))
            self._count = len(old)
        return gone

    def learnt(
        self,
    ) -> tuple[list[str], list[bytes], NDArray[np.float64], NDArray[np.int32]]:
        """Return names, pseudonyms, float64[3, 2, n] of prior, z and n, and int32[n] parents.

        Of those something was learnt about, names first; a parent is a place in this order.
        """
        touched = np.flatnonzero(self.n[:, : self._count].any(axis=0))
        known = set(touched.tolist()) | set(range(len(FIXED)))
        names = [name for name, at in self._names.items() if at in known]
        viewers = [own for own, at in self._viewers.items() if at in known]
        at = [self._names[name] for name in names] + [self._viewers[own] for own in viewers]
        weights = np.stack([array[:, at] for array in (self.prior, self.z, self.n)])
        return names, viewers, weights, self._parents(at)

    def restore(
        self,
        names: Sequence[str],
        viewers: Sequence[bytes],
        weights: NDArray[np.float64],
        parent: NDArray[np.int32],
    ) -> None:
        """Take what ``learnt`` returned into an empty table."""
        for name in names:
            self._named(name)
        self.find_viewers(viewers, np.zeros((HEADS, len(viewers))))
        self.prior[:, : self._count], self.z[:, : self._count], self.n[:, : self._count] = weights
        self.parent[: self._count] = parent

    def _named(self, name: str) -> int:
        at = self._names.get(name)
        if at is None:
            kind = name.partition(":")[0]
            priors = np.array([[_prior(head, name)] for head in self._base])
            at = self._names[name] = self._add(kind, priors)
        return at

    def _add(self, kind: str, weights: NDArray[np.float64]) -> int:
        """Return the first of n new coordinates of a kind, of float64[2, n] weights."""
        first = self._count
        end = first + weights.shape[1]
        if end > self.z.shape[1]:
            self._move(list(range(first)), max(end, 2 * first))
        self.scale[first:end] = SCALE[kind]
        self.prior[:, first:end] = weights / SCALE[kind]
        self.parent[first:end] = BIAS if kind == "campaign" else ORPHAN
        self._count = end
        return first

    def _move(self, old: Sequence[int], room: int) -> None:
        """Take these columns, names first and in their order, to arrays with so much room."""
        parent = np.full(room, ORPHAN, np.int32)
        parent[: len(old)] = self._parents(old)
        self.parent = parent
        self.prior, self.z, self.n, self.scale = (
            _with_room(array[..., old], room) for array in (self.prior, self.z, self.n, self.scale)
        )

    def _parents(self, at: Sequence[int]) -> NDArray[np.int32]:
        """int32[n]: parents of these columns, as places among them."""
        places = np.full(self._count + 1, ORPHAN, np.int32)
        places[np.asarray(at, np.int64)] = np.arange(len(at), dtype=np.int32)
        return np.asarray(places[self.parent[at]])  # ORPHAN finds itself at the end


def _with_room(array: NDArray[np.float64], room: int) -> NDArray[np.float64]:
    wide = np.zeros((*array.shape[:-1], room))
    wide[..., : array.shape[-1]] = array
    return wide


def _prior(head: Head, name: str) -> float:
    """Weight of a name in the model that learning began from."""
    kind, _, identity = name.partition(":")
    if kind == "campaign":
        return head.campaigns.get(identity, 0.0)
    if kind == "variant":
        return head.variants.get(identity, 0.0)
    if kind == "context":
        return head.context.get(identity, 0.0)
    return {"affinity": head.affinity, "dose": head.dose}.get(name, 0.0)
