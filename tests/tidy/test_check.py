"""The one command itself: it must turn red when anything in it does."""

import sys

import pytest

from tests.check import Outcome, Step, check, lanes, run, total
from tests.check import pytest as pytest_step


def python(name: str, code: str) -> Step:
    return Step(name, (sys.executable, "-c", code))


def outcome(output: str) -> Outcome:
    return Outcome(Step("pytest", ()), 0.1, 0, output)


def test_a_failing_step_fails_the_whole_and_shows_its_output(capsys):
    plan = [
        [python("good", "print('unseen')")],
        [python("bad", "print('why'); raise SystemExit(3)")],
    ]
    assert check(plan) == 1
    printed = capsys.readouterr().out
    assert "FAILED bad" in printed
    assert "why" in printed
    assert "unseen" not in printed
    assert "failed: bad" in printed


def test_passing_steps_pass_and_the_last_line_counts_tests(capsys):
    plan = [[python("tests", "print('..'); print('7 passed, 1 skipped in 0.12s')")]]
    assert check(plan) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "7 passed, 0 failed, 1 skipped"


def test_skips_are_listed(capsys):
    line = "SKIPPED [1] tests/test_x.py:3: samples are absent"
    check([[python("tests", f"print({line!r}); print('1 skipped in 0.01s')")]])
    assert line in capsys.readouterr().out


def test_a_tool_that_does_not_exist_is_not_a_pass():
    with pytest.raises(FileNotFoundError):
        check([[Step("absent", ("/nonexistent/tool",))]])


@pytest.mark.parametrize(
    ("line", "counted"),
    [
        ("2 failed, 3 passed in 1.20s", "3 passed, 2 failed"),
        ("===== 3 passed, 1 error in 61.02s (0:01:01) =====", "3 passed, 0 failed, 1 errors"),
        ("no tests ran in 0.01s", "0 passed, 0 failed"),
        ("loaded 4 passed in review", "0 passed, 0 failed"),
    ],
)
def test_counts_come_from_the_closing_line(line, counted):
    assert total([outcome(f"noise\n{line}\n")]) == counted


def test_counts_of_several_runs_add_up():
    assert total([outcome("3 passed in 1.0s"), outcome("4 passed, 1 failed in 1.0s")]) == (
        "7 passed, 1 failed"
    )


def test_collecting_nothing_is_a_failure(tmp_path):
    assert run(pytest_step("pytest", str(tmp_path))).exit_code != 0


def test_a_step_that_hangs_fails_and_shows_how_far_it_came():
    hanging = python("hangs", "import time; print('so far', flush=True); time.sleep(60)")
    done = run(hanging, seconds_max=1.0)
    assert done.exit_code != 0
    assert "so far" in done.output
    assert "stopped after 1 s" in done.output


def test_full_adds_the_other_kernel_modes():
    added = {step.name for lane in lanes(full=True) for step in lane} - {
        step.name for lane in lanes(full=False) for step in lane
    }
    assert added == {"kernels as Python", "kernels, indices checked"}
