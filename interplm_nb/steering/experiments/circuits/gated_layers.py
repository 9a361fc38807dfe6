"""A prediction with several layers gated at once: some nodes kept, the rest at their background.

Each layer's state becomes start + sum of the kept (f - f0) d, plus its error (e - e0) where errors
are kept. A kept node has the value that this run gives it, from layers below that are gated too.
"""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from interplm_nb.plm.protocol import Edit
from interplm_nb.steering.experiments.attribution.ablations import Node
from interplm_nb.steering.experiments.attribution.parts import Background, parts
from interplm_nb.steering.experiments.attribution.prediction import Prediction
from interplm_nb.steering.steered_layer import SteeredLayer

_ENTRIES = 2**24
"""Gates of one layer, over sets, that are held at once."""

Kept = Sequence[Sequence[Node] | None]
"""Of each layer the nodes that are kept; None: all features, active or not."""


class GatedLayers:
    """Runs a prediction with sets of nodes kept.

    Parameters
    ----------
    layers
        Of one PLM, lowest first.
    states
        Each layer's output, [1, T, width].
    backgrounds
        Each layer's.
    """

    def __init__(
        self,
        layers: Sequence[SteeredLayer],
        prediction: Prediction,
        states: Sequence[Tensor],
        backgrounds: Sequence[Background],
    ) -> None:
        self.layers, self.prediction = layers, prediction
        self.states, self.backgrounds = states, backgrounds

    @torch.no_grad()
    def metric(self, sets: Sequence[Kept], errors: bool) -> np.ndarray:
        """float64 [n]: the metric with each set kept, with or without all errors."""
        size = self.prediction.n_residues * max(at.sae.d_sae for at in self.layers)
        most = max(1, _ENTRIES // size)
        return np.concatenate(
            [self._run(sets[first : first + most], errors) for first in range(0, len(sets), most)]
        )

    def _run(self, sets: Sequence[Kept], errors: bool) -> np.ndarray:
        lowest, residues = self.layers[0], self.prediction.residues
        gates = [self._edit(k, [kept[k] for kept in sets], errors) for k in range(len(self.layers))]
        h = gates[0](self.states[0])
        above = {at.layer: gate for at, gate in zip(self.layers[1:], gates[1:], strict=True)}
        tokens = self.prediction.tokens.expand(len(sets), -1)
        given = (lowest.layer, h)
        logits = lowest.plm.forward(tokens, edit=above, logits=True, given=given).logits
        assert logits is not None
        return self.prediction.of(logits[:, residues]).cpu().numpy()

    def _edit(self, k: int, kept: Sequence[Sequence[Node] | None], errors: bool) -> Edit:
        """The gated output of layer k, for each set."""
        at, residues, n = self.layers[k], self.prediction.residues, self.prediction.n_residues
        keep = np.zeros((len(kept), n, at.sae.d_sae), bool)
        for row, nodes in enumerate(kept):
            if nodes is None:
                keep[row] = True
            else:
                for node in nodes:
                    keep[row, np.array(node.positions) - 1, node.feature] = True
        gates = torch.from_numpy(keep).to(at.plm.device)

        def edit(h: Tensor) -> Tensor:
            """The layer's output for each set, special tokens as they are."""
            own = parts(at, h[:, residues], self.backgrounds[k])
            features = torch.where(gates, own.features, 0)
            new = own.start + (features @ at.sae.W_dec) * own.scale
            new = (new + own.error if errors else new).to(h.dtype)
            rest = h.expand(len(new), -1, -1)
            return torch.cat([rest[:, : residues.start], new, rest[:, residues.stop :]], 1)

        return edit
