"""Columns of any published versions, in force or not: what a past decision was made from."""

from contextlib import suppress
from typing import Final

from adserver.catalogue import columns as frozen
from adserver.catalogue.build import build
from adserver.catalogue.files import load, read_versions
from adserver.catalogue.versions import Versions
from adserver.domain.errors import Broken

SNAPSHOTS_HELD: Final = 4


class Shelf:
    """Takes down what is asked for, and keeps the last few at hand. For one thread at a time."""

    def __init__(self, versions: Versions) -> None:
        self._versions = versions
        self._held: dict[frozen.Versions, frozen.Columns] = {}

    def columns(self, named: frozen.Versions) -> frozen.Columns:
        """Return the columns of three versions; mapped while compiled, else compiled in memory.

        Those have no prepared fragments: they explain and replay, and answer no player.

        Raises
        ------
        InvalidInput
            One of them is no version.
        Broken
            One of them is damaged.
        """
        found = self._held.pop(named, None)
        if found is None:
            found = self._compiled(named)
        if found is None:
            found = self._compile(named)
        if len(self._held) >= SNAPSHOTS_HELD:
            self._held.pop(next(iter(self._held)))
        self._held[named] = found  # last again: the first is the one longest not asked for
        return found

    def _compiled(self, named: frozen.Versions) -> frozen.Columns | None:
        for directory in self._versions.compiled():
            # Of an earlier format, or taken away meanwhile: the documents are still there.
            with suppress(Broken):
                if read_versions(directory) == named:
                    return load(directory)
        return None

    def _compile(self, named: frozen.Versions) -> frozen.Columns:
        document = self._versions.read_document(named.catalogue)
        return build(
            document.catalogue,
            self._versions.read_policy(named.policy),
            self._versions.read_model(named.model),
            named,
            {},
            {},
            vectors=document.vectors,
        )
