"""House rules as functions from code to complaints; each has a planted violation in the tests."""

import ast
import inspect
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import Field
from functools import cache
from importlib import import_module
from pathlib import Path, PurePath
from typing import Any

FILE_LINES_MAX = 400
FUNCTION_LINES_MAX = 60
REASON = re.compile(r"\bLong(?:er)?\b[^.]*\bbecause\b")
"""The sentence that excuses a long file or function, in its docstring: "Long because ..."."""

NAMES_THAT_SAY_NOTHING = frozenset({"utils", "util", "core", "common", "misc", "helpers"})
SKIPS = frozenset({"skip", "skipif", "xfail", "importorskip"})
MACHINE_PATH = re.compile(r"(?<![\w.~}])/(?:home|Users|root|work)/[\w.]")
SHARED = re.compile(r"\.\./shared")


@cache
def nodes(tree: ast.Module) -> tuple[ast.AST, ...]:
    """Return every node of a module: walked once, whatever the number of rules."""
    return tuple(ast.walk(tree))


def too_long(path: Path, tree: ast.Module, lines_count: int) -> Iterator[str]:
    """Find files and functions over the limit whose docstring gives no reason."""
    if lines_count > FILE_LINES_MAX and not REASON.search(ast.get_docstring(tree) or ""):
        yield f"{path}: {lines_count} lines, over {FILE_LINES_MAX}"
    for node in nodes(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            length = (node.end_lineno or node.lineno) - node.lineno + 1
            docstring = ast.get_docstring(node) or ""
            # A docstring is for the reader, however long; the limit is on what must be understood.
            length -= len(docstring.splitlines())
            if length > FUNCTION_LINES_MAX and not REASON.search(docstring):
                where = f"{path}:{node.lineno} {node.name}"
                yield f"{where}: {length} lines, over {FUNCTION_LINES_MAX}"


def nameless(paths: Iterable[PurePath]) -> Iterator[str]:
    """Find files and folders with a name that says nothing."""
    for path in paths:
        if path.name.split(".")[0].strip("_") in NAMES_THAT_SAY_NOTHING:
            yield f"{path}: name the noun"


def packages_without_init(paths: Iterable[PurePath]) -> Iterator[str]:
    """Find folders of Python files that no import contract would see."""
    known = set(paths)
    for folder in sorted({path.parent for path in known if path.suffix == ".py"}):
        if folder != PurePath() and folder / "__init__.py" not in known:
            yield f"{folder}: has no __init__.py"


def _imported_by(node: ast.AST) -> Iterator[tuple[int, str]]:
    """Line and full name of every module this statement imports."""
    if isinstance(node, ast.Import):
        yield from ((node.lineno, alias.name) for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
        yield node.lineno, node.module or ""


def numba_outside_the_door(path: PurePath, tree: ast.Module) -> Iterator[str]:
    """Find imports of numba outside the module that owns the decorator.

    The other kernels may spell their signatures: ``from numba import types``.
    """
    if path == PurePath("kernels/_jit.py"):
        return
    for node in nodes(tree):
        for line, name in _imported_by(node):
            if name.split(".")[0] == "numba" and not _signatures(path, node):
                yield f"{path}:{line}: only kernels/_jit.py touches numba"


def _signatures(path: PurePath, node: ast.AST) -> bool:
    return path.parts[0] == "kernels" and ast.unparse(node) == "from numba import types"


def skips_without_reason(path: PurePath, tree: ast.Module) -> Iterator[str]:
    """Find skips and expected failures, as marks or calls, that do not say why."""
    named = [node for node in nodes(tree) if isinstance(node, ast.Attribute) and node.attr in SKIPS]
    if not named:
        return
    with_arguments = {id(node.func) for node in nodes(tree) if _gives_reason(node)}
    for node in named:
        owner = ast.unparse(node.value)
        if owner in {"pytest", "pytest.mark"} and id(node) not in with_arguments:
            yield f"{path}:{node.lineno}: {owner}.{node.attr} without a reason"


def _gives_reason(node: ast.AST) -> bool:
    """Whether this is a call that hands over a reason."""
    if not isinstance(node, ast.Call):
        return False
    named = any(keyword.arg in {"reason", "msg"} for keyword in node.keywords)
    # pytest.skip("why") takes its reason by position; a mark's first argument is its condition.
    by_position = ast.unparse(node.func) == "pytest.skip" and bool(node.args)
    return named or by_position


def machine_paths(path: PurePath, text: str) -> Iterator[str]:
    """Find paths of somebody's machine, and of material only the tests may read."""
    for number, line in enumerate(text.splitlines(), 1):
        if MACHINE_PATH.search(line):
            yield f"{path}:{number}: names a machine's path"
        if SHARED.search(line) and path.parts[0] not in {"tests", ".ci"}:
            yield f"{path}:{number}: only tests read the shared samples"


def missing_oracles(
    kernels: Iterable[Any], find: Callable[[str], Any] = import_module
) -> Iterator[str]:
    """Find kernels without a naive twin of the same name and parameters in the same-named file."""
    for kernel in kernels:
        function = getattr(kernel, "py_func", kernel)
        room = function.__module__.rsplit(".", 1)[-1]
        name = f"{room}.{function.__name__}"
        try:
            oracle = getattr(find(f"tests.naive.{room}"), function.__name__, None)
        except ModuleNotFoundError:
            oracle = None
        if oracle is None:
            yield f"{name}: no oracle"
        elif (ours := _parameters(oracle)) != (theirs := _parameters(function)):
            yield f"{name}: the oracle takes {ours}, the kernel {theirs}"


def _parameters(function: Callable[..., Any]) -> list[str]:
    return list(inspect.signature(function).parameters)


def settings_row(setting: Field[Any]) -> str:
    """Return the row of the page of settings that describes this one."""
    default = str(setting.default)
    default = default.lower() if isinstance(setting.default, bool) else default
    shown = f"`{default}`" if default else ""
    return f"| `{setting.name}` | {shown} | {setting.metadata['help']} |"


def undocumented(rows: Iterable[str], page: str) -> Iterator[str]:
    """Find rows that the page lacks; a changed default or meaning changes the row."""
    lines = {" ".join(line.split()) for line in page.splitlines()}
    for row in rows:
        if " ".join(row.split()) not in lines:
            yield f"not documented: {row}"
