"""Model documents: JSON, written by the learner and read back by the builder."""

import msgspec

from adserver.domain.errors import InvalidInput, Problem
from adserver.domain.model import Model


def parse_model(data: bytes) -> Model:
    """Read a model document; a weight that is not finite was written as null, and is refused."""
    try:
        return msgspec.json.decode(data, type=Model)
    except ValueError as error:
        raise InvalidInput("this model is not valid", [Problem("$", str(error))]) from error
