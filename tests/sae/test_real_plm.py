"""The SAE's parts with the real ESM-2 code: a small random model, and the one that comes with the
package."""

import numpy as np
import pytest
import torch

from interplm_nb.plm import esm2
from interplm_nb.plm.checkpoints import Architecture
from interplm_nb.plm.esm2 import ESM2
from interplm_nb.plm.store import embed_to
from interplm_nb.proteins import Proteins
from interplm_nb.sae.architectures import ReLU, TopK
from interplm_nb.sae.config import SAEConfig
from interplm_nb.sae.encode import encode_to
from interplm_nb.sae.evaluation.fidelity import fidelities, fidelity, probe
from interplm_nb.sae.evaluation.quality import quality
from interplm_nb.sae.model import SAE
from interplm_nb.sae.training.progress import METRICS, read_metrics
from interplm_nb.sae.training.stream import StoredBatches, StreamedBatches
from interplm_nb.sae.training.train import TrainingOptions, train_on
from tests.sae.small_sae import any_sae

SMALL = Architecture(n_layers=2, d_model=24, n_heads=3)


@pytest.fixture(scope="module")
def plm() -> ESM2:
    generator = torch.Generator().manual_seed(0)
    weights = {
        name: torch.randn(shape, generator=generator) * 0.4 + name.endswith("norm.weight")
        for name, shape in SMALL.shapes().items()
    }
    return ESM2(weights, SMALL, "toy", "sha256:toy", "cpu", "float32")


@pytest.fixture(scope="module")
def proteins() -> Proteins:
    letters = np.random.default_rng(0).choice(list("ACDEFGHIKLMNPQRSTVWY"), 2000)
    return Proteins.from_sequences(
        {f"P{i}": "".join(letters[40 * i : 40 * i + 10 + i]) for i in range(30)}
    )


def test_train_encode_and_measure_on_stored_embeddings(tmp_path, plm, proteins):
    embeddings = embed_to(plm, proteins, [1], lambda layer: tmp_path / f"layer_{layer:02d}")[1]
    batches = StoredBatches(embeddings, np.arange(proteins.n_residues), 64, seed=0)
    config = SAEConfig.recipe("topk", 96, k=8, lr=0.01)
    options = {"evaluate": probe(plm, proteins), "evaluate_every": 60, "best": "loss_recovered"}
    (sae,) = train_on(
        batches,
        {tmp_path / "sae": config},
        120,
        TrainingOptions(device="cpu", progress=False, log_every=60, **options),
    )
    lines = read_metrics(tmp_path / "sae" / METRICS)
    assert {"loss_recovered", "loss_recovered_published", "kl", "ce"} <= set(lines[1]) & set(
        lines[-1]
    )
    assert (tmp_path / "sae" / "best" / "sae.safetensors").exists()
    store = encode_to(sae, embeddings, proteins, tmp_path / "activations", progress=False)
    assert 0 < store.mean_l0() <= 8 and store.about["plm_revision"] == "sha256:toy"
    measured = quality(sae, [values for _, values in embeddings.blocks()])
    assert measured.fvu < 0.6 and measured.l0 == pytest.approx(store.mean_l0())
    strict, masked, published = fidelities(sae, plm, proteins, progress=False)
    for found in (strict, masked, published):
        assert found.layer == 1 and np.isfinite([found.ce_sae, found.kl]).all()
    assert published.quality.fvu == pytest.approx(measured.fvu, rel=1e-3)


def test_streamed_and_stored_batches_hold_the_same_residues(tmp_path, plm, proteins):
    embeddings = embed_to(plm, proteins, [2], lambda layer: tmp_path / f"layer_{layer:02d}")[2]
    streamed = StreamedBatches(plm, proteins, 2, proteins.n_residues, seed=0)
    one, other = (
        values[np.lexsort(values.T[::-1])]
        for values in (streamed.batch(0)[2].numpy(), embeddings[:])
    )
    np.testing.assert_allclose(one, other, atol=1e-4)


@pytest.mark.parametrize("layer", [0, 1, 2])
def test_an_edit_that_changes_nothing_recovers_all(plm, proteins, layer):
    identity = SAE(24, 48, ReLU())
    with torch.no_grad():
        identity.W_enc.copy_(torch.cat([torch.eye(24), -torch.eye(24)], dim=1))
        identity.W_dec.copy_(identity.W_enc.T)
    for measure in ("strict", "including masked positions"):
        found = fidelity(identity, plm, proteins, measure, layer=layer, progress=False)
        assert found.ce_sae == pytest.approx(found.ce_original, abs=1e-4)
        assert found.kl == pytest.approx(0, abs=1e-4)
        changed = abs(found.ce_zero - found.ce_original) > 1e-3
        # Behind the last layer, no visible residue reaches a masked prediction.
        assert changed == (layer < 2 or measure != "strict")


def test_the_packaged_model(proteins):
    mini = esm2.load("esm2-mini", device="cpu")
    found = fidelity(
        any_sae(TopK(5), d_in=mini.widths[1]), mini, proteins, "strict", layer=1, progress=False
    )
    assert np.isfinite([found.ce_original, found.ce_sae, found.ce_zero, found.kl]).all()
