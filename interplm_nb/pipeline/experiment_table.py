"""The experiments that steer features, one record each, in a module that imports nothing slow."""

import importlib
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Experiment:
    """One experiment: its settings, the function that runs it in a run, and what it asks."""

    settings: str
    """`module:class`, imported at the first use: its module imports torch."""
    function: str
    """`module:function`; it takes a run, the settings, a source and a device."""
    asks: str
    """The question, for the help of the command."""

    def load(self, what: str) -> Any:
        """The class of the settings, or the function."""
        module, _, name = getattr(self, what).partition(":")
        return getattr(importlib.import_module(module), name)


EXPERIMENTS: dict[str, Experiment] = {}
"""By name, in the order in which they are listed."""
