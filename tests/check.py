"""The one command: ``python -m tests.check`` runs format, lint, types, import directions and tests.

The tests, and the benchmarks at their smallest size, run in four processes, of which two are mostly
waiting, for a server or a clock; the other tools run beside them. A step is one line when it ends,
and its whole output when it fails. The last line counts the tests as pytest does, so that whoever
reads only the end knows how many ran.

``--full`` adds what the fast run cannot see: the kernels as plain Python (``NUMBA_DISABLE_JIT``),
the kernels with checked indices (``NUMBA_BOUNDSCHECK``, in a cache of its own), and more examples
per law, seeded afresh.
"""

import argparse
import os
import re
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).parent.parent
SCRIPTS = Path(sys.executable).parent
"""The tools of this environment, whether or not it is activated."""

CLOSING_LINE = re.compile(r"^=* ?(?=\d+ \w+(,| in ))(?P<counts>.+?) in [\d.]+s")
COUNT = re.compile(r"(\d+) (passed|failed|errors?|skipped|xfailed|xpassed)")
STEP_S_MAX = 900.0
"""A step that hangs fails, instead of keeping everybody waiting."""
EXIT_OUT_OF_TIME = 124
EXIT_NO_TESTS = 5
"""pytest found nothing to run: never a success, a misspelt folder would pass."""


@dataclass(frozen=True)
class Step:
    """One tool to run."""

    name: str
    arguments: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Outcome:
    """What became of a step."""

    step: Step
    seconds: float
    exit_code: int
    output: str

    @property
    def closing_line(self) -> str:
        """Pytest's last word, or nothing for other tools."""
        return next(
            (line for line in reversed(self.output.splitlines()) if CLOSING_LINE.match(line)), ""
        )


def pytest(name: str, *arguments: str, **environment: str) -> Step:
    """Return a pytest step: quiet, but naming whatever it skips."""
    command = (sys.executable, "-m", "pytest", "-q", "-rsfE", "--durations=5", *arguments)
    return Step(name, command, environment)


def lanes(*, full: bool) -> list[list[Step]]:
    """Return the steps, one list per lane."""
    tools = [
        Step("ruff format", (str(SCRIPTS / "ruff"), "format", "--check", ".")),
        Step("ruff check", (str(SCRIPTS / "ruff"), "check", ".")),
        Step("lint-imports", (str(SCRIPTS / "lint-imports"), "--no-logo")),
        Step("mypy", (sys.executable, "-m", "mypy")),
    ]
    # Once, before every process that tests would do the same: compile the kernels, from both ends
    # of the list, and rewrite assertions.
    warm = (sys.executable, "-m", "kernels.warm")
    compiled = [Step("kernels compiled", warm), Step("from the other end", (*warm, "--backwards"))]
    both = ("tests", "bench")
    collected = pytest("tests collected", *both, "--collect-only", "-qq")
    tests = (*both, "--numprocesses=4", "--dist=worksteal")
    if not full:
        return [[compiled[0], collected, pytest("pytest", *tests)], [compiled[1], *tools]]
    tools += [
        pytest("kernels as Python", "tests/kernels", NUMBA_DISABLE_JIT="1"),
        pytest("kernels, indices checked", "tests/kernels", NUMBA_BOUNDSCHECK="1"),
    ]
    tested = pytest("pytest", *tests, "--hypothesis-profile=explore")
    return [[compiled[0], collected, tested], [compiled[1], *tools]]


def run(step: Step, seconds_max: float = STEP_S_MAX) -> Outcome:
    """Run one tool to its end and keep what it said."""
    started = time.monotonic()
    process = subprocess.Popen(
        step.arguments,
        cwd=ROOT,
        # Some eighty processes import this tree: what one has compiled, the others need not.
        env={
            **os.environ,
            "PYTHONUNBUFFERED": "1",
            "PYTHONDONTWRITEBYTECODE": "",
            **step.environment,
        },
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        output, _ = process.communicate(timeout=seconds_max)
        exit_code = process.returncode
    except subprocess.TimeoutExpired:
        process.kill()
        output, _ = process.communicate()
        output += f"\nstopped after {seconds_max:.0f} s"
        exit_code = EXIT_OUT_OF_TIME
    return Outcome(step, time.monotonic() - started, exit_code, output)


def tell(outcome: Outcome) -> None:
    """Print a step's line, what pytest skipped, and on failure all the tool had to say."""
    mark = "ok    " if outcome.exit_code == 0 else "FAILED"
    counts = CLOSING_LINE.match(outcome.closing_line)
    note = f"  {counts['counts']}" if counts else ""
    print(f"{mark} {outcome.step.name:<26} {outcome.seconds:6.1f} s{note}", flush=True)
    if outcome.exit_code != 0:
        if outcome.exit_code == EXIT_NO_TESTS and "pytest" in outcome.step.arguments:
            print("no tests were collected, and that is a failure")
        print(outcome.output.rstrip(), flush=True)
    else:
        for line in outcome.output.splitlines():
            if line.startswith("SKIPPED"):
                print(f"       {line}", flush=True)


def total(outcomes: Iterable[Outcome]) -> str:
    """Add up the closing lines of every pytest run, in pytest's own words."""
    counts: Counter[str] = Counter({"passed": 0, "failed": 0})
    for outcome in outcomes:
        for number, word in COUNT.findall(outcome.closing_line):
            counts["errors" if word.startswith("error") else word] += int(number)
    return ", ".join(f"{number} {word}" for word, number in counts.items())


def check(
    plan: list[list[Step]],
    run_step: Callable[[Step], Outcome] = run,
    tell_outcome: Callable[[Outcome], None] = tell,
) -> int:
    """Run the lanes side by side and return the exit code; the last line printed is the count."""
    started = time.monotonic()
    outcomes: list[Outcome] = []

    def run_lane(lane: list[Step]) -> None:
        for step in lane:
            outcome = run_step(step)
            outcomes.append(outcome)
            tell_outcome(outcome)

    with ThreadPoolExecutor(len(plan)) as pool:
        for lane in [pool.submit(run_lane, steps) for steps in plan]:
            lane.result()
    failed = [outcome.step.name for outcome in outcomes if outcome.exit_code != 0]
    verdict = f"failed: {', '.join(failed)}" if failed else "all steps passed"
    print(f"{verdict} in {time.monotonic() - started:.0f} s")
    print(total(outcomes), flush=True)
    return 1 if failed else 0


def main() -> int:
    """Parse the command line and run the checks."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.check",
        description="Format, lint, import directions, types and all tests.",
        epilog="Example: python -m tests.check --full",
    )
    parser.add_argument(
        "--full",
        action="store_true",
        help="also the kernels as plain Python and with checked indices, and more examples a law",
    )
    arguments = parser.parse_args()
    plan = lanes(full=arguments.full)
    print(
        f"{sum(map(len, plan))} steps in {len(plan)} lanes; each reports when it ends", flush=True
    )
    return check(plan)


if __name__ == "__main__":
    sys.exit(main())
