"""Numbers on the command line: types for argparse that refuse what no command can use.

A number that is not finite, or outside its bounds, is refused before a command reads anything.
"""

import argparse
import math

MOST = 1_000_000
"""Largest count: no dictionary, model or table has more."""


def count(text: str) -> int:
    """A whole number from 1 to a million.

    >>> count("20")
    20
    """
    return _whole(text, 1)


def layer(text: str) -> int:
    """A whole number from 0, the embedding.

    >>> layer("0")
    0
    """
    return _whole(text, 0)


def feature(text: str) -> int:
    """A feature's number, from 0.

    >>> feature("12")
    12
    """
    return _whole(text, 0)


def share(text: str) -> float:
    """A number from 0 to 1.

    >>> share("0.05")
    0.05
    """
    value = _finite(text)
    if value is None or not 0 <= value <= 1:
        raise argparse.ArgumentTypeError(f"wanted a number from 0 to 1, such as 0.05; got {text!r}")
    return value


def activation(text: str) -> float:
    """A finite number of 0 or more.

    >>> activation("0.3")
    0.3
    """
    value = _finite(text)
    if value is None or value < 0:
        raise argparse.ArgumentTypeError(f"wanted a number of 0 or more; got {text!r}")
    return value


def factor(text: str) -> float:
    """A finite number above 0.

    >>> factor("1")
    1.0
    """
    value = _finite(text)
    if value is None or value <= 0:
        raise argparse.ArgumentTypeError(f"wanted a number above 0; got {text!r}")
    return value


def _whole(text: str, lowest: int) -> int:
    try:
        value = int(text)
    except ValueError:
        value = lowest - 1
    if not lowest <= value <= MOST:
        raise argparse.ArgumentTypeError(
            f"wanted a whole number from {lowest} to {MOST:,}; got {text!r}"
        )
    return value


def _finite(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None
