"""pytest-benchmark's arms as ratios: within a group, each arm against the fastest."""

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import Any

from bench.servers import ROOT


def measure(folder: str) -> Iterator[tuple[str, list[str]]]:
    """Run a folder's benchmarks and yield one title and table per group."""
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch, "benchmarks.json")
        arguments = ("--benchmark-enable", "--benchmark-only", f"--benchmark-json={path}")
        done = subprocess.run(
            [sys.executable, "-m", "pytest", folder, "-q", *arguments],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            raise ChildProcessError(done.stdout)
        rows = json.loads(path.read_text())["benchmarks"]
    rows.sort(key=lambda row: (row["group"] or "", row["stats"]["min"]))
    for group, arms in groupby(rows, key=itemgetter("group")):
        yield group or folder, table(list(arms))


def table(arms: list[dict[str, Any]]) -> list[str]:
    """Return a line per arm, fastest first; minima, which are steadier than means."""
    fastest_s = arms[0]["stats"]["min"]
    width = max(len(arm["name"]) for arm in arms)
    return [
        f"  {arm['name']:<{width}}  {1e6 * arm['stats']['min']:12.2f} µs"
        f"  {arm['stats']['min'] / fastest_s:8.2f}x"
        for arm in arms
    ]
