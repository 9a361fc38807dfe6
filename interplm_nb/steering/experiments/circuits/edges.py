"""Edges between the nodes of two layers: how much of a node above comes from each node below.

With v the value of a node of the upper layer (a feature at a residue, or summed over its residues,
as a share of the feature's maximum), an edge from a node of the lower layer is

    value    dv/dh . d (f - f0)       to first order, what v loses when the lower node is removed
    weight   the same of M, through v: dM/dv held at what it is in the model, in the metric's unit

The layers between run as they are, attention and all. A layer reads nothing but the state of the
layer below, so that edges to all nodes of a layer, to its errors and to its special tokens (which
no SAE describes, and which count among the errors here) add up to the lower node's whole gradient
attribution. An SAE's choice of its k largest is held, as is the
scale of one that normalises each residue. Edges are of the model's own state, also where nodes were
found by integrated gradients.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from interplm_nb.steering.experiments.attribution.ablations import Node
from interplm_nb.steering.experiments.attribution.gradients import carried
from interplm_nb.steering.experiments.attribution.parts import Background, Parts, parts
from interplm_nb.steering.experiments.attribution.prediction import Prediction
from interplm_nb.steering.intervene import Change, Intervention
from interplm_nb.steering.steered_layer import SteeredLayer

_RESIDUES = 2_048
"""Residues, over targets, that run at once: bounds the memory of a gradient."""


class Below(NamedTuple):
    """What the lower layer gives to one target."""

    features: np.ndarray
    """float32 [L, d_sae]"""
    error: float
    """Of all residues."""

    def of(self, node: Node) -> float:
        """What a node gives."""
        return float(self.features[_at(node), node.feature].sum())


class Step(NamedTuple):
    """Two layers of one PLM and a prediction."""

    lower: SteeredLayer
    upper: SteeredLayer
    prediction: Prediction
    h: Tensor
    """[1, T, width]: the lower layer's output."""
    backgrounds: tuple[Background, Background]
    """The lower layer's and the upper one's."""


class Inputs(NamedTuple):
    """Of one node of the upper layer."""

    value: Below
    weight: Below


def inputs(step: Step, nodes: Sequence[Node], gradient: Tensor) -> tuple[list[Inputs], Below]:
    """What nodes of the upper layer get from the lower one, and what its errors and special tokens
    get together.

    Parameters
    ----------
    gradient
        [T, width] of the metric with respect to the upper layer's output.

    Returns
    -------
    tuple
        Of each node; and the weight of errors and special tokens.
    """
    n, there = len(nodes), step.prediction.residues
    slopes = gradient[there] @ step.upper.sae.W_dec.detach().T
    targets: list[_Target] = [
        *(partial(_value, step.upper, node) for node in nodes),
        *(partial(_by_slope, slopes, node) for node in nodes),
        partial(_undescribed, gradient, there),
    ]
    most = max(1, _RESIDUES // step.prediction.n_residues)
    found: list[Below] = []
    for first in range(0, len(targets), most):
        batch = targets[first : first + most]
        with torch.enable_grad():
            leaf = _residues(step).expand(len(batch), -1, -1).clone().requires_grad_()
            h = _upper(step, leaf)
            own = parts(step.upper, h[:, there], step.backgrounds[1])
            total = torch.stack([read(h, own, row) for row, read in enumerate(batch)]).sum()
            (below,) = torch.autograd.grad(total, leaf)
        found += _below(step, below)
    return [Inputs(found[k], found[n + k]) for k in range(n)], found[2 * n]


_Target = Callable[[Tensor, Parts, int], Tensor]
"""What is differentiated, of a row of the upper layer's output [R, T, width] and its parts."""


def _value(upper: SteeredLayer, node: Node, h: Tensor, own: Parts, row: int) -> Tensor:
    """A node's value."""
    values = own.features[row, _at(node), node.feature]
    return values.sum() / float(upper.maxima[node.feature])


def _by_slope(slopes: Tensor, node: Node, h: Tensor, own: Parts, row: int) -> Tensor:
    """A node's features, each times the metric's slope along its atom."""
    at = _at(node)
    scale = own.scale if own.scale.ndim == 0 else own.scale[row, at, 0]
    return (own.features[row, at, node.feature] * slopes[at, node.feature] * scale).sum()


def _undescribed(gradient: Tensor, there: slice, h: Tensor, own: Parts, row: int) -> Tensor:
    """Errors and special tokens, times the metric's slope."""
    left = torch.cat([h[row, : there.start], own.error[row], h[row, there.stop :]])
    return (left * gradient).sum()


def _at(node: Node) -> np.ndarray:
    return np.array(node.positions) - 1


def values(step: Step, nodes: Sequence[Node], removed: Sequence[Node] = ()) -> np.ndarray:
    """float64 [1 + removed, n]: the upper nodes' values (shares of their maxima) as they are, and
    with each node of the lower layer removed."""
    lower, f0 = step.lower, step.backgrounds[0].features
    lengths = [step.prediction.n_residues]
    states = [step.h]
    with torch.no_grad():
        if removed:
            rows = [
                [
                    Change(
                        node.feature,
                        "clamp",
                        float(f0[node.feature]) / float(lower.maxima[node.feature]),
                        node.positions,
                    )
                ]
                for node in removed
            ]
            states.append(Intervention(lower, rows).applied(step.h, lengths))
        there = step.prediction.residues
        h = _upper(step, torch.cat(states)[:, there])
        own = parts(step.upper, h[:, there], step.backgrounds[1])
        read = [
            own.features[:, _at(node), node.feature].sum(1) / float(step.upper.maxima[node.feature])
            for node in nodes
        ]
    return torch.stack(read, 1).double().cpu().numpy()


def _residues(step: Step) -> Tensor:
    return step.h[0, step.prediction.residues]


def _upper(step: Step, residues: Tensor) -> Tensor:
    """[R, T, width]: the upper layer's output for states [R, L, width] of the lower residues."""
    there, layer = step.prediction.residues, step.upper.layer
    whole = step.h.expand(len(residues), -1, -1)
    h = torch.cat([whole[:, : there.start], residues.to(whole.dtype), whole[:, there.stop :]], 1)
    tokens = step.prediction.tokens.expand(len(residues), -1)
    output = step.upper.plm.forward(tokens, [layer], given=(step.lower.layer, h))
    return output.representations[layer]


def _below(step: Step, gradient: Tensor) -> list[Below]:
    with torch.no_grad():
        own = parts(step.lower, _residues(step), step.backgrounds[0])
        features, error = carried(step.lower, gradient, own)
    return [Below(f.cpu().numpy(), float(e.sum())) for f, e in zip(features, error, strict=True)]
