"""How long a run still takes: from what was estimated, and from what its stages took."""

import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager

from interplm_nb.progress import MINUTE


class TimeLeft:
    """The stages of a run, how far it is, and about how long the rest takes.

    Parameters
    ----------
    stages
        The stages of the run, in order, those that are skipped too.
    seconds
        Estimates by stage; stages without one are not counted, and without any no time is given.

    Examples
    --------
    >>> left = TimeLeft(["embed", "train"], {"embed": 100.0, "train": 200.0})
    >>> left.place("embed"), left.words("embed")
    ('stage 1 of 2', 'about 5 min left in all')
    >>> left.took("embed", 300.0)  # three times the estimate, so the rest is taken to be too
    >>> left.words("train")
    'about 10 min left in all'
    """

    def __init__(self, stages: Sequence[str], seconds: Mapping[str, float]) -> None:
        self.stages = list(stages)
        self.seconds = dict(seconds)
        self._measured: dict[str, float] = {}

    def place(self, stage: str) -> str:
        """Which of how many stages."""
        return f"stage {self.stages.index(stage) + 1} of {len(self.stages)}"

    def took(self, stage: str, seconds: float) -> None:
        """Take note of how long a stage took."""
        self._measured[stage] = seconds

    def words(self, stage: str, passed: float = 0.0) -> str:
        """The time left in all, `passed` seconds after a stage began; "" where nobody knows."""
        if stage not in self.seconds:
            return ""
        factor = self._factor()
        behind = self.stages[self.stages.index(stage) + 1 :]
        rest = factor * sum(self.seconds.get(name, 0.0) for name in behind)
        own = factor * self.seconds[stage] - passed
        if own >= 0:
            return f"{rounded(own + rest)} left in all"
        # How much longer it takes nobody knows.
        return "longer than estimated" + (f", then {rounded(rest)} more" if rest else "")

    def _factor(self) -> float:
        """How the stages so far took against what was estimated; 1 before the first."""
        known = [name for name in self._measured if name in self.seconds]
        estimated = sum(self.seconds[name] for name in known)
        return sum(self._measured[name] for name in known) / estimated if estimated else 1.0


def rounded(seconds: float) -> str:
    """A time as exact as an estimate is.

    >>> [rounded(s) for s in (20, 200, 1500, 5000, 40000)]
    ['under a minute', 'about 3 min', 'about 25 min', 'about 1.5 h', 'about 11 h']
    """
    minutes = seconds / 60
    if minutes < 1:
        return "under a minute"
    if minutes < 10:
        return f"about {minutes:.0f} min"
    if minutes < 57:
        return f"about {5 * round(minutes / 5)} min"
    hours = minutes / 60
    return f"about {round(2 * hours) / 2:g} h" if hours < 5 else f"about {hours:.0f} h"


@contextmanager
def every_minute(say: Callable[[float], None]) -> Iterator[None]:
    """Call `say` once a minute during the block, with the seconds since it began."""
    ended, began = threading.Event(), time.monotonic()

    def watch() -> None:
        """Call `say` each minute until the block ends."""
        while not ended.wait(MINUTE):
            say(time.monotonic() - began)

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
