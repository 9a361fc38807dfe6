"""Probabilities of the amino acids, from the model's own logits."""

import numpy as np
import pytest
import torch

from interplm_nb.features.logos import AMINO_ACIDS
from interplm_nb.steering.experiments import predictions
from interplm_nb.steering.experiments.predictions import ahead, opened, steered
from interplm_nb.steering.intervene import Change, letters_of
from tests.plm.tiny_unirep import tiny
from tests.steering.test_intervene import MASKED, SEQUENCE, esm2, layer_with_sae


@pytest.mark.parametrize(("make", "layer"), [(esm2, 2), (lambda: tiny(n_layers=1), 1)])
@torch.no_grad()
def test_the_twenty_add_up_to_1_and_keep_the_ratios_of_the_logits(make, layer: int) -> None:
    at = layer_with_sae(make(), layer)
    whole = opened(at, SEQUENCE)
    found, h = whole.log_p, whole.h
    tokens = at.plm.tokens([SEQUENCE])
    plain = at.plm.forward(tokens, [layer], logits=True)
    own = slice(at.plm.first_residue, at.plm.first_residue + 10)
    torch.testing.assert_close(h, plain.representations[layer][0, own])
    np.testing.assert_allclose(np.exp(found).sum(-1), 1)
    for letter in "AGW":
        token = at.plm.tokens([letter])[0, at.plm.first_residue]
        k = int(at.plm.classes(token[None, None])[0, 0])
        one = plain.logits[0, own, k].double().numpy()
        base = int(at.plm.classes(at.plm.tokens(["C"]))[0, at.plm.first_residue])
        other = plain.logits[0, own, base].double().numpy()
        ratio = found[:, AMINO_ACIDS.index(letter)] - found[:, AMINO_ACIDS.index("C")]
        np.testing.assert_allclose(ratio, one - other, atol=1e-6)


def test_a_next_residue_model_predicts_one_ahead() -> None:
    assert (ahead(esm2()), ahead(tiny())) == (0, 1)


def test_rows_in_parts_equal_rows_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    at = layer_with_sae(esm2())
    rows = [[Change(i, "clamp", 1.0, (3,))] for i in range(5)]
    of = opened(at, MASKED)
    whole = steered(at, rows, of)
    monkeypatch.setattr(predictions, "ROWS", 2)
    np.testing.assert_allclose(steered(at, rows, of), whole, atol=1e-6)


def test_masks_are_one_residue() -> None:
    assert letters_of("<mask>G<mask>") == ["<mask>", "G", "<mask>"]
    assert letters_of("MKV") == list("MKV")


@pytest.mark.parametrize(("make", "layer"), [(esm2, 2), (lambda: tiny(n_layers=2), 1)])
def test_a_later_start_gives_the_same_residues(make, layer: int) -> None:
    at = layer_with_sae(make(), layer)
    whole, later = opened(at, SEQUENCE), opened(at, SEQUENCE, 4)
    np.testing.assert_allclose(later.log_p, whole.log_p[3:], atol=1e-5)
    torch.testing.assert_close(later.h, whole.h[3:])
    rows = [[Change(i, "clamp", 1.0, (4, 6))] for i in range(3)]
    np.testing.assert_allclose(steered(at, rows, later), steered(at, rows, whole)[:, 3:], atol=1e-5)
