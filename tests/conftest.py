"""What every test shares: how Hypothesis runs, and how seldom memory is walked for cycles.

``check`` (the default) draws the same examples every time, so that an unchanged tree cannot turn
red. ``explore`` draws fresh ones and more of them, and prints what reproduces a failure.
"""

import gc

from hypothesis import HealthCheck, settings

# No deadline: two lanes of work share the cores, and a slow moment of the machine is not a defect.
settings.register_profile("check", derandomize=True, deadline=None, max_examples=40)
settings.register_profile(
    "explore",
    deadline=None,
    max_examples=1000,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("check")

# What is imported and collected lives on: walking it at the usual pace took a fifth of the time.
gc.set_threshold(50_000, 20, 100)


def pytest_collection_finish() -> None:
    """Leave what was loaded out of every later walk."""
    gc.collect()
    gc.freeze()


def pytest_unconfigure() -> None:
    """Let extension modules find nothing left behind at the end."""
    gc.unfreeze()
