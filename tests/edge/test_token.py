"""Tokens: what we sealed opens; nothing else does, and nothing else raises."""

import os
from base64 import urlsafe_b64decode, urlsafe_b64encode

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from adserver.domain.units import DAY_MS
from adserver.edge.token import (
    MAY_MEASURE,
    MAY_UPDATE,
    SURPRISE,
    TOKEN_LENGTH_MAX,
    Expired,
    Forged,
    Sealer,
    TokenBody,
    Tokens,
)

KEY = bytes(range(32))
NOW_MS = 1_785_000_000_000
BODY = TokenBody(
    decision_id=bytes(range(16)),
    expires_ms=NOW_MS + 3_600_000,
    viewer_id="ml-42",
    campaign_key=0xFFFFFFFF,
    creative_key=1,
    variant="film-1:woman",
    placement="trailer-preroll",
    flags=SURPRISE,
)
TOKENS = Tokens(KEY, 1, os.urandom)
TOKEN = TOKENS.seal(BODY)

ids = st.text(st.characters(min_codepoint=32, max_codepoint=126), min_size=1, max_size=128)
keys = st.integers(1, 2**32 - 1)
bodies = st.builds(
    TokenBody,
    decision_id=st.binary(min_size=16, max_size=16),
    expires_ms=st.integers(1, 65_536 * DAY_MS - 1),
    viewer_id=st.none() | ids,
    campaign_key=keys,
    creative_key=keys,
    variant=ids,
    placement=ids,
    flags=st.integers(0, 31),
)


@given(bodies)
def test_what_is_sealed_opens_until_it_expires(body):
    token = TOKENS.seal(body)
    assert TOKENS.open(token, body.expires_ms - 1) == body
    with pytest.raises(Expired) as caught:
        TOKENS.open(token, body.expires_ms)
    assert caught.value.body == body


def test_the_longest_ids_fit():
    longest = TokenBody(bytes(16), NOW_MS, "v" * 128, 2**32 - 1, 2**32 - 1, "v" * 128, "p" * 128, 3)
    assert len(TOKENS.seal(longest)) <= TOKEN_LENGTH_MAX


def test_a_token_can_stand_in_a_query_and_tells_nothing():
    assert set(TOKEN) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")
    assert b"ml-42" not in urlsafe_b64decode(TOKEN + "==")
    assert TOKENS.seal(BODY) != TOKENS.seal(BODY)


def test_the_flags_are_told_apart():
    for flags in range(32):
        body = TokenBody(bytes(16), NOW_MS, None, 1, 1, "v", "p", flags)
        assert body.surprise is bool(flags & SURPRISE)
        assert body.may_update is bool(flags & MAY_UPDATE)
        assert body.may_measure is bool(flags & MAY_MEASURE)


def test_any_changed_character_is_forged():
    for index, old in enumerate(TOKEN):
        for new in ("A", "b", "_", "=", " ", "\n", "+", "é", "\ud800"):
            if new != old:
                with pytest.raises(Forged):
                    TOKENS.open(TOKEN[:index] + new + TOKEN[index + 1 :], NOW_MS)


def test_any_flipped_bit_is_forged():
    sealed = urlsafe_b64decode(TOKEN + "=" * (-len(TOKEN) % 4))
    for bit in range(len(sealed) * 8):
        changed = bytearray(sealed)
        changed[bit // 8] ^= 1 << bit % 8
        with pytest.raises(Forged):
            TOKENS.open(urlsafe_b64encode(changed).rstrip(b"=").decode(), NOW_MS)


def test_any_other_length_is_forged():
    for length in range(len(TOKEN)):
        with pytest.raises(Forged):
            TOKENS.open(TOKEN[:length], NOW_MS)
    for more in ("A", "AAAA", "=", "==", TOKEN):
        with pytest.raises(Forged):
            TOKENS.open(TOKEN + more, NOW_MS)


@pytest.mark.parametrize("other", [Tokens(KEY[::-1], 1, os.urandom), Tokens(KEY, 2, os.urandom)])
def test_a_token_of_another_key_is_forged(other):
    with pytest.raises(Forged):
        TOKENS.open(other.seal(BODY), NOW_MS)


def test_what_is_sealed_for_another_purpose_is_forged():
    other = Sealer(KEY, 1, os.urandom, b"another")
    with pytest.raises(Forged):
        TOKENS.open(other.seal(msgspec.msgpack.encode(BODY), BODY.expires_ms), NOW_MS)
    same = Sealer(KEY, 1, os.urandom, b"adserver-token")
    assert TOKENS.open(same.seal(msgspec.msgpack.encode(BODY), BODY.expires_ms), NOW_MS) == BODY
    with pytest.raises(Forged):
        TOKENS.open(same.seal(b"something else", BODY.expires_ms), NOW_MS)


@given(st.text(max_size=200))
@example("")
@example("A" * TOKEN_LENGTH_MAX)
@example("A" * 10_000_000)
@example("\x00" * 64)
@example("💥" * 64)
@example(TOKEN + "💥")
def test_garbage_is_forged(text):
    with pytest.raises(Forged):
        TOKENS.open(text, NOW_MS)


def test_forged_days_do_not_grow_the_server():
    tokens = Tokens(KEY, 1, os.urandom)
    for day in range(1000):
        with pytest.raises(Forged):
            tokens.open(
                urlsafe_b64encode(bytes((1, 1)) + day.to_bytes(2, "big") + bytes(40)).decode(), 0
            )
    assert len(tokens._sealer._ciphers) <= 8  # noqa: SLF001  (the bound is the point of the test)


def test_nonces_and_days():
    """The same nonce under two days is no repetition: each day has a key of its own."""
    fixed = Tokens(KEY, 1, bytes)
    today, tomorrow = (
        TokenBody(bytes(16), day * DAY_MS, None, 1, 1, "v", "p") for day in (20_000, 20_001)
    )
    bodies = [urlsafe_b64decode(fixed.seal(each) + "==")[16:24] for each in (today, tomorrow)]
    assert bodies[0] != bodies[1]
