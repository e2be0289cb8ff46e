"""Convert a document into structs, naming everything that is wrong with it and not just the first.

``msgspec.convert`` stops at the first error. ``gather`` walks the type beside the document, down to
the leaves, but only into the parts that msgspec refuses: one error among 100,000 variants costs
seconds, walking them all took over a minute.
"""

import math
import re
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import msgspec
from msgspec import Struct

from adserver.domain.errors import Problem

_PLAIN_NAME = re.compile(r"[\w-]+")
_EMPTY: Mapping[Any, Any] = {str: "", int: 0, float: 0.0, bool: False, tuple: (), dict: {}}


class NotFinite:
    """What a document has where its author wrote NaN, Infinity or 1e999: no type accepts it."""


def finite_float(text: str) -> float | NotFinite:
    """Read a number as the JSON and TOML decoders' ``parse_float``."""
    number = float(text)
    return number if math.isfinite(number) else NotFinite()


def child(path: str, name: str) -> str:
    """Path of a member; the root of a policy is the empty path, that of a catalogue ``$``."""
    if not _PLAIN_NAME.fullmatch(name):
        return f"{path}[{name!r}]"
    return f"{path}.{name}" if path else name


def gather(raw: Any, kind: Any, path: str, problems: list[Problem]) -> Any:
    """Convert ``raw`` to ``kind``, noting each problem at its path.

    Parameters
    ----------
    raw
        JSON or TOML, decoded with ``finite_float``.
    kind
        A struct, tuple, mapping, optional or scalar type, possibly with limits.
    path
        Where ``raw`` stands in the document.
    problems
        Is extended.

    Returns
    -------
    Any
        The value; a part that is wrong has its default or is empty, so that later checks can look
        at the rest. Not to be used once a problem was noted.
    """
    try:
        return msgspec.convert(raw, kind)
    except msgspec.ValidationError:
        return _walk(raw, kind, path, problems)


def _walk(raw: Any, kind: Any, path: str, problems: list[Problem]) -> Any:
    """Convert what msgspec refused as a whole, part by part."""
    kind, bounded = _without_limits(kind)
    if get_origin(kind) in (Union, UnionType) and NoneType in get_args(kind):
        if raw is None:
            return None
        (arm,) = (arm for arm in get_args(kind) if arm is not NoneType)
        return gather(raw, arm, path, problems)
    if isinstance(kind, type) and issubclass(kind, Struct):
        return _gather_struct(raw, kind, path, problems)
    if get_origin(kind) is tuple:
        rows = _leaf(raw, _limited(tuple, bounded), path, problems)
        item = get_args(kind)[0]
        return tuple(
            gather(row, item, f"{path}[{index}]", problems) for index, row in enumerate(rows)
        )
    if get_origin(kind) is dict:
        entries = _leaf(raw, _limited(dict, bounded), path, problems)
        item = get_args(kind)[1]
        return {
            name: gather(entry, item, child(path, name), problems)
            for name, entry in entries.items()
        }
    return _leaf(raw, _limited(kind, bounded), path, problems)


def _without_limits(kind: Any) -> tuple[Any, Sequence[Any]]:
    if get_origin(kind) is Annotated:
        return kind.__origin__, kind.__metadata__
    return kind, ()


def _limited(kind: Any, limits: Sequence[Any]) -> Any:
    for limit in limits:
        kind = Annotated[kind, limit]
    return kind


def _leaf(raw: Any, kind: Any, path: str, problems: list[Problem]) -> Any:
    """Convert one value that has no parts, or only its outside."""
    bare, _ = _without_limits(kind)
    if isinstance(raw, NotFinite):
        problems.append(Problem(path, "must be a finite number"))
    elif get_origin(bare) is Literal and raw not in get_args(bare):
        choices = ", ".join(map(repr, get_args(bare)))
        problems.append(Problem(path, f"must be one of {choices}"))
    else:
        try:
            return msgspec.convert(raw, kind)
        except msgspec.ValidationError as error:
            problems.append(Problem(path, str(error)))
    return _EMPTY.get(bare, "")


def _gather_struct(raw: Any, kind: type[Struct], path: str, problems: list[Problem]) -> Struct:
    members = _leaf(raw, dict, path, problems)
    fields = {field.encode_name: field for field in msgspec.structs.fields(kind)}
    values: dict[str, Any] = {}
    for name, field in fields.items():
        if name in members:
            before = len(problems)
            value = gather(members[name], field.type, child(path, name), problems)
            if value or len(problems) == before or field.required:
                values[field.name] = value
        elif field.required:
            values[field.name] = _EMPTY.get(_bare(field.type), "")
            if isinstance(raw, dict):
                problems.append(Problem(child(path, name), "is required and missing"))
    for name in members:
        if name not in fields:
            close = get_close_matches(str(name), fields, n=1)
            hint = f"; did you mean {close[0]!r}?" if close else ""
            problems.append(Problem(child(path, str(name)), f"is not a known field{hint}"))
    return kind(**values)


def _bare(kind: Any) -> Any:
    kind, _ = _without_limits(kind)
    return get_origin(kind) or kind
