"""How the page's player is fetched; npm is a stand-in on the path, as only its answers matter."""

import io
import re
import tarfile
from hashlib import sha512
from pathlib import Path

import pytest

from adserver.domain.errors import Degraded
from adserver.page import player


def npm(folder: Path, script: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Put an npm on an otherwise empty path."""
    folder.mkdir()
    path = folder / "npm"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    monkeypatch.setenv("PATH", str(folder))


def archive(folder: Path, **texts: bytes) -> Path:
    path = folder / "made.tgz"
    with tarfile.open(path, "w:gz") as tar:
        for name, member in player.FILES.items():
            entry = tarfile.TarInfo(member)
            text = texts.get(Path(name).stem.split("-")[0], b"text of " + name.encode())
            entry.size = len(text)
            tar.addfile(entry, io.BytesIO(text))
    return path


def copying(source: Path) -> str:
    return f"/bin/cp {source} {player.NAME}-{player.VERSION}.tgz"


def test_without_npm_it_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(Degraded, match="npm"):
        player.fetch(tmp_path)
    assert not player.fetched(tmp_path)


def test_offline_it_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    npm(tmp_path / "bin", "exit 1", monkeypatch)
    with pytest.raises(Degraded, match="could not fetch"):
        player.fetch(tmp_path)


def test_anything_but_what_was_tried_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    npm(tmp_path / "bin", copying(archive(tmp_path)), monkeypatch)
    with pytest.raises(Degraded, match="not the shaka-player"):
        player.fetch(tmp_path)
    assert not player.fetched(tmp_path)


def test_it_asks_no_other_host_for_fonts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    style = b"a{}@font-face {font-family:R;src:url(https://fonts.example/r.ttf)}b{}"
    made = archive(tmp_path, controls=style)
    npm(tmp_path / "bin", copying(made), monkeypatch)
    monkeypatch.setattr(player, "SHA512", sha512(made.read_bytes()).hexdigest())
    player.fetch(tmp_path)
    assert player.fetched(tmp_path)
    assert (tmp_path / player.FOLDER / player.STYLE).read_bytes() == b"a{}b{}"


def test_nobody_waits_for_it_longer_than_they_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    npm(tmp_path / "bin", "exec /bin/sleep 2", monkeypatch)
    fetching = player.fetch_aside(tmp_path)
    assert re.search("on its way", fetching.trouble(0.05))
    assert re.search("not the shaka-player", fetching.trouble(20))
