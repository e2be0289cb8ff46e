"""Bearer tokens: random, kept as hashes, each with the scopes it opens."""

import os
import secrets
from hashlib import sha256
from hmac import compare_digest
from pathlib import Path
from typing import Final, Literal, get_args

import msgspec
from msgspec import Struct

from adserver.domain.errors import Broken, InvalidInput, Problem
from adserver.domain.units import format_time_ms
from adserver.edge import problem as problems
from adserver.runtime.durable import sync_directory
from adserver.serve.asgi import Refused, Seen

Scope = Literal["read", "write", "privacy", "admin"]
SCOPES: Final[tuple[Scope, ...]] = get_args(Scope)
TOKEN_BYTES: Final = 32
FILE: Final = "tokens.json"
_FORMAT: Final = 1
_ID_BYTES: Final = 4


class Bearer(Struct, frozen=True):
    """One token, without its secret."""

    id: str
    scopes: tuple[Scope, ...]
    created: str
    sha256: str


class _File(Struct, frozen=True):
    format: int = _FORMAT
    tokens: tuple[Bearer, ...] = ()


class Bearers:
    """The tokens of a data directory; reread when the file changes."""

    def __init__(self, data_dir: Path) -> None:
        self._path = data_dir / FILE
        self._stamp: tuple[int, int, int] | None = None
        self._tokens: tuple[Bearer, ...] = ()

    def require(self, seen: Seen, scope: Scope) -> None:
        """Refuse a request whose Authorization header does not open the scope."""
        kind, _, secret = seen.get(b"authorization", b"").partition(b" ")
        bearer = self._find(secret.strip()) if kind.lower() == b"bearer" else None
        if bearer is None:
            challenge = (b"www-authenticate", b'Bearer realm="adserver"')
            raise Refused(problems.UNAUTHORIZED, f"This needs the scope {scope}", None, [challenge])
        if scope not in bearer.scopes:
            raise Refused(problems.FORBIDDEN, f"This needs the scope {scope}")

    def listed(self) -> tuple[Bearer, ...]:
        """Every token there is."""
        self._reread()
        return self._tokens

    def create(self, scopes: tuple[Scope, ...], now_ms: int) -> tuple[Bearer, str]:
        """Add a token; return it and its secret, which is kept nowhere."""
        secret = secrets.token_urlsafe(TOKEN_BYTES)
        digest = sha256(secret.encode()).hexdigest()
        bearer = Bearer(secrets.token_hex(_ID_BYTES), scopes, format_time_ms(now_ms), digest)
        self._write((*self.listed(), bearer))
        return bearer, secret

    def revoke(self, token_id: str) -> None:
        """Take a token out of force."""
        left = tuple(bearer for bearer in self.listed() if bearer.id != token_id)
        if len(left) == len(self._tokens):
            raise InvalidInput("token", [Problem(token_id, "is not the id of a token")])
        self._write(left)

    def _find(self, secret: bytes) -> Bearer | None:
        digest = sha256(secret).hexdigest()
        found = None
        for bearer in self.listed():  # all of them, so that the time tells nothing
            if compare_digest(bearer.sha256, digest):
                found = bearer
        return found

    def _reread(self) -> None:
        try:
            status = self._path.stat()
        except FileNotFoundError:
            self._stamp, self._tokens = None, ()
            return
        stamp = (status.st_mtime_ns, status.st_size, status.st_ino)
        if stamp == self._stamp:
            return
        try:
            self._tokens = msgspec.json.decode(self._path.read_bytes(), type=_File).tokens
        except msgspec.MsgspecError as error:
            raise Broken(f"{self._path} is damaged ({error}); delete it to void all") from None
        self._stamp = stamp

    def _write(self, tokens: tuple[Bearer, ...]) -> None:
        """Replace the file whole, so that a server reading it meets the old one or the new."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        draft = self._path.with_name(f"{FILE}.{secrets.token_hex(_ID_BYTES)}")
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(msgspec.json.encode(_File(tokens=tokens)))
            file.flush()
            os.fsync(file.fileno())
        draft.replace(self._path)
        sync_directory(self._path.parent)
        self._stamp = None
