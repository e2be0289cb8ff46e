"""The ad request: what a player tells us, already parsed and within limits.

Every field but ``placement`` is optional and unknown fields are ignored, so that a player can be
upgraded before or after the server. Limits are part of the type: the decoder enforces them, and the
OpenAPI document states them.
"""

from typing import Annotated, Literal

from msgspec import Meta, Struct

ID_LENGTH_MAX = 128
TEXT_LENGTH_MAX = 1024
CONSENT_LENGTH_MAX = 8192
LIST_LENGTH_MAX = 64
FIRST_PRICE = 1
SECOND_PRICE = 2
"""``Terms.auction``, numbered as OpenRTB does."""

Id = Annotated[
    str,
    Meta(min_length=1, max_length=ID_LENGTH_MAX, extra_json_schema={"pattern": "^[ -~]*$"}),
]
"""1-128 printable ASCII characters; the decoder checks the length, the edge the characters."""
Word = Annotated[str, Meta(max_length=ID_LENGTH_MAX)]
Text = Annotated[str, Meta(max_length=TEXT_LENGTH_MAX)]
ConsentText = Annotated[str, Meta(max_length=CONSENT_LENGTH_MAX)]
Words = Annotated[tuple[Word, ...], Meta(max_length=LIST_LENGTH_MAX)]
Pixels = Annotated[int, Meta(ge=0, le=65535)]
Kbps = Annotated[int, Meta(ge=0, le=10**9)]
Seconds = Annotated[float, Meta(ge=0.0, le=86400.0)]

DeviceType = Literal["phone", "tablet", "desktop", "tv", "watch", "console", "other"]
Intent = Literal["know", "go", "do", "buy", "ideas", "compare", "plan"]


class ForeignId(Struct, frozen=True, gc=False):
    """An id another system gave the same viewer."""

    source: Id
    id: Id


class Viewer(Struct, frozen=True, gc=False):
    """Who is watching, as far as the caller knows."""

    id: Id | None = None
    ids: Annotated[tuple[ForeignId, ...], Meta(max_length=LIST_LENGTH_MAX)] = ()
    dosage_token: str | None = None
    """What the last answer gave the player to keep; one that is no good counts as none."""


class Consent(Struct, frozen=True, gc=False):
    """The privacy signals of the request, still encoded."""

    gdpr: bool | None = None
    tcf: ConsentText | None = None
    gpp: ConsentText | None = None
    us_privacy: Word | None = None
    coppa: bool = False
    opt_out: bool = False


class Content(Struct, frozen=True, gc=False):
    """The video the preroll would precede."""

    id: Word | None = None
    title: Text | None = None
    categories: Words = ()
    cattax: Annotated[int, Meta(ge=1, le=65535)] = 1
    keywords: Words = ()
    language: Word | None = None
    duration_s: Seconds | None = None


class Device(Struct, frozen=True, gc=False):
    """What the video plays on."""

    type: DeviceType | None = None
    os: Word | None = None
    ua: Text | None = None


class Geo(Struct, frozen=True, gc=False):
    """Where, as precisely as the caller chose to say."""

    country: Word | None = None
    region: Word | None = None
    city: Word | None = None
    lat: Annotated[float, Meta(ge=-90.0, le=90.0)] | None = None
    lon: Annotated[float, Meta(ge=-180.0, le=180.0)] | None = None


class Player(Struct, frozen=True, gc=False):
    """What the player can play; an absent field excludes nothing."""

    width: Pixels | None = None
    height: Pixels | None = None
    mimes: Words = ()
    min_duration_s: Seconds | None = None
    max_duration_s: Seconds | None = None
    skippable: bool | None = None
    vast_versions: Words = ()


class Terms(Struct, frozen=True, gc=False):
    """What the seller of the placement asks, beyond what the player can play.

    An absent field excludes nothing. Lists are as long as the request's body lets them be: one
    that was cut short would let something through.
    """

    auction: Annotated[int, Meta(ge=0, le=2)] = 0
    """``FIRST_PRICE`` or ``SECOND_PRICE``: what is chosen is offered at its campaign's price and
    may lose, and house campaigns, for which nobody pays, stay out. 0 is no auction."""
    test: bool = False
    """Nothing is charged, counted or learnt from."""
    floor_cpm_micros: Annotated[int, Meta(ge=0, le=10**15)] = 0
    """Lowest price taken, in the catalogue's currency."""
    secure: bool = False
    """Only files and scripts that come by https."""
    durations_s: tuple[Annotated[int, Meta(ge=1, le=86400)], ...] = ()
    """Exactly one of these lengths."""
    bitrate_kbps_min: Kbps | None = None
    bitrate_kbps_max: Kbps | None = None
    blocked_advertisers: tuple[Text, ...] = ()
    """Domains; their subdomains with them."""
    blocked_categories: tuple[Text, ...] = ()
    """Of what is advertised; their descendants with them."""
    allowed_categories: tuple[Text, ...] = ()
    """All that is advertised must be of these or their descendants."""
    cattax: Annotated[int, Meta(ge=1, le=65535)] = 1
    """Taxonomy of the two lists above."""
    blocked_seats: tuple[Text, ...] = ()
    """Advertisers by id."""
    allowed_seats: tuple[Text, ...] = ()
    languages: tuple[Text, ...] = ()
    """Of the creative, as ISO 639-1."""

    def cleared(self, price_nanos: int) -> int:
        """Return what an impression costs at least, however little a notice says: nanos.

        A first price is the bid. A second price is not less than the floor. A price of a thousand
        impressions in micros is one of a single impression in nanos.
        """
        if self.auction != SECOND_PRICE:
            return price_nanos
        return min(self.floor_cpm_micros, price_nanos)


class Moment(Struct, frozen=True, gc=False):
    """What the viewer is about to do, and how pressing it is."""

    intent: Intent | None = None
    urgency: Annotated[float, Meta(ge=0.0, le=1.0)] | None = None


NO_VIEWER = Viewer()
NO_CONSENT_SIGNALS = Consent()
NO_CONTENT = Content()
NO_DEVICE = Device()
NO_GEO = Geo()
NO_PLAYER = Player()
NO_TERMS = Terms()
NO_MOMENT = Moment()


class AdRequest(Struct, frozen=True, gc=False):
    """One request for a preroll, whichever dialect it arrived in."""

    placement: Id
    explain: bool = False
    deadline_ms: Annotated[int, Meta(ge=1, le=60_000)] | None = None
    viewer: Viewer = NO_VIEWER
    consent: Consent = NO_CONSENT_SIGNALS
    content: Content = NO_CONTENT
    device: Device = NO_DEVICE
    geo: Geo = NO_GEO
    player: Player = NO_PLAYER
    terms: Terms = NO_TERMS
    moment: Moment = NO_MOMENT
