"""The one place worlds get numbers by lot: from a seed, so that a world can be made again."""

import numpy as np

Dice = np.random.Generator  # noqa: TID251  (a world is made from a seed, not from a request's draw)


def throw(seed: int) -> Dice:
    """Return dice that fall the same way for the same seed."""
    return np.random.default_rng(seed)  # noqa: TID251
