"""Oracles: the viewer's state read into lists, then asked. Plain Python; nothing of ours."""

from collections.abc import Iterable, MutableSequence, Sequence

SUPPRESSED, CAPPED, TOUCHED = 1, 2, 4
SURPRISE = 2**31
FOREVER = 2**32 - 1
EPOCH_S = 1_577_836_800
DAY_S = 24 * 60 * 60
CAMPAIGN, CREATIVE, ADVERTISER = 1, 2, 3

Impression = tuple[int, bool, int, int]
"""Unix seconds; surprise; campaign key; creative key."""
Group = tuple[int, int, list[int]]
"""Kind; until, in unix seconds; keys."""


def _impressions(words: Sequence[int], count: int) -> list[Impression]:
    read = []
    for i in range(count):
        word, campaign, creative = (int(word) for word in words[1 + 3 * i : 4 + 3 * i])
        read.append((EPOCH_S + word % SURPRISE, word >= SURPRISE, campaign, creative))
    return read


def _parsed(state: Sequence[int]) -> tuple[list[Impression], list[Group]]:
    """Return impressions and suppression groups; a count larger than what follows is cut."""
    words = [int(word) for word in state]
    if not words:
        return [], []
    count = min(words[0], (len(words) - 1) // 3)
    groups, left = [], words[1 + 3 * count :]
    while len(left) >= 2:
        header, until, n_keys = left[0], left[1], left[0] % 2**16
        groups.append((header // 2**24, until, left[2 : 2 + n_keys]))
        left = left[2 + n_keys :]
    return _impressions(words, count), groups


def _touch(
    indices: Iterable[int], bit: int, flags: MutableSequence[int],
    touched: MutableSequence[int], which: int,
) -> None:  # fmt: skip
    begin = (2, len(touched) - len(flags))[which]
    for index in indices:
        if not flags[index]:
            touched[begin + touched[which]] = index
            touched[which] += 1
        flags[index] = int(flags[index]) | bit | TOUCHED


def _having(keys: Sequence[int], key: int) -> list[int]:
    return [index for index, each in enumerate(keys) if each == key]


def _younger(impressions: list[Impression], now_s: int, window_s: int) -> list[Impression]:
    return [each for each in impressions if now_s - each[0] < window_s]


def _capped(
    own: list[Impression], now_s: int, caps: Sequence[Sequence[int]]
) -> tuple[bool, set[int]]:
    """Return whether a campaign with these impressions is capped, and which creatives are."""
    capped, creatives = False, set()
    for count, window_s, per_creative in caps if own else ():
        seen = [creative for _, _, _, creative in _younger(own, now_s, window_s)]
        if per_creative:
            creatives |= {each[3] for each in own if seen.count(each[3]) >= count}
        else:
            capped = capped or len(seen) >= count
    return capped, creatives


def first_with_key(keys: Sequence[int], lookup: Sequence[int], key: int) -> int:
    """Count the keys that come before."""
    return sum(keys[index] < key for index in lookup[: len(keys)])


def mark_key(  # noqa: PLR0913, PLR0917  (the kernel's parameters)
    keys: Sequence[int],
    lookup: Sequence[int],
    key: int,
    bit: int,
    flags: MutableSequence[int],
    touched: MutableSequence[int],
    which: int,
) -> None:
    """Look at every key."""
    _touch(
        (index for index in lookup[: len(keys)] if keys[index] == key), bit, flags, touched, which
    )


def count_impressions(
    state: Sequence[int],
    n_impressions: int,
    now_s: int,
    window_s: int,
    campaign_key: int,
    creative_key: int,
) -> int:
    """List what is young enough and of these keys."""
    return len(
        [
            campaign
            for time_s, _, campaign, creative in _impressions(state, n_impressions)
            if now_s - time_s < window_s
            and campaign_key in (0, campaign)
            and creative_key in (0, creative)
        ]
    )


def suppress(  # noqa: PLR0913, PLR0917  (the kernel's parameters)
    kind: int,
    key: int,
    campaign_keys: Sequence[int],
    campaign_lookup: Sequence[int],
    advertiser_keys: Sequence[int],
    campaign_flags: MutableSequence[int],
    touched: MutableSequence[int],
) -> None:
    """Collect the campaigns' keys, then mark all that have one of them."""
    unwanted = {key}
    if kind == ADVERTISER:
        unwanted = {campaign_keys[k] for k in _having(advertiser_keys, key)}
    hit = [k for k in campaign_lookup[: len(campaign_keys)] if campaign_keys[k] in unwanted]
    _touch(hit, SUPPRESSED, campaign_flags, touched, 0)


def apply_viewer_state(  # noqa: C901, PLR0917, PLR0913  (the kernel's parameters)
    state: Sequence[int],
    viewer_caps: Sequence[Sequence[int]],
    now_s: int,
    half_life_s: float,
    campaign_keys: Sequence[int],
    campaign_lookup: Sequence[int],
    creative_keys: Sequence[int],
    creative_lookup: Sequence[int],
    advertiser_keys: Sequence[int],
    caps: Sequence[Sequence[int]],
    cap_start: Sequence[int],
    campaign_flags: MutableSequence[int],
    creative_flags: MutableSequence[int],
    campaign_dose: MutableSequence[float],
    touched: MutableSequence[int],
    result: MutableSequence[float],
) -> None:
    """Begin with everything clean; then one rule after another over the parsed lists."""
    for marks in (campaign_flags, creative_flags, campaign_dose, touched, result):
        for index in range(len(marks)):
            marks[index] = 0
    impressions, groups = _parsed(state)

    for time_s, surprise, campaign, _ in impressions:
        is_heard_of = time_s != EPOCH_S + SURPRISE - 1
        dose = is_heard_of * 2.0 ** (-max(now_s - time_s, 0) / half_life_s)
        result[0] += dose
        result[2] += surprise and now_s - time_s < DAY_S
        for k in _having(campaign_keys, campaign):
            _touch([k], TOUCHED, campaign_flags, touched, 0)
            campaign_dose[k] += dose
    result[1] = any(
        len(_younger(impressions, now_s, window_s)) >= count for count, window_s in viewer_caps
    )

    for k, key in enumerate(campaign_keys):
        own = [each for each in impressions if each[2] == key]
        capped, capped_creatives = _capped(own, now_s, caps[cap_start[k] : cap_start[k + 1]])
        if capped:
            _touch([k], CAPPED, campaign_flags, touched, 0)
        for creative in capped_creatives:
            _touch(_having(creative_keys, creative), CAPPED, creative_flags, touched, 1)

    for kind, until, keys in groups:
        for key in keys if until == FOREVER or until > now_s else ():
            if kind == CREATIVE:
                mark_key(
                    creative_keys, creative_lookup, key, SUPPRESSED, creative_flags, touched, 1
                )
            elif kind in (CAMPAIGN, ADVERTISER):
                suppress(
                    kind, key, campaign_keys, campaign_lookup, advertiser_keys,
                    campaign_flags, touched,
                )  # fmt: skip
