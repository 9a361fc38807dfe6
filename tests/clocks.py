"""A clock for one module. One that is set for the whole process stops the event loops of other
tests: what they wait for never comes."""

import time
from collections.abc import Callable
from types import ModuleType, SimpleNamespace

import pytest


def set_clock(patch: pytest.MonkeyPatch, module: ModuleType, now: Callable[[], float]) -> None:
    """`time.time` and `time.monotonic` as a module sees them."""
    clock = SimpleNamespace(time=now, monotonic=now, sleep=time.sleep)
    patch.setattr(module, "time", clock)
