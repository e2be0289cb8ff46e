"""The house rules on the real tree, and on a planted violation each."""

import ast
from dataclasses import dataclass, field, fields
from pathlib import Path, PurePath
from types import SimpleNamespace

import pytest

from tests.tidy import rules, tree


def parsed(source: str) -> ast.Module:
    return ast.parse(source)


def long_function(docstring: str = "") -> str:
    return f"def f():\n    '''{docstring}'''\n" + "    x = 1\n" * rules.FUNCTION_LINES_MAX


@pytest.fixture(scope="module", autouse=True)
def _trees_go_with_their_tests():
    """Let a million nodes be kept for these tests only: whoever walks memory later walks them."""
    yield
    tree.module.cache_clear()
    rules.nodes.cache_clear()


# The tree itself


def test_the_tree_is_found():
    """Every other test here would pass on an empty list."""
    assert {"adserver", "kernels", "bench", "tests"} <= {
        path.parts[0] for path in tree.files(".py")
    }
    assert not [path for path in tree.everything() if ".venv" in path.parts]


def test_files_and_functions_stay_short():
    found = [
        complaint
        for path in tree.files(".py")
        for complaint in rules.too_long(path, tree.module(path), len(tree.text(path).splitlines()))
    ]
    assert found == []


def test_names_say_something():
    assert list(rules.nameless(tree.everything())) == []


def test_every_folder_is_a_package():
    assert list(rules.packages_without_init(tree.files(".py"))) == []


def test_numba_has_one_door():
    found = [
        complaint
        for path in tree.files(".py")
        for complaint in rules.numba_outside_the_door(path, tree.module(path))
    ]
    assert found == []


def test_skips_say_why():
    found = [
        complaint
        for path in tree.files(".py")
        for complaint in rules.skips_without_reason(path, tree.module(path))
    ]
    assert found == []


def test_no_machine_is_named():
    found = [
        complaint
        for path in tree.files()
        for complaint in rules.machine_paths(path, tree.text(path))
    ]
    assert found == []


# Planted violations


def test_a_long_file_is_reported():
    lines_count = rules.FILE_LINES_MAX + 1
    assert list(rules.too_long(Path("a.py"), parsed("x = 1"), lines_count))
    assert not list(rules.too_long(Path("a.py"), parsed("'''Long because X.'''"), lines_count))
    assert not list(rules.too_long(Path("a.py"), parsed("x = 1"), rules.FILE_LINES_MAX))


def test_a_long_function_is_reported():
    assert list(rules.too_long(Path("a.py"), parsed(long_function()), 70))
    excused = long_function("Do it.\n\n    Long because one pass is the point.\n    ")
    assert not list(rules.too_long(Path("a.py"), parsed(excused), 70))


@pytest.mark.parametrize("name", ["adserver/utils.py", "adserver/_common.py", "kernels/core"])
def test_a_name_that_says_nothing_is_reported(name):
    assert list(rules.nameless([PurePath(name)]))


def test_a_folder_without_init_is_reported():
    paths = [PurePath("adserver/__init__.py"), PurePath("adserver/edge/json_request.py")]
    assert list(rules.packages_without_init(paths)) == ["adserver/edge: has no __init__.py"]


@pytest.mark.parametrize(
    "source",
    [
        "import numba",
        "from numba import njit",
        "from numba import njit, types",
        "def f():\n    import numba.core",
        "import numba as n",
    ],
)
def test_numba_outside_its_door_is_reported(source):
    assert list(rules.numba_outside_the_door(PurePath("kernels/scoring.py"), parsed(source)))
    assert not list(rules.numba_outside_the_door(PurePath("kernels/_jit.py"), parsed(source)))


def test_a_kernel_may_spell_its_signature():
    source = parsed("from numba import types")
    assert not list(rules.numba_outside_the_door(PurePath("kernels/scoring.py"), source))
    assert list(rules.numba_outside_the_door(PurePath("adserver/decide/x.py"), source))


@pytest.mark.parametrize(
    "source",
    [
        "@pytest.mark.skip\ndef test_x(): pass",
        "@pytest.mark.skip()\ndef test_x(): pass",
        "@pytest.mark.skipif(True)\ndef test_x(): pass",
        "@pytest.mark.xfail(strict=True)\ndef test_x(): pass",
        "pytest.skip()",
    ],
)
def test_a_skip_without_reason_is_reported(source):
    assert list(rules.skips_without_reason(PurePath("tests/x.py"), parsed(source)))


@pytest.mark.parametrize("source", ["pytest.skip('why')", "pytest.mark.skipif(x, reason='why')"])
def test_a_skip_with_a_reason_is_not(source):
    assert not list(rules.skips_without_reason(PurePath("tests/x.py"), parsed(source)))


@pytest.mark.parametrize("folder", ["home", "Users", "root", "work"])
def test_a_machine_path_is_reported(folder):
    assert list(rules.machine_paths(PurePath("README.md"), f"cd /{folder}/someone/adserver"))


def test_the_shared_samples_are_for_tests_only():
    line = "SAMPLES = '" + "../" + "shared'"
    assert list(rules.machine_paths(PurePath("bench/x.py"), line))
    assert not list(rules.machine_paths(PurePath("tests/x.py"), line))


def test_addresses_and_relative_paths_are_not_machine_paths():
    fine = "POST /v1/track/start, ~/.cache/adserver, https://example.com/home/page, ./home/x"
    assert not list(rules.machine_paths(PurePath("README.md"), fine))


def test_an_undocumented_setting_is_reported():
    @dataclass
    class Settings:
        port: int = field(default=8080, metadata={"help": "Port to listen on."})

    row = rules.settings_row(fields(Settings)[0])
    assert row == "| `port` | `8080` | Port to listen on. |"
    assert not list(rules.undocumented([row], f"# Settings\n{row}\n"))
    assert list(rules.undocumented([row], "| `port` | `8081` | Port to listen on. |"))


def test_a_missing_oracle_is_reported():
    def orphan(x):
        return x

    orphan.__module__ = "kernels.selection"
    assert list(rules.missing_oracles([orphan], lambda _: SimpleNamespace())) == [
        "selection.orphan: no oracle"
    ]
    orphan.__module__ = "kernels.no_such_room"
    assert list(rules.missing_oracles([orphan])) == ["no_such_room.orphan: no oracle"]


def test_an_oracle_with_other_parameters_is_reported():
    def choose(values, threshold):
        return values, threshold

    choose.__module__ = "kernels.selection"
    twin = SimpleNamespace(choose=lambda threshold, values: (threshold, values))
    assert list(rules.missing_oracles([choose], lambda _: twin))
    same = SimpleNamespace(choose=lambda values, threshold: (values, threshold))
    assert not list(rules.missing_oracles([choose], lambda _: same))
