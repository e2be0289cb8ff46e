"""A worker's keys follow the file and the clock."""

import os

import pytest

from adserver.domain.errors import Broken
from adserver.edge.token import Forged, TokenBody, Tokens
from adserver.runtime.entropy import SystemEntropy
from adserver.runtime.keys import BEGINS_AFTER_MS, load_or_create, rotate
from adserver.serve.keyring import Keyring
from tests.serve.small import Still

HOUR_MS = 3_600_000


class Follower:
    """Notes what it is handed."""

    def __init__(self):
        self.handed = []

    def renew(self, keys, key_id):
        """Note it."""
        self.handed.append((sorted(keys), key_id))


@pytest.fixture
def ring(tmp_path):
    clock, follower = Still(), Follower()
    return Keyring(tmp_path, SystemEntropy(), clock, [follower]), clock, follower


def test_keys_are_handed_on_when_they_change_and_when_their_time_comes(ring, tmp_path):
    keyring, clock, follower = ring
    keyring.refresh()
    assert follower.handed == [([1], 1)]
    rotate(tmp_path, SystemEntropy(), clock.ms, HOUR_MS)
    keyring.refresh()
    keyring.refresh()
    assert follower.handed[1:] == [([1, 2], 1)]
    clock.ms += BEGINS_AFTER_MS
    keyring.refresh()
    assert follower.handed[2:] == [([1, 2], 2)]
    clock.ms += HOUR_MS
    keyring.refresh()
    assert follower.handed[3:] == [([2], 2)]


def test_a_damaged_or_missing_file_changes_nothing(ring, tmp_path):
    keyring, clock, follower = ring
    path = tmp_path / "keys.json"
    whole = path.read_bytes()
    path.write_bytes(b"{")
    with pytest.raises(Broken):
        keyring.refresh()
    keyring.refresh()
    path.unlink()
    keyring.refresh()
    assert not path.exists(), "the worker makes no keys of its own while others use the old ones"
    path.write_bytes(whole)
    rotate(tmp_path, SystemEntropy(), clock.ms, HOUR_MS)
    keyring.refresh()
    assert follower.handed == [([1], 1), ([1, 2], 1)]


def test_tokens_open_with_every_key_in_force_and_seal_with_one(tmp_path):
    keys = load_or_create(tmp_path, SystemEntropy())
    tokens = Tokens(keys.tokens[0].secret, 1, os.urandom)
    body = TokenBody(bytes(16), HOUR_MS, None, 1, 1, "v", "p")
    old = tokens.seal(body)
    tokens.renew({1: keys.tokens[0].secret, 2: bytes(32)}, 2)
    new = tokens.seal(body)
    assert tokens.open(old, 0) == tokens.open(new, 0) == body
    with pytest.raises(Forged):
        Tokens(bytes(32), 1, os.urandom).open(new, 0)
    tokens.renew({2: bytes(32)}, 2)
    assert tokens.open(new, 0) == body
    with pytest.raises(Forged):
        tokens.open(old, 0)


def test_a_number_used_again_opens_nothing_of_its_former_key():
    tokens = Tokens(bytes(32), 1, os.urandom)
    body = TokenBody(bytes(16), HOUR_MS, None, 1, 1, "v", "p")
    old = tokens.seal(body)
    tokens.renew({1: bytes(range(32))}, 1)
    with pytest.raises(Forged):
        tokens.open(old, 0)
    assert tokens.open(tokens.seal(body), 0) == body
