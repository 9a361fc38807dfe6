"""What is exported comes back the same, and gives the peers' own equations the same features; what
a format cannot say is refused."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.testing import assert_close

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
from interplm_nb.sae.exporters import to_interplm, to_saelens
from interplm_nb.sae.importers import read
from interplm_nb.sae.model import SAE
from interplm_nb.sae.residue_norm import ResidueNorm
from tests.sae.importers import peers
from tests.sae.importers.peers import D_IN, D_SAE, embeddings, numbers
from tests.sae.small_sae import examples

KINDS = examples(D_SAE, k=5)
INTERPLM_LACKS = (Gated, Matryoshka)
ABOUT = SAEAbout("some-plm", "sha256:1", 4, "topk")


def sae_of(kind: Architecture, norm: ResidueNorm | None = None, unit_atoms: bool = False) -> SAE:
    sae = SAE(D_IN, D_SAE, kind, norm)
    with torch.no_grad():
        for i, weight in enumerate(sae.parameters()):
            weight.copy_(numbers(*weight.shape, seed=i))
        if isinstance(kind, BatchTopK):
            sae.threshold.fill_(0.6)
        if isinstance(kind, JumpReLU):
            sae.threshold.abs_()
        if unit_atoms:
            sae.W_dec /= sae.W_dec.norm(dim=1, keepdim=True)
    sae.about = ABOUT
    return sae.eval()


def maxima_of(sae: SAE, dead: int | None = None) -> np.ndarray:
    maxima = sae.encode(embeddings()).detach().max(0).values.numpy() + 0.1
    if dead is not None:
        maxima[dead] = 0
    return maxima


def assert_comes_back(sae: SAE, found: SAE) -> None:
    assert (found.architecture, found.unit) == (sae.architecture, sae.unit)
    assert found.about is not None
    about = found.about
    assert (about.plm, about.plm_revision, about.layer, about.hook) == (
        "some-plm",
        "sha256:1",
        4,
        "residual",
    )
    with torch.no_grad():
        a, b = sae(embeddings()), found(embeddings())
    assert_close(a.f, b.f, rtol=1e-5, atol=1e-5)
    assert_close(a.x_hat, b.x_hat, rtol=1e-5, atol=1e-5)
    if sae.maxima is not None:
        assert_close(found.maxima, sae.maxima, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
@pytest.mark.parametrize(
    "norm", [None, ResidueNorm("layer-norm", 1e-5), ResidueNorm("sqrt-d", 1e-12)]
)
def test_saelens_and_back(tmp_path, kind, norm):
    sae = sae_of(kind, norm)
    assert sorted(path.name for path in to_saelens(sae, tmp_path)) == [
        "cfg.json",
        "sae_weights.safetensors",
    ]
    assert_comes_back(sae, read(tmp_path))


@pytest.mark.parametrize(
    "kind", [kind for kind in KINDS if not isinstance(kind, TopK)], ids=lambda kind: kind.name
)
def test_saelens_and_back_with_unit_max(tmp_path, kind):
    sae = sae_of(kind)
    sae = sae.folded(maxima_of(sae, dead=3))
    to_saelens(sae, tmp_path)
    assert_comes_back(sae, read(tmp_path))


@pytest.mark.parametrize(
    "kind",
    [kind for kind in KINDS if not isinstance(kind, INTERPLM_LACKS)],
    ids=lambda kind: kind.name,
)
@pytest.mark.parametrize("unit", ["raw", "max"])
@pytest.mark.parametrize("norm", [None, ResidueNorm("sqrt-d", 1e-12)])
def test_interplm_and_back(tmp_path, kind, unit, norm):
    sae = sae_of(kind, norm)
    sae = sae if unit == "raw" else sae.folded(maxima_of(sae, dead=3))
    assert sorted(path.name for path in to_interplm(sae, tmp_path)) == ["ae.pt", "config.json"]
    assert_comes_back(sae, read(tmp_path))


def test_interplms_published_layout(tmp_path):
    sae = sae_of(ReLU(), unit_atoms=True)
    to_interplm(sae, tmp_path / "raw")
    assert sorted(p.name for p in (tmp_path / "raw").iterdir()) == [
        "ae_unnormalized.pt",
        "config.json",
    ]
    assert_comes_back(sae, read(tmp_path / "raw"))
    folded = sae.folded(maxima_of(sae))
    to_interplm(folded, tmp_path / "max")
    assert sorted(p.name for p in (tmp_path / "max").iterdir()) == [
        "ae_normalized.pt",
        "ae_unnormalized.pt",
        "config.json",
    ]
    assert_comes_back(folded, read(tmp_path / "max" / "ae_normalized.pt"))
    assert_comes_back(sae, read(tmp_path / "max" / "ae_unnormalized.pt"))
    tensors = torch.load(tmp_path / "max" / "ae_normalized.pt", weights_only=True)
    assert sorted(tensors) == ["bias", "decoder.weight", "encoder.bias", "encoder.weight"]
    assert_close(
        peers.relu(tensors, embeddings()).f,
        folded.encode(embeddings()).detach(),
        rtol=1e-5,
        atol=1e-5,
    )
    config = json.loads((tmp_path / "max" / "config.json").read_text())
    assert config["architecture"] == {
        "esm_dim": D_IN,
        "expansion_factor": 3.0,
        "feature_dim": D_SAE,
    }
    dead = sae.folded(maxima_of(sae, dead=3))
    to_interplm(dead, tmp_path / "dead")
    assert sorted(p.name for p in (tmp_path / "dead").iterdir()) == [
        "ae_normalized.pt",
        "config.json",
    ]
    assert_comes_back(dead, read(tmp_path / "dead"))


def test_interplms_own_equations_on_what_is_exported(tmp_path):
    equations = {
        "topk": peers.interplm_topk,
        "batchtopk": peers.interplm_batchtopk,
        "jumprelu": peers.interplm_jumprelu,
        "relu": peers.relu,
    }
    for kind in (ReLU(), TopK(5), BatchTopK(5), JumpReLU()):
        sae = sae_of(kind)
        to_interplm(sae, tmp_path / kind.name)
        f, x_hat = equations[kind.name](
            torch.load(tmp_path / kind.name / "ae.pt", weights_only=True), embeddings()
        )
        assert_close(f, sae.encode(embeddings()).detach(), rtol=1e-5, atol=1e-5)
        assert_close(x_hat, sae(embeddings()).x_hat.detach(), rtol=1e-5, atol=1e-5)


def test_a_choice_by_rescaled_activations_outlives_a_second_scaling():
    """All features scaled alike: what TopK chose by before, it must choose by after."""
    sae = sae_of(TopK(5)).rescaled(numbers(D_SAE).abs() + 0.1)
    twice = sae.rescaled(torch.full((D_SAE,), 2.0))
    assert_close(twice.encode(embeddings()), 2 * sae.encode(embeddings()), rtol=1e-5, atol=1e-5)


def refused(export, sae: SAE, folder: Path, text: str) -> None:
    with pytest.raises(ValueError, match=text):
        export(sae, folder)
    assert not folder.exists()


def test_what_a_format_cannot_say_is_refused(tmp_path):
    folder = tmp_path / "out"
    refused(to_interplm, sae_of(Gated()), folder, "InterPLM has no Gated; export to SAELens")
    refused(to_interplm, sae_of(Matryoshka(5, (6, 24))), folder, "InterPLM has no Matryoshka")
    refused(
        to_interplm,
        sae_of(ReLU(), ResidueNorm("layer-norm")),
        folder,
        "cannot say that each residue is normalised by layer-norm",
    )
    several = sae_of(BatchTopK(5))
    several.threshold[4] = 2.0
    refused(to_interplm, several, folder, "one threshold for all features, this SAE has several")
    rescaled = sae_of(TopK(5)).rescaled(numbers(D_SAE).abs() + 0.1)
    for export in (to_interplm, to_saelens):
        refused(
            export, rescaled, folder, "chooses by rescaled activations, which the format cannot say"
        )
    folded = sae_of(TopK(5))
    refused(to_saelens, folded.folded(maxima_of(folded)), folder, "chooses by rescaled activations")
    refused(
        to_saelens,
        folded.folded(np.where(np.arange(D_SAE) == 2, 0, 1).astype(np.float32)),
        folder,
        "chosen but count as 0",
    )
    refused(to_saelens, sae_of(ReLU(), ResidueNorm("sqrt-d", 1e-5)), folder, "another eps")
    nameless = sae_of(ReLU())
    nameless.about = None
    for export in (to_interplm, to_saelens):
        refused(export, nameless, folder, "does not say which PLM and layer")


def test_a_kind_that_no_format_knows_is_refused_not_written_as_another(tmp_path):
    class Newer(ReLU):
        """An architecture that joins the table after these formats were written."""

    refused(to_interplm, sae_of(Newer()), tmp_path / "out", "InterPLM has no Newer")
    refused(to_saelens, sae_of(Newer()), tmp_path / "out", "SAELens has no Newer")
