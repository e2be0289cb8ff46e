"""Dosage tokens: what was sealed comes back to the hour, of anything else nothing does."""

import os
from base64 import urlsafe_b64decode, urlsafe_b64encode

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from adserver.domain.units import DAY_MS
from adserver.domain.viewer import Impression
from adserver.edge.dosage_token import (
    HOUR_S,
    IMPRESSIONS_MAX,
    LIFETIME_S_MAX,
    Carried,
    DosageTokens,
    Stale,
)
from adserver.edge.token import TOKEN_LENGTH_MAX, Forged, Sealer, TokenBody, Tokens

KEY = bytes(range(32))
NOW_MS = 1_790_000_000_123
NOW_S = NOW_MS // 1000
TOKENS = DosageTokens(KEY, 1, os.urandom)
WEEK_S = 7 * 86_400

impressions = st.builds(
    Impression,
    time_s=st.integers(NOW_S - WEEK_S + 1, NOW_S),
    campaign=st.integers(1, 2**32 - 1),
    creative=st.integers(1, 2**32 - 1),
    surprise=st.booleans(),
)


def hours_up(each):
    return Impression(
        -(-each.time_s // HOUR_S) * HOUR_S, *(each.campaign, each.creative, each.surprise)
    )


@given(st.lists(impressions, max_size=IMPRESSIONS_MAX))
def test_what_was_sealed_comes_back_in_hours_and_never_younger_seems_older(seen):
    opened = TOKENS.open(TOKENS.seal(seen, NOW_MS, WEEK_S), NOW_MS)
    assert opened == [hours_up(each) for each in sorted(seen, key=lambda each: each.time_s)]
    assert all(each.time_s % HOUR_S == 0 for each in opened)


def test_the_newest_are_kept_and_the_longest_token_is_looked_at():
    seen = [Impression(NOW_S - i * HOUR_S, i + 1, 2**32 - 1, surprise=True) for i in range(200)]
    text = TOKENS.seal(seen, NOW_MS, LIFETIME_S_MAX)
    assert len(text) <= TOKEN_LENGTH_MAX
    opened = TOKENS.open(text, NOW_MS)
    assert [each.campaign for each in opened] == list(range(IMPRESSIONS_MAX, 0, -1))
    # Sealed again and again, a token grows no longer.
    assert len(TOKENS.seal([*opened, seen[0]], NOW_MS, LIFETIME_S_MAX)) == len(text)


def test_what_no_cap_can_ask_for_is_left_out():
    old, young = (Impression(NOW_S - age_s, 1, 1) for age_s in (WEEK_S, WEEK_S - 1))
    assert TOKENS.open(TOKENS.seal([old, young], NOW_MS, WEEK_S), NOW_MS) == [hours_up(young)]


@pytest.mark.parametrize("retention_s", [1, HOUR_S, WEEK_S, 400 * 86_400])
def test_it_lives_as_long_as_it_is_of_use_to_the_hour(retention_s):
    text = TOKENS.seal([], NOW_MS, retention_s)
    ends_s = NOW_S + min(retention_s, LIFETIME_S_MAX)
    ends_ms = -(-ends_s // HOUR_S) * HOUR_S * 1000
    assert TOKENS.open(text, ends_ms - 1) == []
    with pytest.raises(Stale):
        TOKENS.open(text, ends_ms)


def test_two_of_one_player_have_nothing_in_common():
    seen = [Impression(NOW_S, 7, 8)]
    one, other = (urlsafe_b64decode(TOKENS.seal(seen, NOW_MS, WEEK_S) + "==") for _ in range(2))
    # But for version, key and day of expiry, which everybody's have.
    assert one[:4] == other[:4]
    assert not any(one[i : i + 4] == other[i : i + 4] for i in range(4, len(one) - 4))


TOKEN = TOKENS.seal([Impression(NOW_S, 7, 8)], NOW_MS, WEEK_S)


def test_any_flipped_bit_and_any_other_length_is_forged():
    sealed = urlsafe_b64decode(TOKEN + "=" * (-len(TOKEN) % 4))
    for bit in range(len(sealed) * 8):
        changed = bytearray(sealed)
        changed[bit // 8] ^= 1 << bit % 8
        with pytest.raises(Forged):
            TOKENS.open(urlsafe_b64encode(changed).rstrip(b"=").decode(), NOW_MS)
    for length in range(len(TOKEN)):
        with pytest.raises(Forged):
            TOKENS.open(TOKEN[:length], NOW_MS)


@given(st.text(max_size=200))
@example("A" * (TOKEN_LENGTH_MAX + 1))
@example(TOKEN + "A")
@example("[DOSAGE_TOKEN]")
def test_garbage_is_forged(text):
    with pytest.raises(Forged):
        TOKENS.open(text, NOW_MS)


def test_it_is_no_beacon_token_and_a_beacon_token_is_none():
    beacons = Tokens(KEY, 1, os.urandom)
    beacon = beacons.seal(TokenBody(bytes(16), NOW_MS + DAY_MS, None, 1, 1, "v", "p"))
    with pytest.raises(Forged):
        TOKENS.open(beacon, NOW_MS)
    with pytest.raises(Forged):
        beacons.open(TOKEN, NOW_MS)


def test_only_what_was_sealed_as_dosage_opens():
    for purpose, opens in ((b"adserver-dosage", True), (b"adserver-token", False)):
        expires_ms = NOW_MS + DAY_MS
        body = msgspec.msgpack.encode(Carried(expires_ms, b""))
        text = Sealer(KEY, 1, os.urandom, purpose).seal(body, expires_ms)
        if opens:
            assert TOKENS.open(text, NOW_MS) == []
        else:
            with pytest.raises(Forged):
                TOKENS.open(text, NOW_MS)


def test_a_former_key_opens_as_long_as_it_is_handed_on():
    tokens = DosageTokens(KEY, 1, os.urandom)
    text = tokens.seal([], NOW_MS, WEEK_S)
    tokens.renew({1: KEY, 2: KEY[::-1]}, 2)
    assert tokens.open(text, NOW_MS) == []
    tokens.renew({2: KEY[::-1]}, 2)
    with pytest.raises(Forged):
        tokens.open(text, NOW_MS)
