"""One small market, and one run of it that somebody may have sabotaged."""

from collections.abc import Callable
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

from msgspec.structs import replace

from adserver.cli.sandbox import Sandbox
from adserver.worlds.market import SMALL, Market, build_market
from adserver.worlds.simulate import Simulation
from adserver.worlds.stubs import Faults, SeededEntropy
from adserver.worlds.tally import Summary

SEED = 7
Sabotage = Callable[[Sandbox], None]


@cache
def market(seed: int = SEED, **scale: int) -> Market:
    """Make up a market once."""
    return build_market(seed, replace(SMALL, **scale), SeededEntropy(seed, b"records"))


def live(
    judged: Market,
    served: Market | None = None,
    sabotage: Sabotage = lambda _: None,
    faults: Faults = Faults(),  # noqa: B008  (frozen)
    workers: int = 1,
) -> Summary:
    """Simulate a market; the server may be given another one than the laws."""
    with TemporaryDirectory() as directory:
        sandbox = Sandbox(served or judged, Path(directory), faults, workers)
        sabotage(sandbox)
        summary = Simulation(judged, sandbox, sandbox.clock, faults, workers).run()
        sandbox.close()
    return summary


def broken(summary: Summary) -> dict[str, list[str]]:
    """Return the examples of every law that was broken."""
    return {law.law: law.examples for law in summary.laws if law.broken}
