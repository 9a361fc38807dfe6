"""The sae-lens package itself, in its own environment, loads what is exported and computes the same
features and reconstructions."""

from pathlib import Path

import numpy as np
import pytest
import torch

from interplm_nb.sae.about import SAEAbout
from interplm_nb.sae.architectures import (
    Architecture,
    BatchTopK,
    Gated,
    JumpReLU,
    Matryoshka,
    ReLU,
    TopK,
)
from interplm_nb.sae.exporters import to_saelens
from interplm_nb.sae.model import SAE
from interplm_nb.sae.residue_norm import ResidueNorm
from tests.peers.environment import NEEDS_PEERS, peers_python

pytestmark = NEEDS_PEERS
D_IN, D_SAE = 16, 64

KINDS: dict[str, tuple[Architecture, ResidueNorm | None, bool]] = {
    "relu": (ReLU(), None, False),
    "relu-max": (ReLU(), None, True),
    "relu-layer-norm": (ReLU(), ResidueNorm("layer-norm", 1e-5), False),
    "relu-sqrt-d": (ReLU(), ResidueNorm("sqrt-d", 1e-12), False),
    "topk": (TopK(7), None, False),
    "batchtopk": (BatchTopK(7), None, False),
    "batchtopk-max": (BatchTopK(7), None, True),
    "matryoshka": (Matryoshka(7, (8, 32, 64)), None, False),
    "jumprelu": (JumpReLU(), None, False),
    "gated": (Gated(), None, False),
    "gated-max": (Gated(), None, True),
}


def embeddings() -> torch.Tensor:
    return torch.randn(200, D_IN, generator=torch.Generator().manual_seed(1)) * 2 + 0.5


def sae_of(kind: Architecture, norm: ResidueNorm | None, folded: bool) -> SAE:
    sae = SAE(D_IN, D_SAE, kind, norm)
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for weight in sae.parameters():
            weight.copy_(torch.randn(weight.shape, generator=generator))
        if isinstance(kind, BatchTopK):
            sae.threshold.fill_(1.5)
        if isinstance(kind, JumpReLU):
            sae.threshold.abs_()
        if folded:
            sae = sae.folded(sae.encode(embeddings()).max(0).values.numpy() + 0.1)
    sae.about = SAEAbout("esm2-mini", "sha256:1", 4, "topk")
    return sae.eval()


@pytest.fixture(scope="module")
def exported(tmp_path_factory) -> Path:
    """A folder per kind with the export and out.npz, what sae-lens makes of it.

    One process serves all: it takes seconds to start.
    """
    folder = tmp_path_factory.mktemp("saelens")
    np.save(folder / "x.npy", embeddings().numpy())
    for name, kind in KINDS.items():
        to_saelens(sae_of(*kind), folder / name)
    code = """
import sys
from benchmarks.peers import load_saelens
folder, *names = sys.argv[1:]
for name in names:
    sys.argv[1:] = [f"{folder}/{name}", f"{folder}/x.npy", f"{folder}/{name}/out.npz"]
    load_saelens.main()
"""
    peers_python("-c", code, folder, *KINDS)
    return folder


@pytest.mark.parametrize("name", KINDS)
def test_sae_lens_computes_the_same(exported, name):
    sae = sae_of(*KINDS[name])
    with np.load(exported / name / "out.npz") as theirs, torch.no_grad():
        ours = sae(embeddings())
        assert theirs["features"].shape == (200, D_SAE) and (theirs["features"] > 0).any()
        np.testing.assert_allclose(theirs["features"], ours.f.numpy(), rtol=1e-5, atol=1e-4)
        np.testing.assert_allclose(theirs["x_hat"], ours.x_hat.numpy(), rtol=1e-5, atol=1e-4)
