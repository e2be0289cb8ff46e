"""The hold-out: viewers who never see an ad, so that what ads do can be told from what is.

Membership is a hash of the viewer's id, so it is the same in every worker, after every restart and
under every policy; a larger share keeps those who were in already.
"""

from hashlib import blake2b
from typing import Final

_BYTES: Final = 7
_BITS: Final = 53
"""As many as a float holds exactly."""


def held_out(viewer_id: str, share: float) -> bool:
    """Whether this viewer belongs to the given share of all viewers."""
    return share > 0.0 and position(viewer_id) < share


def position(viewer_id: str) -> float:
    """Return the viewer's place in [0, 1): those below the share are held out."""
    digest = blake2b(viewer_id.encode(), digest_size=_BYTES, person=b"hold-out").digest()
    return (int.from_bytes(digest, "big") >> (8 * _BYTES - _BITS)) * 2.0**-_BITS
