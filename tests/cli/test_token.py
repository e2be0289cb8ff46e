"""Bearer tokens are made, listed and revoked; the secret is shown once."""

import json

import pytest
from click.testing import CliRunner

from adserver.cli.root import main
from adserver.cli.token import FORMER_OPEN_MS
from adserver.domain.errors import Broken, InvalidInput
from adserver.domain.units import parse_time_ms
from adserver.edge.dosage_token import LIFETIME_S_MAX
from adserver.serve.auth import Bearers
from adserver.settings import load


def run(data, *words):
    return CliRunner().invoke(main, ["token", *words, "--data", str(data)])


def test_create_list_revoke(tmp_path):
    made = json.loads(
        run(tmp_path, "create", "--scope", "read", "--scope", "admin", "--json").output
    )
    assert made["scopes"] == ["read", "admin"]
    assert len(made["token"]) == 43
    listed = run(tmp_path, "list", "--json").output
    assert made["token"] not in listed
    assert [row["id"] for row in json.loads(listed)["tokens"]] == [made["id"]]
    assert made["id"] in run(tmp_path, "list").output
    assert run(tmp_path, "revoke", made["id"]).exit_code == 0
    assert json.loads(run(tmp_path, "list", "--json").output) == {"tokens": []}
    assert "no tokens" in run(tmp_path, "list").output


def test_wrong_use_is_told(tmp_path):
    assert run(tmp_path, "create").exit_code == 2
    assert run(tmp_path, "create", "--scope", "everything").exit_code == 2
    missing = run(tmp_path, "revoke", "nope")
    assert missing.exit_code == 1
    assert "nope" in missing.stderr


def test_the_file_is_ours_alone_and_holds_no_secret(tmp_path):
    _, secret = Bearers(tmp_path).create(("read",), 0)
    path = tmp_path / "tokens.json"
    assert path.stat().st_mode & 0o777 == 0o600
    assert secret.encode() not in path.read_bytes()


def test_a_damaged_file_opens_nothing(tmp_path):
    (tmp_path / "tokens.json").write_bytes(b"{")
    with pytest.raises(Broken):
        Bearers(tmp_path).listed()


def test_rotate_says_which_key_seals_and_how_long_the_former_opens(tmp_path):
    rows = json.loads(run(tmp_path, "rotate", "--json").output)["keys"]
    assert [(row["id"], row["opens_until"] is None) for row in rows] == [(1, False), (2, True)]
    text = run(tmp_path, "rotate").output
    assert "key 3 seals from " in text
    assert "key 1 opens until " in text
    voided = json.loads(run(tmp_path, "rotate", "--void", "--json").output)["keys"]
    assert [row["id"] for row in voided] == [4]
    assert "secret" not in json.dumps(voided)


def test_former_keys_outlive_all_they_sealed(tmp_path):
    longest_s = max(
        load(environment={}, flags={"decision_ttl_s": 30 * 86_400}).decision_ttl_s, LIFETIME_S_MAX
    )
    with pytest.raises(InvalidInput):
        load(environment={}, flags={"decision_ttl_s": 30 * 86_400 + 1})
    assert longest_s * 1000 < FORMER_OPEN_MS
    former, new = json.loads(run(tmp_path, "rotate", "--json").output)["keys"]
    opens_ms = parse_time_ms(former["opens_until"]) - parse_time_ms(new["seals_from"])
    assert opens_ms == FORMER_OPEN_MS


def test_rotate_needs_a_data_directory(tmp_path):
    missing = run(tmp_path / "nowhere", "rotate")
    assert (missing.exit_code, "there is no data directory" in missing.stderr) == (1, True)
