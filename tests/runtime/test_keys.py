"""Keys are made once, whoever comes first, and are readable by their owner alone."""

import subprocess
import sys

import pytest

from adserver.domain.errors import Broken
from adserver.runtime.entropy import SystemEntropy
from adserver.runtime.keys import load_or_create

PRINT_KEYS = """
import sys
from pathlib import Path
from adserver.runtime.entropy import SystemEntropy
from adserver.runtime.keys import load_or_create
sys.stdin.readline()
keys = load_or_create(Path(sys.argv[1]), SystemEntropy())
print(keys.token.secret.hex(), keys.draw.secret.hex())
"""


def test_made_once_and_read_ever_after(tmp_path):
    made = load_or_create(tmp_path, SystemEntropy())
    assert load_or_create(tmp_path, SystemEntropy()) == made
    assert len(made.token.secret) == len(made.draw.secret) == 32
    assert made.token.secret != made.draw.secret


def test_only_the_owner_may_read_the_file(tmp_path):
    load_or_create(tmp_path, SystemEntropy())
    assert (tmp_path / "keys.json").stat().st_mode & 0o777 == 0o600
    assert [path.name for path in tmp_path.iterdir()] == ["keys.json"], "no draft stays behind"


def test_a_secret_is_never_shown(tmp_path):
    keys = load_or_create(tmp_path, SystemEntropy())
    assert repr(keys.token) == "Key(id=1)"
    assert repr(keys.token.secret) not in repr(keys)


def test_processes_that_start_together_get_the_same_keys(tmp_path):
    racers = [
        subprocess.Popen(
            [sys.executable, "-c", PRINT_KEYS, str(tmp_path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        for _ in range(4)
    ]
    for racer in racers:
        racer.stdin.write(b"go\n")
        racer.stdin.flush()
    answers = {racer.communicate()[0] for racer in racers}
    assert len(answers) == 1
    assert len(answers.pop().split()) == 2


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{}",
        b'{"format":2,"token":{"id":1,"secret":"%b"},"draw":{"id":1,"secret":"%b"}}',
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
