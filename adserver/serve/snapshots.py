"""The snapshot a worker decides from: found, mapped, rehearsed, swapped in as one reference."""

import asyncio
import gc
import logging
from typing import Final, Protocol, TypeVar

import msgspec
from msgspec import Struct

from adserver.budget.budgets import Budgets
from adserver.catalogue.columns import (
    BID_CPM_MICROS,
    CREATIVE,
    DURATION_MS,
    OFFER,
    OFFER_FILES,
    SKIP_AFTER_MS,
    Columns,
    MediaFile,
)
from adserver.decide.pipeline import Decider
from adserver.decide.player import fits
from adserver.decide.terms import limits_of
from adserver.decide.uncapped import Uncapped
from adserver.domain.errors import AdserverError, Broken
from adserver.domain.request import NO_TERMS, AdRequest, Player, Terms
from adserver.edge.json_response import JsonAnswers
from adserver.edge.openrtb_response import OpenRtbAnswers
from adserver.edge.vast_response import Prepared, VastAnswers
from adserver.runtime.counters import Counter, Counters
from adserver.serve.limits import Limits
from adserver.serve.spending import Spending
from adserver.viewer.codec import encode, new_record, open_record
from adserver.viewer.pending import keys_of

POLL_S: Final = 0.25
REHEARSALS: Final = 3
WRITTEN_MAX: Final = 4096
"""Entries kept of each kind of thing that was written once: some 10 MB at most of the largest."""

_log = logging.getLogger(__name__)

K = TypeVar("K")
V = TypeVar("V")


class Source(Protocol):
    """Where snapshots come from."""

    def pointer_stamp(self) -> object:
        """Return something that differs once another snapshot is current."""
        ...

    def load_snapshot(self) -> Columns | None:
        """Map the current snapshot; None when nothing was ever published."""
        ...


class Shown(Struct, frozen=True, gc=False):
    """What every decision for one variant has in common."""

    variant: str
    campaign_key: int
    creative_key: int
    length_ms: tuple[int, int]
    """Duration, and how far in it can be skipped."""
    prepared: bytes
    """Its part of a JSON answer."""
    clicks: bool
    """Whether it has a landing page."""
    account: int
    """Whom an impression is charged to; 0 without a budget."""
    price: int
    """Nanos."""
    pending_keys: int
    """Of campaign and creative, as the table of what is pending holds them."""
    limited: bool
    """Whether any cap or competitor looks at its campaign."""


