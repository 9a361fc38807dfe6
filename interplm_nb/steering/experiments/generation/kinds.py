"""The kinds of conditions that a generation compares."""

from typing import Literal

Kind = Literal[
    "steered",
    "output only",
    "atom alone",
    "matched features",
    "random directions",
    "unsteered",
]
"""steered: inside the recurrence where there is one. output only: of a recurrent layer, the state
is carried on unchanged. atom alone: added without reading the feature."""

KINDS: tuple[Kind, ...] = (
    "steered",
    "output only",
    "atom alone",
    "matched features",
    "random directions",
    "unsteered",
)
CONTROLS: tuple[Kind, ...] = ("matched features", "random directions", "unsteered")
"""Kinds that steering has to exceed."""
