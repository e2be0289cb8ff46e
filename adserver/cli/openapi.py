"""``adserver openapi``: the description of the HTTP interface."""

import json

import click

from adserver.cli.session import Session, pass_session
from adserver.serve.openapi import document


@click.command(
    help="""Print the OpenAPI description of the HTTP interface.

    It is what a server answers under /openapi.json.

    Example: adserver openapi > openapi.json
    """,
    short_help="Print the OpenAPI description of the HTTP interface.",
)
@pass_session
def command(session: Session) -> None:
    """Print it; it is JSON either way."""
    described = document(session.settings.base_url)
    session.show(described, json.dumps(described, indent=2, ensure_ascii=False))
