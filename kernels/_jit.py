"""The one place that calls numba: project defaults for every kernel.

Explicit signatures only, so nothing is ever compiled on a request; read-only inputs, so a kernel
cannot write what a snapshot froze. The cache directory is named after everything that shapes the
machine code, because numba itself watches only the file that holds the kernel, not its callees.
Processes that start at the same time share the compiling: what one is at, the others wait for.
"""

import ctypes
import fcntl
import hashlib
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ParamSpec, TypeVar, cast

import numba
import numpy as np
from llvmlite import ir
from numba import carray, types
from numba.core import cgutils
from numba.extending import intrinsic, register_jitable
from numpy.typing import NDArray

P = ParamSpec("P")
R = TypeVar("R")

F4_IN = types.Array(types.float32, 1, "C", readonly=True)
F4_IN_2D = types.Array(types.float32, 2, "C", readonly=True)
F8_IN = types.Array(types.float64, 1, "C", readonly=True)
F8_IN_2D = types.Array(types.float64, 2, "C", readonly=True)
I4_IN = types.Array(types.int32, 1, "C", readonly=True)
I4_IN_2D = types.Array(types.int32, 2, "C", readonly=True)
I8_IN = types.Array(types.int64, 1, "C", readonly=True)
I8_IN_2D = types.Array(types.int64, 2, "C", readonly=True)
U1_IN = types.Array(types.uint8, 1, "C", readonly=True)
U4_IN = types.Array(types.uint32, 1, "C", readonly=True)
U8_IN = types.Array(types.uint64, 1, "C", readonly=True)
U8_IN_2D = types.Array(types.uint64, 2, "C", readonly=True)

F4_OUT = types.float32[::1]
F4_OUT_2D = types.float32[:, ::1]
F8_OUT = types.float64[::1]
F8_OUT_2D = types.float64[:, ::1]
I4_OUT = types.int32[::1]
I4_OUT_2D = types.int32[:, ::1]
I8_OUT = types.int64[::1]
U1_OUT = types.uint8[::1]
U8_OUT = types.uint64[::1]

REASSOCIATE = frozenset({"reassoc", "contract", "nsz"})
"""Fast-math for sums of products: vectorises a dot product, 35 to 7 ns at d=64. Leaves NaN and
infinity alone; the order of additions, and so the last bits, depend on the processor."""

REGISTRY: list[Any] = []
"""Every kernel of this package, in order of definition; tests enumerate it."""
COMPILED = not numba.config.DISABLE_JIT
"""False when the kernels run as plain Python, for coverage and debuggers."""


@intrinsic  # type: ignore[untyped-decorator]
def _count_trailing_zeros(_typing_context: Any, word: Any) -> Any:
    def build(_context: Any, builder: Any, _signature: Any, args: Any) -> Any:
        return builder.cttz(args[0], ir.Constant(ir.IntType(1), 1))

    return (types.int64(types.uint64), build) if word == types.uint64 else None


def _plain_trailing_zeros(word: np.uint64) -> int:
    return (int(word) & -int(word)).bit_length() - 1


@intrinsic  # type: ignore[untyped-decorator]
def _count_set_bits(_typing_context: Any, word: Any) -> Any:
    def build(_context: Any, builder: Any, _signature: Any, args: Any) -> Any:
        return builder.ctpop(args[0])

    return (types.int64(types.uint64), build) if word == types.uint64 else None


def _plain_set_bits(word: np.uint64) -> int:
    return int(word).bit_count()


@intrinsic  # type: ignore[untyped-decorator]
def _pointer(_typing_context: Any, _address: Any) -> Any:
    """Make a pointer of an address."""

    def build(_context: Any, builder: Any, _signature: Any, args: Any) -> Any:
        return builder.inttoptr(args[0], cgutils.voidptr_t)

    return types.voidptr(types.int64), build


def array_reader(dtype: Any, dimensions: int) -> Callable[[NDArray[np.int64], int], Any]:
    """Return what makes an array, inside a kernel, of one row of a frame: address and shape.

    See ``kernels.frame``, which checks type and layout when it writes the row.
    """
    pointer = ctypes.c_void_p if numba.config.DISABLE_JIT else _pointer

    def line(frame: NDArray[np.int64], row: int) -> Any:
        return carray(pointer(int(frame[row, 0])), (frame[row, 1],), dtype)

    def matrix(frame: NDArray[np.int64], row: int) -> Any:
        return carray(pointer(int(frame[row, 0])), (frame[row, 1], frame[row, 2]), dtype)

    reader: Callable[[NDArray[np.int64], int], Any]
    reader = register_jitable(line if dimensions == 1 else matrix)
    return reader


@intrinsic  # type: ignore[untyped-decorator]
def _locked_add(_typing_context: Any, words: Any, _index: Any, _amount: Any) -> Any:
    return types.int64(words, types.int64, types.int64), _locked("add")


