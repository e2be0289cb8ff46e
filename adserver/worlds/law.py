"""What every law is: something that reads decisions and impressions, and counts faults."""

from typing import Final

from adserver.worlds.truth import Asked, Book, Paid

EXAMPLES_MAX: Final = 5


class Law:
    """One law: what it says, how often it was checked, and how it was broken."""

    says: str

    def __init__(self, book: Book) -> None:
        self.book = book
        self.checks = 0
        self.broken = 0
        self.examples: list[str] = []

    def asked(self, asked: Asked) -> None:
        """Look at a decision."""

    def paid(self, paid: Paid) -> None:
        """Look at an impression."""

    def ended(self) -> None:
        """Look at the whole."""

    def hold(self, holds: bool, asked: Asked | None, fault: str) -> None:  # noqa: FBT001
        """Count a check; remember the first few faults."""
        self.checks += 1
        if holds:
            return
        self.broken += 1
        if len(self.examples) < EXAMPLES_MAX:
            where = "" if asked is None else f"{asked.row.decision_id.hex()}: "
            self.examples.append(where + fault)
