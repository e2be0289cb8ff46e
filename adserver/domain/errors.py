"""Errors by who must act: the caller, nobody (we served a fallback), or us."""

from dataclasses import dataclass


class AdserverError(Exception):
    """Anything this project raises on purpose."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong with an input: where, what, and what was expected."""

    path: str
    """JSON path, ``line 3: $.viewer.id``, or a column and row."""
    message: str

    def __str__(self) -> str:
        """``path: message``."""
        return f"{self.path}: {self.message}"


class InvalidInput(AdserverError):
    """The caller's document is wrong; nothing was changed. Not logged: not ours to act on."""

    def __init__(self, what: str, problems: list[Problem]) -> None:
        self.what = what
        self.problems = problems
        super().__init__(f"{what}: " + "; ".join(str(problem) for problem in problems[:5]))


class Broken(AdserverError):
    """We must act: a file of ours is damaged, an invariant does not hold."""


class Degraded(AdserverError):
    """Nobody need act: a fallback was served and counted."""


class StoreSlow(Degraded):
    """The viewer store overran its time; the viewer is served as an unknown one."""