@intrinsic  # type: ignore[untyped-decorator]
def _locked_exchange(_typing_context: Any, words: Any, _index: Any, _amount: Any) -> Any:
    return types.int64(words, types.int64, types.int64), _locked("xchg")


@intrinsic  # type: ignore[untyped-decorator]
def _locked_swap(_typing_context: Any, words: Any, _index: Any, _old: Any, _new: Any) -> Any:
    def build(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        kind = signature.args[0]
        array = context.make_array(kind)(context, builder, args[0])
        place = cgutils.get_item_pointer(context, builder, kind, array, [args[1]])
        swapped = builder.cmpxchg(place, args[2], args[3], "seq_cst", "seq_cst")
        return builder.extract_value(swapped, 0)

    return types.int64(words, types.int64, types.int64, types.int64), build


def _locked(operation: str) -> Any:
    """Return the code of one instruction no other thread or process can come between."""

    def build(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        kind = signature.args[0]
        array = context.make_array(kind)(context, builder, args[0])
        place = cgutils.get_item_pointer(context, builder, kind, array, [args[1]])
        return builder.atomic_rmw(operation, place, args[2], "seq_cst")

    return build


def _plain_add(words: NDArray[np.int64], index: int, amount: int) -> int:
    former = int(words[index])
    words[index] = former + amount
    return former


def _plain_exchange(words: NDArray[np.int64], index: int, amount: int) -> int:
    former = int(words[index])
    words[index] = amount
    return former


def _plain_swap(words: NDArray[np.int64], index: int, old: int, new: int) -> int:
    former = int(words[index])
    if former == old:
        words[index] = new
    return former


trailing_zeros: Callable[[np.uint64], int]
"""Index of the lowest set bit of a non-zero uint64: one instruction, which numba lacks."""
set_bits: Callable[[np.uint64], int]
"""How many bits of a uint64 are set; likewise."""
atomic_add: Callable[[NDArray[np.int64], int, int], int]
"""``words[index] += amount`` that loses no other process's; returns the former value. 2.7 ns. As
plain Python, without the compiler, it is right for one process only."""
atomic_exchange: Callable[[NDArray[np.int64], int, int], int]
"""``words[index] = amount``; returns the value that was there."""
atomic_swap: Callable[[NDArray[np.int64], int, int, int], int]
"""``words[index] = new`` if it is ``old``; returns the value that was there."""
trailing_zeros = _count_trailing_zeros if COMPILED else _plain_trailing_zeros
set_bits = _count_set_bits if COMPILED else _plain_set_bits
atomic_add = _plain_add if numba.config.DISABLE_JIT else _locked_add
atomic_exchange = _plain_exchange if numba.config.DISABLE_JIT else _locked_exchange
atomic_swap = _plain_swap if numba.config.DISABLE_JIT else _locked_swap


def _build_digest() -> str:
    """Hash what the machine code depends on beside numba's own key (the processor)."""
    digest = hashlib.sha256(f"{numba.__version__} {numba.config.BOUNDSCHECK}".encode())
    for path in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def _cache_root() -> Path:
    """Return the user's cache, or a temporary one where there is no writable home."""
    root = Path.home() / ".cache" / "adserver-kernels"
    try:
        root.mkdir(parents=True, exist_ok=True)
    except OSError:
        root = Path(tempfile.gettempdir()) / "adserver-kernels"
    return root


WAIT_S_MAX = 30.0
"""Whom a process that was stopped keeps waiting compiles for itself; twice does no harm."""
POLL_S = 0.02

CACHE = _cache_root() / _build_digest()
numba.config.CACHE_DIR = str(CACHE)


@contextmanager
def _alone_with(name: str) -> Iterator[None]:
    """Hold one kernel's lock: a byte of a file that all processes of this cache know.

    Whoever waited finds the kernel in the cache, where numba looks first.
    """
    try:
        CACHE.mkdir(parents=True, exist_ok=True)
        locks = (CACHE / "locks").open("wb")
    except OSError:  # nowhere to keep anything: then every process compiles for itself
        yield
        return
    byte = int.from_bytes(hashlib.sha256(name.encode()).digest()[:4], "big")
    with locks:
        for _ in range(round(WAIT_S_MAX / POLL_S)):
            try:
                fcntl.lockf(locks, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, byte)
            except (BlockingIOError, PermissionError):
                time.sleep(POLL_S)
            except OSError:
                break
            else:
                break
        yield


def kernel(
    signature: object, fastmath: frozenset[str] | None = None
) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Compile exactly one signature, without the GIL, with NumPy error semantics."""

    def wrap(func: Callable[P, R]) -> Callable[P, R]:
        with _alone_with(f"{func.__module__}.{func.__qualname__}"):
            compiled = numba.njit(
                signature,
                nogil=True,
                error_model="numpy",
                fastmath=set(fastmath) if fastmath else False,
                cache=True,
                no_cfunc_wrapper=True,  # no kernel is handed over as a value
            )(func)
        if func.__module__.startswith("kernels."):
            REGISTRY.append(compiled)
        return cast("Callable[P, R]", compiled)

    return wrap
