"""The import contracts and banned names of pyproject.toml turn red on a planted violation.

A skeleton of empty modules stands for the tree, so that what is planted is all there is to see.
"""

import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tests.tidy import tree

SCRIPTS = Path(sys.executable).parent
PYPROJECT = tomllib.loads((tree.ROOT / "pyproject.toml").read_text())
CONTRACTS = {row["id"]: row["name"] for row in PYPROJECT["tool"]["importlinter"]["contracts"]}
BANNED = PYPROJECT["tool"]["ruff"]["lint"]["flake8-tidy-imports"]["banned-api"]

PLANTED = {
    "rooms": ("adserver/domain/planted.py", "import adserver.serve"),
    "kernels": ("kernels/planted.py", "import adserver.domain"),
    "core": ("adserver/decide/planted.py", "def late():\n    import time"),
    "edge": ("adserver/edge/planted.py", "import socket"),
    "web": ("adserver/learn/planted.py", "from starlette.responses import Response"),
    "jit": ("adserver/decide/planted.py", "import numba"),
    "shipping": ("adserver/catalogue/planted.py", "import tests.naive"),
    "oracles": ("tests/naive/planted.py", "import kernels"),
}


@pytest.fixture
def skeleton(tmp_path):
    """Return a tree of empty packages under the real contracts."""
    shutil.copy(tree.ROOT / "pyproject.toml", tmp_path)
    rooms = [
        room
        for layer in PYPROJECT["tool"]["importlinter"]["contracts"][0]["layers"]
        for room in layer.split(" | ")
    ]
    packages = [*tree.PACKAGES, "tests/naive", *(f"adserver/{room}" for room in rooms)]
    for package in packages:
        (tmp_path / package).mkdir(parents=True)
        (tmp_path / package / "__init__.py").touch()
    return tmp_path


def lint(root: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [SCRIPTS / "lint-imports", "--no-logo", "--no-cache", *arguments],
        cwd=root,
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_skeleton_keeps_every_contract(skeleton):
    """Otherwise the violations below would prove nothing."""
    done = lint(skeleton)
    assert done.returncode == 0, done.stdout
    assert done.stdout.count("KEPT") == len(CONTRACTS)


def test_every_contract_has_a_planted_violation():
    assert set(PLANTED) == set(CONTRACTS)


@pytest.mark.parametrize("contract", PLANTED)
def test_a_forbidden_import_breaks_its_contract(skeleton, contract):
    path, source = PLANTED[contract]
    (skeleton / path).write_text(source)
    done = lint(skeleton, "--contract", contract)
    assert done.returncode == 1
    assert f"{CONTRACTS[contract]} BROKEN" in done.stdout, done.stdout


def test_a_room_without_a_place_is_refused(skeleton):
    (skeleton / "adserver/attic").mkdir()
    (skeleton / "adserver/attic/__init__.py").touch()
    assert "BROKEN" in lint(skeleton, "--contract", "rooms").stdout


def test_every_banned_name_is_refused():
    modules = {name.rsplit(".", 1)[0] for name in BANNED}
    source = "\n".join([*(f"import {name}" for name in sorted(modules)), *BANNED])
    arguments = ["check", "--no-cache", "--select", "TID251", "--output-format", "concise"]
    place = ("--stdin-filename", "adserver/decide/planted.py", "-")
    done = subprocess.run(
        [SCRIPTS / "ruff", *arguments, *place],
        cwd=tree.ROOT,
        input=source,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert [name for name in BANNED if f"`{name}` is banned" not in done.stdout] == []
