"""Metrics for Weights & Biases and TensorBoard: give one as `TrainingOptions(log=...)`. Neither is
needed, and neither is imported before it is used.

`metrics.jsonl` is written with or without a tracker. Install them with: pip install
'interplm-nb[track]'
"""

import importlib
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any, Self

import numpy as np

from interplm_nb.sae.training.trainee import DENSITY_BINS

Line = Mapping[str, Any]
_NO_METRICS = ("sae", "step", "density")


class WandB:
    """Weights & Biases: one run per training, its SAEs side by side under `<sae>/<metric>`, each
    against its own step.

    `options` go to `wandb.init`, such as name, mode="offline", dir, config. It logs to wandb's
    servers, under their terms, unless the mode is offline.
    """

    def __init__(self, project: str, **options: Any) -> None:
        self._wandb = _imported("wandb", "wandb")
        self.run = self._wandb.init(project=project, **options)
        self._known: set[str] = set()

    def __call__(self, line: Line) -> None:
        """Log one line of metrics: "sae", "step", numbers, and the density as a histogram over
        log10 of the share of residues."""
        sae = str(line["sae"])
        if sae not in self._known:
            self.run.define_metric(f"{sae}/*", step_metric=f"{sae}/step")
            self._known.add(sae)
        values = {f"{sae}/{name}": value for name, value in _numbers(line).items()} | {
            f"{sae}/step": int(line["step"])
        }
        if "density" in line:
            histogram = (np.asarray(line["density"]), np.asarray(_edges(), np.float64))
            values[f"{sae}/density"] = self._wandb.Histogram(np_histogram=histogram)
        self.run.log(values)

    def close(self) -> None:
        """Send the rest, and end the run."""
        self.run.finish()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class TensorBoard:
    """TensorBoard, which runs only on this computer: one folder of event files per SAE below
    `folder`. View them with: tensorboard --logdir FOLDER"""

    def __init__(self, folder: Path | str) -> None:
        _imported("tensorboard", "tensorboard")
        from torch.utils.tensorboard import SummaryWriter

        self.folder = Path(folder).expanduser()
        self._new = SummaryWriter
        self._writers: dict[str, Any] = {}

    def __call__(self, line: Line) -> None:
        """Log one line of metrics: "sae", "step", numbers, and the density as a histogram over
        log10 of the share of residues."""
        sae, step = str(line["sae"]), int(line["step"])
        if sae not in self._writers:
            self._writers[sae] = self._new(str(self.folder / sae))
        for name, value in _numbers(line).items():
            self._writers[sae].add_scalar(name, value, step)
        if "density" in line:
            self._histogram(self._writers[sae], np.asarray(line["density"], np.float64), step)

    def close(self) -> None:
        """Write the rest to disk."""
        for writer in self._writers.values():
            writer.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @staticmethod
    def _histogram(writer: Any, counts: np.ndarray, step: int) -> None:
        edges = np.asarray(_edges(), np.float64)
        middles = (edges[:-1] + edges[1:]) / 2
        n = max(float(counts.sum()), 1.0)
        sums = {
            "sum": float((counts * middles).sum()),
            "sum_squares": float((counts * middles**2).sum()),
        }
        writer.add_histogram_raw(
            "density",
            min=edges[0],
            max=edges[-1],
            num=n,
            **sums,
            bucket_limits=edges[1:].tolist(),
            bucket_counts=counts.tolist(),
            global_step=step,
        )


def _numbers(line: Line) -> dict[str, float]:
    return {
        name: float(value)
        for name, value in line.items()
        if name not in _NO_METRICS and isinstance(value, int | float)
    }


def _edges() -> list[int]:
    """log10 of the shares of residues between which features are counted; the first bin also holds
    features that were active on none."""
    return [DENSITY_BINS[0] - 1, *DENSITY_BINS]


def _imported(module: str, package: str) -> ModuleType:
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            f"{package} is not installed here; install it with pip install 'interplm-nb[track]', "
            "or train without it: metrics.jsonl is written anyway",
            name=error.name,
        ) from error
