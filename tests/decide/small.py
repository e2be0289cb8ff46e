"""A catalogue small enough to reason about, with every knob a keyword."""

from typing import Any

import msgspec
import numpy as np

from adserver.catalogue.build import build
from adserver.catalogue.columns import Columns, Versions
from adserver.decide.pipeline import Decider
from adserver.domain.campaign import Catalogue
from adserver.domain.decision import Decision
from adserver.domain.model import Calibrator, Head, Model
from adserver.domain.policy import Policy
from adserver.domain.request import AdRequest
from adserver.domain.viewer import Impression, OpenRecord, ViewerRecord, key32
from adserver.viewer.codec import encode, open_record

NOW_MS = 1_790_000_000_000
DECISION_ID = bytes(range(16))
MODEL = Model(
    complete=Head(offset=0.3, affinity=4.0, dose=-0.2, calibrator=Calibrator(a=0.9, b=0.1)),
    annoyed=Head(offset=-2.5, affinity=-2.0, dose=0.3, calibrator=Calibrator(a=1.1, b=-0.05)),
    resolved=10_000,
)


def variant(name: str, vector: list[float], **fields: Any) -> dict[str, Any]:
    media = {"url": "https://m.example/a.mp4", "mime": "video/mp4", "width": 640, "height": 360}
    return {"id": name, "vector": vector, "duration_ms": 15_000, "media": [media], **fields}


def campaign(name: str, *variants: dict[str, Any], **fields: Any) -> dict[str, Any]:
    creatives = [{"id": f"{v['id']}-creative", "variants": [v]} for v in variants]
    return {
        "id": name,
        "advertiser": "house-of-films",
        "bid_cpm_micros": 4_000_000,
        "creatives": creatives,
        **fields,
    }


def columns(
    *campaigns: dict[str, Any],
    policy: Policy | None = None,
    model: Model = MODEL,
    placements: list[dict[str, Any]] | None = None,
) -> Columns:
    document = {
        "dim": 2,
        "advertisers": [{"id": "house-of-films"}, {"id": "other"}],
        "placements": placements or [{"id": "home", "time_zone": "Europe/Amsterdam"}],
        "campaigns": list(campaigns),
    }
    catalogue = msgspec.convert(document, Catalogue)
    return build(catalogue, policy or Policy(), model, Versions("c", "p", "m"), {}, {})


def request(**fields: Any) -> AdRequest:
    return msgspec.convert({"placement": "home", **fields}, AdRequest)


def viewer(vector: tuple[float, float] = (0.0, 0.0), **fields: Any) -> OpenRecord:
    record = ViewerRecord(
        pseudonym_key=bytes(16),
        vector=np.array(vector, np.float32),
        vector_ms=NOW_MS,
        **fields,
    )
    return open_record(encode(record))


def impression(age_s: int, name: str = "drama", creative: str = "rain-creative", **fields):
    return Impression(
        time_s=NOW_MS // 1000 - age_s,
        campaign=key32("campaign", name),
        creative=key32("creative", creative),
        **fields,
    )


def decide(
    snapshot: Columns,
    ad_request: AdRequest | None = None,
    who: OpenRecord | None = None,
    draw: float = 0.5,
    now_ms: int = NOW_MS,
) -> Decision:
    return Decider(snapshot).decide(ad_request or request(), who, now_ms, DECISION_ID, draw)


def shown(snapshot: Columns, decision: Decision) -> str | None:
    if not decision.shown:
        return None
    return snapshot.texts["variant"][int(decision.ids[0, decision.chosen])].decode()
