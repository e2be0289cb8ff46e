"""Versions of catalogue, policy and model: published whole, never edited, swapped by one pointer.

A publication validates the document, stores it under a new name, compiles the snapshot of all three
and only then renames ``current.json``. Until that rename nothing that is served has changed, and
whatever fails before it takes its files away again.
"""

import fcntl
import os
import pwd
import re
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from hashlib import blake2b
from itertools import count
from pathlib import Path
from typing import Final, Literal

import msgspec
import numpy as np
from msgspec import Struct

from adserver.catalogue import columns
from adserver.catalogue.build import MediaRenderer, Renderer, build
from adserver.catalogue.files import load, save, sync_file, write_durably
from adserver.catalogue.log import Entry, Kind, append_log, history, read_log
from adserver.catalogue.model import parse_model
from adserver.catalogue.parse import read_document
from adserver.catalogue.pointer import BUILTIN, Pointer, read_pointer
from adserver.catalogue.policy import parse_policy
from adserver.catalogue.vectors import Document
from adserver.domain.campaign import Catalogue
from adserver.domain.errors import Broken, InvalidInput, Problem
from adserver.domain.model import Model
from adserver.domain.policy import Policy
from adserver.domain.units import MILLISECONDS_PER_SECOND, format_time_ms
from adserver.runtime.clock import Clock
from adserver.runtime.durable import sync_directory

DOCUMENTS: Final[Mapping[Kind, str]] = {
    "catalogue": "catalogue.json",
    "policy": "policy.toml",
    "model": "model.json",
}
"""File that holds a version's document."""
SNAPSHOTS_KEPT: Final = 4
"""Compiled snapshots left in place, for workers about to map them; a rollback compiles anew."""
_DIGEST_SHOWN: Final = 8
"""Hex digits of the content's digest in a version's name."""
_VERSION = re.compile(rf"\d{{8}}T\d{{6}}Z-[0-9a-f]{{{_DIGEST_SHOWN}}}")

Parsed = Document | Policy | Model


class Change(Struct, frozen=True, kw_only=True):
    """What a publication or a rollback did."""

    kind: Kind
    version: str
    former: str | None
    changed: bool
    """False when exactly this was in force already."""
    snapshot: str | None


