"""``adserver token``: who may do what over HTTP."""

import click

from adserver.cli.session import Session, pass_session
from adserver.runtime.clock import SystemClock
from adserver.serve.auth import SCOPES, Bearers


@click.group(
    help="""Create, list and revoke bearer tokens.

    Example: adserver token create --scope read
    """,
    short_help="Create, list and revoke bearer tokens.",
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


def _bearers(session: Session) -> Bearers:
    return Bearers(session.settings.data)
