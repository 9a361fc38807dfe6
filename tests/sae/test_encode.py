"""Encoding embeddings to the store: what the store holds is what `encode` gives."""

import numpy as np
import pytest
import torch

from interplm_nb.embeddings import Embeddings
from interplm_nb.proteins import Proteins
from interplm_nb.sae import encoded as of_blocks
from interplm_nb.sae.about import SAEAbout
from interplm_nb.sae.architectures import ReLU, TopK
from interplm_nb.sae.encode import encode_to
from interplm_nb.sae.encoded import encoded
from interplm_nb.sae.model import SAE
from interplm_nb.sae.random_sae import random_sae


@pytest.fixture
def proteins() -> Proteins:
    return Proteins.from_sequences({f"P{i}": "AC" * (5 + i) for i in range(6)})


@pytest.fixture
def embeddings(tmp_path, proteins) -> Embeddings:
    rng = np.random.default_rng(0)
    arrays = {
        a: rng.normal(size=(len(s), 8)).astype(np.float32)
        for a, s in zip(proteins.accessions, proteins.sequences, strict=True)
    }
    return Embeddings.from_arrays(tmp_path / "embeddings", proteins, arrays, "esm2-mini", 3)


def sae_of(activation: ReLU | TopK) -> SAE:
    random = random_sae(8, 40, 6, torch.zeros(8), 0)
    sae = SAE(8, 40, activation)
    sae.load_state_dict(random.state_dict())
    sae.about = SAEAbout("esm2-mini", "unknown", 3, "random")
    return sae


@pytest.mark.parametrize("activation", [ReLU(), TopK(6)])
def test_the_store_holds_what_encode_gives(tmp_path, monkeypatch, proteins, embeddings, activation):
    monkeypatch.setattr(of_blocks, "_CELLS", 40 * 7)
    sae = sae_of(activation)
    store = encode_to(sae, embeddings, proteins, tmp_path / "activations", progress=False)
    with torch.no_grad():
        expected = sae.encode(torch.from_numpy(embeddings[:].copy())).numpy()
    found = np.vstack([values.toarray() for _, values in store.blocks()])
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)
    assert store.about["sae"] == sae.weight_hash
    assert (store.about["plm"], store.about["layer"], store.unit) == ("esm2-mini", 3, "raw")


def test_a_folded_sae_gives_unit_max(tmp_path, proteins, embeddings):
    sae = sae_of(TopK(6))
    raw = encode_to(sae, embeddings, proteins, tmp_path / "raw", progress=False)
    maxima = raw.largest()
    folded = encode_to(sae.folded(maxima), embeddings, proteins, tmp_path / "max", progress=False)
    assert folded.unit == "max"
    np.testing.assert_allclose(
        folded.of("P2").toarray(), raw.relative_to(maxima).of("P2").toarray(), rtol=1e-5, atol=1e-6
    )


def test_the_wrong_company_and_a_dense_code_are_refused(tmp_path, proteins, embeddings):
    sae = sae_of(ReLU())
    with pytest.raises(ValueError, match="at most 2"):
        encode_to(sae, embeddings, proteins, tmp_path / "activations", max_l0=2, progress=False)
    sae.about = SAEAbout("esm2_t6_8M_UR50D", "unknown", 3, "random")
    with pytest.raises(ValueError, match="embeddings of esm2-mini, not of esm2_t6_8M_UR50D"):
        encode_to(sae, embeddings, proteins, tmp_path / "activations", progress=False)
    sae.about = SAEAbout("esm2-mini", "unknown", 4, "random")
    with pytest.raises(ValueError, match="holds layer 3, not layer 4"):
        encode_to(sae, embeddings, proteins, tmp_path / "activations", progress=False)
    assert not (tmp_path / "activations").exists()


def test_another_hook_or_width_is_refused(tmp_path, proteins, embeddings):
    sae = sae_of(ReLU())
    sae.about = SAEAbout("esm2-mini", "unknown", 3, "imported", hook="mlp")
    with pytest.raises(
        ValueError, match=r"trained on hook 'mlp' of layer 3, .*embeddings gives hook 'residual'"
    ):
        encode_to(sae, embeddings, proteins, tmp_path / "activations", progress=False)
    for about in (None, SAEAbout("esm2-mini", "unknown", 3, "imported")):
        narrow = SAE(6, 40, ReLU())
        narrow.about = about
        with pytest.raises(ValueError, match=r"takes 6 values per residue, .*embeddings has 8"):
            encode_to(narrow, embeddings, proteins, tmp_path / "activations", progress=False)
    assert not (tmp_path / "activations").exists()


def test_an_imported_sae_is_checked_by_its_plms_name_alone(tmp_path, proteins, embeddings):
    sae = sae_of(TopK(6))
    sae.about = SAEAbout("esm2-mini", "", 3, "imported")
    assert (
        encode_to(sae, embeddings, proteins, tmp_path / "activations", progress=False).about[
            "recipe"
        ]
        == "imported"
    )
    sae.about = SAEAbout("another", "", 3, "imported")
    with pytest.raises(ValueError, match="embeddings of esm2-mini, not of another"):
        encode_to(sae, embeddings, proteins, tmp_path / "more", progress=False)
    sae.about = SAEAbout("esm2-mini", "sha256:other", 3, "imported")
    with pytest.raises(ValueError, match="other weights of esm2-mini"):
        encode_to(sae, embeddings, proteins, tmp_path / "more", progress=False)


def test_blocks_say_where_they_begin(monkeypatch):
    monkeypatch.setattr(of_blocks, "_CELLS", 40 * 7)
    blocks = list(
        encoded(sae_of(TopK(6)), np.random.default_rng(0).normal(size=(17, 8)).astype(np.float32))
    )
    assert [(start, block.shape[0]) for start, block in blocks] == [(0, 5), (5, 6), (11, 6)]
