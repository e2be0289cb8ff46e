"""Who may be learnt about, found by pseudonym."""

import numpy as np

from adserver.domain.viewer import ViewerRecord, pseudonym
from adserver.learn.audience import NOBODY, Audience
from adserver.viewer.codec import encode

KEY = bytes(range(16))
NAMES = [f"ml-{number}" for number in range(5)]


class Store:
    """Viewers to scan."""

    def scan(self):
        """Walk all."""
        record = encode(ViewerRecord(pseudonym_key=KEY, vector=np.zeros(2, np.float32)))
        return ((name, record) for name in NAMES)


def test_one_pseudonym_of_another_length_hides_nobody_else():
    audience = Audience(Store())
    own = [pseudonym(KEY, name) for name in NAMES]
    assert audience.find([*own, None]).tolist() == [0, 1, 2, 3, 4, NOBODY]
    # Too short and too long, together as long as two.
    asked = [own[0], own[1][:8], own[2], own[3], own[4] + bytes(8)]
    assert audience.find(asked).tolist() == [0, NOBODY, 2, 3, NOBODY]
