"""The layer of a run that steering changes: its PLM, one of its SAEs and the maxima on train."""

from typing import TYPE_CHECKING

import numpy as np

from interplm_nb.pipeline.encoder import Encoder
from interplm_nb.pipeline.run import Run

if TYPE_CHECKING:
    from interplm_nb.steering.steered_layer import SteeredLayer


def steered_layer(run: Run, source: str = "sae", device: str = "auto") -> "SteeredLayer":
    """A run's layer with one of its SAEs, as `interplm_nb.steering` takes it.

    Raises PipelineError for a run without a PLM, or whose PLM is not the one that the source was
    trained on.
    """
    return layer_of(Encoder(run, source, device))


def layer_of(encoder: Encoder) -> "SteeredLayer":
    """The layer of a model that is loaded already."""
    from interplm_nb.steering.steered_layer import SteeredLayer

    activations = encoder.run.activations(encoder.source)
    fired = np.asarray(activations.n_active(), np.float32) / max(activations.n_residues, 1)
    sae = encoder.sae.to(encoder.plm.device)
    return SteeredLayer(encoder.plm, sae, encoder.maxima, fired)
