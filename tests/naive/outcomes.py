"""The join of decisions and events, the obvious way: everything in memory, one decision at a time.

Words and numbers are spelled out here: 1 impression, 2 start, 4 midpoint, 5 third quartile,
6 complete, 7 skip, 8 mute, 13 error, 15 close; of an exchange 16 win, 17 billing, 18 loss.
"""

LENGTH_MS_MAX = 600_000


def outcomes(decisions, events, now_ms, grace_ms):
    """Join.

    Parameters
    ----------
    decisions
        (id, time_ms, shown, duration_ms, skip_after_ms, is_bid) each; unknown lengths are -1.
    events
        (decision id, kind, time_ms) each.
    now_ms
        As of when.
    grace_ms
        Added to the duration.

    Returns
    -------
    dict
        id → (outcome, kinds heard in time, watched_ms, known, complete, annoyed).
    dict
        How many events were duplicates, late, unmatched.
    """
    found = {}
    used = late = 0
    distinct = {}
    for decision_id, kind, time_ms in events:
        key = (decision_id, kind)
        distinct[key] = min(time_ms, distinct.get(key, time_ms))
    for decision_id, time_ms, shown, duration_ms, skip_ms, bid in decisions:
        length_ms = duration_ms if 0 < duration_ms <= LENGTH_MS_MAX else LENGTH_MS_MAX
        deadline_ms = time_ms + grace_ms + (length_ms if shown else 0)
        mine = {kind: at for (owner, kind), at in distinct.items() if owner == decision_id}
        heard = {kind: at for kind, at in mine.items() if at <= deadline_ms}
        used += len(heard)
        late += len(mine) - len(heard)
        found[decision_id] = _one(heard, shown, length_ms, skip_ms, bid, now_ms <= deadline_ms)
    counts = {
        "duplicates": len(events) - len(distinct),
        "late": late,
        "unmatched": len(distinct) - used - late,
    }
    return found, counts


def _one(heard, shown, length_ms, skip_ms, bid, still_open):
    kinds = frozenset(heard)
    ends = sorted((at, kind) for kind, at in heard.items() if kind in (6, 7, 13, 15))
    end = ends[0][1] if ends else None
    begin_ms = heard.get(2, heard.get(1))
    watched_ms = -1
    if ends and begin_ms is not None:
        watched_ms = max(ends[0][0] - begin_ms, -1)
    if not shown:
        outcome = "nothing"
    elif end is not None:
        outcome = {6: "completed", 7: "skipped", 15: "skipped", 13: "unplayed"}[end]
    elif still_open:
        outcome = "playing"
    elif bid and kinds <= {18}:
        outcome = "lost"
    else:
        outcome = "unknown" if kinds - {16, 17, 18} else "unplayed"
    if skip_ms >= 0 and watched_ms >= 0:
        at_once = watched_ms <= skip_ms + 1000
    else:
        at_once = not ((4 in kinds or 5 in kinds) and skip_ms < length_ms / 2)
    skipped = outcome == "skipped"
    annoyed = 8 in kinds or (skipped and (end == 15 or at_once))
    known = outcome in ("completed", "skipped", "unplayed")
    return outcome, kinds, watched_ms, known, outcome == "completed", annoyed
