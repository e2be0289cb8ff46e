"""The demo from outside: start it, ask for one decision, stop it, and see that nothing is left.

Run by ``.ci/run`` as ``python -m tests.smoke``.
"""

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from http.client import HTTPConnection

import psutil

READY_S_MAX = 120.0
"""Loading the data, learning and compiling, on a slow machine; a fast one needs a few seconds."""
STOP_S_MAX = 15.0
POLL_S = 0.1
VIEWER = "ml-1"
VIEWERS_MIN = 4
"""To choose from on the page."""


def main() -> None:
    """Fail with a sentence, or say what was decided."""
    with tempfile.TemporaryDirectory() as data:
        port = free_port()
        command = [sys.executable, "-m", "adserver", "demo", "--no-browser"]
        demo = subprocess.Popen(
            [*command, "--port", str(port), "--data", data],
            stdin=subprocess.DEVNULL,
            start_new_session=True,
        )
        try:
            wait_until(lambda: demo.poll() is not None or ready(port), READY_S_MAX, "not ready")
            if demo.poll() is not None:
                sys.exit(f"the demo ended by itself with code {demo.returncode}")
            decided = decide(port)
            plays_with = page(port)
            demo.send_signal(signal.SIGINT)
            wait_until(lambda: demo.poll() is not None, STOP_S_MAX, "Ctrl-C did not end the demo")
            wait_until(lambda: not left_over(demo.pid), STOP_S_MAX, "the demo left a process")
        finally:
            for process in left_over(demo.pid):
                process.kill()
    print(
        f"the demo decided for {VIEWER}: {decided}; its page plays with {plays_with}; "
        "and it left no process behind"
    )


def free_port() -> int:
    """Return a port nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_until(done: Callable[[], bool], seconds: float, otherwise: str) -> None:
    """Wait, but not for ever."""
    for _ in range(int(seconds / POLL_S)):
        if done():
            return
        time.sleep(POLL_S)
    sys.exit(f"{otherwise} after {seconds:.0f} s")


def ready(port: int) -> bool:
    """Whether the server says that it can decide."""
    try:
        return exchange(port, "GET", "/readyz")[0] == 200
    except OSError:
        return False


def decide(port: int) -> str:
    """Ask for one decision and return its action."""
    wanted = {"placement": "trailer-preroll", "viewer": {"id": VIEWER}}
    status, body = exchange(port, "POST", "/v1/decisions", json.dumps(wanted))
    action = json.loads(body).get("action") if status == 200 else None
    if action not in {"show", "none"}:
        sys.exit(f"no decision but {status}: {body!r}")
    return str(action)


def page(port: int) -> str:
    """Look at the page and what it offers; return what it plays with."""
    answers = [exchange(port, "GET", path) for path in ("/", "/demo/page.js", "/demo/scene.json")]
    if [status for status, _ in answers] != [200, 200, 200]:
        sys.exit(f"the page is not whole: {[status for status, _ in answers]}")
    scene = json.loads(answers[-1][1])
    if len(scene["members"]) < VIEWERS_MIN or exchange(port, "GET", scene["content"])[0] != 200:
        sys.exit(f"the page offers too little: {scene}")
    return scene["player"] or "the browser's own player"


def exchange(port: int, method: str, path: str, body: str | None = None) -> tuple[int, bytes]:
    """Return the status and body of one request."""
    connection = HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request(method, path, body, {"content-type": "application/json"})
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def left_over(session: int) -> list[psutil.Process]:
    """Return the processes of the demo's session that still run.

    A zombie has ended: in a container whose first process reaps nobody it stays for ever.
    """
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.NoSuchProcess, ProcessLookupError):
            if os.getsid(process.pid) == session and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
    return found


if __name__ == "__main__":
    main()
