"""Examples for the description: tests send the requests and decode the answers."""

from typing import Any, Final

TOKEN_EXAMPLE: Final = "AQFRKwg5FR6EBXheCCuPOyxNVL6qw7xMeSZQhGtKKJWOYchXdurS"  # noqa: S105
"""What a token looks like; this one opens nothing."""
REQUEST_EXAMPLE: Final[dict[str, Any]] = {
    "placement": "trailer-preroll",
    "viewer": {"id": "ml-42"},
    "consent": {"gdpr": False},
    "content": {"categories": ["IAB1-5"], "language": "nl", "duration_s": 600},
    "device": {"type": "tv"},
    "geo": {"country": "NL"},
    "player": {"width": 1280, "height": 720, "mimes": ["video/mp4"], "max_duration_s": 30},
    "moment": {"intent": "ideas", "urgency": 0.2},
}
SHOW_EXAMPLE: Final[dict[str, Any]] = {
    "decision_id": "0199a5f0-7c1e-7a3b-9c55-0d2f4a6b8c9d",
    "action": "show",
    "campaign": "c-31",
    "creative": "film-2571",
    "variant": "film-2571-a",
    "duration_ms": 15000,
    "skip_after_ms": 5000,
    "relevance": 0.41,
    "threshold": 0.1,
    "propensity": 1.0,
    "surprise": False,
    "media": [
        {
            "url": "https://media.example/2571-a.mp4",
            "mime": "video/mp4",
            "width": 1280,
            "height": 720,
            "bitrate_kbps": 1500,
        }
    ],
    "tracking_url": "http://127.0.0.1:8080/v1/track/{event}?d=TOKEN",
    "click_url": "http://127.0.0.1:8080/v1/click?d=TOKEN",
    "expires_at": "2026-01-31T13:00:00.000Z",
    "versions": {"catalogue": "c1", "policy": "p1", "model": "m1"},
}
NOTHING_EXAMPLE: Final[dict[str, Any]] = {
    "decision_id": "0199a5f0-7c1e-7a3b-9c55-0d2f4a6b8c9e",
    "action": "none",
    "reason": "below_threshold",
    "propensity": 1.0,
    "surprise": False,
    "best": {"variant": "film-318-b", "relevance": 0.04, "threshold": 0.1},
    "versions": {"catalogue": "c1", "policy": "p1", "model": "m1"},
}
PAST_EXAMPLE: Final[dict[str, Any]] = {
    "decision_id": SHOW_EXAMPLE["decision_id"],
    "time": "2026-01-31T12:00:00.000Z",
    "placement": "trailer-preroll",
    "action": "none",
    "reason": "no_candidates",
    "propensity": 1.0,
    "surprise": False,
    "versions": SHOW_EXAMPLE["versions"],
    "currency": "EUR",
    "draw": {
        "drawn": True,
        "number": 0.25,
        "exploration": "greedy",
        "gamma": 0.0,
        "epsilon": 0.0,
        "surprise_share": 0.0,
        "surprise_band": 0.25,
        "surprise_allowed": True,
        "dose_weight": 0.05,
        "p_nothing": 1.0,
    },
    "rest": {"count": 0, "best_relevance": None, "best_p_complete": None},
    "throttled": [],
    "explanation": {"stages": [], "candidates": []},
    "events": [],
}
VAST_EXAMPLE: Final = (
    '<?xml version="1.0" encoding="UTF-8"?>\n'
    '<VAST version="4.2" xmlns="http://www.iab.com/VAST">'
    "<Error><![CDATA[http://127.0.0.1:8080/v1/track/error?d=TOKEN&code=[ERRORCODE]]]></Error></VAST>"
)
BID_REQUEST_EXAMPLE: Final[dict[str, Any]] = {
    "id": "auction-1",
    "imp": [
        {
            "id": "1",
            "tagid": "trailer-preroll",
            "bidfloor": 1.5,
            "bidfloorcur": "EUR",
            "secure": 1,
            "video": {
                "mimes": ["video/mp4"],
                "protocols": [2, 3, 7],
                "minduration": 5,
                "maxduration": 30,
                "startdelay": 0,
                "plcmt": 1,
                "linearity": 1,
                "w": 1280,
                "h": 720,
            },
        }
    ],
    "site": {"content": {"cat": ["IAB1-5"], "language": "nl", "len": 600}},
    "device": {"devicetype": 3, "geo": {"country": "NLD"}},
    "user": {"buyeruid": "ml-42"},
    "regs": {"gdpr": 0},
    "badv": ["blocked.example"],
    "bcat": ["IAB7-39"],
    "at": 1,
    "tmax": 200,
    "cur": ["EUR"],
}
_NOTICE: Final = "http://127.0.0.1:8080/v1/openrtb/{notice}?d=TOKEN&p=${AUCTION_PRICE}"
BID_RESPONSE_EXAMPLE: Final[dict[str, Any]] = {
    "id": "auction-1",
    "seatbid": [
        {
            "bid": [
                {
                    "cid": "c-31",
                    "crid": "film-2571-a",
                    "adid": "film-2571",
                    "dur": 15,
                    "mtype": 2,
                    "adomain": ["films.example"],
                    "cat": ["IAB1-5"],
                    "cattax": 1,
                    "language": "nl",
                    "id": "0199a5f0-7c1e-7a3b-9c55-0d2f4a6b8c9d",
                    "impid": "1",
                    "price": 4.5,
                    "protocol": 7,
                    "w": 1280,
                    "h": 720,
                    "exp": 120,
                    "nurl": _NOTICE.replace("{notice}", "win"),
                    "burl": _NOTICE.replace("{notice}", "billing"),
                    "lurl": _NOTICE.replace("{notice}", "loss"),
                    "adm": '<VAST version="4.0" xmlns="http://www.iab.com/VAST">...</VAST>',
                    "attr": [16],
                }
            ],
            "seat": "films",
        }
    ],
    "cur": "EUR",
}
NO_BID_EXAMPLE: Final[dict[str, Any]] = {"id": "auction-1", "nbr": 6}
READY_EXAMPLE: Final[dict[str, Any]] = {
    "status": "ready",
    "missing": [],
    "versions": SHOW_EXAMPLE["versions"],
}
NOT_READY_EXAMPLE: Final[dict[str, Any]] = {
    "status": "not ready",
    "missing": ["no catalogue is published: adserver catalogue publish FILE"],
    "versions": {"catalogue": "", "policy": "", "model": ""},
}
METRICS_EXAMPLE: Final = 'adserver_decisions_total{action="show",reason=""} 42.0\n'
