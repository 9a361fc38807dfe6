"""The best SAE of a training by one of its metrics, kept beside the last one."""

from collections.abc import Callable, Mapping, Set
from dataclasses import replace
from pathlib import Path
from typing import Any

from interplm_nb.sae.checkpoint import save
from interplm_nb.sae.model import SAE
from interplm_nb.sae.training.options import TrainingOptions
from interplm_nb.sae.training.progress import METRICS, read_metrics

BEST = "best"


class Best:
    """The SAE with the best value of `options.best` so far, in `BEST` of its training's folder.

    What is the best so far follows from the lines of metrics on disk, so that a kill changes
    nothing.
    """

    def __init__(self, folder: Path, options: TrainingOptions) -> None:
        self._folder, self._options = folder, options
        lines = read_metrics(folder / METRICS)
        found = [float(line[options.best]) for line in lines if options.best in line]
        self._value = (max if options.highest_is_best else min)(found, default=None)

    def keep(self, values: Mapping[str, Any], sae: Callable[[], SAE]) -> None:
        """Save the SAE if its line of metrics has a better value than all lines before."""
        name = self._options.best
        if name is None or name not in values:
            return
        value = float(values[name])
        if self._value is None or (
            value > self._value if self._options.highest_is_best else value < self._value
        ):
            self._value = value
            best = sae()
            assert best.about is not None
            kept = {"kept": {"step": values["step"], "metric": name, "value": value}}
            about = replace(best.about, training=best.about.training | kept)
            save(best, self._folder / BEST, about)


def check_best(options: TrainingOptions, known: Set[str]) -> None:
    """ValueError where `options.best` is not among the names of a training's metrics."""
    if options.best is not None and options.best not in known:
        raise ValueError(
            f"best={options.best!r} is not a metric of this training; take one of "
            f"{', '.join(sorted(known))}"
        )
