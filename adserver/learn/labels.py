"""What an outcome teaches: the labels of both heads, and how far it moves a profile."""

import numpy as np
from numpy.typing import NDArray


def signal(outcomes: NDArray[np.float64]) -> NDArray[np.float64]:
    """float64[n]: how welcome each was, from float64[2, n] labels of (complete, annoyed).

    1 for a preroll watched to the end, -1 for one that annoyed, 0 for one left without annoyance:
    -.2 or .2 in its place made no difference on the demo's replay requests.
    """
    return np.asarray(outcomes[0] - outcomes[1])
