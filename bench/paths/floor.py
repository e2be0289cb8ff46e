"""The bare-Starlette floor: what the same work costs when nothing is decided.

A plain route with Request and Response parses the same input and returns the same number of bytes,
in the same worker process with the same settings of server, collector and threads.
No adserver can answer faster on this server without leaving the framework, so the ratio to it is
what our own code costs, on any machine.
"""

import argparse
import sys
from pathlib import Path

import orjson
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from adserver.serve import worker
from adserver.serve.supervise import supervise
from adserver.settings import load


def application(answer: bytes) -> Starlette:
    """Return the app; the body is an answer of the real server."""

    async def decisions(request: Request) -> Response:
        orjson.loads(await request.body())
        return Response(answer, media_type="application/json")

    async def vast_tag(request: Request) -> Response:
        dict(request.query_params)
        return Response(answer, media_type="application/xml")

    async def ready(_: Request) -> Response:
        return Response(b"ready")

    # The measured route stands first, as it does in the real server: each route above costs 1 µs.
    return Starlette(
        routes=[
            Route("/v1/decisions", decisions, methods=["POST"]),
            Route("/v1/vast", vast_tag),
            Route("/readyz", ready),
        ]
    )


def main() -> None:
    """Serve as the real server does: a parent that starts one worker, and that worker."""
    parser = argparse.ArgumentParser(prog="python -m bench.paths.floor")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--answer", required=True, help="file with the body")
    parser.add_argument("--worker", action="store_true", help="be the worker, as the parent asks")
    arguments = parser.parse_args()
    if arguments.worker:
        answer = Path(arguments.answer).read_bytes()
        worker.run(lambda _settings, _number, _count: application(answer))
    else:
        settings = load(environment={}, flags={"port": arguments.port})
        command = [sys.executable, "-m", "bench.paths.floor", "--worker"]
        supervise(settings, [*command, "--answer", arguments.answer], lambda _: None)


if __name__ == "__main__":
    main()
