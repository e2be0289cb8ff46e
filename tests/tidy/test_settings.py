"""Every setting is documented as it is: name, default, meaning."""

from adserver.settings import TABLE
from tests.tidy import rules, tree

PAGE = tree.text(tree.ROOT / "adserver/docs/settings.md")


def test_every_setting_is_documented():
    assert len(TABLE) > 5
    assert list(rules.undocumented([rules.settings_row(row) for row in TABLE], PAGE)) == []


def test_nothing_else_is_documented_as_a_setting():
    rows = [line for line in PAGE.splitlines() if line.startswith("| `")]
    assert len(rows) == len(TABLE)
