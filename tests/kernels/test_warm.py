"""Nothing compiles once the kernels are warm, whatever a request holds."""

from inspect import signature
from types import SimpleNamespace

import pytest

from kernels import _jit
from kernels.warm import warm


def dispatchers():
    """Every kernel that could compile: none when they run as plain Python."""
    return [kernel for kernel in _jit.REGISTRY if hasattr(kernel, "signatures")]


def test_every_kernel_is_warmed_and_has_one_signature():
    assert warm() == len(_jit.REGISTRY) > 3
    assert len(dispatchers()) == (len(_jit.REGISTRY) if _jit.COMPILED else 0)
    assert [len(kernel.signatures) for kernel in dispatchers()] == [1] * len(dispatchers())


def test_a_warm_kernel_refuses_what_it_was_not_compiled_for():
    warm()
    for kernel in dispatchers():
        before = list(kernel.signatures)
        arguments = ["text"] * len(signature(kernel.py_func).parameters)
        with pytest.raises(TypeError, match="No matching definition"):
            kernel(*arguments)
        with pytest.raises(RuntimeError, match="compilation disabled"):
            kernel.compile(())
        assert kernel.signatures == before


def test_a_kernel_with_two_signatures_is_refused(monkeypatch):
    def twofold():
        """Stand for a kernel's function."""

    kernel = SimpleNamespace(signatures=[(), ()], py_func=twofold)
    monkeypatch.setattr(_jit, "REGISTRY", [kernel])
    monkeypatch.setattr(_jit, "COMPILED", True)
    with pytest.raises(RuntimeError, match="twofold has 2 signatures, not 1"):
        warm()
