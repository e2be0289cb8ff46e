"""Catalogue documents: bytes in, a whole valid ``Catalogue`` out, or every reason why not."""

import json
from pathlib import Path
from typing import Any

import msgspec

from adserver.catalogue.checks import check_catalogue
from adserver.catalogue.gather import finite_float, gather
from adserver.catalogue.vectors import Document, check_vector_file, read_vectors
from adserver.domain.campaign import Catalogue
from adserver.domain.errors import InvalidInput, Problem

WHAT = "this catalogue is not valid"


def parse_catalogue(data: bytes, directory: Path | None) -> Catalogue:
    """Validate a catalogue as a whole.

    Parameters
    ----------
    data
        JSON, UTF-8.
    directory
        Where the file named by ``vectors`` stands; None when the document came alone.

    Returns
    -------
    Catalogue
        Every reference resolves, every address and number is fit to be served.

    Raises
    ------
    InvalidInput
        With every problem and its JSON path.
    """
    problems: list[Problem] = []
    catalogue = _convert(data, problems)
    check_catalogue(catalogue, problems)
    if not problems:  # the file's shape means nothing beside a document that miscounts its variants
        problems = check_vector_file(catalogue, directory)
    if problems:
        raise InvalidInput(WHAT, problems)
    return catalogue


def read_document(data: bytes, directory: Path | None) -> Document:
    """Validate a catalogue as a whole and read its vectors, as ``parse_catalogue`` does."""
    catalogue = parse_catalogue(data, directory)
    return Document(catalogue, read_vectors(catalogue, directory))


def _convert(data: bytes, problems: list[Problem]) -> Catalogue:
    try:
        return msgspec.json.decode(data, type=Catalogue)
    except (ValueError, RecursionError) as refusal:  # syntax, UTF-8 and types are all ValueErrors
        catalogue: Catalogue = gather(_load(data), Catalogue, "$", problems)
        if not problems:  # only msgspec minds half of a surrogate pair
            problems.append(Problem("$", f"is not JSON: {refusal}; perhaps \\ud800 in a string"))
        return catalogue


def _load(data: bytes) -> Any:
    """Decode leniently, so that numbers that are none are reported at their own path."""
    try:
        return json.loads(data.decode(), parse_float=finite_float, parse_constant=finite_float)
    except RecursionError:
        problem = "is nested too deeply"
    except ValueError as error:
        problem = f"is not JSON: {error}"
    raise InvalidInput(WHAT, [Problem("$", problem)])
