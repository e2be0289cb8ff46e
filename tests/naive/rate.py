"""Oracles: rates of many things at once, as NumPy has them. Nothing of ours is imported."""

import numpy as np

MEMORY_S, MEMORY_COUNT, LATELY_S = 900.0, 32.0, 15.0
CHANGE_SIGMAS, CHANGE_COUNT = 4.0, 6.0


def grown(words, total, seen):
    """Subtract, and remember; of one or of many."""
    growth = words[total] - words[seen]
    words[seen] = words[total]
    return growth


def rate_of(count, exposure, prior, prior_count):
    """Divide where there is something to divide by."""
    count, exposure, prior = map(np.asarray, (count, exposure, prior))
    presumes = prior > 0.0
    count = count + np.where(presumes, prior_count, 0.0)
    exposure = exposure + np.where(presumes, prior_count / np.where(presumes, prior, 1.0), 0.0)
    safe = np.where(exposure > 0.0, exposure, 1.0)
    return np.where(exposure > 0.0, count / safe, 0.0)


def follow(  # noqa: PLR0913, PLR0917  (the kernel's parameters)
    sums, at, count, exposure, elapsed_s, prior, prior_count
):
    """Fade, add, and forget where there was a change; of one or of many, by where each begins."""
    where = np.atleast_1d(at)[:, None] + np.arange(4)
    kept = sums[where]
    seen = np.stack(np.broadcast_arrays(count, exposure, kept[:, 0])[:2], axis=1)
    expected = rate_of(kept[:, 0], kept[:, 1], prior, prior_count) * exposure
    fading = np.exp(-np.minimum(elapsed_s / MEMORY_S, expected / MEMORY_COUNT))
    kept[:, :2] = kept[:, :2] * fading[:, None] + seen
    kept[:, 2:] = kept[:, 2:] * np.exp(-elapsed_s / LATELY_S) + seen
    expected = rate_of(kept[:, 0], kept[:, 1], prior, prior_count) * kept[:, 3]
    changed = np.abs(kept[:, 2] - expected) > CHANGE_SIGMAS * np.sqrt(expected) + CHANGE_COUNT
    kept[changed] = np.tile(seen[changed], 2)
    sums[where] = kept
    return rate_of(kept[:, 0], kept[:, 1], prior, prior_count)
