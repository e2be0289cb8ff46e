"""Processes that start together compile each kernel once."""

import subprocess
import sys

import pytest

from kernels import _jit

COMPILE = """
import sys
from kernels import _jit
print("ready", flush=True)
sys.stdin.readline()
import kernels.pacing
print(sum(sum(kernel.stats.cache_misses.values()) for kernel in _jit.REGISTRY), len(_jit.REGISTRY))
"""


@pytest.mark.skipif(not _jit.COMPILED, reason="as plain Python, nothing is compiled")
def test_processes_that_start_together_share_the_work(tmp_path):
    together = [
        subprocess.Popen(
            [sys.executable, "-c", COMPILE],
            env={"HOME": str(tmp_path)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(2)
    ]
    for each in together:
        assert each.stdout.readline() == "ready\n"
    for each in together:
        each.stdin.write("go\n")
        each.stdin.flush()
    told = [each.communicate(timeout=120)[0].split() for each in together]
    assert [each.returncode for each in together] == [0, 0]
    compiled, kernels = (sum(map(int, column)) for column in zip(*told, strict=True))
    assert compiled == kernels / 2 > 0


HOLD = """
import sys
from kernels import _jit
with _jit._alone_with("kernels.nobody"):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_whoever_waits_for_a_process_that_was_stopped_goes_on_without_it(monkeypatch):
    waits = []
    monkeypatch.setattr(_jit.time, "sleep", waits.append)
    with subprocess.Popen(
        [sys.executable, "-c", HOLD], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout.readline() == "held\n"
        with _jit._alone_with("kernels.nobody"):  # noqa: SLF001
            assert sum(waits) == pytest.approx(_jit.WAIT_S_MAX)
        with _jit._alone_with("kernels.somebody"):  # noqa: SLF001
            assert sum(waits) == pytest.approx(_jit.WAIT_S_MAX)
        holder.communicate("", timeout=60)
    waits.clear()
    with _jit._alone_with("kernels.nobody"):  # noqa: SLF001
        assert not waits
