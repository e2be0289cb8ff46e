"""The demo's clips by name: which of them stands for a film, and what files there are of it."""

from collections.abc import Sequence
from typing import Final

KINDS: Final = {
    "comedy": "#c98a00",
    "family": "#2f8f46",
    "romance": "#c2367a",
    "drama": "#2a6fb0",
    "action": "#c4431d",
    "thriller": "#463a78",
    "fantasy": "#0f7f8c",
    "documentary": "#6b5c46",
}
"""Kind of film → the colour of its clip."""
CONTENT: Final = "film"
"""What plays after the preroll."""
CONTENT_COLOUR: Final = "#26323f"
CONTENT_S: Final = 30
LENGTHS_S: Final = (6, 15, 20, 30)
SIZES: Final = ((320, 180), (640, 360), (960, 540))
"""Width and height, the smallest first: a small player finds a file too."""

_KIND_OF_GENRE: Final = {
    "Action": "action",
    "Adventure": "action",
    "Animation": "family",
    "Children": "family",
    "Comedy": "comedy",
    "Crime": "thriller",
    "Documentary": "documentary",
    "Drama": "drama",
    "Fantasy": "fantasy",
    "Film-Noir": "thriller",
    "Horror": "thriller",
    "IMAX": "fantasy",
    "Musical": "family",
    "Mystery": "thriller",
    "Romance": "romance",
    "Sci-Fi": "fantasy",
    "Thriller": "thriller",
    "War": "action",
    "Western": "action",
}


def kind_of_genres(genres: Sequence[str]) -> str:
    """Return the kind of a film by the first of its genres."""
    return _KIND_OF_GENRE.get(genres[0], "documentary") if genres else "documentary"


def kind_of_number(number: int) -> str:
    """Return the kind that stands for a made-up film: of one campaign each looks another."""
    return list(KINDS)[number % len(KINDS)]


def name(kind: str, length_s: int, height: int) -> str:
    """Return the file of a clip."""
    return f"{kind}-{length_s}s-{height}p.mp4"


def content_name() -> str:
    """Return the file of what plays after the preroll."""
    return f"{CONTENT}-{CONTENT_S}s-{SIZES[1][1]}p.mp4"
