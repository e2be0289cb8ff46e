"""What a player reports about a decision that was shown."""

from enum import IntEnum


class EventType(IntEnum):
    """Beacon events; the numbers are what the journal keeps and never change."""

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

    @property
    def word(self) -> str:
        """The event as the beacon's path spells it."""
        return self.name.lower()


EVENTS_BY_WORD: dict[str, EventType] = {event.word: event for event in EventType}
