"""Maxima and densities of SAEs without a run."""

import numpy as np
import pytest
import torch

from interplm_nb.proteins import Proteins
from interplm_nb.steering.measured_layers import measured_layers
from tests.steering.test_intervene import SEQUENCE, esm2, layer_with_sae


@torch.no_grad()
def test_maxima_and_densities_are_over_all_residues_and_layers_are_in_order() -> None:
    plm = esm2()
    saes = [layer_with_sae(plm, layer, k=4, seed=layer).sae for layer in (2, 1)]
    proteins = Proteins.from_sequences({"A": SEQUENCE, "B": "MKVGG"})
    found = measured_layers(plm, saes, proteins, progress=False)
    assert [at.layer for at in found] == [1, 2]
    for at in found:
        f = torch.cat(
            [
                at.sae.encode(
                    plm.forward(plm.tokens([s]), [at.layer]).representations[at.layer][0, 1:-1]
                )
                for s in proteins.sequences
            ]
        ).numpy()
        assert len(f) == 15
        np.testing.assert_allclose(at.maxima, f.max(0), rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(at.density, (f > 0).mean(0), atol=1e-6)


def test_nothing_to_measure_is_refused() -> None:
    plm = esm2()
    with pytest.raises(ValueError, match="got 0 SAEs and 1 proteins"):
        measured_layers(plm, [], Proteins.from_sequences({"A": SEQUENCE}))
