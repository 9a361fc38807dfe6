"""bfloat16 in numpy: the upper half of a float32, stored as uint16."""

import numpy as np

_EXPONENT = 0x7F80
_QUIET = 0x0040  # keeps a NaN a NaN when its lower digits are cut off


def rounded(values: np.ndarray) -> np.ndarray:
    """Round float32 values to the nearest bfloat16, ties to even: uint16 of the same shape.

    Values beyond bfloat16's largest (3.39e38) become infinite; NaN stays NaN.
    """
    bits = np.ascontiguousarray(values, np.float32).view(np.uint32)
    upper = (bits >> 16).astype(np.uint16)
    # Add half of the last digit minus one, plus one where that digit is odd: ties to even.
    nearest = ((bits + (np.uint32(0x7FFF) + (upper & 1))) >> 16).astype(np.uint16)
    nan = np.isnan(values)
    return np.where(nan, upper | np.uint16(_QUIET), nearest) if nan.any() else nearest


def widened(bits: np.ndarray, out: np.ndarray | None = None) -> np.ndarray:
    """Convert bfloat16 values stored as uint16 to float32 of the same shape, exactly.

    `out`: C-contiguous float32 array of that shape to write to; then nothing is allocated.
    """
    values = np.empty(bits.shape, np.float32) if out is None else out
    np.left_shift(bits, np.uint32(16), out=values.view(np.uint32), dtype=np.uint32)
    return values


def is_finite(bits: np.ndarray) -> bool:
    """Whether all values are finite."""
    return not bool(((bits & np.uint16(_EXPONENT)) == _EXPONENT).any())
