"""What a figure was measured on: without it, a figure is a rumour."""

import os
import platform
import subprocess
import sys
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

PACKAGES = (
    *("numpy", "numba", "starlette", "uvicorn", "uvloop", "httptools", "orjson", "msgspec"),
    "faiss-cpu",
)
"""Whose speed is in the figures."""


@dataclass(frozen=True)
class Machine:
    """One machine at one moment."""

    processor: str
    cpus_count: int
    memory_gib: float
    system: str
    python: str
    packages: dict[str, str]
    commit: str
    load_1min: float
    """Runnable processes just before: well over 0 means that somebody else was using the cores."""
    measured_at: str

    def lines(self) -> list[str]:
        """Return the header of a report."""
        packages = ", ".join(f"{name} {number}" for name, number in self.packages.items())
        return [
            f"{self.processor}, {self.cpus_count} cores, {self.memory_gib:.0f} GiB, {self.system}",
            f"Python {self.python}, {packages}",
            f"commit {self.commit}, {self.measured_at}, load before {self.load_1min:.2f}",
        ]


def describe() -> Machine:
    """Look at this machine, now."""
    return Machine(
        processor=_processor(),
        cpus_count=len(cpus()),
        memory_gib=os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30,
        system=f"{platform.system()} {platform.release()}",
        python=f"{platform.python_implementation()} {platform.python_version()}",
        packages={name: _version(name) for name in PACKAGES},
        commit=_commit(),
        load_1min=os.getloadavg()[0],
        measured_at=datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
    )


def cpus() -> list[int]:
    """Return the cores this process may use, in order."""
    if sys.platform == "linux":
        return sorted(os.sched_getaffinity(0))
    return list(range(os.cpu_count() or 1))


def pin(process_id: int, cpus_allowed: list[int]) -> None:
    """Keep a process on these cores, where the system can do that; 0 is this process."""
    if sys.platform == "linux":
        os.sched_setaffinity(process_id, cpus_allowed)


def _processor() -> str:
    try:
        rows = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [row.split(":", 1)[1].strip() for row in rows if row.startswith("model name")]
    return names[0] if names else platform.machine()


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "absent"


def _commit() -> str:
    """Return the short commit, with a + when the tree differs from it."""

    def git(*arguments: str) -> str:
        done = subprocess.run(
            ("git", *arguments),  # noqa: S607  (whichever git the reader uses)
            cwd=Path(__file__).parent,
            capture_output=True,
            text=True,
            check=True,
        )
        return done.stdout.strip()

    try:
        return git("rev-parse", "--short", "HEAD") + ("+" if git("status", "--porcelain") else "")
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
