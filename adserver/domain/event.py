"""What players and exchanges report about a decision that was shown."""

from enum import IntEnum


class EventType(IntEnum):
    """Events; the numbers are what the journal keeps and never change."""

    IMPRESSION = 1
    START = 2
    FIRST_QUARTILE = 3
    MIDPOINT = 4
    THIRD_QUARTILE = 5
    COMPLETE = 6
    SKIP = 7
    MUTE = 8
    UNMUTE = 9
    PAUSE = 10
    RESUME = 11
    CLICK = 12
    ERROR = 13
    VIEWABLE = 14
    CLOSE = 15
    WIN = 16
    """An exchange's: the bid won its auction."""
    BILLING = 17
    """An exchange's: the bid is to be paid."""
    LOSS = 18
    """An exchange's: the bid lost its auction."""

    @property
    def word(self) -> str:
        """The event as the path of its report spells it."""
        return self.name.lower()


NOTICES = (EventType.WIN, EventType.BILLING, EventType.LOSS)
"""What exchanges report; all others are a player's."""
EVENTS_BY_WORD: dict[str, EventType] = {
    event.word: event for event in EventType if event not in NOTICES
}
"""A player's."""
NOTICES_BY_WORD: dict[str, EventType] = {event.word: event for event in NOTICES}
