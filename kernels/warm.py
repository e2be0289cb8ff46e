"""Load every kernel before the port opens, so that nothing compiles on a request.

``python -m kernels.warm`` compiles them beforehand; another process that does so ``--backwards`` at
the same time takes half of the work.
"""

import importlib
import pkgutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from kernels import _jit


def warm(step: int = 1) -> int:
    """Import every kernel module, which compiles or loads each signature; return how many.

    Parameters
    ----------
    step
        1 goes through the modules from the first, -1 from the last.

    Raises
    ------
    RuntimeError
        When a kernel has other than exactly one signature: it could compile on a request.
    """
    for module in list(pkgutil.iter_modules([str(Path(__file__).parent)]))[::step]:
        importlib.import_module(f"kernels.{module.name}")
    for compiled in _jit.REGISTRY if _jit.COMPILED else ():
        if len(compiled.signatures) != 1:
            name = f"{compiled.py_func.__module__}.{compiled.py_func.__name__}"
            raise RuntimeError(f"{name} has {len(compiled.signatures)} signatures, not 1")
        compiled.disable_compile()
    return len(_jit.REGISTRY)


@contextmanager
def helped() -> Iterator[None]:
    """While it lasts, let a process beside this one compile what has not been compiled."""
    command = [sys.executable, "-m", "kernels.warm", "--backwards"]
    quiet = subprocess.DEVNULL
    # A group of its own: Ctrl-C is for this process, which then ends the other.
    helper = subprocess.Popen(  # noqa: S603  (our own command)
        command, stdin=quiet, stdout=quiet, stderr=quiet, process_group=0
    )
    try:
        yield
    finally:
        helper.kill()
        helper.wait()


if __name__ == "__main__":
    warm(-1 if "--backwards" in sys.argv else 1)
