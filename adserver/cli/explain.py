"""``adserver explain``: why a decision is what it is."""

import click
import msgspec

from adserver.cli.session import Session, pass_session
from adserver.domain.errors import InvalidInput, Problem
from adserver.runtime.entropy import parse_decision_id


@click.command(
    help="""Tell why a decision is what it is: what was shown or why nothing, what came second, what
    fell away at each stage, how it was drawn, and what would have changed it.

    ID is the decision_id of an answer, or the AdServingId of a VAST document.

    Example: adserver explain 0199a5f0-7c1e-7a3b-9c55-0d2f4a6b8c9d
    """,
    short_help="Tell why a decision is what it is.",
)
@click.argument("decision_id", metavar="ID")
@pass_session
def command(session: Session, decision_id: str) -> None:
    """Read the journal and the versions it names; safe while servers write."""
    from adserver.app import open_past  # noqa: PLC0415  (brings the whole server; not for help)
    from adserver.serve.words import tell  # noqa: PLC0415

    wanted = parse_id(decision_id)
    session.need_data()
    account = open_past(session.settings).find(wanted)
    if account is None:
        raise unknown(decision_id)
    session.show(msgspec.to_builtins(account), tell(account))


def parse_id(text: str) -> bytes:
    """Read a decision id given as an argument."""
    try:
        return parse_decision_id(text)
    except ValueError as error:
        raise click.BadParameter(f"{error}; one looks like {EXAMPLE}") from None


def unknown(text: str) -> InvalidInput:
    """Tell that the journal does not hold a decision."""
    problem = Problem(text, "the journal holds no decision of this id; is --data the right one?")
    return InvalidInput("no such decision", [problem])


EXAMPLE = "0199a5f0-7c1e-7a3b-9c55-0d2f4a6b8c9d"
