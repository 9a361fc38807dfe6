"""Attribution by gradients: how much of a metric each feature and each residue's error carries.

Every node (a feature at a residue, or the error at a residue) gets a gate s, from 0 (it has its
background value) to 1 (its own). With M the metric as a function of all gates,

    gradient     A = dM/ds at s = 1: the effect of removing the node, to first order
    integrated   A = the mean of dM/ds over s = a, with a from 0 to 1 for all nodes together
                 (Sundararajan et al. 2017)

Both are the gradient of M with respect to the layer's state times the atom times the value
(f - f0), or times (e - e0). Integrated attributions must sum to M(1) - M(0), and those of any
interval of a to the difference of M over it. So intervals over which M bends are halved, worst
first; then each interval's gradient is taken at its middle, and where it misses the known
difference the interval is halved again.

On the output alone, gates change the layer's output, and the layer's own later steps do not see it.
Inside the recurrence, they change the state at each step, so that later steps start from it and
their features are those of the changed state: dM/ds then counts all that follows from the node, and
a node's values along the path are those of the run itself.
"""

from collections.abc import Sequence
from typing import NamedTuple, Protocol

import numpy as np
import torch
from torch import Tensor

from interplm_nb.steering.experiments.attribution.parts import Background, Parts, parts, start
from interplm_nb.steering.experiments.attribution.prediction import Prediction
from interplm_nb.steering.intervene import Where
from interplm_nb.steering.steered_layer import SteeredLayer

LEAST = 0.1
"""A difference of the metric below this, in its unit, is not divided by."""
_RESIDUES = 4_096
"""Residues, over the gates' values, that run at once: bounds the memory of a gradient."""


class Attributed(NamedTuple):
    """What each node of a layer carries, in the metric's unit."""

    features: Tensor
    """float64 [L, d_sae]"""
    error: Tensor
    """float64 [L]"""
    whole: float
    """The metric of the model as it is."""
    removed: float
    """The metric with every node at its background value."""
    gradients: int
    """How many gradients were taken."""

    @property
    def total(self) -> float:
        """The sum over all nodes."""
        return float(self.features.sum() + self.error.sum())

    @property
    def gap(self) -> float:
        """How far `total` is from the metric's difference, as a share of it (of `LEAST` where the
        difference is smaller)."""
        difference = self.whole - self.removed
        return abs(self.total - difference) / max(abs(difference), LEAST)


class Steps(NamedTuple):
    """Of integrated gradients."""

    first: int
    """Equal intervals to begin with."""
    most: int
    """Gradients taken at most."""
    tolerance: float
    """The gap that is aimed at."""


def state(at: SteeredLayer, prediction: Prediction) -> Tensor:
    """[1, T, width]: the layer's output for what the prediction reads."""
    with torch.no_grad():
        return at.plm.forward(prediction.tokens, [at.layer]).representations[at.layer]


def attributed(
    at: SteeredLayer,
    prediction: Prediction,
    h: Tensor,
    removed: Background,
    where: Where = "output",
    steps: Steps | None = None,
) -> Attributed:
    """Attributions of all nodes of a layer.

    Parameters
    ----------
    h
        The layer's output, from `state`.
    removed
        What gates at 0 set the nodes to.
    steps
        Of integrated gradients; None: the gradient at s = 1.
    """
    run = (
        _Output(at, prediction, h, removed)
        if where == "output"
        else _Recurrence(at, prediction, removed)
    )
    whole, nothing = run.metric([1.0, 0.0]).tolist()
    n, d_sae = prediction.n_residues, at.sae.d_sae
    total = (h.new_zeros(n, d_sae, dtype=torch.float64), h.new_zeros(n, dtype=torch.float64))
    if steps is None:
        _, gradient, own = run.gradient([1.0])
        _add(total, carried(at, gradient, own), h.new_ones(1, dtype=torch.float64))
        return Attributed(*total, whole, nothing, 1)
    return Attributed(*total, whole, nothing, _integrate(run, total, whole, nothing, steps))


