"""What every test shares: how Hypothesis runs.

``check`` (the default) draws the same examples every time, so that an unchanged tree cannot turn
red. ``explore`` draws fresh ones and more of them, and prints what reproduces a failure.
"""

from hypothesis import HealthCheck, settings

# No deadline: two lanes of work share the cores, and a slow moment of the machine is not a defect.
settings.register_profile("check", derandomize=True, deadline=None, max_examples=60)
settings.register_profile(
    "explore",
    deadline=None,
    max_examples=1000,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("check")
