"""The table of kernels/README.md is what the docstrings say: a row missing or stale fails here."""

import inspect
import re
from pathlib import Path

import kernels
from kernels import _jit
from kernels.warm import warm

README = Path(kernels.__file__).with_name("README.md")
HEADER = ("Kernel", "Does", "Inputs", "Complexity", "Oracle")


def complexity(docstring):
    """Return the first O(...) of a docstring; without one, the kernel has no loop."""
    begin = docstring.find("O(")
    if begin < 0:
        return "O(1)"
    depth = 0
    for end in range(begin, len(docstring)):
        depth += {"(": 1, ")": -1}.get(docstring[end], 0)
        if depth == 0 and docstring[end] == ")":
            return docstring[begin : end + 1].replace("\n", " ")
    raise AssertionError(docstring)


def row(kernel):
    """Return the cells of one kernel's row."""
    function = getattr(kernel, "py_func", kernel)
    docstring = inspect.getdoc(function)
    room = function.__module__.removeprefix("kernels.")
    inputs = ", ".join(f"`{name}`" for name in inspect.signature(function).parameters)
    (oracle,) = re.findall(r"``(tests\.naive\.[\w.]+)``", docstring)
    assert oracle == f"tests.naive.{room}.{function.__name__}"
    does = docstring.partition("\n")[0].removesuffix(".").replace("``", "`").replace("|", r"\|")
    return (
        f"`{room}.{function.__name__}`",
        does,
        inputs,
        complexity(docstring),
        f"[{oracle.removeprefix('tests.')}](../tests/naive/{room}.py)",
    )


def table():
    """Return the lines the README must hold."""
    warm()
    rows = sorted(row(kernel) for kernel in _jit.REGISTRY)
    return ["| " + " | ".join(cells) + " |" for cells in [HEADER, ("---",) * 5, *rows]]


def test_the_table_names_every_kernel_and_nothing_else():
    printed = [line for line in README.read_text().splitlines() if line.startswith("|")]
    assert printed == table(), "\n".join(["kernels/README.md must hold:", *table()])


def test_complexity_is_read_whole():
    assert complexity("Oracle: x. O(n ** 2 + log(n)). More.") == "O(n ** 2 + log(n))"
    assert complexity("no loop") == "O(1)"
