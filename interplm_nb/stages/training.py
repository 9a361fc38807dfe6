"""What the stages that train SAEs share: how often they log, what they measure during training and
on which proteins, and how the lines of metrics are read."""

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from interplm_nb.proteins import Proteins
from interplm_nb.sae.evaluation.measures import why_absent

if TYPE_CHECKING:
    from interplm_nb.plm.protocol import PLM

Log = Callable[[Mapping[str, Any]], None]
"""Gets each line of metrics while SAEs are trained: `live.LiveLearning`, a tracker of
`sae.training.trackers`, or `together` of several."""


_SEED = 0
"""Seed of the proteins for fidelity: not the training's own, so that all SAEs see the same."""


def for_fidelity(validation: Iterable[str], n: int) -> list[str]:
    """Accessions on which fidelity is measured: `n` of validation, or all if there are fewer, drawn
    without replacement; the same in every stage."""
    validation = sorted(validation)
    drawn = np.random.default_rng(_SEED).permutation(len(validation))[:n]
    return [validation[i] for i in sorted(drawn.tolist())]


def log_every(steps: int) -> int:
    """Steps between lines of metrics: about 50 lines, at least one per 100 steps."""
    return max(1, min(100, steps // 50))


def meanwhile(plm: "PLM", proteins: Proteins, every: int, steps: int) -> dict[str, Any]:
    """Fields of `TrainingOptions` that measure fidelity about every `every` steps, where a line of
    metrics is due; empty for 0 and for a model without fidelity."""
    from interplm_nb.sae.evaluation.fidelity import probe

    if not every or why_absent(plm):
        return {}
    lines = log_every(steps)
    return {"evaluate": probe(plm, proteins), "evaluate_every": -(-every // lines) * lines}


def together(*logs: Log) -> Log:
    """Several as one: `log=together(LiveLearning(steps), TensorBoard("runs/board"))`."""

    def log(line: Mapping[str, Any]) -> None:
        """Give a line of metrics to each log."""
        for one in logs:
            one(line)

    return log
