"""What each version of VAST allows below an inline ad, typed off the IAB's schemas by hand.

Only what a linear preroll can hold. An element's children are given in their order; ``!`` marks one
that must be there, ``*`` one that may be there more than once.
"""

import xml.etree.ElementTree as ET
from collections.abc import Iterator

NAMESPACE = "{http://www.iab.com/VAST}"

_EARLY = {
    "VAST": "Ad*",
    "Ad": "InLine!",
    "Creatives": "Creative*!",
    "Creative": "Linear!",
    "TrackingEvents": "Tracking*",
    "VideoClicks": "ClickThrough ClickTracking*",
    "MediaFiles": "MediaFile*!",
    "Extensions": "Extension*",
}
_MODERN = {
    **_EARLY,
    "VAST": "Ad* Error*",
    "Creative": "Linear! UniversalAdId!",
    "Linear": "TrackingEvents Duration! MediaFiles! VideoClicks",
    "VideoClicks": "ClickTracking* ClickThrough",
    "ViewableImpression": "Viewable* NotViewable* ViewUndetermined*",
}
_CURRENT = {
    **_MODERN,
    "InLine": "AdSystem! Error* Extensions Impression*! Pricing ViewableImpression AdServingId!"
    " AdTitle! AdVerifications Advertiser Category* Creatives! Description Expires Survey",
    "MediaFiles": "MediaFile*! Mezzanine*",
    "AdVerifications": "Verification*",
    "Verification": "ExecutableResource* JavaScriptResource* TrackingEvents VerificationParameters",
}
_EARLY_LINEAR = "Duration! TrackingEvents AdParameters VideoClicks MediaFiles"
CHILDREN = {
    "2.0": {
        **_EARLY,
        "InLine": "AdSystem! AdTitle! Description Survey Error Impression*! Creatives! Extensions",
        "Linear": _EARLY_LINEAR,
    },
    "3.0": {
        **_EARLY,
        "InLine": "AdSystem! AdTitle! Description Advertiser Pricing Survey Error Impression*!"
        " Creatives! Extensions",
        "Linear": f"Icons CreativeExtensions {_EARLY_LINEAR}",
    },
    "4.0": {
        **_MODERN,
        "InLine": "AdSystem! Error* Extensions Impression*! Pricing ViewableImpression AdTitle!"
        " AdVerifications Advertiser Category* Creatives! Description Survey",
        "MediaFiles": "MediaFile*! Mezzanine",
    },
    "4.1": _CURRENT,
    "4.2": _CURRENT,
    "4.3": _CURRENT,
}

_FILE = "id delivery! type! width! height! bitrate codec"
_EARLY_ATTRIBUTES = {
    "VAST": "version!",
    "Ad": "id!",
    "Creative": "id sequence AdID",
    "Tracking": "event!",
    "MediaFile": _FILE,
    "Extension": "type",
}
_CURRENT_ATTRIBUTES = {
    **_EARLY_ATTRIBUTES,
    "Ad": "id adType",
    "Creative": "id sequence adId",
    "Linear": "skipoffset",
    "Category": "authority!",
    "UniversalAdId": "idRegistry!",
    "Mezzanine": "id delivery! type! width! height! codec",
    "Verification": "vendor",
    "JavaScriptResource": "apiFramework browserOptional",
}
ATTRIBUTES = {
    "2.0": _EARLY_ATTRIBUTES,
    "3.0": {**_EARLY_ATTRIBUTES, "Linear": "skipoffset"},
    "4.0": {
        **_CURRENT_ATTRIBUTES,
        "Ad": "id",
        "UniversalAdId": "idRegistry! idValue!",
        "Mezzanine": "",
    },
    "4.1": _CURRENT_ATTRIBUTES,
    "4.2": _CURRENT_ATTRIBUTES,
    "4.3": _CURRENT_ATTRIBUTES,
}

_EVENTS = (
    "start firstQuartile midpoint thirdQuartile complete mute unmute pause resume rewind"
    " creativeView"
)
EVENTS = {
    "2.0": f"{_EVENTS} close",
    "3.0": f"{_EVENTS} close skip progress",
    "4.0": f"{_EVENTS} close skip progress",
    "4.1": f"{_EVENTS} closeLinear close skip progress loaded",
    "4.2": f"{_EVENTS} closeLinear close skip progress loaded",
    "4.3": f"{_EVENTS} closeLinear close skip progress loaded",
}


def faults(document: str) -> list[str]:
    """Return everything in a document that its version does not allow."""
    root = ET.fromstring(document.encode())  # noqa: S314  (our own)
    version = root.get("version", "")
    if version not in CHILDREN:
        return [f"version {version!r}"]
    namespace = NAMESPACE if version >= "4" else ""
    if root.tag != f"{namespace}VAST":
        return [f"root {root.tag}"]
    found = list(_below(root, version, namespace))
    events = EVENTS[version].split()
    found += [
        f"event {tracking.get('event')}"
        for tracking in root.iter(f"{namespace}Tracking")
        if tracking.get("event") not in events
    ]
    return found


def _below(element: ET.Element, version: str, namespace: str) -> Iterator[str]:
    name = element.tag.removeprefix(namespace)
    yield from _misplaced(name, element, CHILDREN[version].get(name, ""), namespace)
    allowed = ATTRIBUTES[version].get(name, "").split()
    names = [word.rstrip("!") for word in allowed]
    yield from (f"{name}@{given}" for given in element.attrib if given not in names)
    yield from (
        f"{name} without @{word[:-1]}"
        for word in allowed
        if word.endswith("!") and word[:-1] not in element.attrib
    )
    for child in element:
        if name != "Extension":
            yield from _below(child, version, namespace)


def _misplaced(name: str, element: ET.Element, allowed: str, namespace: str) -> Iterator[str]:
    if name == "Extension":
        return
    words = {word.rstrip("!*"): word for word in allowed.split()}
    order = list(words)
    given = [child.tag.removeprefix(namespace) for child in element]
    yield from (f"{name}/{child}" for child in given if child not in words)
    places = [order.index(child) for child in given if child in words]
    if places != sorted(places):
        yield f"{name}: {given} is not the order"
    for child, word in words.items():
        if "!" in word and child not in given:
            yield f"{name} without {child}"
        if "*" not in word and given.count(child) > 1:
            yield f"{name} with {given.count(child)} {child}"
