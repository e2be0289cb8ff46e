"""The pointer: one small file that says which versions are in force."""

from pathlib import Path
from typing import Final

import msgspec
from msgspec import Struct

from adserver.catalogue.log import Entry, Kind
from adserver.domain.errors import Broken

BUILTIN: Final = "builtin"
"""Version of the policy and the model until one is published."""
_FORMAT: Final = 1


class Pointer(Struct, frozen=True, kw_only=True):
    """What is in force; the whole of ``current.json``."""

    format: int = _FORMAT
    catalogue: str | None = None
    policy: str = BUILTIN
    model: str = BUILTIN
    snapshot: str | None = None
    """Name under ``snapshots/``; None until there is a catalogue."""
    last: Entry | None = None
    """The change that led here, so that a crash before its line in the log loses nothing."""

    def version(self, kind: Kind) -> str | None:
        """Which version of one kind is in force."""
        versions: dict[Kind, str | None] = {
            "catalogue": self.catalogue,
            "policy": self.policy,
            "model": self.model,
        }
        return versions[kind]


def read_pointer(path: Path) -> Pointer:
    """Return what is in force; nothing is, before the first publication."""
    try:
        pointer = msgspec.json.decode(path.read_bytes(), type=Pointer)
    except FileNotFoundError:
        return Pointer()
    except ValueError as error:
        raise Broken(f"{path} is damaged: {error}; delete it and publish again") from error
    if pointer.format != _FORMAT:
        raise Broken(
            f"{path} has format {pointer.format}, this version of adserver reads {_FORMAT}; "
            "use the version that wrote it"
        )
    return pointer
