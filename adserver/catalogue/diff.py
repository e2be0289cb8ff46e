"""What differs between two versions, in the words of the documents."""

from collections.abc import Iterator, Mapping
from typing import Any, Final, Literal

import msgspec
import numpy as np
from msgspec import Struct

from adserver.catalogue.vectors import Document, read_order, unit_length
from adserver.domain.policy import Policy

_KINDS: Final = ("catalogue", "advertiser", "placement", "campaign", "creative", "variant")
Fields = Mapping[str, Any]


class FieldChange(Struct, frozen=True):
    """One field before and after; None where it was absent."""

    name: str
    before: Any
    after: Any


class Difference(Struct, frozen=True):
    """One thing added, removed or changed."""

    action: Literal["added", "removed", "changed"]
    kind: str
    id: str
    fields: tuple[FieldChange, ...] = ()


def diff_catalogues(before: Document, after: Document) -> list[Difference]:
    """Compare two catalogues thing by thing; a thing is the same when its id is.

    Parameters
    ----------
    before, after
        With their vectors, since these may stand outside the document.

    Returns
    -------
    list of Difference
        In the order of the documents, containers before what they contain.
    """
    return [
        difference
        for kind in _KINDS
        for difference in _diff_things(kind, _things(before, kind), _things(after, kind))
    ]


def diff_policies(before: Policy, after: Policy) -> list[Difference]:
    """Compare two policies key by key."""
    return _diff_things("policy", {"": _flat(before)}, {"": _flat(after)})


def _diff_things(
    kind: str, before: Mapping[str, Fields], after: Mapping[str, Fields]
) -> list[Difference]:
    differences = [Difference("removed", kind, name) for name in before if name not in after]
    for name, fields in after.items():
        if name not in before:
            differences.append(Difference("added", kind, name))
        elif changes := tuple(_diff_fields(before[name], fields)):
            differences.append(Difference("changed", kind, name, changes))
    return differences


def _diff_fields(before: Fields, after: Fields) -> Iterator[FieldChange]:
    for name in dict.fromkeys((*before, *after)):
        old, new = before.get(name), after.get(name)
        if isinstance(old, np.ndarray) and isinstance(new, np.ndarray):
            if not np.array_equal(old, new):
                yield FieldChange(name, None, _moved(old, new))
        elif old != new:
            yield FieldChange(name, old, new)


def _moved(before: np.ndarray[Any, Any], after: np.ndarray[Any, Any]) -> str:
    """Say how far a vector moved: a reader can weigh that, and not 64 numbers."""
    if before.shape != after.shape:
        return f"{len(after)} numbers, {len(before)} before"
    cosine = float(unit_length(before[None])[0] @ unit_length(after[None])[0])
    return f"moved, cosine {cosine:.3f}"


def _things(document: Document, kind: str) -> dict[str, Fields]:
    """Return the fields of every thing of a kind by id, without what it contains."""
    catalogue = document.catalogue
    if kind == "catalogue":
        return {"": {"currency": catalogue.currency, "dim": catalogue.dim}}
    if kind == "advertiser":
        return {row.id: _flat(row) for row in catalogue.advertisers}
    if kind == "placement":
        return {row.id: _flat(row) for row in catalogue.placements}
    if kind == "campaign":
        return {row.id: _flat(row, "creatives") for row in catalogue.campaigns}
    if kind == "creative":
        return {
            row.id: {"campaign": campaign.id, **_flat(row, "variants")}
            for campaign in catalogue.campaigns
            for row in campaign.creatives
        }
    return {
        row.id: {"creative": creative.id, **_flat(row, "vector"), "vector": document.vectors[index]}
        for index, (_, creative, row) in enumerate(read_order(catalogue))
    }


def _flat(row: Struct, *left_out: str) -> dict[str, Any]:
    """Return the fields as the document spells them, nested ones with dots."""
    members = msgspec.to_builtins(row)
    return dict(
        _flatten("", {name: value for name, value in members.items() if name not in left_out})
    )


def _flatten(prefix: str, members: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for name, value in members.items():
        if isinstance(value, dict):
            yield from _flatten(f"{prefix}{name}.", value)
        else:
            yield f"{prefix}{name}", value
