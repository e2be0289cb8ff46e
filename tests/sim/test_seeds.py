"""A few seeds, and every seed that ever failed. The seed of a failure is the test's name.

Rerun one at full size: ``adserver data simulate --seed N --workers W``.
"""

import tomllib
from pathlib import Path

import msgspec
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from adserver.catalogue.policy import parse_policy
from adserver.cli.sandbox import simulate
from adserver.worlds.laws import LAWS
from adserver.worlds.market import SMALL
from adserver.worlds.stubs import NO_FAULTS, Faults
from tests.sim.small import broken, live, market

PAST = tomllib.loads(Path(__file__).with_name("past_failures.toml").read_text())["case"]
assert PAST, "the file of past failures was read"
ROUGH = Faults(
    stall=0.005,
    store_slow=0.05,
    store_fails=0.03,
    beacon_unsaved=0.05,
    beacon_lost=0.1,
    beacon_twice=0.2,
    beacon_late=0.2,
    beacon_late_ms=200_000,
    beacon_far_too_late=0.02,
    unplayed=0.2,
    restart=0.05,
)


@pytest.mark.parametrize(
    ("seed", "workers", "faults"),
    [(1, 1, Faults()), (2, 2, ROUGH), (3, 3, ROUGH), (4, 1, NO_FAULTS)],
    ids=["seed 1", "seed 2, two workers, rough", "seed 3, three workers, rough", "seed 4, calm"],
)
def test_every_law_is_kept(seed, workers, faults):
    summary = simulate(seed, SMALL, faults=faults, workers=workers)
    assert not broken(summary)
    # A law that had nothing to check is not kept.
    assert [law.law for law in summary.laws if not law.checks] == []
    assert {law.law for law in summary.laws} == {law.__name__.lower() for law in LAWS} | {"ledger"}
    assert summary.restarts > 0 or faults is not ROUGH
    assert summary.totals.late > 0 or faults is not ROUGH


@given(st.integers(0, 2**31), st.integers(1, 4), st.sampled_from([Faults(), ROUGH, NO_FAULTS]))
@settings(max_examples=settings.default.max_examples // 20, phases=[Phase.generate])
def test_any_seed_keeps_every_law(seed, workers, faults):
    """Three fresh seeds in the fast run, fifty in the full one; a failing seed is printed."""
    summary = simulate(seed, SMALL, faults=faults, workers=workers)
    assert not broken(summary), f"seed {seed}, {workers} workers"


@pytest.mark.parametrize("case", PAST, ids=[case["name"] for case in PAST])
def test_what_once_failed(case):
    assert case["why"].strip()
    scale = msgspec.structs.replace(SMALL, requests=3000, viewers=400)
    faults = Faults() if case["faults"] else NO_FAULTS
    policy = parse_policy(case["policy"])
    summary = simulate(case["seed"], scale, policy, faults=faults, workers=case["workers"])
    assert not broken(summary)


def test_the_same_seed_is_the_same_run_and_another_is_not():
    one = live(market(), workers=2)
    again = live(market(), workers=2)
    assert msgspec.structs.asdict(one) == msgspec.structs.asdict(again)
    assert one.digest == again.digest
    assert live(market(8), workers=2).digest != one.digest
