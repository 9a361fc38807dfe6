"""Contacts of a model with planted ones: reconstructed by an SAE, and without a feature."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from interplm_nb.plm.contacts import attention_scores, contact_scores
from interplm_nb.plm.residue_tokens import STANDARD as AMINO_ACIDS
from interplm_nb.readers.residue_coordinates import Placed
from interplm_nb.sae.evaluation.contacts import (
    contact_precision,
    contact_table,
    reconstructed,
    without_feature,
)
from interplm_nb.sae.model import SAE
from interplm_nb.sae.residue_norm import ResidueNorm
from tests.features.spatial.made_space import in_space
from tests.plm.coupled_plm import CoupledPLM
from tests.plm.toy_esm2 import random_head, toy
from tests.sae.fake_plm import FakeRecurrentPLM

PAIRS = [(0, 30), (3, 28), (7, 39), (11, 35)]
SEQUENCE = "".join(np.random.default_rng(0).choice(list(AMINO_ACIDS), 40))
PLM = CoupledPLM(PAIRS)


def one_feature_per_dimension(lacks: int | None = None, norm: ResidueNorm | None = None) -> SAE:
    """Feature m is dimension m of layer 1, which is never negative; `lacks` is reconstructed as
    0."""
    d = PLM.widths[1]
    sae = SAE(d, d, residue_norm=norm)
    with torch.no_grad():
        sae.W_enc.copy_(torch.eye(d))
        sae.W_dec.copy_(torch.eye(d))
        if lacks is not None:
            sae.W_dec[lacks] = 0
    return sae


def highest(scores: np.ndarray, n: int) -> set[tuple[int, int]]:
    order = np.argsort(-np.triu(scores, 1), axis=None)[:n]
    return {(int(o) // len(scores), int(o) % len(scores)) for o in order}


def test_a_reconstruction_keeps_what_it_holds() -> None:
    own = contact_scores(PLM, SEQUENCE, progress=False)
    for sae, pairs in (
        (one_feature_per_dimension(), PAIRS),
        (one_feature_per_dimension(lacks=2), [p for p in PAIRS if p != PAIRS[2]]),
    ):
        edit = {1: reconstructed(PLM, sae, len(SEQUENCE))}
        scores = contact_scores(PLM, SEQUENCE, edit, progress=False)
        assert highest(scores, len(pairs)) == set(pairs)
    np.testing.assert_allclose(
        contact_scores(
            PLM, SEQUENCE, {1: reconstructed(PLM, one_feature_per_dimension(), 40)}, progress=False
        ),
        own,
        atol=1e-5,
    )


def test_without_its_feature_a_contact_is_gone_and_the_others_stay() -> None:
    edit = {1: without_feature(PLM, one_feature_per_dimension(), 1, len(SEQUENCE))}
    scores = contact_scores(PLM, SEQUENCE, edit, progress=False)
    assert highest(scores, 3) == set(PAIRS) - {PAIRS[1]}
    assert abs(scores[PAIRS[1]]) < 0.05 * scores[PAIRS[0]]


@pytest.mark.parametrize("norm", [None, ResidueNorm("layer-norm"), ResidueNorm("sqrt-d")])
def test_a_feature_is_subtracted_on_residues_alone(norm: ResidueNorm | None) -> None:
    """What is left is the layer less the difference of two reconstructions."""
    sae = one_feature_per_dimension(norm=norm)
    h = torch.rand(2, 7, PLM.widths[1])
    left = without_feature(PLM, sae, 2, 5)(h)
    f = sae.encode(h)
    silent = f.clone()
    silent[..., 2] = 0
    expected = h - (sae.decode(f, h) - sae.decode(silent, h))
    torch.testing.assert_close(left[:, 1:6], expected[:, 1:6])
    torch.testing.assert_close(left[:, [0, 6]], h[:, [0, 6]])


def structure(n: int = 40) -> np.ndarray:
    """Residues far apart, except the planted pairs, which touch."""
    carbons = np.arange(float(n))[:, None] * [30.0, 0, 0]
    for i, j in PAIRS:
        carbons[j] = carbons[i] + [0, 5, 0]
    return carbons


def test_the_table_says_what_each_layer_gives() -> None:
    coordinates = in_space([structure(), structure()])
    proteins = type(coordinates.proteins).from_sequences({"P0": SEQUENCE, "P1": SEQUENCE[::-1]})
    coordinates = type(coordinates)(
        proteins, coordinates.alpha, coordinates.beta, coordinates.plddt, coordinates.read
    )
    sae = one_feature_per_dimension(lacks=0)
    table = contact_table(PLM, coordinates, sae, [1], layer=1, progress=False)
    first = table.filter(accession="P0")
    assert first["layer"].to_list() == ["as it is", "reconstructed", "without feature 1"]
    far = [p for p in PAIRS if p[1] - p[0] >= 24]
    assert len(far) == 4 and first["n_pairs"].unique().to_list() == [16 * 17 // 2]
    # Of the 8 highest pairs: all four, or three.
    assert first["precision_l5"].to_list() == [4 / 8, 3 / 8, 3 / 8]
    assert first["by_chance"].unique().to_list() == [4 / 136]
    assert table.height == 6
    attention = ["attention_l5", "attention_l"]
    assert table.drop(attention).null_count().sum_horizontal().item() == 0
    assert table.select(attention).null_count().row(0) == (6, 6), "the model has no head for it"


def test_contacts_from_attention_stand_beside() -> None:
    plm, coordinates = toy(contact_head=random_head()), in_space([structure()])
    sequence = coordinates.proteins.sequence("P0")
    sae = SAE(24, 24, residue_norm=None)
    for layer, moves in ((1, True), (3, False)):
        table = contact_table(plm, coordinates, sae, [2], layer, progress=False)
        edits = [
            {},
            {layer: reconstructed(plm, sae, len(sequence))},
            {layer: without_feature(plm, sae, 2, len(sequence))},
        ]
        scores = [attention_scores(plm, sequence, edit) for edit in edits]
        placed = coordinates.placed("P0")
        wanted = [contact_precision(s.astype(float), placed) for s in scores]
        found = table.select("attention_l5", "attention_l").rows()
        assert found == [(w.l5, w.l) for w in wanted]
        assert bool((scores[1] != scores[0]).any()) == moves


def test_a_structure_without_long_range_pairs_has_no_precision() -> None:
    coordinates = in_space([structure()[:24]])
    plm = CoupledPLM([(0, 5)])
    table = contact_table(plm, coordinates, progress=False)
    assert table.select("n_pairs", "precision_l5", "by_chance").rows() == [(0, None, None)]


@given(st.integers(25, 40), st.integers(0, 2**32 - 1))
def test_precision_is_counted_pair_by_pair(n: int, seed: int) -> None:
    random = np.random.default_rng(seed)
    there = np.flatnonzero(random.random(n) < 0.8)
    beta = random.integers(0, 5, (len(there), 3)) * 3.0
    scores = random.random((n, n)).round(1)
    place = {int(i): xyz for i, xyz in zip(there, beta, strict=True)}
    pairs = sorted((-scores[i, j], i, j) for i in place for j in place if j - i >= 24)
    hits = [bool(np.linalg.norm(place[i] - place[j]) <= 8) for _, i, j in pairs]
    found = contact_precision(scores, Placed(there, beta, beta))
    assert found.n_pairs == len(pairs)
    if pairs:
        top = hits[: n // 5]
        assert (found.l5, found.l) == (sum(top) / len(top), sum(hits[:n]) / len(hits[:n]))
        assert found.by_chance == sum(hits) / len(hits)


def test_what_it_refuses() -> None:
    coordinates = in_space([structure()])
    with pytest.raises(ValueError, match="predicts the next residue"):
        contact_table(FakeRecurrentPLM(start=True), coordinates)
    with pytest.raises(ValueError, match="features are numbered 0 to 4; got 5"):
        contact_table(PLM, coordinates, one_feature_per_dimension(), [5], layer=1)
    with pytest.raises(ValueError, match="takes 5 values per residue"):
        contact_table(PLM, coordinates, one_feature_per_dimension(), layer=0)
