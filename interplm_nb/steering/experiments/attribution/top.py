"""The true largest: exact, with a stated order among equals."""

import numpy as np


def largest(values: np.ndarray, k: int) -> np.ndarray:
    """int64 [min(k, n)]: places of the k largest values [n], largest first, the first of equals
    first.

    Examples
    --------
    >>> largest(np.array([1.0, 3.0, 2.0, 3.0]), 3).tolist()
    [1, 3, 2]
    """
    if k < 1:
        raise ValueError(f"how many of the largest is at least 1; got {k}")
    if np.isnan(values).any():
        raise ValueError("values that are not numbers have no largest")
    if k < len(values):
        # The k-th largest value decides: all above it, then the first of those equal to it.
        bound = np.partition(values, len(values) - k)[len(values) - k]
        above, equal = np.flatnonzero(values > bound), np.flatnonzero(values == bound)
        places = np.concatenate([above, equal[: k - len(above)]])
    else:
        places = np.arange(len(values))
    return places[np.lexsort((places, -values[places]))]
