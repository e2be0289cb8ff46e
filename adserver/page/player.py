"""The page's player: Shaka Player as its makers publish it, fetched once with npm.

It is somebody else's work, so it is not part of this project; npm knows the registry, proxy and
certificates of the machine it runs on. Without npm, or offline, the page plays with the browser's
own player and says so.
"""

import hashlib
import re
import shutil
import subprocess
import tarfile
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Thread
from typing import Final

from adserver.domain.errors import Degraded

NAME: Final = "shaka-player"
TITLE: Final = "Shaka Player"
VERSION: Final = "5.2.12"
SHA512: Final = (
    "bc4b2e543237fa82e1fb2aa98d77b1419960d97314048d15aea6ad0ee29669c3"
    "dac40b9de94a61e6e0a8c143cb85480d1b95ca582a68338975afca98cd61fece"
)
"""Of the archive: what is run in a browser here is what was tried."""
SCRIPT: Final = "shaka-player.ui.js"
STYLE: Final = "controls.css"
FILES: Final = {
    SCRIPT: "package/dist/shaka-player.ui.js",
    STYLE: "package/dist/controls.css",
    "LICENSE": "package/LICENSE",
}
FOLDER: Final = "player"
"""Beneath the data directory."""
FETCH_S_MAX: Final = 60.0
_FOREIGN_FONTS: Final = re.compile(rb"@font-face\s*{[^}]*}")
"""The style asks another host for them; the page asks nobody but this server."""


def fetched(data: Path) -> bool:
    """Whether the player is there."""
    return all((data / FOLDER / name).is_file() for name in FILES)


def fetch(data: Path) -> None:
    """Fetch the player into the data directory.

    Raises
    ------
    Degraded
        It could not be had; the message says why.
    """
    npm = shutil.which("npm")
    if npm is None:
        raise Degraded("npm, which fetches it, is not installed")
    with TemporaryDirectory() as scratch:
        command = [npm, "pack", f"{NAME}@{VERSION}", "--silent", "--fetch-retries=0"]
        try:
            subprocess.run(  # noqa: S603  (our own words)
                command, cwd=scratch, check=True, capture_output=True, timeout=FETCH_S_MAX
            )
        except subprocess.SubprocessError as error:
            raise Degraded(f"npm could not fetch {NAME} {VERSION}") from error
        archive = Path(scratch) / f"{NAME}-{VERSION}.tgz"
        if not archive.is_file() or _digest(archive) != SHA512:
            raise Degraded(f"what npm fetched is not the {NAME} {VERSION} that was tried")
        _unpack(archive, data / FOLDER)


class Fetching:
    """A fetch under way, beside whatever else a start has to do."""

    def __init__(self, data: Path) -> None:
        self._said: str | None = None
        self._thread = Thread(target=self._run, args=(data,), daemon=True)
        self._thread.start()

    def _run(self, data: Path) -> None:
        try:
            fetch(data)
        except (Degraded, OSError) as error:
            self._said = str(error)

    def trouble(self, patience_s: float) -> str | None:
        """Return why there is no player, after waiting for it no longer than this."""
        self._thread.join(patience_s)
        return f"{NAME} is still on its way" if self._thread.is_alive() else self._said


def fetch_aside(data: Path) -> Fetching | None:
    """Begin to fetch the player; None when it is there."""
    return None if fetched(data) else Fetching(data)


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha512").hexdigest()


def _unpack(archive: Path, folder: Path) -> None:
    """Write the few files of the archive that the page loads."""
    folder.mkdir(parents=True, exist_ok=True)
    with tarfile.open(archive) as tar:
        for name, member in FILES.items():
            source = tar.extractfile(member)
            if source is None:
                raise Degraded(f"{NAME} {VERSION} has no {member}")
            text = source.read()
            half = folder / f"{name}.half"
            half.write_bytes(_FOREIGN_FONTS.sub(b"", text) if name == STYLE else text)
            half.replace(folder / name)
