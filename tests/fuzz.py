"""The running server against its own description: schemathesis, for a bounded time.

Run by ``.ci/run`` as ``python -m tests.fuzz``; needs the extra ``fuzz``. What it finds it prints
with a seed and a curl line.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.serve.auctions import shop
from tests.serve.small import PLACEMENT
from tests.smoke import STOP_S_MAX, exchange, free_port, ready, wait_until

SECONDS = 60
READY_S_MAX = 60.0
ROOT = Path(__file__).parent
CONFIG = ROOT / "schemathesis.toml"


def main() -> None:
    """Fail when the server and its description differ, or when the server failed at anything."""
    with tempfile.TemporaryDirectory() as name:
        data, port = Path(name), free_port()
        shop(data)
        environment = os.environ | {
            "ADSERVER_OPENRTB_PLACEMENT": PLACEMENT,
            "ADSERVER_OPENRTB_NBR": "true",
            "ADSERVER_DEADLINE_MS": "1000",
        }
        command = [sys.executable, "-m", "adserver"]
        options = ["--data", str(data)]
        token = subprocess.run(
            [*command, "token", "create", "--scope", "read", *options],
            check=True,
            capture_output=True,
            text=True,
        ).stdout.split()[-1]
        server = subprocess.Popen(
            [*command, "serve", "--port", str(port), *options], env=environment
        )
        try:
            wait_until(lambda: ready(port), READY_S_MAX, "not ready")
            found = fuzz(port, token, data)
            failed = failures(port)
        finally:
            server.terminate()
            server.wait(STOP_S_MAX)
    if failed:
        sys.exit(f"{failed} requests failed in the server itself")
    sys.exit(found)


def fuzz(port: int, token: str, scratch: Path) -> int:
    """Return schemathesis's verdict on the server at this port; what it keeps stays in scratch."""
    program = shutil.which("schemathesis", path=str(Path(sys.executable).parent))
    if program is None:
        sys.exit("schemathesis is missing: pip install -e '.[fuzz]'")
    return subprocess.run(
        [
            program,
            "--no-color",
            f"--config-file={CONFIG}",
            "run",
            f"http://127.0.0.1:{port}/openapi.json",
            f"--header=Authorization: Bearer {token}",
            f"--max-time={SECONDS}",
            *sys.argv[1:],
        ],
        check=False,
        cwd=scratch,
        env=os.environ | {"SCHEMATHESIS_HOOKS": "tests.fuzz_hooks", "PYTHONPATH": str(ROOT.parent)},
    ).returncode


def failures(port: int) -> int:
    """Return how many requests the server itself failed at, by its own count."""
    _, body = exchange(port, "GET", "/metrics")
    counted = re.search(r"^adserver_requests_failed_total ([0-9.]+)$", body.decode(), re.MULTILINE)
    return int(float(counted[1])) if counted else -1


if __name__ == "__main__":
    main()