class Versions:
    """The versions in one data directory. Any number of processes may hold one; writers queue."""

    def __init__(
        self,
        data_dir: Path,
        clock: Clock,
        fragments: Mapping[str, Renderer],
        media_fragments: Mapping[str, MediaRenderer],
    ) -> None:
        self._data_dir = data_dir
        self._clock = clock
        self._fragments = fragments
        self._media_fragments = media_fragments
        self._current = data_dir / "current.json"
        self._log = data_dir / "log.jsonl"
        self._versions = data_dir / "versions"
        self._snapshots = data_dir / "snapshots"

    # Reading: never locks, never writes.

    def pointer(self) -> Pointer:
        """Return what is in force now."""
        return read_pointer(self._current)

    def pointer_stamp(self) -> tuple[int, int, int] | None:
        """Return something that differs after every change, for the price of one ``stat``."""
        try:
            status = self._current.stat()
        except FileNotFoundError:
            return None
        return status.st_mtime_ns, status.st_size, status.st_ino

    def load_snapshot(self) -> columns.Columns | None:
        """Map the snapshot in force; None until there is a catalogue."""
        name = self.pointer().snapshot
        return None if name is None else load(self._snapshots / name)

    def compiled(self) -> list[Path]:
        """Return the directories of the snapshots still in place."""
        return list(self._snapshots.iterdir()) if self._snapshots.is_dir() else []

    def log(self, kind: Kind | None = None) -> list[Entry]:
        """Return every change, oldest first."""
        entries = read_log(self._log)
        last = self.pointer().last
        if last is not None and (not entries or entries[-1] != last):
            entries.append(last)
        return [entry for entry in entries if kind in (None, entry.kind)]

    def former(self, kind: Kind) -> str | None:
        """Return which version a rollback would bring back; None when there is none."""
        past = history(self.log(kind), kind)
        return past[-2] if len(past) > 1 else None

    def directory(self, kind: Kind, version: str) -> Path:
        """Return where a version's files stand."""
        directory = self._versions / kind / version
        if not _VERSION.fullmatch(version) or not directory.is_dir():
            raise InvalidInput(
                "no such version", [Problem(version, f"is not a version of the {kind}")]
            )
        return directory

    def read_catalogue(self, version: str) -> Catalogue:
        """Read a published catalogue."""
        return self.read_document(version).catalogue

    def read_document(self, version: str) -> Document:
        """Read a published catalogue with its vectors."""
        directory = self._whole_directory("catalogue", version)
        return read_document((directory / DOCUMENTS["catalogue"]).read_bytes(), directory)

    def read_policy(self, version: str) -> Policy:
        """Read a published policy, or the built-in one."""
        if version == BUILTIN:
            return Policy()
        directory = self._whole_directory("policy", version)
        return parse_policy((directory / DOCUMENTS["policy"]).read_bytes())

    def read_model(self, version: str) -> Model:
        """Read a published model, or the built-in one."""
        if version == BUILTIN:
            return Model()
        directory = self._whole_directory("model", version)
        return parse_model((directory / DOCUMENTS["model"]).read_bytes())

    def _whole_directory(self, kind: Kind, version: str) -> Path:
        """Return where a version's files stand, all of them as they were published."""
        directory = self.directory(kind, version)
        if not version.endswith(_digest(directory)[:_DIGEST_SHOWN]):
            raise Broken(f"{directory} is damaged; publish the {kind} again")
        return directory

    # Writing: one at a time, and nothing changes before the pointer does.

    def publish_catalogue(self, data: bytes, directory: Path | None) -> Change:
        """Put a catalogue in force.

        Parameters
        ----------
        data
            The JSON document.
        directory
            Where the file named by its ``vectors`` stands; None when the document came alone.

        Raises
        ------
        InvalidInput
            With every problem; nothing was changed.
        """
        document = read_document(data, directory)

        def write(staging: Path) -> None:
            write_durably(staging / DOCUMENTS["catalogue"], data)
            if document.catalogue.vectors is not None:
                # What was checked and is compiled, and not what the file may hold by now.
                with (staging / document.catalogue.vectors).open("wb") as file:
                    np.save(file, document.vectors, allow_pickle=False)
                    sync_file(file)

        return self._publish("catalogue", write, document)

    def publish_policy(self, data: bytes) -> Change:
        """Put a policy in force; ``InvalidInput`` has every problem, and nothing was changed."""
        policy = parse_policy(data)
        return self._publish(
            "policy", lambda staging: write_durably(staging / DOCUMENTS["policy"], data), policy
        )

    def publish_model(self, model: Model) -> Change:
        """Put a model in force; ``InvalidInput`` when a number in it is not finite."""
        data = msgspec.json.encode(model)
        parse_model(data)
        return self._publish(
            "model", lambda staging: write_durably(staging / DOCUMENTS["model"], data), model
        )

    def rollback(self, kind: Kind) -> Change:
        """Put back what was in force before the last publication that was not rolled back."""
        with self._writing():
            former = self.former(kind)
            if former is None:
                problem = Problem(kind, "there is no earlier version")
                raise InvalidInput("cannot roll back", [problem])
            return self._switch(kind, "rollback", former, None)

    def rebuild(self) -> None:
        """Compile what is in force anew: after damage to a snapshot, or a change of its format."""
        with self._writing():
            self._recompile()

    def _publish(self, kind: Kind, write: Callable[[Path], None], document: Parsed) -> Change:
        with self._writing() as staging:
            staging.mkdir(parents=True)
            write(staging)
            digest = _digest(staging)
            if (unchanged := self._unchanged(kind, digest)) is not None:
                return unchanged
            version = f"{self._stamp()}-{digest[:_DIGEST_SHOWN]}"
            directory = self._versions / kind / version
            try:
                if not directory.exists():  # it does when published twice within a second
                    directory.parent.mkdir(exist_ok=True)
                    sync_directory(staging)
                    staging.rename(directory)
                    sync_directory(directory.parent)
                return self._switch(kind, "publish", version, document)
            except BaseException:
                if version not in {entry.version for entry in self.log(kind)}:
                    shutil.rmtree(directory, ignore_errors=True)
                raise

    def _unchanged(self, kind: Kind, digest: str) -> Change | None:
        """Answer a publication of what is in force already."""
        pointer = self.pointer()
        version = pointer.version(kind)
        if version is None or version == BUILTIN:
            return None
        if _digest(self.directory(kind, version)) != digest:
            return None
        try:
            self.load_snapshot()
        except Broken:  # whoever publishes again was probably told to
            pointer = self._recompile()
        return Change(
            kind=kind, version=version, former=version, changed=False, snapshot=pointer.snapshot
        )

    def _switch(
        self,
        kind: Kind,
        action: Literal["publish", "rollback"],
        version: str,
        document: Parsed | None,
    ) -> Change:
        """Compile the snapshot with another version of one kind, and move the pointer to it."""
        pointer = self.pointer()
        former = pointer.version(kind)
        entry = Entry(
            time=format_time_ms(self._clock.now_ms()),
            kind=kind,
            action=action,
            version=version,
            former=former,
            who=_who(),
        )
        pointer = msgspec.structs.replace(pointer, **{kind: version, "last": entry})
        pointer = self._point(pointer, document)
        return Change(
            kind=kind, version=version, former=former, changed=True, snapshot=pointer.snapshot
        )

    def _recompile(self) -> Pointer:
        return self._point(self.pointer(), None)

    def _point(self, pointer: Pointer, document: Parsed | None) -> Pointer:
        """Compile what the pointer names, then put the pointer in force."""
        snapshot = self._compile(pointer, document)
        pointer = msgspec.structs.replace(pointer, snapshot=snapshot)
        staging = self._current.with_suffix(".staging")
        try:
            write_durably(staging, msgspec.json.encode(pointer))
            staging.replace(self._current)
        except BaseException:
            staging.unlink(missing_ok=True)
            if snapshot is not None and self.pointer().snapshot != snapshot:
                shutil.rmtree(self._snapshots / snapshot)
            raise
        sync_directory(self._data_dir)
        with suppress(OSError):  # in force now; whoever writes next settles what is left
            self._settle()
        return pointer

    def _compile(self, pointer: Pointer, document: Parsed | None) -> str | None:
        """Write the snapshot of the versions the pointer names; return its name."""
        if pointer.catalogue is None:
            return None
        catalogue = document if isinstance(document, Document) else None
        policy = document if isinstance(document, Policy) else None
        model = document if isinstance(document, Model) else None
        catalogue = catalogue or self.read_document(pointer.catalogue)
        built = build(
            catalogue.catalogue,
            policy or self.read_policy(pointer.policy),
            model or self.read_model(pointer.model),
            columns.Versions(pointer.catalogue, pointer.policy, pointer.model),
            self._fragments,
            self._media_fragments,
            vectors=catalogue.vectors,
        )
        self._snapshots.mkdir(exist_ok=True)
        taken = {path.name for path in self._snapshots.iterdir()}
        names = (f"{self._stamp()}-{number}" for number in count(1))
        name = next(name for name in names if name not in taken)
        save(built, self._snapshots / name)
        return name

    @contextmanager
    def _writing(self) -> Iterator[Path]:
        """Wait for the turn to write; yield where a version may be prepared."""
        self._data_dir.mkdir(parents=True, exist_ok=True)
        with (self._data_dir / "publish.lock").open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)  # let go when the file is closed, also by a crash
            staging = self._versions / ".staging"
            shutil.rmtree(staging, ignore_errors=True)
            self._settle()
            try:
                yield staging
            finally:
                shutil.rmtree(staging, ignore_errors=True)

    def _settle(self) -> None:
        """Bring the log and the snapshots in line with the pointer, whatever a crash left."""
        pointer = self.pointer()
        entries = read_log(self._log)
        if pointer.last is not None and (not entries or entries[-1] != pointer.last):
            append_log(self._log, pointer.last)
        if self._snapshots.is_dir():
            old = sorted(self._snapshots.iterdir(), key=lambda path: path.stat().st_mtime_ns)
            for path in old[:-SNAPSHOTS_KEPT]:
                if path.name != pointer.snapshot:
                    shutil.rmtree(path, ignore_errors=True)

    def _stamp(self) -> str:
        moment = datetime.fromtimestamp(self._clock.now_ms() // MILLISECONDS_PER_SECOND, UTC)
        return f"{moment:%Y%m%dT%H%M%SZ}"


def _digest(directory: Path) -> str:
    """Name the content of a version: every file's name, size and bytes."""
    digest = blake2b(digest_size=16)
    for path in sorted(directory.iterdir()):
        data = path.read_bytes()
        digest.update(f"{path.name} {len(data)}\n".encode())
        digest.update(data)
    return digest.hexdigest()


def _who() -> str:
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:  # a container's user often has no name
        return f"uid {os.getuid()}"
