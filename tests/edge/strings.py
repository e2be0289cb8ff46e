"""Consent strings that an encoder of others wrote, and what they mean.

Written once by the reference encoders of the IAB's ``@iabtcf/core`` 1.5.6 and ``@iabgpp/cmpapi``
3.2.0: what was put in stands beside what came out.
"""

import json
from pathlib import Path

_ALL = json.loads((Path(__file__).parent / "consent_strings.json").read_text())
TCF, GPP, UNREAD = _ALL["tcf"], _ALL["gpp"], _ALL["unread"]


def by_meaning(rows):
    return [row["meaning"] for row in rows]


def open_to(row, vendor):
    """Return the purposes a row of TCF grants, as the policies say and not as the decoder does."""
    told = row["disclosed"] is None or vendor in row["disclosed"]
    granted = set()
    for purpose in range(1, 12):
        kinds = {kind for at, kind, ids in row["restrictions"] if at == purpose and vendor in ids}
        consent = purpose in row["consents"]
        interest = purpose in row["interests"] and purpose in {2, 7, 8, 9, 10, 11}
        if vendor:
            consent = consent and vendor in row["vendors"] and told
            interest = interest and vendor in row["vendor_interests"] and told
        consent = consent and 2 not in kinds
        interest = interest and 1 not in kinds
        if 0 not in kinds and (consent or interest):
            granted.add(purpose)
    return granted
