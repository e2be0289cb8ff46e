"""The secrets of a data directory: made once, by whichever process comes first."""

import os
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Final

import msgspec
from msgspec import Meta, Struct

from adserver.domain.errors import Broken
from adserver.runtime.durable import sync_directory
from adserver.runtime.entropy import Entropy

KEY_BYTES: Final = 32
_FILE: Final = "keys.json"
_FORMAT: Final = 1


class Key(Struct, frozen=True):
    """A secret and the number it is called by where it was used."""

    id: Annotated[int, Meta(ge=1, le=255)]
    secret: Annotated[bytes, Meta(min_length=KEY_BYTES, max_length=KEY_BYTES)]

    def __repr__(self) -> str:
        """Name the key only: the secret must never reach a log or a traceback."""
        return f"Key(id={self.id})"


class Keys(Struct, frozen=True):
    """Every secret of one data directory."""

    format: int
    token: Key
    """Seals beacon tokens."""
    draw: Key
    """Makes draws unforeseeable."""


def load_or_create(data_dir: Path, entropy: Entropy) -> Keys:
    """Read the directory's keys; make them, durably, where there are none.

    Safe between processes: the finished file is linked to its name, which succeeds for exactly one
    of them, and all then read the one that stands.
    """
    path = data_dir / _FILE
    if not path.exists():
        _create(path, entropy)
    try:
        keys = msgspec.json.decode(path.read_bytes(), type=Keys)
    except msgspec.MsgspecError as error:
        raise Broken(
            f"{path} is damaged ({error}); restore it, or remove it to void all tokens"
        ) from None
    if keys.format != _FORMAT:
        raise Broken(f"{path} has format {keys.format}; this version reads {_FORMAT}")
    return keys


def _create(path: Path, entropy: Entropy) -> None:
    keys = Keys(_FORMAT, Key(1, entropy.take(KEY_BYTES)), Key(1, entropy.take(KEY_BYTES)))
    draft = path.with_name(f"{_FILE}.{entropy.take(8).hex()}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(msgspec.json.encode(keys))
            file.flush()
            os.fsync(file.fileno())
        # FileExistsError: another process was first, and its keys are the ones.
        with suppress(FileExistsError):
            path.hardlink_to(draft)
    finally:
        draft.unlink()
    sync_directory(path.parent)
