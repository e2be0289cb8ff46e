"""Every kernel has a naive twin: the rule on the real kernels, all of them."""

from importlib import import_module

from kernels import _jit
from tests.tidy import rules, tree

KERNEL_COUNT_MIN = 3
"""Eligibility, relevance, choice: fewer means that the registry was read before it was filled."""


def test_every_kernel_has_an_oracle_with_the_same_parameters():
    for path in tree.files(".py"):
        if path.parts[0] == "kernels" and len(path.parts) == 2:
            import_module(f"kernels.{path.stem}")
    assert len(_jit.REGISTRY) >= KERNEL_COUNT_MIN
    assert list(rules.missing_oracles(_jit.REGISTRY)) == []
