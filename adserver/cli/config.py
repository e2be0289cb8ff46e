"""``adserver config``: every setting, its value and its origin."""

import click

from adserver.cli.session import Session, pass_session
from adserver.settings import TABLE


@click.command(
    help="""Show every setting and where its value comes from.

    A flag wins over ADSERVER_<NAME> in the environment, which wins over the settings file.

    Example: ADSERVER_PORT=9000 adserver config
    """,
    short_help="Show every setting and where its value comes from.",
)
@pass_session
def command(session: Session) -> None:
    """Print the table."""
    settings = session.settings
    rows = {
        row.name: {
            "value": _plain(getattr(settings, row.name)),
            "origin": settings.origin(row.name),
            "help": row.metadata["help"],
        }
        for row in TABLE
    }
    lines = [f"{'setting':<16} {'value':<24} origin"]
    for name, row in rows.items():
        lines.append(f"{name:<16} {_spell(row['value']):<24} {row['origin']}")
        lines.append(f"{'':<16} {row['help']}")
    session.show({"settings": rows}, "\n".join(lines))


def _plain(value: object) -> object:
    return value if isinstance(value, bool | int | str) else str(value)


def _spell(value: object) -> str:
    """Write the value as the settings file would have it."""
    if isinstance(value, bool):
        return str(value).lower()
    return repr(value) if isinstance(value, int) else f'"{value}"'
