"""The files of the repository, as the tidy rules see them."""

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
NOT_OURS = ("build", "dist", "adserver-data", "__pycache__")
PACKAGES = ("adserver", "kernels", "bench", "tests")


def _ours(path: Path) -> bool:
    """Whether a folder or file at this place is part of the project."""
    hidden = path.name.startswith(".") and path.name not in {".ci", ".gitignore"}
    return not (hidden or path.name in NOT_OURS or path.name.endswith(".egg-info"))


def _walk(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.iterdir()):
        if _ours(path):
            yield path
            if path.is_dir():
                yield from _walk(path)


@cache
def everything() -> tuple[Path, ...]:
    """Return every file and folder of the project, relative to its root."""
    return tuple(path.relative_to(ROOT) for path in _walk(ROOT))


def files(suffix: str = "") -> list[Path]:
    """Return the files whose name ends so."""
    return [path for path in everything() if path.name.endswith(suffix) and (ROOT / path).is_file()]


def text(path: Path) -> str:
    """Return a file's text; undecodable bytes of the few binary ones do not matter here."""
    return (ROOT / path).read_text(encoding="utf-8", errors="replace")


@cache
def module(path: Path) -> ast.Module:
    """Return a Python file's syntax tree."""
    return ast.parse(text(path), filename=str(path))
