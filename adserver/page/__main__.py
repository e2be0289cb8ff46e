"""One worker of the demo: the server as it is, and the page beside it."""

from starlette.types import ASGIApp

from adserver.app import build_app, open_past
from adserver.page.routes import routes
from adserver.serve import worker
from adserver.serve.past import PastEndpoint
from adserver.settings import Settings


def build(settings: Settings, number: int, workers: int) -> ASGIApp:
    """Return the application of one worker."""
    app = build_app(settings, number, workers)
    engines = app.state.engines
    past = PastEndpoint(open_past(settings), engines.bearers, engines.clock)
    app.router.routes.extend(routes(settings, engines, past))
    return app


if __name__ == "__main__":
    worker.run(build)
