"""bfloat16 without a library for it: the upper half of a float32, held as uint16."""

import numpy as np

_EXPONENT = 0x7F80
_QUIET = 0x0040  # keeps a NaN one where its digits are cut off


def rounded(values: np.ndarray) -> np.ndarray:
    """uint16 of values' shape: float32 values rounded to the nearest bfloat16, ties to even.

    Beyond bfloat16's largest value (3.39e38) they become infinite; NaN stays NaN.
    """
    bits = np.ascontiguousarray(values, np.float32).view(np.uint32)
    upper = (bits >> 16).astype(np.uint16)
    # Half of the last digit less one is added, and one more where that digit is odd: ties to even.
    nearest = ((bits + (np.uint32(0x7FFF) + (upper & 1))) >> 16).astype(np.uint16)
    nan = np.isnan(values)
    return np.where(nan, upper | np.uint16(_QUIET), nearest) if nan.any() else nearest


def widened(bits: np.ndarray, out: np.ndarray | None = None) -> np.ndarray:
    """float32 of the same shape: bfloat16 values held as uint16, exactly.

    `out`: float32 of that shape, C-contiguous, to write to. Nothing else is allocated.
    """
    values = np.empty(bits.shape, np.float32) if out is None else out
    np.left_shift(bits, np.uint32(16), out=values.view(np.uint32), dtype=np.uint32)
    return values


def is_finite(bits: np.ndarray) -> bool:
    """Whether no value is NaN or infinite."""
    return not bool(((bits & np.uint16(_EXPONENT)) == _EXPONENT).any())
