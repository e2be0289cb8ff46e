"""``adserver serve``: the decision server."""

import json

import click

from adserver.cli.session import Session, pass_session
from adserver.settings import Settings


@click.command(
    help="""Start the decision server; Ctrl-C stops it.

    Every setting can also stand in the settings file or in the environment: adserver config.

    Example: adserver serve --port 8080 --workers 2
    """,
    short_help="Start the decision server.",
)
@click.option("--host", help="Address to listen on.")
@click.option("--port", type=int, help="Port to listen on; 0 takes a free one.")
@click.option("--workers", type=int, help="Worker processes.")
@click.option("--public-url", help="Address players reach this server at.")
@click.option("--open-explain", is_flag=True, default=None, help="Explain without a token.")
@click.option("--deadline-ms", type=int, help="Time for one decision.")
@click.option("--log-level", help="How much the server says.")
@pass_session
def command(session: Session, **flags: object) -> None:
    """Run the supervisor in this process."""
    from adserver.start import serve  # noqa: PLC0415  (its kernels take a second, --help should not)

    settings = session.settings_with(**flags)

    def tell(running: Settings) -> None:
        count = f"{running.workers} worker" + ("s" if running.workers > 1 else "")
        text = f"adserver is ready on {running.base_url} ({count}); Ctrl-C stops it"
        data = {"ready": True, "url": running.base_url, "workers": running.workers}
        print(json.dumps(data) if session.as_json else text, flush=True)

    serve(settings, tell)
