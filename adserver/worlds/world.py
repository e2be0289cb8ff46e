"""A world: a catalogue, viewers, and what they made of what they saw."""

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from adserver.domain.campaign import Catalogue
from adserver.learn.evaluate import Score
from adserver.learn.history import History

VECTORS_FILE = "vectors.npy"
"""What the catalogue calls the file of vectors beside it."""


class Law(Struct, frozen=True):
    """The truth behind a made-up world."""

    bias: NDArray[np.float64]
    """float64[2, n_variants]: log odds of (complete, annoyed) for a viewer without taste."""
    viewer: NDArray[np.float64]
    """float64[2, n_viewers]: what each viewer adds to them."""
    taste: NDArray[np.float64]
    """float64[n_viewers, n_features]: for each unit of content."""
    taste_weight: tuple[float, float]
    """What taste . content is worth to (complete, annoyed)."""


class World(Struct, frozen=True):
    """What a demonstration starts from: nothing in it is learnt."""

    name: str
    title: str
    """What it is, in a few words a demonstration can print."""
    catalogue: Catalogue
    """Names ``VECTORS_FILE``; the vectors themselves are learnt."""
    campaign_ids: tuple[str, ...]
    creative_ids: tuple[str, ...]
    """By variant index, which is reading order."""
    variant_ids: tuple[str, ...]
    viewer_ids: tuple[str, ...]
    history: History
    law: Law | None = None
    reference: dict[str, Score] = {}
    """What the same recipe reached elsewhere: by field of ``Report``."""
    reference_allowed: tuple[float | None, float | None] = (None, None)
    """Likewise the value when nothing may be shown: of many candidates, of one."""
