"""``python -m bench``: every figure of the README by one command each."""

import argparse
import sys
from pathlib import Path

from bench import machine, world
from bench.kernels import estimates
from bench.kernels import report as kernels_report
from bench.load.run import Options, run
from bench.load.schedule import Schedule
from bench.paths.counts import Effort as CountsEffort
from bench.paths.counts import compare as compare_counts
from bench.paths.endpoint import PATIENCE, Effort, compare
from bench.paths.join import Effort as JoinEffort
from bench.paths.join import compare as compare_join
from bench.paths.learn import Effort as LearnEffort
from bench.paths.learn import compare as compare_learn
from bench.paths.rendering import Effort as RenderingEffort
from bench.paths.rendering import compare as compare_rendering
from bench.report import Report
from bench.servers import running
from bench.wire import CALLS

RATES = (500.0, 1000.0, 2000.0)
"""Requests a second that locust, on the cores it shares with the server, still sends on time."""


def main() -> int:
    """Measure what was asked for; 1 when something with a bound does not pass it."""
    arguments = options().parse_args()
    report = Report(machine.describe(), f"python -m bench {' '.join(sys.argv[1:])}")
    passed: bool = arguments.measure(arguments, report)
    if arguments.markdown:
        report.write(arguments.markdown)
    return 0 if passed else 1


def options() -> argparse.ArgumentParser:
    """Return the command line."""
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--markdown", type=Path, help="also write the report here")
    of_world = argparse.ArgumentParser(add_help=False)
    of_world.add_argument("--viewers", type=int, default=20_000, help="in the store")
    of_world.add_argument("--variants", type=int, default=2_000, help="on offer")
    of_world.add_argument("--data", type=Path, help="keep the world here, and use it again")

    parser = argparse.ArgumentParser(
        prog="python -m bench",
        description="Measure adserver; bench/README.md says how to read the figures.",
        epilog="Example: python -m bench endpoint --viewers 1000000 --variants 10000",
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    endpoint = commands.add_parser(
        "endpoint", parents=[common, of_world], help="throughput against the bare-Starlette floor"
    )
    endpoint.add_argument("--call", choices=CALLS, action="append", help="which calls; default all")
    endpoint.add_argument("--pairs", type=int, default=Effort().pairs_count)
    endpoint.add_argument("--round-s", type=float, default=Effort().round_s)
    endpoint.set_defaults(measure=measure_endpoint)

    load = commands.add_parser(
        "load", parents=[common, of_world], help="latency at fixed rates, from the scheduled time"
    )
    load.add_argument("--rate", type=float, action="append", help=f"default {RATES}")
    load.add_argument("--seconds", type=float, default=30.0, help="counted, per rate")
    load.add_argument("--warm-up-s", type=float, default=5.0, help="not counted, per rate")
    load.add_argument("--users", type=int, default=32, help="connections")
    load.add_argument("--processes", type=int, default=1, help="of locust")
    load.add_argument("--workers", type=int, default=1, help="of the server")
    load.add_argument("--p99-ms-max", type=float, default=10.0)
    load.add_argument("--html", type=Path, help="locust's own report of the last rate")
    load.set_defaults(measure=measure_load)

    counts = commands.add_parser(
        "counts", parents=[common, of_world], help="what it costs a decision to keep its counts"
    )
    counts.add_argument("--pairs", type=int, default=CountsEffort().pairs_count)
    counts.set_defaults(measure=measure_counts)

    kernels = commands.add_parser(
        "kernels", parents=[common], help="kernels against reading, NumPy and faiss"
    )
    kernels.add_argument("--full", action="store_true", help="also 1,000,000 variants")
    kernels.set_defaults(measure=measure_kernels)

    for name, measure, told in (
        ("join", measure_join, "decisions with their events, against a plain dict join"),
        ("learn", measure_learn, "join and learn, the step against one in NumPy"),
        ("rendering", measure_rendering, "a VAST answer and its token, against ElementTree"),
        ("estimate", measure_estimate, "1,000 bootstrap draws over a million rows, and NumPy"),
    ):
        commands.add_parser(name, parents=[common], help=told).set_defaults(measure=measure)
    return parser


def measure_endpoint(arguments: argparse.Namespace, report: Report) -> bool:
    """Compare each call with its floor."""
    size = dimensions(arguments)
    effort = Effort(pairs_count=arguments.pairs, round_s=arguments.round_s)
    with world.of(size, arguments.data) as data:
        report.add("World", [f"  {size.describe()}"])
        for name in arguments.call or CALLS:
            subject = world.subject(data, size, 1, *PATIENCE)
            compared = compare(CALLS[name], subject, effort)
            report.add(compared.title, compared.lines())
    return True


def measure_load(arguments: argparse.Namespace, report: Report) -> bool:
    """Run each rate against one server."""
    size = dimensions(arguments)
    passed = True
    with world.of(size, arguments.data) as data:
        report.add("World", [f"  {size.describe()}"])
        subject = world.subject(data, size, arguments.workers)
        with running(subject.command, subject.port):
            for rate in arguments.rate or RATES:
                schedule = Schedule(rate, arguments.users, arguments.warm_up_s, arguments.seconds)
                asked = Options(schedule, arguments.p99_ms_max, arguments.processes, arguments.html)
                result = run(subject.port, subject.audience, asked)
                report.add(f"Load, {arguments.workers} worker(s)", result.lines)
                passed = passed and result.passed
    return passed


def measure_counts(arguments: argparse.Namespace, report: Report) -> bool:
    """Compare decisions with and without counts."""
    size = dimensions(arguments)
    with world.of(size, arguments.data) as data:
        report.add("World", [f"  {size.describe()}"])
        compared = compare_counts(data, size, CountsEffort(pairs_count=arguments.pairs))
        report.add("Counts kept by a decision", compared.lines())
    return compared.passed


def measure_learn(_: argparse.Namespace, report: Report) -> bool:
    """Measure joining and learning together."""
    compared = compare_learn(LearnEffort())
    report.add("Join and learn", compared.lines())
    return compared.passed


def measure_join(_: argparse.Namespace, report: Report) -> bool:
    """Compare the join with a plain one."""
    compared = compare_join(JoinEffort())
    report.add("Join of decisions and events", compared.lines())
    return compared.passed


def measure_rendering(_: argparse.Namespace, report: Report) -> bool:
    """Compare every version of VAST with ElementTree."""
    compared = compare_rendering(RenderingEffort())
    report.add("VAST rendering", compared.lines())
    return compared.passed


def dimensions(arguments: argparse.Namespace) -> world.Dimensions:
    """Return how large a world was asked for."""
    return world.Dimensions(viewers=arguments.viewers, variants=arguments.variants)


def measure_kernels(arguments: argparse.Namespace, report: Report) -> bool:
    """Compare the kernels with what does the same work."""
    for title, lines in kernels_report.measure(full=arguments.full):
        report.add(title, lines)
    return True


def measure_estimate(_arguments: argparse.Namespace, report: Report) -> bool:
    """Compare the bootstrap with NumPy adding up the same draws."""
    passed = True
    for title, lines, met in estimates.measure():
        report.add(title, lines)
        passed = passed and met
    return passed


if __name__ == "__main__":
    sys.exit(main())
