"""Layers of a PLM with SAEs that belong to no run: maxima and densities measured on proteins."""

from collections.abc import Sequence

import numpy as np
import torch

from interplm_nb.plm.protocol import PLM
from interplm_nb.proteins import Proteins
from interplm_nb.sae.evaluation.fidelity import layer_of
from interplm_nb.sae.model import SAE
from interplm_nb.steering.steered_layer import SteeredLayer


@torch.no_grad()
def measured_layers(
    plm: PLM, saes: Sequence[SAE], proteins: Proteins, progress: bool = True
) -> list[SteeredLayer]:
    """One layer per SAE, lowest first, from one pass over training proteins.

    Raises ValueError as `SteeredLayer`, and for no SAE or no protein.
    """
    if not saes or not proteins.n_residues:
        raise ValueError(
            f"maxima are measured with SAEs on proteins; got {len(saes)} SAEs and "
            f"{len(proteins)} proteins"
        )
    ordered = sorted((sae.to(plm.device) for sae in saes), key=lambda sae: layer_of(sae, plm))
    layers = [layer_of(sae, plm) for sae in ordered]
    maxima: list[np.ndarray] = [np.zeros(sae.d_sae, np.float32) for sae in ordered]
    fired = [np.zeros(sae.d_sae, np.int64) for sae in ordered]
    for batch in plm.embed(proteins, sorted(set(layers)), progress=progress):
        for k, (layer, sae) in enumerate(zip(layers, ordered, strict=True)):
            f = sae.encode(batch.layers[layer]).cpu().numpy()
            maxima[k] = np.maximum(maxima[k], f.max(0, initial=0))
            fired[k] += (f > 0).sum(0)
    return [
        SteeredLayer(plm, sae, most, (n / proteins.n_residues).astype(np.float32))
        for sae, most, n in zip(ordered, maxima, fired, strict=True)
    ]
