"""Policy documents: TOML in, a whole valid ``Policy`` out, or every reason why not."""

import tomllib

from adserver.catalogue.gather import finite_float, gather
from adserver.domain.errors import InvalidInput, Problem
from adserver.domain.policy import Policy

WHAT = "this policy is not valid"


def parse_policy(document: str | bytes) -> Policy:
    """Validate a policy as a whole; an absent key has its default.

    Parameters
    ----------
    document
        TOML, UTF-8.

    Returns
    -------
    Policy
        Every number finite and within its limits.

    Raises
    ------
    InvalidInput
        With every problem and its path, as ``threshold.placements.trailer``.
    """
    problems: list[Problem] = []
    try:
        text = document.decode() if isinstance(document, bytes) else document
        raw = tomllib.loads(text, parse_float=finite_float)
    except RecursionError:
        raise InvalidInput(WHAT, [Problem("$", "is nested too deeply")]) from None
    except ValueError as error:
        raise InvalidInput(WHAT, [Problem("$", f"is not TOML: {error}")]) from None
    policy: Policy = gather(raw, Policy, "", problems)
    if problems:
        raise InvalidInput(WHAT, problems)
    return policy
