"""Load every kernel before the port opens, so that nothing compiles on a request."""

import importlib
import pkgutil
from pathlib import Path

from kernels import _jit


def warm() -> int:
    """Import every kernel module, which compiles or loads each signature; return how many.

    Raises
    ------
    RuntimeError
        When a kernel has other than exactly one signature: it could compile on a request.
    """
    for module in pkgutil.iter_modules([str(Path(__file__).parent)]):
        importlib.import_module(f"kernels.{module.name}")
    for compiled in _jit.REGISTRY if _jit.COMPILED else ():
        if len(compiled.signatures) != 1:
            name = f"{compiled.py_func.__module__}.{compiled.py_func.__name__}"
            raise RuntimeError(f"{name} has {len(compiled.signatures)} signatures, not 1")
        compiled.disable_compile()
    return len(_jit.REGISTRY)


if __name__ == "__main__":
    warm()
