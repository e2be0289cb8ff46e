"""A frame: the addresses of every array a decision reads or fills, as one array.

Handing a kernel an array costs some 80 ns, and a decision needs three dozen of them, most the same
from one request to the next. So they are handed over once, when the frame is made, checked for type
and layout there, and a request hands over the frame. Whoever makes a frame keeps its arrays alive.
"""

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from kernels._jit import array_reader

FIELDS: Final[tuple[tuple[str, Any, int], ...]] = (
    ("bitmaps", np.uint64, 2),
    ("in_flight", np.uint64, 1),
    ("matched", np.uint64, 1),
    ("viewer_caps", np.int64, 2),
    ("campaign_keys", np.uint32, 1),
    ("campaign_lookup", np.int32, 1),
    ("creative_keys", np.uint32, 1),
    ("creative_lookup", np.int32, 1),
    ("advertiser_keys", np.uint32, 1),
    ("caps", np.int64, 2),
    ("cap_start", np.int32, 1),
    ("rivals", np.int32, 1),
    ("rival_start", np.int32, 1),
    ("campaign_flags", np.uint8, 1),
    ("creative_flags", np.uint8, 1),
    ("campaign_dose", np.float32, 1),
    ("touched", np.int32, 1),
    ("viewer", np.float64, 1),
    ("vectors", np.float32, 2),
    ("heads", np.float32, 2),
    ("variants", np.int32, 2),
    ("campaign_start", np.int32, 1),
    ("weights", np.float64, 1),
    ("ids", np.int32, 2),
    ("values", np.float32, 2),
    ("counts", np.int64, 1),
    ("rest", np.float64, 1),
    ("campaign_values", np.float64, 2),
    ("campaign_times", np.int64, 2),
    ("settings", np.float64, 1),
    ("result", np.float64, 1),
    ("held", np.uint8, 1),
    ("held_back", np.int32, 1),
    ("request", np.float64, 1),
    ("stranger", np.float32, 1),
    ("value_bits", np.int32, 2),
    ("packed", np.int32, 1),
    ("numbers", np.int64, 1),
    ("outcome", np.float64, 1),
    ("flags", np.uint8, 1),
)
"""Name, type and number of dimensions; the position is the array's row in the frame."""
ROW: Final = {name: row for row, (name, _, _) in enumerate(FIELDS)}
"""Row of each array in a frame."""
DIMENSIONS_MAX: Final = 2

f4 = array_reader(np.float32, 1)
f4_matrix = array_reader(np.float32, 2)
f8 = array_reader(np.float64, 1)
f8_matrix = array_reader(np.float64, 2)
i4 = array_reader(np.int32, 1)
i4_matrix = array_reader(np.int32, 2)
i8 = array_reader(np.int64, 1)
i8_matrix = array_reader(np.int64, 2)
u1 = array_reader(np.uint8, 1)
u4 = array_reader(np.uint32, 1)
u8 = array_reader(np.uint64, 1)
u8_matrix = array_reader(np.uint64, 2)


def make_frame(arrays: Mapping[str, NDArray[Any]]) -> NDArray[np.int64]:
    """Return the frame of these arrays: int64[n_fields, 3], address and shape a row.

    Raises
    ------
    ValueError
        An array is missing, or of another type or layout than its field: a kernel that believed
        the frame would read rubbish.
    """
    frame = np.zeros((len(FIELDS), 1 + DIMENSIONS_MAX), np.int64)
    for row, (name, dtype, dimensions) in enumerate(FIELDS):
        array = arrays.get(name)
        if array is None:
            raise ValueError(f"a frame needs the array {name!r}")
        fits = array.dtype == dtype and array.ndim == dimensions and array.flags.c_contiguous
        if not fits or not array.flags.aligned:
            raise ValueError(
                f"{name!r} must be {np.dtype(dtype)}, {dimensions}-dimensional, C-contiguous and "
                f"aligned, not {array.dtype} of {array.ndim} dimensions"
            )
        frame[row, 0] = array.ctypes.data
        frame[row, 1 : 1 + dimensions] = array.shape
    frame.flags.writeable = False
    return frame
