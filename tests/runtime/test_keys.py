"""Keys are made once, whoever comes first, and are readable by their owner alone."""

from pathlib import Path

import pytest

from adserver.domain.errors import Broken, InvalidInput
from adserver.runtime.entropy import SystemEntropy
from adserver.runtime.keys import BEGINS_AFTER_MS, load_or_create, rotate, stamp
from tests.apart import at_once


def test_made_once_and_read_ever_after(tmp_path):
    made = load_or_create(tmp_path, SystemEntropy())
    assert load_or_create(tmp_path, SystemEntropy()) == made
    (token,) = made.tokens
    assert len(token.secret) == len(made.draw.secret) == 32
    assert token.secret != made.draw.secret


def test_only_the_owner_may_read_the_file(tmp_path):
    load_or_create(tmp_path, SystemEntropy())
    assert (tmp_path / "keys.json").stat().st_mode & 0o777 == 0o600
    assert [path.name for path in tmp_path.iterdir()] == ["keys.json"], "no draft stays behind"


def test_a_secret_is_never_shown(tmp_path):
    keys = load_or_create(tmp_path, SystemEntropy())
    assert (repr(keys.tokens), repr(keys.draw)) == ("(TokenKey(id=1),)", "Key(id=1)")
    assert repr(keys.tokens[0].secret) not in repr(keys)


def read_secrets(directory: Path) -> tuple[bytes, bytes]:
    keys = load_or_create(directory, SystemEntropy())
    return keys.tokens[0].secret, keys.draw.secret


def test_processes_that_start_together_get_the_same_keys(tmp_path):
    ended = at_once(*[(read_secrets, (tmp_path,))] * 4)
    answers = {each.answer for each in ended}
    assert len(answers) == 1
    assert len(answers.pop()) == 2


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{}",
        b'{"format":2,"token":{"id":1,"secret":"%b"},"draw":{"id":1,"secret":"%b"}}',
        b'{"format":2,"tokens":[],"draw":{"id":1,"secret":"%b"}}',
        b'{"format":3,"tokens":[{"id":1,"secret":"%b"}],"draw":{"id":1,"secret":"%b"}}',
        b'{"format":1,"token":{"id":1,"secret":"AAAA"},"draw":{"id":1,"secret":"AAAA"}}',
    ],
)
def test_a_damaged_file_is_told_of_and_never_replaced(tmp_path, content):
    secret = b"A" * 43 + b"="
    path = tmp_path / "keys.json"
    path.write_bytes(content.replace(b"%b", secret))
    with pytest.raises(Broken, match=r"keys\.json"):
        load_or_create(tmp_path, SystemEntropy())
    assert path.read_bytes() == content.replace(b"%b", secret)


NOW_MS = 1_790_000_000_000
HOUR_MS = 3_600_000


def test_a_new_key_seals_once_everybody_knows_it_and_the_former_opens_until_its_end(tmp_path):
    before = load_or_create(tmp_path, SystemEntropy())
    stamped = stamp(tmp_path)
    keys = rotate(tmp_path, SystemEntropy(), NOW_MS, HOUR_MS)
    assert stamp(tmp_path) != stamped
    assert load_or_create(tmp_path, SystemEntropy()) == keys
    assert keys.draw == before.draw, "past draws can still be made again"
    begins_ms = NOW_MS + BEGINS_AFTER_MS
    assert [keys.sealing(at).id for at in (0, NOW_MS, begins_ms - 1, begins_ms)] == [1, 1, 1, 2]
    ends_ms = begins_ms + HOUR_MS
    assert [list(keys.opening(at)) for at in (NOW_MS, ends_ms - 1, ends_ms)] == [
        [1, 2],
        [1, 2],
        [2],
    ]
    assert keys.opening(NOW_MS)[1] == before.tokens[0].secret


def test_keys_that_have_ended_are_let_go_of_and_ends_never_move_back(tmp_path):
    rotate(tmp_path, SystemEntropy(), NOW_MS, HOUR_MS)
    keys = rotate(tmp_path, SystemEntropy(), NOW_MS + HOUR_MS // 2, HOUR_MS)
    assert list(keys.opening(NOW_MS)) == [1, 2, 3]
    keys = rotate(tmp_path, SystemEntropy(), NOW_MS + HOUR_MS + BEGINS_AFTER_MS, HOUR_MS)
    assert [key.id for key in keys.tokens] == [2, 3, 4]
    second, third, _ = keys.tokens
    assert second.until_ms == NOW_MS + HOUR_MS // 2 + BEGINS_AFTER_MS + HOUR_MS
    assert third.until_ms > second.until_ms


def test_a_leaked_key_is_void_at_once(tmp_path):
    rotate(tmp_path, SystemEntropy(), NOW_MS, HOUR_MS)
    keys = rotate(tmp_path, SystemEntropy(), NOW_MS, 0)
    assert (list(keys.opening(NOW_MS)), keys.sealing(NOW_MS).id) == ([3], 3)


def test_numbers_go_round_and_run_out_with_words(tmp_path):
    load_or_create(tmp_path, SystemEntropy())
    for turn in range(254):
        rotate(tmp_path, SystemEntropy(), NOW_MS + turn, HOUR_MS)
    with pytest.raises(InvalidInput, match="still in force"):
        rotate(tmp_path, SystemEntropy(), NOW_MS, HOUR_MS)
    keys = rotate(tmp_path, SystemEntropy(), NOW_MS + 2 * HOUR_MS, HOUR_MS)
    assert [key.id for key in keys.tokens] == [255, 1]


def test_a_file_of_one_token_key_is_read_and_rotated(tmp_path):
    secret = "A" * 43 + "="
    other = "B" * 42 + "A="
    (tmp_path / "keys.json").write_text(
        f'{{"format":1,"token":{{"id":1,"secret":"{secret}"}},'
        f'"draw":{{"id":1,"secret":"{other}"}}}}'
    )
    assert load_or_create(tmp_path, SystemEntropy()).opening(NOW_MS) == {1: bytes(32)}
    keys = rotate(tmp_path, SystemEntropy(), NOW_MS, HOUR_MS)
    assert keys.opening(NOW_MS)[1] == bytes(32)
    assert keys.draw.secret != bytes(32)


def rotate_ten_times(directory: Path) -> None:
    for _ in range(10):
        rotate(directory, SystemEntropy(), NOW_MS, HOUR_MS)


def test_processes_that_rotate_together_lose_no_key(tmp_path):
    made = load_or_create(tmp_path, SystemEntropy())
    ended = at_once(*[(rotate_ten_times, (tmp_path,))] * 4)
    assert [each.exit_code for each in ended] == [0] * 4
    keys = load_or_create(tmp_path, SystemEntropy())
    assert [key.id for key in keys.tokens] == list(range(1, 42))
    assert len({key.secret for key in keys.tokens}) == 41
    assert keys.tokens[0].secret == made.tokens[0].secret


def test_who_dies_while_rotating_leaves_the_former_keys(tmp_path, monkeypatch):
    made = load_or_create(tmp_path, SystemEntropy())

    def die(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("os.fsync", die)
    with pytest.raises(KeyboardInterrupt):
        rotate(tmp_path, SystemEntropy(), NOW_MS, HOUR_MS)
    monkeypatch.undo()
    assert load_or_create(tmp_path, SystemEntropy()) == made
    assert {path.name for path in tmp_path.iterdir()} == {"keys.json", "keys.lock"}
