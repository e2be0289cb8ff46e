"""The VAST answer: a variant's parts put where the version has them, then joined by its link.

What a variant looks like in one version to one kind of player is put together once and kept
(``prepared``); a request only joins its pieces.
"""

from collections.abc import Iterable, Mapping
from typing import Final

from adserver.edge.json_response import NO_ROWS, Handles, Table
from adserver.edge.vast_parts import BASELINE, FILE, MARK, MEDIA_FRAGMENT, PARTS, VARIANT_FRAGMENT
from adserver.edge.vast_version import BASE, DECISION, EXPIRES, LAYOUTS, LINK, Layout

Prepared = list[bytes]
"""A document, cut wherever the link of a decision belongs."""

_MARK: Final = MARK.encode()
_LINK: Final = LINK.encode()
_EARLY: Final = tuple(LAYOUTS[version].none[: -len(b"/>")] + b">" for version in ("2.0", "3.0"))
"""How documents of these versions begin."""
_EXTENSIONS: Final = b"<Extensions>"
_END_OF_EXTENSIONS: Final = b"</Extensions>"
_IMPRESSION: Final = b"<Impression>"
_END_OF_AD: Final = b"</InLine>"
_DECISION: Final = DECISION.encode()


class VastAnswers:
    """Writes answers from one snapshot.

    Parameters
    ----------
    texts
        The snapshot's tables: the two fragments of ``vast_parts``.
    base_url
        Where players reach this server.
    expires_s
        How long a decision's beacons are accepted.
    """

    __slots__ = ("_base", "_expires", "_files", "_none", "_variants")

    def __init__(self, texts: Mapping[str, Table], base_url: str, expires_s: int) -> None:
        self._variants: Table = texts.get(VARIANT_FRAGMENT, NO_ROWS)
        self._files: Table = texts.get(MEDIA_FRAGMENT, NO_ROWS)
        self._base = base_url.encode()
        self._expires = b"%d" % expires_s
        self._none = {version: self._cut(layout.none) for version, layout in LAYOUTS.items()}

    def prepared(self, variant: int, files: Iterable[int], version: str) -> Prepared:
        """Put the variant at this index together with the files at theirs."""
        layout = LAYOUTS[version]
        parts = dict(zip(PARTS, self._variants[variant].split(_MARK), strict=True))
        offset, scripts = parts[b"skip_offset"], parts[b"verifications"]
        page = parts[b"landing_page"]
        parts[b"skip_event"] = layout.skip_event if offset else b""
        parts[b"skip_offset"] = _within(layout.skip_offset, offset)
        parts[b"verifications"] = _within(layout.verifications, scripts)
        parts[b"clicks"] = layout.clicks if page else b""
        parts[b"files"] = _files(layout, [self._files[index] for index in files])
        return self._cut(layout.document % parts)

    def show(self, prepared: Prepared, handles: Handles) -> bytes:
        """Answer with a prepared variant."""
        return _link(handles).join(prepared).replace(_DECISION, handles.decision_id.encode())

    def none(self, handles: Handles, version: str) -> bytes:
        """Answer with no ad and, where the version can, whom to tell that something went wrong."""
        return _link(handles).join(self._none[version])

    def _cut(self, document: bytes) -> Prepared:
        filled = document.replace(EXPIRES.encode(), self._expires)
        return filled.replace(BASE.encode(), self._base).split(_LINK)


def with_dosage_token(document: bytes, token: str) -> bytes:
    """Add an extension with what a player is to keep for its next request.

    Extensions stand before the first impression since 4.0, and last before that; there is never
    text of an advertiser's before either.
    """
    extension = b'<Extension type="dosage_token">%b</Extension>' % token.encode()
    head, tail, behind = document.rpartition(_END_OF_AD)
    if document.startswith(_EARLY):
        if head.endswith(_END_OF_EXTENSIONS):
            return head[: -len(_END_OF_EXTENSIONS)] + extension + _END_OF_EXTENSIONS + tail + behind
        return b"%b<Extensions>%b</Extensions>%b%b" % (head, extension, tail, behind)
    first = document.index(_IMPRESSION)
    at = document.find(_EXTENSIONS, 0, first)
    if at >= 0:
        at += len(_EXTENSIONS)
        return document[:at] + extension + document[at:]
    return b"%b<Extensions>%b</Extensions>%b" % (document[:first], extension, document[first:])


def _link(handles: Handles) -> bytes:
    """Return what stands in every pixel: the token, and beside it the AdServingId in the clear.

    The specification wants the id on all tracking pixels (VAST 4.1, 3.4.1).
    """
    return f"{handles.token}&asid={handles.decision_id}".encode()


def _within(form: bytes, content: bytes) -> bytes:
    return form % content if form and content else b""


def _files(layout: Layout, rows: list[bytes]) -> bytes:
    """Write the files in rising bitrate, behind one that plays anywhere if there is any.

    Players take the first file when they do not know better.
    """
    ranked = [row.split(_MARK) for row in sorted(rows)]
    files = [part for part in ranked if part[2] == FILE]
    masters = [part for part in ranked if part[2] != FILE][: layout.masters_max]
    first = next((part for part in files if part[1] == BASELINE), None)
    if first is not None:
        files.remove(first)
        files.insert(0, first)
    return b"".join(
        [
            *(b"<MediaFile %b>%b</MediaFile>" % (shape, url) for *_, shape, url in files),
            *(layout.master % {b"shape": shape, b"url": url} for *_, shape, url in masters),
        ]
    )
