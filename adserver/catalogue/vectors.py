"""The variants' vectors as one matrix, from the document itself or from the file it names."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from adserver.domain.campaign import Campaign, Catalogue, Creative, Variant
from adserver.domain.errors import InvalidInput, Problem

FLOAT32_MAX = float(np.finfo(np.float32).max)
_PATH = "$.vectors"
_ROWS_AT_ONCE = 65_536
"""Rows checked or scaled in one go: bounds the temporary copy, 32 MiB in float64 at d=64."""


@dataclass(frozen=True, slots=True)
class Document:
    """A valid catalogue and its vectors, wherever they were written."""

    catalogue: Catalogue
    vectors: NDArray[np.float32]
    """float32[n_variants, dim] in reading order, as written; zero where a variant has none."""


def read_order(catalogue: Catalogue) -> Iterator[tuple[Campaign, Creative, Variant]]:
    """Every variant in the order it is written: the order of vectors, columns and texts."""
    for campaign in catalogue.campaigns:
        for creative in campaign.creatives:
            for variant in creative.variants:
                yield campaign, creative, variant


def count_variants(catalogue: Catalogue) -> int:
    """How many variants the catalogue holds."""
    return sum(1 for _ in read_order(catalogue))


def is_plain_file_name(name: str) -> bool:
    """Whether a name can only mean a ``.npy`` beside the catalogue, whatever the platform."""
    return name.endswith(".npy") and name.isprintable() and not set(name) & set("/\\:")


def check_vector_file(catalogue: Catalogue, directory: Path | None) -> list[Problem]:
    """Everything wrong with the file that ``vectors`` names."""
    name = catalogue.vectors
    if name is None:
        return []
    if not is_plain_file_name(name):
        return [Problem(_PATH, f"{name!r} is not the plain name of a .npy beside the catalogue")]
    if directory is None:
        return [Problem(_PATH, "names a file, and this catalogue does not stand in a directory")]
    try:
        matrix = _map(directory / name)
    except (OSError, ValueError) as error:
        return [Problem(_PATH, f"{name!r} cannot be read as .npy: {error}")]
    shape = (count_variants(catalogue), catalogue.dim)
    if matrix.dtype != np.float32 or matrix.shape != shape:
        held = f"{matrix.dtype}{list(matrix.shape)}"
        return [Problem(_PATH, f"{name!r} holds {held}, expected float32{list(shape)}")]
    return [
        Problem(f"{_PATH}[{start + row}]", "must be finite numbers")
        for start in range(0, len(matrix), _ROWS_AT_ONCE)
        for row in np.flatnonzero(
            ~np.isfinite(matrix[start : start + _ROWS_AT_ONCE]).all(axis=1)
        ).tolist()
    ]


def _map(path: Path) -> NDArray[np.generic]:
    # Not np.load: it would also open an archive. open_memmap reads .npy only and never a pickle.
    return np.lib.format.open_memmap(path, mode="r")


def read_vectors(catalogue: Catalogue, directory: Path | None) -> NDArray[np.float32]:
    """Vectors as written, zero where a variant has none.

    Parameters
    ----------
    catalogue
        As parsed.
    directory
        Where the file named by ``vectors`` stands.

    Returns
    -------
    float32[n_variants, dim]
        In reading order.

    Raises
    ------
    InvalidInput
        The named file does not fit the catalogue.
    """
    if catalogue.vectors is not None:
        problems = check_vector_file(catalogue, directory)
        if problems or directory is None:
            raise InvalidInput("the vectors do not fit the catalogue", problems)
        return np.asarray(_map(directory / catalogue.vectors), np.float32)
    matrix = np.zeros((count_variants(catalogue), catalogue.dim), np.float32)
    for index, (_, _, variant) in enumerate(read_order(catalogue)):
        if variant.vector is not None:
            matrix[index] = variant.vector
    return matrix


def unit_length(matrix: NDArray[np.float32]) -> NDArray[np.float32]:
    """Rows scaled to length 1; a zero row stays zero.

    Parameters
    ----------
    matrix : float32[n, dim]
        Finite.

    Returns
    -------
    float32[n, dim]
        A copy.
    """
    scaled = np.empty_like(matrix, order="C")
    for start in range(0, len(matrix), _ROWS_AT_ONCE):
        # In float64: the squares of float32 values overflow, or vanish, in float32.
        rows = matrix[start : start + _ROWS_AT_ONCE].astype(np.float64)
        length = np.sqrt(np.einsum("ij,ij->i", rows, rows))
        rows /= np.where(length > 0, length, 1.0)[:, None]
        scaled[start : start + len(rows)] = rows
    return scaled
