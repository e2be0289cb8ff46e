"""Histories small enough to check by hand, and one large enough to learn from."""

import numpy as np
from msgspec.structs import replace

from adserver.learn.history import History, Part, split


def history(viewers: list[int], variants: list[int], **columns) -> History:
    viewer = np.array(viewers, np.int32)
    count = len(viewers)
    nothing = np.zeros(count)
    viewer_count = columns.pop("viewer_count", max(viewers, default=0) + 1)
    features = columns.pop("features", np.eye(max(variants, default=0) + 1))
    given = {
        name: np.asarray(columns.get(name, nothing), float)
        for name in ("complete", "annoyed", "signal")
    }
    return History(
        features=features,
        campaign=np.array(columns.get("campaign", [0] * len(features)), np.int32),
        viewer_count=viewer_count,
        viewer=viewer,
        variant=np.array(variants, np.int32),
        time_ms=np.arange(count, dtype=np.int64),
        part=split(viewer, viewer_count),
        **given,
    )


def with_last_part_scrambled(original: History) -> History:
    """Everything about the last part changed: what was seen, how it ended, how welcome it was."""
    last = original.part == Part.LAST
    return replace(
        original,
        variant=np.where(last, (original.variant + 7) % original.variant_count, original.variant),
        complete=np.where(last, 1 - original.complete, original.complete),
        annoyed=np.where(last, 1 - original.annoyed, original.annoyed),
        signal=np.where(last, -original.signal, original.signal),
    )