class Serving:
    """One snapshot and what is made of it once: decider, budgets and the writers of answers."""

    def __init__(
        self,
        columns: Columns | None,
        base_url: str,
        decision_ttl_s: int,
        budgets: Budgets | None = None,
    ) -> None:
        self.columns = columns
        self.budgets = budgets
        self.decider = None if columns is None else Decider(columns)
        self.uncapped = None if columns is None else Uncapped(columns)
        texts = {} if columns is None else columns.texts
        versions = {} if columns is None else msgspec.structs.asdict(columns.meta.versions)
        self.limits = None if columns is None else Limits(columns)
        self.hold_out = 0.0 if columns is None else columns.meta.policy.hold_out
        self.versions = (
            versions.get("catalogue", ""),
            versions.get("policy", ""),
            versions.get("model", ""),
        )
        self.json = JsonAnswers(texts, versions, base_url)
        self.vast = VastAnswers(texts, base_url, decision_ttl_s)
        self.openrtb = OpenRtbAnswers(texts, base_url)
        self._shown: dict[int, Shown] = {}
        self._json_media: dict[object, bytes] = {}
        self._vast_templates: dict[object, Prepared] = {}

    def shown(self, variant: int, campaign: int) -> Shown:
        """Return what every decision for the variant at this index has in common."""
        shown = self._shown.get(variant)
        if shown is None:
            columns = self._columns()
            duration_ms, skip_ms = columns.variants[[DURATION_MS, SKIP_AFTER_MS], variant].tolist()
            campaign_key = int(columns.campaign_keys[campaign])
            creative_key = int(columns.creative_keys[columns.variants[CREATIVE, variant]])
            shown = Shown(
                columns.texts["variant"][variant].decode(),
                campaign_key,
                creative_key,
                (duration_ms, skip_ms),
                self.json.prepared(variant),
                bool(columns.texts["landing_page"][variant]),
                *((0, 0) if self.budgets is None else self.budgets.bill(campaign)),
                keys_of(campaign_key, creative_key),
                self.limits is not None and self.limits.hold(campaign_key, surprise=False),
            )
            _keep(self._shown, variant, shown)
        return shown

    def bid_cpm_micros(self, campaign: int) -> int:
        """Return what the campaign at this index pays for a thousand impressions."""
        return int(self._columns().campaign_values[BID_CPM_MICROS, campaign])

    def json_media(self, variant: int, player: Player) -> bytes:
        """Return the entries of ``media`` that this player can play, in catalogue order."""
        key = (variant, player.mimes, player.width, player.height)
        written = self._json_media.get(key)
        if written is None:
            written = self.json.media(self._files(variant, player, mezzanine=False))
            _keep(self._json_media, key, written)
        return written

    def vast_template(
        self, variant: int, player: Player, version: str, terms: Terms = NO_TERMS
    ) -> Prepared:
        """Return the variant's VAST with the files this player, or a stitching server, can use."""
        key: tuple[object, ...] = (variant, version, player.mimes, player.width, player.height)
        if terms is not NO_TERMS:
            key = (*key, *limits_of(terms))
        template = self._vast_templates.get(key)
        if template is None:
            files = self._files(variant, player, mezzanine=True, terms=terms)
            template = self.vast.prepared(variant, files, version)
            _keep(self._vast_templates, key, template)
        return template

    def _files(
        self, variant: int, player: Player, *, mezzanine: bool, terms: Terms = NO_TERMS
    ) -> list[int]:
        start = int(self._columns().media_start[variant])
        return [
            start + offset
            for offset, file in enumerate(self.files(variant))
            if (mezzanine and file.mezzanine and (file.secure or not terms.secure))
            or fits(player, file, terms)
        ]

    def files(self, variant: int) -> tuple[MediaFile, ...]:
        """Return the files of the variant at this index, in catalogue order."""
        columns = self._columns()
        offer = columns.variants[OFFER, variant]
        return columns.meta.media_classes[int(columns.offers[OFFER_FILES, offer])]

    def _columns(self) -> Columns:
        if self.columns is None:
            raise Broken("a variant is shown without a snapshot")
        return self.columns

    def rehearse(self, now_ms: int) -> None:
        """Decide a few times for nobody: the first call of a kernel takes 12 ms (measured)."""
        if self.columns is None or self.decider is None:
            return
        stranger = open_record(encode(new_record(self.columns.meta.dim, bytes(16))))
        for placement in [*self.columns.meta.placements, ""][:REHEARSALS]:
            for viewer in (None, stranger):
                self.decider.decide(AdRequest(placement), viewer, now_ms, bytes(16), 0.5)


class Snapshots:
    """The current ``Serving``: one reference, replaced whole, so no request sees half a swap."""

    def __init__(
        self,
        source: Source,
        base_url: str,
        decision_ttl_s: int,
        counters: Counters,
        spending: Spending,
    ) -> None:
        self._source = source
        self._spending = spending
        self._base_url = base_url
        self._decision_ttl_s = decision_ttl_s
        self._counters = counters
        self._stamp: object = None
        self.current = Serving(None, base_url, decision_ttl_s)

    def refresh(self, now_ms: int) -> bool:
        """Swap to the published snapshot if it is another; True when it was. Takes its time."""
        stamp = self._source.pointer_stamp()
        if stamp == self._stamp:
            return False
        self._stamp = stamp  # even if loading fails: the same bytes would fail again
        try:
            columns = self._source.load_snapshot()
        except AdserverError:
            self._counters.add(Counter.SNAPSHOTS_REFUSED)
            raise
        if columns is None:
            return False
        budgets = self._spending.budgets(columns, now_ms)
        serving = Serving(columns, self._base_url, self._decision_ttl_s, budgets)
        serving.rehearse(now_ms)
        self.current = serving
        self._counters.add(Counter.SNAPSHOT_SWAPS)
        return True

    async def watch(self, now_ms: "Now") -> None:
        """Look for another snapshot for ever, loading in a thread while requests go on."""
        while True:
            await asyncio.sleep(POLL_S)
            try:
                if await asyncio.to_thread(self.refresh, now_ms()):
                    # What a swap leaves lives until the next: a full collection would walk it all.
                    gc.freeze()
                    _log.info("serving %s", "/".join(self.current.versions))
            except Exception:  # noqa: BLE001  (whatever is wrong with it, the old one still serves)
                _log.exception("the published snapshot cannot be served; the former one still is")


def _keep(kept: dict[K, V], key: K, value: V) -> None:
    """Remember within bounds: what is asked for often comes back soon."""
    if len(kept) >= WRITTEN_MAX:
        kept.clear()
    kept[key] = value


class Now(Protocol):
    """Milliseconds since the epoch."""

    def __call__(self) -> int:
        """Return the time."""
        ...
