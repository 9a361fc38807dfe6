"""Predictions along one sequence: against the model run in full with the same changes."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch

from interplm_nb.features.logos import AMINO_ACIDS
from interplm_nb.steering import controls
from interplm_nb.steering.intervene import Change, Intervention
from interplm_nb.steering.steered_sequence import SteeredSequence, masked
from tests.plm.tiny_unirep import tiny
from tests.steering.test_intervene import esm2, layer_with_sae

SEQUENCE = "MKVLAGHWTC"
ROWS = [[Change(3, "clamp", 1.5, (4, 5))], [Change(7, "add", 0.5), Change(2, "ablate")]]


def in_full(at, sequence: str, rows: list[list[Change]], where: str, first: int) -> np.ndarray:
    """float64 [1 + rows, n, 20]: one pass per row, softmax written out, letter by letter."""
    plm, made = at.plm, []
    tokens, n = (
        plm.tokens([sequence]),
        sequence.count("<mask>") + len(sequence.replace("<mask>", "")),
    )
    for row in [[], *rows]:
        change = Intervention(at, row) if row else None
        given = {}
        if change and where == "recurrence":
            given = {"step_edits": {at.layer: change.step_edit([n])}}
        elif change:
            given = {"edit": {at.layer: change.edit([n])}}
        with torch.no_grad():
            logits = plm.forward(tokens, logits=True, **given).logits[0].double().numpy()
        table = np.zeros((n - first + 1, 20))
        for residue in range(first, n + 1):
            token = plm.first_residue + residue - 1 - (first - 1)
            for i, letter in enumerate(AMINO_ACIDS):
                kind = int(plm.classes(plm.tokens([letter]))[0, plm.first_residue])
                table[residue - first, i] = np.exp(logits[token, kind])
        made.append(table / table.sum(axis=1, keepdims=True))
    return np.stack(made)


@pytest.mark.parametrize(
    ("plm", "sequence", "where", "first"),
    [
        (esm2, SEQUENCE, "output", 1),
        (esm2, "MKV<mask>AGH<mask>TC", "output", 1),
        (tiny, SEQUENCE, "output", 2),
        (tiny, SEQUENCE, "recurrence", 2),
    ],
)
def test_probabilities_are_those_of_the_model_run_in_full(
    plm: Callable, sequence: str, where: str, first: int
) -> None:
    at = layer_with_sae(plm(), layer=1)
    one = SteeredSequence(at, sequence)
    found = np.concatenate([one.unsteered()[None], one.steered(ROWS, where)])  # type: ignore
    wanted = in_full(at, sequence, ROWS, where, first)
    assert one.first == first and found.shape == wanted.shape
    np.testing.assert_allclose(found, wanted, atol=2e-6)
    np.testing.assert_allclose(found.sum(-1), 1, atol=1e-6)
    assert np.abs(found[1] - found[0]).max() > 1e-3, "the change does something"


def test_what_lies_below_is_run_once(monkeypatch: pytest.MonkeyPatch) -> None:
    at = layer_with_sae(esm2())
    one, forward, below = SteeredSequence(at, SEQUENCE), at.plm.forward, []

    def counted(*args, **kwargs):
        below.append(kwargs.get("given") is None)
        return forward(*args, **kwargs)

    monkeypatch.setattr(at.plm, "forward", counted)
    one.unsteered()
    for strength in (0.5, 1, 2):
        one.steered([[Change(3, "clamp", strength)]])
    assert below == [True, False, False, False]


def test_activations_are_shares_of_the_maximum() -> None:
    at = layer_with_sae(esm2())
    one = SteeredSequence(at, SEQUENCE)
    with torch.no_grad():
        h = at.plm.forward(at.plm.tokens([SEQUENCE]), [2]).representations[2][0, 1:11]
        wanted = at.sae.encode(h).numpy() / at.maxima
    np.testing.assert_allclose(one.activations([7, 3]), wanted.T[[7, 3]], rtol=1e-5)


def test_matched_changes_draw_each_feature_once() -> None:
    at = layer_with_sae(esm2())
    changes = [Change(3, "clamp", 2, (2,)), Change(4, "add", 1)]
    found = controls.matched_changes(at, changes, seed=1)
    assert [replace(c, feature=0) for c in found] == [replace(c, feature=0) for c in changes]
    drawn = [c.feature for c in found]
    assert len({3, 4, *drawn}) == 4
    assert controls.matched_changes(at, changes, seed=1) == found
    others = [controls.matched_changes(at, changes, seed) for seed in range(2, 8)]
    assert any(other != found for other in others)


def test_what_cannot_be_predicted_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    unirep = layer_with_sae(tiny(), layer=1)
    with pytest.raises(ValueError, match=r"sequence of 2 to [\d,]+; this one has 1"):
        SteeredSequence(unirep, "M")
    with pytest.raises(ValueError, match="has no mask token"):
        SteeredSequence(unirep, "MK<mask>")
    headless = layer_with_sae(esm2())
    monkeypatch.setattr(type(headless.plm), "objective", None)
    with pytest.raises(ValueError, match="toy has no head that predicts residues"):
        SteeredSequence(headless, SEQUENCE)


def test_masks_are_put_at_positions_from_1() -> None:
    assert masked("MKV", [3, 1]) == "<mask>K<mask>"
    with pytest.raises(ValueError, match=r"position 4 cannot be masked: .* residues 1 to 3"):
        masked("MKV", [4])
