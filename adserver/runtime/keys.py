"""The secrets of a data directory: made once, by whichever process comes first, and rotated.

Several token keys can be in force: the newest that has begun seals, and all that have not ended
open. A new one begins a moment after it is written, so that every worker can open with it before
any worker seals with it.
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Annotated, Final

import msgspec
from msgspec import Meta, Struct

from adserver.domain.errors import Broken, InvalidInput, Problem
from adserver.runtime.durable import sync_directory
from adserver.runtime.entropy import Entropy

KEY_BYTES: Final = 32
KEY_ID_MAX: Final = 255
BEGINS_AFTER_MS: Final = 1000
"""A worker looks for keys four times in that time."""
_FILE: Final = "keys.json"
_FORMAT: Final = 2
_FORMAT_OF_ONE_TOKEN_KEY: Final = 1

Secret = Annotated[bytes, Meta(min_length=KEY_BYTES, max_length=KEY_BYTES)]


class Key(Struct, frozen=True):
    """A secret and the number it is called by where it was used."""

    id: Annotated[int, Meta(ge=1, le=KEY_ID_MAX)]
    secret: Secret

    def __repr__(self) -> str:
        """Name the key only: the secret must never reach a log or a traceback."""
        return f"Key(id={self.id})"


class TokenKey(Key, frozen=True):
    """A key for tokens, and when it is in force."""

    from_ms: int = 0
    """Seals from then on; opens before."""
    until_ms: int | None = None
    """Opens until then; None is for good."""

    def __repr__(self) -> str:
        """Name the key only."""
        return f"TokenKey(id={self.id})"


class Keys(Struct, frozen=True):
    """Every secret of one data directory."""

    format: int
    tokens: Annotated[tuple[TokenKey, ...], Meta(min_length=1)]
    """Seal and open beacon tokens; oldest first."""
    draw: Key
    """Makes draws unforeseeable."""

    def opening(self, now_ms: int) -> dict[int, bytes]:
        """Return the secrets that open tokens now, by key id."""
        live = [key for key in self.tokens if key.until_ms is None or now_ms < key.until_ms]
        return {key.id: key.secret for key in live}

    def sealing(self, now_ms: int) -> TokenKey:
        """Return the key that seals tokens now."""
        begun = [key for key in self.tokens if key.from_ms <= now_ms]
        return begun[-1] if begun else self.tokens[0]


class _KeysBefore(Struct, frozen=True):
    """The file of format 1."""

    token: Key
    draw: Key


class _Head(Struct, frozen=True):
    format: int


def load_or_create(data_dir: Path, entropy: Entropy) -> Keys:
    """Read the directory's keys; make them, durably, where there are none.

    Safe between processes: the finished file is linked to its name, which succeeds for exactly one
    of them, and all then read the one that stands.
    """
    path = data_dir / _FILE
    if not path.exists():
        _create(path, entropy)
    try:
        return _read(path)
    except msgspec.MsgspecError as error:
        raise Broken(
            f"{path} is damaged ({error}); restore it, or remove it to void all tokens"
        ) from None


def stamp(data_dir: Path) -> tuple[int, int, int] | None:
    """Return something that differs after every change, for the price of one ``stat``."""
    try:
        status = (data_dir / _FILE).stat()
    except FileNotFoundError:
        return None
    return status.st_mtime_ns, status.st_size, status.st_ino


def rotate(data_dir: Path, entropy: Entropy, now_ms: int, opens_ms: int) -> Keys:
    """Add a token key that is soon to seal, and let go of those that open nothing any more.

    Crash-safe: the file is replaced whole. Two that rotate at once take turns.

    Parameters
    ----------
    data_dir
        Of the keys; they are made if there are none.
    entropy
        Where the secret comes from.
    now_ms
        Milliseconds since the epoch.
    opens_ms
        How long the former keys still open what they sealed; 0 voids it at once.

    Raises
    ------
    InvalidInput
        More keys are in force than there are numbers for them.
    """
    with _alone(data_dir):
        keys = load_or_create(data_dir, entropy)
        live = [key for key in keys.tokens if key.until_ms is None or now_ms < key.until_ms]
        taken = {key.id for key in live}
        newest = keys.tokens[-1].id
        following = ((newest + step) % KEY_ID_MAX + 1 for step in range(KEY_ID_MAX))
        number = next((number for number in following if number not in taken), None)
        if number is None:
            problem = Problem(
                "keys", f"{KEY_ID_MAX} are still in force; wait until some have ended"
            )
            raise InvalidInput("token rotate", [problem])
        from_ms = now_ms + BEGINS_AFTER_MS if opens_ms else now_ms
        until_ms = from_ms + opens_ms
        former = [] if not opens_ms else [_ended(key, until_ms) for key in live]
        new = TokenKey(number, entropy.take(KEY_BYTES), from_ms)
        rotated = Keys(_FORMAT, (*former, new), keys.draw)
        _write(data_dir / _FILE, rotated, entropy)
    return rotated


def _ended(key: TokenKey, until_ms: int) -> TokenKey:
    ends_ms = until_ms if key.until_ms is None else min(key.until_ms, until_ms)
    return msgspec.structs.replace(key, until_ms=ends_ms)


def _read(path: Path) -> Keys:
    raw = path.read_bytes()
    found = msgspec.json.decode(raw, type=_Head).format
    if found == _FORMAT_OF_ONE_TOKEN_KEY:
        before = msgspec.json.decode(raw, type=_KeysBefore)
        token = TokenKey(before.token.id, before.token.secret)
        return Keys(_FORMAT, (token,), before.draw)
    if found != _FORMAT:
        raise Broken(f"{path} has format {found}; this version reads {_FORMAT}")
    return msgspec.json.decode(raw, type=Keys)


def _create(path: Path, entropy: Entropy) -> None:
    secrets = entropy.take(KEY_BYTES), entropy.take(KEY_BYTES)
    draft = _draft(path, Keys(_FORMAT, (TokenKey(1, secrets[0]),), Key(1, secrets[1])), entropy)
    try:
        # FileExistsError: another process was first, and its keys are the ones.
        with suppress(FileExistsError):
            path.hardlink_to(draft)
    finally:
        draft.unlink()
    sync_directory(path.parent)


def _write(path: Path, keys: Keys, entropy: Entropy) -> None:
    _draft(path, keys, entropy).replace(path)
    sync_directory(path.parent)


def _draft(path: Path, keys: Keys, entropy: Entropy) -> Path:
    draft = path.with_name(f"{_FILE}.{entropy.take(8).hex()}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(msgspec.json.encode(keys))
            file.flush()
            os.fsync(file.fileno())
    except BaseException:
        draft.unlink()
        raise
    return draft


@contextmanager
def _alone(data_dir: Path) -> Iterator[None]:
    """Wait for the turn to rotate; let go of by the system should this process die."""
    data_dir.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(data_dir / "keys.lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
