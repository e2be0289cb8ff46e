"""``adserver token``: who may do what over HTTP, and the key that beacons are sealed with."""

import click

from adserver.cli.session import Session, pass_session
from adserver.domain.units import DAY_MS, format_time_ms
from adserver.runtime.clock import SystemClock
from adserver.runtime.entropy import SystemEntropy
from adserver.runtime.keys import rotate as rotate_keys
from adserver.serve.auth import SCOPES, Bearers

FORMER_OPEN_MS = 31 * DAY_MS
"""Longer than anything that was sealed lives: a decision's beacons and a dosage token, 30 days."""


@click.group(
    help="""Create, list and revoke bearer tokens; rotate the key of beacon tokens.

    Example: adserver token create --scope read
    """,
    short_help="Create, list and revoke bearer tokens; rotate keys.",
)
def command() -> None:
    """Hold the commands below."""


@command.command()
@click.option(
    "--scope",
    "scopes",
    multiple=True,
    required=True,
    type=click.Choice(SCOPES),
    help="What the token opens; can be given several times.",
)
@pass_session
def create(session: Session, scopes: tuple[str, ...]) -> None:
    """Make a token and print it: this once, for only its hash is kept.

    Example: adserver token create --scope read
    """
    wanted = tuple(scope for scope in SCOPES if scope in scopes)
    bearer, secret = _bearers(session).create(wanted, SystemClock().now_ms())
    data = {"id": bearer.id, "scopes": list(bearer.scopes), "token": secret}
    session.show(data, f"token {bearer.id} ({', '.join(bearer.scopes)})\n{secret}")


@command.command("list")
@pass_session
def list_(session: Session) -> None:
    """List the tokens, without their secrets.

    Example: adserver token list
    """
    tokens = [
        {"id": bearer.id, "scopes": list(bearer.scopes), "created": bearer.created}
        for bearer in _bearers(session).listed()
    ]
    lines = [f"{row['id']}  {row['created']}  {', '.join(row['scopes'])}" for row in tokens]
    session.show({"tokens": tokens}, "\n".join(lines) or "no tokens")


@command.command()
@click.argument("token_id")
@pass_session
def revoke(session: Session, token_id: str) -> None:
    """Take a token out of force, at once.

    Example: adserver token revoke 1f0c9a2b
    """
    _bearers(session).revoke(token_id)
    session.show({"revoked": token_id}, f"revoked {token_id}")


@command.command()
@click.option(
    "--void", is_flag=True, help="Void every token out there at once, for a key that has leaked."
)
@pass_session
def rotate(session: Session, void: bool) -> None:
    """Seal beacon tokens with a new key; servers follow within two seconds, without a restart.

    What the former keys sealed stays good until it expires; after 31 days they are gone.

    Example: adserver token rotate
    """
    now_ms = SystemClock().now_ms()
    opens_ms = 0 if void else FORMER_OPEN_MS
    keys = rotate_keys(session.need_data(), SystemEntropy(), now_ms, opens_ms)
    rows = [
        {
            "id": key.id,
            "seals_from": format_time_ms(key.from_ms),
            "opens_until": None if key.until_ms is None else format_time_ms(key.until_ms),
        }
        for key in keys.tokens
    ]
    lines = [f"key {row['id']} seals from {row['seals_from']}" for row in rows[-1:]]
    lines += [f"key {row['id']} opens until {row['opens_until']}" for row in rows[:-1]]
    session.show({"keys": rows}, "\n".join(lines))


def _bearers(session: Session) -> Bearers:
    return Bearers(session.settings.data)
