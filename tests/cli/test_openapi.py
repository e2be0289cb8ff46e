"""The description of the HTTP interface, as a file."""

import json

from click.testing import CliRunner

from adserver.cli.root import main


def test_it_is_json_either_way():
    text = CliRunner().invoke(main, ["openapi"]).output
    compact = CliRunner().invoke(main, ["openapi", "--json"]).output
    assert json.loads(text) == json.loads(compact)
    assert json.loads(text)["servers"] == [{"url": "http://127.0.0.1:8080"}]
