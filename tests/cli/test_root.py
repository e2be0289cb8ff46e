"""The command ``adserver``: quick, complete, and clear about what is wrong."""

import json
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

import adserver.cli
from adserver.cli.root import COMMANDS, main


def leaves(name, command):
    if isinstance(command, click.Group) and name:
        for child in command.list_commands(click.Context(command)):
            yield from leaves(f"{name} {child}", command.get_command(None, child))
    yield name, command


EVERY = [
    pair
    for name in COMMANDS
    for pair in leaves(name, import_module(f"adserver.cli.{name}").command)
]


def test_every_module_is_a_command_and_every_command_a_module():
    (folder,) = adserver.cli.__path__
    modules = {p.stem for p in Path(folder).glob("*.py") if "\ndef command(" in p.read_text()}
    assert modules == set(COMMANDS)


@pytest.mark.parametrize("name", COMMANDS)
def test_the_table_says_what_the_command_says(name):
    command = import_module(f"adserver.cli.{name}").command
    assert command.get_short_help_str(200) == COMMANDS[name]


@pytest.mark.parametrize(("name", "command"), EVERY, ids=[name for name, _ in EVERY])
def test_every_help_has_an_example_and_every_command_answers_in_json(name, command):
    shown = CliRunner().invoke(main, [*name.split(), "--help"])
    assert shown.exit_code == 0
    assert "Example:" in shown.output
    if not isinstance(command, click.Group):
        assert "--json" in shown.output


def test_help_imports_no_command():
    program = (
        "import sys; from adserver.cli.root import main\n"
        "try: main(['--help'])\n"
        "except SystemExit: pass\n"
        "heavy = {'numpy', 'numba', 'starlette', 'msgspec', 'lmdb'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    for name in COMMANDS:
        assert f"\n  {name} " in done.stdout


def test_as_a_module_it_is_the_same_command():
    asked = [sys.executable, "-m", "adserver", "config", "--json"]
    done = subprocess.run(asked, capture_output=True, text=True, check=False)
    assert json.loads(done.stdout)["settings"]["port"]["value"] == 8080


def test_wrong_use_is_2_and_wrong_input_is_1(tmp_path):
    runner = CliRunner()
    assert runner.invoke(main, ["nonsense"]).exit_code == 2
    assert runner.invoke(main, ["config", "--nonsense"]).exit_code == 2
    wrong = tmp_path / "settings.toml"
    wrong.write_text("port = 'x'\nprot = 1\n")
    told = runner.invoke(main, ["config", "--config", str(wrong)])
    assert told.exit_code == 1
    assert "error: settings" in told.stderr
    assert "port is 'x', expected a whole number from 0 to 65535" in told.stderr
    assert "unknown setting 'prot'" in told.stderr
    as_json = runner.invoke(main, ["config", "--json", "--config", str(wrong)])
    assert as_json.exit_code == 1
    document = json.loads(as_json.stderr)
    assert (document["error"], len(document["problems"])) == ("settings", 2)