def slope(at: SteeredLayer, prediction: Prediction, h: Tensor) -> Tensor:
    """[T, width]: the gradient of the metric with respect to the layer's output h."""
    with torch.enable_grad():
        leaf = h.clone().requires_grad_()
        logits = at.plm.forward(prediction.tokens, logits=True, given=(at.layer, leaf)).logits
        assert logits is not None
        metric = prediction.of(logits[:, prediction.residues])
        (gradient,) = torch.autograd.grad(metric.sum(), leaf)
    return gradient[0]


def _integrate(
    run: "_Gates", total: tuple[Tensor, Tensor], whole: float, nothing: float, steps: Steps
) -> int:
    """Add every interval's part to `total`; how many gradients it took."""
    allowed = steps.tolerance * max(abs(whole - nothing), LEAST) / steps.first
    waiting = _intervals(run, whole, nothing, steps, allowed)
    taken, most = 0, max(1, _RESIDUES // len(total[1]))
    while waiting:
        batch, waiting = waiting[:most], waiting[most:]
        middles = [one.middle for one in batch]
        metric, gradient, own = run.gradient(middles)
        taken += len(batch)
        found = carried(run.at, gradient, own)
        sums = (found[0].sum((1, 2)) + found[1].sum(1)).tolist()
        widths = total[1].new_zeros(len(batch))
        for k, (one, slope, value) in enumerate(zip(batch, sums, metric.tolist(), strict=True)):
            missed = abs(slope * one.width - (one.above - one.below))
            if missed > allowed and taken + len(waiting) + 2 <= steps.most:
                waiting += one.halves(value)
            else:
                widths[k] = one.width
        _add(total, found, widths)
    return taken


def _intervals(
    run: "_Gates", whole: float, nothing: float, steps: Steps, allowed: float
) -> "list[_Interval]":
    """Intervals of the gates, by values of the metric alone: equal ones, of which those where it
    bends most are halved first."""
    edges = np.linspace(0, 1, steps.first + 1)
    values = [nothing, *run.metric(edges[1:-1].tolist()).tolist(), whole]
    found: list[tuple[float, _Interval, float]] = []
    new = [_Interval(*edges[k : k + 2].tolist(), *values[k : k + 2]) for k in range(steps.first)]
    while new:
        middles = run.metric([one.middle for one in new]).tolist()
        found += [
            (abs(value - (one.below + one.above) / 2), one, value)
            for one, value in zip(new, middles, strict=True)
        ]
        found.sort(key=lambda bent: -bent[0])
        n = min(sum(bend > allowed for bend, _, _ in found), steps.first, steps.most - len(found))
        worst, found = found[: max(n, 0)], found[max(n, 0) :]
        new = [half for _, one, value in worst for half in one.halves(value)]
    return [one for _, one, _ in found]


class _Interval(NamedTuple):
    """Gates from `low` to `high`, and the metric at both."""

    low: float
    high: float
    below: float
    above: float

    @property
    def width(self) -> float:
        """Of the interval."""
        return self.high - self.low

    @property
    def middle(self) -> float:
        """Where its gradient is taken."""
        return (self.low + self.high) / 2

    def halves(self, value: float) -> list["_Interval"]:
        """Both halves, for the metric's value in the middle."""
        return [
            _Interval(self.low, self.middle, self.below, value),
            _Interval(self.middle, self.high, value, self.above),
        ]


def _add(total: tuple[Tensor, Tensor], found: tuple[Tensor, Tensor], weights: Tensor) -> None:
    """Add each row of `found` times its weight, in place."""
    for whole, part in zip(total, found, strict=True):
        whole += torch.tensordot(weights, part.double(), 1)


def carried(at: SteeredLayer, gradient: Tensor, own: Parts) -> tuple[Tensor, Tensor]:
    """[..., d_sae] and [...]: gradient [..., width] of the state times each node's value."""
    along = (gradient @ at.sae.W_dec.detach().T) * own.scale
    return along * own.features, (gradient * own.error).sum(-1)


class _Gates(Protocol):
    """Runs a prediction with all of a layer's gates at some values."""

    at: SteeredLayer

    def metric(self, gates: Sequence[float]) -> Tensor:
        """float64 [n]: the metric at each value."""
        ...

    def gradient(self, gates: Sequence[float]) -> tuple[Tensor, Tensor, Parts]:
        """The metric [n], its gradient [n, L, width] with respect to the residues' gated states,
        and the parts of the states before the gates: [n, L, ...], or of one row for all."""
        ...


class _Output:
    """Gates of the layer's output: its parts are the same at all gates."""

    def __init__(
        self, at: SteeredLayer, prediction: Prediction, h: Tensor, removed: Background
    ) -> None:
        self.at, self.prediction, self.h = at, prediction, h
        with torch.no_grad():
            self.parts = parts(at, h[0, prediction.residues], removed)

    @torch.no_grad()
    def metric(self, gates: Sequence[float]) -> Tensor:
        """See `_Gates`."""
        return self._run(self._gated(gates))

    def gradient(self, gates: Sequence[float]) -> tuple[Tensor, Tensor, Parts]:
        """See `_Gates`."""
        with torch.enable_grad():
            gated = self._gated(gates).requires_grad_()
            metric = self._run(gated)
            (gradient,) = torch.autograd.grad(metric.sum(), gated)
        return metric.detach(), gradient, self.parts

    def _gated(self, gates: Sequence[float]) -> Tensor:
        own = self.h[0, self.prediction.residues].to(self.parts.start.dtype)
        a = own.new_tensor(gates)[:, None, None]
        return self.parts.start + a * (own - self.parts.start)

    def _run(self, residues: Tensor) -> Tensor:
        at, prediction, there = self.at, self.prediction, self.prediction.residues
        whole = self.h.expand(len(residues), -1, -1)
        parts_of = [whole[:, : there.start], residues.to(whole.dtype), whole[:, there.stop :]]
        tokens = prediction.tokens.expand(len(residues), -1)
        given = (at.layer, torch.cat(parts_of, 1))
        logits = at.plm.forward(tokens, logits=True, given=given).logits
        assert logits is not None
        return prediction.of(logits[:, there])


class _Recurrence:
    """Gates inside the recurrence: each step's parts are those of the state that arrives there."""

    def __init__(self, at: SteeredLayer, prediction: Prediction, removed: Background) -> None:
        if not at.plm.recurrent:
            raise ValueError(
                f"{at.plm.name} is not recurrent, so nothing can be removed inside its recurrence; "
                'use where="output"'
            )
        self.at, self.prediction, self.removed = at, prediction, removed

    @torch.no_grad()
    def metric(self, gates: Sequence[float]) -> Tensor:
        """See `_Gates`."""
        return self._run(gates, None, [])

    def gradient(self, gates: Sequence[float]) -> tuple[Tensor, Tensor, Parts]:
        """See `_Gates`; the parts are those of the states that arrive at each step."""
        n, length, width = len(gates), self.prediction.n_residues, self.at.sae.d_in
        moved = self.at.sae.W_dec.new_zeros(n, length, width)
        arrived: list[Tensor] = []
        with torch.enable_grad():
            moved.requires_grad_()
            metric = self._run(gates, moved, arrived)
            (gradient,) = torch.autograd.grad(metric.sum(), moved)
        with torch.no_grad():
            own = parts(self.at, torch.stack(arrived, 1), self.removed)
        return metric.detach(), gradient, own

    def _run(self, gates: Sequence[float], moved: Tensor | None, arrived: list[Tensor]) -> Tensor:
        at, prediction = self.at, self.prediction
        first = prediction.residues.start
        a = at.sae.W_dec.new_tensor(gates)[:, None]

        def step(h: Tensor, position: int) -> Tensor:
            """The gated state of each lane; the state that arrived is noted."""
            if position < first:
                return h
            arrived.append(h.detach())
            empty = start(at, h, self.removed)
            new = empty + a * (h - empty)
            return new if moved is None else new + moved[:, position - first]

        tokens = prediction.tokens.expand(len(gates), -1)
        logits = at.plm.forward(tokens, logits=True, step_edits={at.layer: step}).logits
        assert logits is not None
        return prediction.of(logits[:, prediction.residues])
