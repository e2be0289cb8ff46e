"""The command ``adserver``: names every group, imports only the one asked for."""

import json
import sys
from importlib import import_module
from typing import Any

import click

from adserver.domain.errors import AdserverError, Broken, InvalidInput

JSON_KEY = "adserver.json"
"""Set in the context's shared notes when the command was asked for JSON."""

COMMANDS: dict[str, str] = {
    "demo": "Real demo data, a learnt model and a running server, in one command.",
    "serve": "Start the decision server.",
    "catalogue": "Validate and publish campaigns.",
    "policy": "Validate and publish the rules of relevance.",
    "viewers": "Import, export and count viewer records.",
    "decide": "Decide one request without a server, or replay a past decision.",
    "explain": "Tell why a decision is what it is.",
    "journal": "Look into the log of decisions and events.",
    "estimate": "Estimate what another policy would have earned, from a log.",
    "learn": "Learn from outcomes, and publish the model unless it is worse.",
    "data": "Simulate days, learn from nothing, and write requests for load generators.",
    "token": "Create, list and revoke bearer tokens; rotate keys.",
    "config": "Show every setting and where its value comes from.",
    "openapi": "Print the OpenAPI description of the HTTP interface.",
}
"""Command → one line of help, so that ``--help`` imports none of them; a test compares the two."""


class LazyGroup(click.Group):
    """A group whose commands are modules of this package, each with a ``command``."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        """Names in the order of use."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """Import the command's module."""
        if cmd_name not in COMMANDS:
            return None
        command = import_module(f"adserver.cli.{cmd_name}").command
        if not isinstance(command, click.Command):
            raise TypeError(f"adserver.cli.{cmd_name}.command is not a click command")
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        """List the commands from the table."""
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; what the caller must mend is told in words, exit code 1."""
        try:
            return super().invoke(ctx)
        except AdserverError as error:
            tell(error, as_json=bool(ctx.meta.get(JSON_KEY)))
            ctx.exit(1)
        except BrokenPipeError:
            raise  # whoever read the output has had enough: click knows
        except OSError as error:
            what = error.strerror or str(error)
            named = f"{error.filename}: {what}" if error.filename else what
            tell(Broken(named), as_json=bool(ctx.meta.get(JSON_KEY)))
            ctx.exit(1)


def tell(error: AdserverError, *, as_json: bool) -> None:
    """Print an error and each of its problems on stderr."""
    what = error.what if isinstance(error, InvalidInput) else str(error)
    problems = error.problems if isinstance(error, InvalidInput) else []
    if as_json:
        listed = [{"path": problem.path, "message": problem.message} for problem in problems]
        print(json.dumps({"error": what, "problems": listed}), file=sys.stderr)
        return
    print(f"error: {what}", file=sys.stderr)
    for problem in problems:
        print(f"  {problem}", file=sys.stderr)


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="adserver", prog_name="adserver")
def main() -> None:
    """Decide which preroll, if any, a viewer should see.

    Example: adserver serve --data adserver-data
    """
