"""The type checker sees through the kernel decorator: what Numba would refuse, mypy does first."""

import re
import subprocess
import sys

from tests.tidy import tree

PLANTED = """
import numpy as np
from numpy.typing import NDArray

from kernels._jit import kernel

@kernel(None)
def total(values: NDArray[np.float32], count: int) -> float:
    return float(values[:count].sum())

right, wrong = np.zeros(3, np.float32), np.zeros(3, np.float64)
total(right, 3)
total(wrong, 3)
total(right)
word: str = total(right, 3)

def untyped(value):
    return value
"""


def test_wrong_types_are_refused(tmp_path):
    (tmp_path / "planted.py").write_text(PLANTED)
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--config-file", "pyproject.toml", tmp_path / "planted.py"],
        cwd=tree.ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    found = re.findall(r"planted\.py:(\d+): error: .*\[([\w-]+)\]", done.stdout)
    assert found == [
        ("13", "arg-type"),
        ("14", "call-arg"),
        ("15", "assignment"),
        ("17", "no-untyped-def"),
    ], done.stdout
