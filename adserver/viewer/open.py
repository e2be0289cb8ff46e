"""Which engine a store's address names."""

from pathlib import Path
from typing import Final

from adserver.domain.errors import InvalidInput, Problem
from adserver.viewer.embedded import EmbeddedStore
from adserver.viewer.store import ViewerStore

LMDB_PREFIX: Final = "lmdb://"


def open_store(url: str, data_dir: Path) -> ViewerStore:
    """Open the store at ``url``; empty is LMDB in the data directory.

    ``lmdb:///path`` names an absolute path, as ``file:///path`` does.
    """
    if not url:
        return EmbeddedStore(data_dir / "viewers")
    if url.startswith(LMDB_PREFIX + "/"):
        return EmbeddedStore(Path("/" + url.removeprefix(LMDB_PREFIX).lstrip("/")))
    raise InvalidInput(
        "the viewer store's address is not understood",
        [Problem("store", f"expected lmdb:///path, got {url!r}")],
    )
