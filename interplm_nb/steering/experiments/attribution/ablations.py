"""Does removing what attribution names do what it says? Effects of removals, against random sets.

The effect of removing nodes is metric(model as it is) - metric(without them): what they carried.
A node's mass is how far it moves the layer: the sum over its residues of |f - f0| times the length
of its atom.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from interplm_nb.steering.experiments.attribution.parts import Background, parts
from interplm_nb.steering.experiments.attribution.prediction import Prediction
from interplm_nb.steering.intervene import Change, Intervention, Where, edits
from interplm_nb.steering.steered_layer import SteeredLayer

_RESIDUES = 8_192
"""Residues, over removals, that run at once."""
NEAREST = 20
"""Nodes, the nearest by mass, among which the partner of a node is drawn."""


class Node(NamedTuple):
    """A feature at some residues."""

    feature: int
    positions: tuple[int, ...]
    """From 1."""


class Removals:
    """Runs a prediction with nodes removed.

    Parameters
    ----------
    h
        The layer's output.
    removed
        What the nodes are set to.
    """

    def __init__(
        self,
        at: SteeredLayer,
        prediction: Prediction,
        h: Tensor,
        removed: Background,
        where: Where,
    ) -> None:
        self.at, self.prediction, self.h = at, prediction, h
        self.removed, self.where = removed, where

    @torch.no_grad()
    def metric(self, sets: Sequence[Sequence[Node]]) -> np.ndarray:
        """float64 [n]: the metric with each set of nodes removed."""
        found = []
        most = max(1, _RESIDUES // self.prediction.n_residues)
        for first in range(0, len(sets), most):
            rows = [self._changes(nodes) for nodes in sets[first : first + most]]
            found.append(self._run(Intervention(self.at, rows), len(rows)))
        return torch.cat(found).cpu().numpy()

    @torch.no_grad()
    def without_error(self) -> float:
        """The metric with every residue's error removed, and all features kept."""
        at, there = self.at, self.prediction.residues

        def kept(h: Tensor) -> Tensor:
            """Residues without their errors."""
            return (h - parts(at, h, self.removed).error).to(h.dtype)

        def edit(h: Tensor) -> Tensor:
            """The layer's output, special tokens as they are."""
            return torch.cat([h[:, : there.start], kept(h[:, there]), h[:, there.stop :]], 1)

        def step(h: Tensor, position: int) -> Tensor:
            """The state at one position of the tokens."""
            return h if position < there.start else kept(h)

        if self.where == "recurrence":
            return float(self._metric(1, step_edits={at.layer: step}))
        return float(self._metric(1, given=(at.layer, edit(self.h))))

    def _run(self, intervention: Intervention, n: int) -> Tensor:
        lengths = [self.prediction.n_residues]
        if self.where == "recurrence":
            return self._metric(n, **edits([intervention], lengths * n, "recurrence"))
        return self._metric(n, given=(self.at.layer, intervention.applied(self.h, lengths)))

    def _metric(self, n: int, **options: Any) -> Tensor:
        """float64 [n]: the metric of a run with these options of `PLM.forward`."""
        tokens = self.prediction.tokens.expand(n, -1)
        logits = self.at.plm.forward(tokens, logits=True, **options).logits
        assert logits is not None
        return self.prediction.of(logits[:, self.prediction.residues])

    def _changes(self, nodes: Sequence[Node]) -> list[Change]:
        positions: dict[int, list[int]] = {}
        for node in nodes:
            positions.setdefault(node.feature, []).extend(node.positions)
        values = self.removed.features
        return [
            Change(
                feature,
                "clamp",
                float(values[feature]) / float(self.at.maxima[feature]),
                tuple(sorted(here)),
            )
            for feature, here in positions.items()
        ]


def random_sets(n_nodes: int, size: int, n_sets: int, seed: int) -> list[np.ndarray]:
    """`n_sets` sets of `size` places, each drawn without replacement."""
    rng = np.random.default_rng([seed, 1])
    return [rng.choice(n_nodes, size, replace=False) for _ in range(n_sets)]


def matched_sets(mass: np.ndarray, top: np.ndarray, n_sets: int, seed: int) -> list[np.ndarray]:
    """`n_sets` sets of the size of `top`: for each of its nodes, one drawn among the `NEAREST` by
    log mass, itself included, that the set does not hold yet."""
    rng = np.random.default_rng([seed, 2])
    log_mass = np.log(np.maximum(mass, 1e-12))
    nearest = {
        node: np.argsort(np.abs(log_mass - log_mass[node]), kind="stable") for node in top.tolist()
    }
    found = []
    for _ in range(n_sets):
        held: list[int] = []
        for node in rng.permutation(top).tolist():
            free = nearest[node][~np.isin(nearest[node], held)]
            held.append(int(rng.choice(free[:NEAREST])))
        found.append(np.array(held))
    return found
