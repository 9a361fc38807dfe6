"""Activations encoded when requested are those that a store holds."""

import numpy as np
import pytest

from interplm_nb.embeddings import Embeddings
from interplm_nb.proteins import Proteins
from interplm_nb.sae import on_demand as module
from interplm_nb.sae.about import SAEAbout
from interplm_nb.sae.architectures import BatchTopK, Gated, TopK
from interplm_nb.sae.encode import encode_to
from interplm_nb.sae.on_demand import on_demand
from tests.sae.small_sae import any_sae


@pytest.mark.parametrize("architecture", [TopK(4), BatchTopK(4), Gated()])
def test_they_are_what_is_stored(tmp_path, monkeypatch, architecture):
    monkeypatch.setattr(module, "_ROWS", 7)  # proteins of 10 to 20 residues are read in parts
    proteins = Proteins.from_sequences({f"P{i}": "AC" * (5 + i) for i in range(6)})
    rng = np.random.default_rng(0)
    arrays = {
        a: rng.normal(size=(len(s), 6)).astype(np.float32)
        for a, s in zip(proteins.accessions, proteins.sequences, strict=True)
    }
    embeddings = Embeddings.from_arrays(tmp_path / "embeddings", proteins, arrays, "esm2-mini", 3)
    sae = any_sae(architecture)
    sae.about = SAEAbout("esm2-mini", "unknown", 3, "topk")
    stored, found = (
        encode_to(sae, embeddings, proteins, tmp_path / "store", progress=False),
        on_demand(sae, embeddings, proteins),
    )
    some = ["P4", "P1"]
    np.testing.assert_allclose(found.largest(some), stored.largest(some), rtol=1e-5)
    np.testing.assert_allclose(found.largest(), stored.largest(), rtol=1e-5)
    maxima = stored.largest(some)
    for ours, theirs in zip(
        found.relative_to(maxima).blocks(some), stored.relative_to(maxima).blocks(some), strict=True
    ):
        assert ours.first_row == theirs.first_row
        np.testing.assert_allclose(ours.values.toarray(), theirs.values.toarray(), rtol=1e-5)
    for ours, theirs in zip(found.by_feature(some, 200), stored.by_feature(some, 200), strict=True):
        assert ours.first_feature == theirs.first_feature
        np.testing.assert_allclose(ours.values.toarray(), theirs.values.toarray(), rtol=1e-5)
    for feature in range(20):
        rows, values = found.feature(feature)
        np.testing.assert_array_equal(rows, stored.feature(feature)[0])
        np.testing.assert_allclose(values, stored.feature(feature)[1], rtol=1e-5)
    assert found.mean_l0() == stored.mean_l0()
    assert (found.unit, on_demand(sae, embeddings, proteins, unit="max").unit) == ("raw", "max")
    sae.about = SAEAbout("esm2-mini", "unknown", 4, "topk")
    with pytest.raises(ValueError, match="holds layer 3, not layer 4"):
        on_demand(sae, embeddings, proteins)
