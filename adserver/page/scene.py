"""What the page offers to choose from, as the demo wrote it down."""

from collections.abc import Sequence
from pathlib import Path
from typing import Final, get_args

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from adserver.domain.request import Intent
from adserver.worlds.cast import Member, cast
from adserver.worlds.clips import KINDS, content_name, kind_of_genres
from adserver.worlds.example import Example

SCENE: Final = "demo-scene.json"
"""File of the data directory."""
MEMBERS: Final = "demo-viewers.json"
"""And another: everybody, introduced."""
SOURCE: Final = "source"
"""Folder of the catalogue as the world has it, which names no server."""
CATALOGUE: Final = "catalogue.json"
CLIPS_PATH: Final = "/demo/clips/"
"""Where the demo serves its clips."""
LANDING_PATH: Final = "/demo/landing.html?film="
"""Where a click on a preroll leads."""
MEMBERS_MAX: Final = 7


class Scene(Struct, frozen=True):
    """Who may watch, where, and what plays after the preroll."""

    world: str
    placement: str
    members: list[Member]
    categories: list[str]
    colours: dict[str, str]
    examples: int
    """How many of the first members are the demo's examples: see ``worlds.showcase``."""
    intents: tuple[str, ...] = get_args(Intent)
    player: str | None = None
    """What the page plays with; None for the browser's own."""
    content: str = CLIPS_PATH + content_name()


def write_scene(
    data: Path, world: str, placement: str, categories: list[str], examples: Sequence[Example]
) -> None:
    """Write down who may watch: the viewers of the examples, then some unlike them."""
    everybody = msgspec.json.decode((data / MEMBERS).read_bytes(), type=list[Member])
    by_id = {member.viewer: member for member in everybody}
    first = [replace(by_id[each.viewer], category=each.category) for each in examples]
    known = [member.viewer for member in first]
    others = cast(everybody, MEMBERS_MAX - len(first), known, [each.category for each in first])
    scene = Scene(world, placement, first + others, categories, KINDS, len(first))
    (data / SCENE).write_bytes(msgspec.json.encode(scene))


class Film(Struct, frozen=True):
    """What a variant is called."""

    title: str
    kind: str


class _Variant(Struct):
    id: str
    labels: dict[str, str] = {}


class _Creative(Struct):
    variants: list[_Variant]


class _Campaign(Struct):
    creatives: list[_Creative]


class _Catalogue(Struct):
    campaigns: list[_Campaign]


def films(catalogue: Path) -> dict[str, Film]:
    """Return what the variants of a world's catalogue are called, by id; reads the labels alone."""
    document = msgspec.json.decode(catalogue.read_bytes(), type=_Catalogue)
    return {
        variant.id: _film(variant)
        for campaign in document.campaigns
        for creative in campaign.creatives
        for variant in creative.variants
    }


def _film(variant: _Variant) -> Film:
    labels = variant.labels
    title = labels.get("title", variant.id)
    year = labels.get("year")
    return Film(f"{title} ({year})" if year else title, kind_of(labels))


def kind_of(labels: dict[str, str]) -> str:
    """Return the kind of the clip that stands for a film with these labels."""
    kind = labels.get("kind")
    if kind in KINDS:
        return kind
    genres = labels.get("genres")
    return kind_of_genres(genres.split("|") if genres else ())
