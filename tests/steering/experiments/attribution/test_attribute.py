"""The whole experiment: its tables against removals by hand, and what its sentence says."""

import numpy as np
import polars as pl
import pytest
import torch

from interplm_nb.steering.experiments.attribution import ablations, parts
from interplm_nb.steering.experiments.attribution.ablations import matched_sets, random_sets
from interplm_nb.steering.experiments.attribution.attribute import (
    AttributionSettings,
    attribution,
)
from interplm_nb.steering.experiments.attribution.prediction import Prediction
from interplm_nb.steering.intervene import Change, Intervention, steered_logits
from tests.plm.tiny_unirep import tiny
from tests.steering.test_intervene import SEQUENCE, esm2, layer_with_sae


def metric(at, sequence, settings, changes, where="output") -> float:
    prediction = Prediction(at.plm, sequence, settings)
    logits = steered_logits([Intervention(at, changes)], prediction.sequence, where)
    return float(prediction.of(logits)[0])


@pytest.mark.parametrize(
    ("make", "layer", "where"), [(esm2, 2, "output"), (tiny, 1, "output"), (tiny, 1, "recurrence")]
)
@pytest.mark.parametrize("unit", ["residue", "feature"])
def test_effects_are_those_of_removals_by_hand(make, layer, where, unit) -> None:
    at = layer_with_sae(make(), layer, k=4)
    settings = AttributionSettings(position=9, where=where, unit=unit, k=2, n_sets=5, n_singles=4)
    found = attribution(at, SEQUENCE, settings)
    whole = found.summary["whole"].item()
    positions = {"residue": lambda row: (row["residue"],), "feature": lambda row: None}[unit]
    for row in found.singles.iter_rows(named=True):
        alone = [Change(row["feature"], "ablate", positions=positions(row))]
        effect = whole - metric(at, SEQUENCE, settings, alone, where)
        assert row["effect"] == pytest.approx(effect, abs=1e-4)
    top = found.singles.filter("top")
    together: dict[int, list[int]] = {}
    for row in top.iter_rows(named=True):
        together.setdefault(row["feature"], []).append(row["residue"])
    changes = [
        Change(k, "ablate", positions=None if unit == "feature" else tuple(sorted(v)))
        for k, v in together.items()
    ]
    effect = found.removals.filter(set="top")["effect"].item()
    assert effect == pytest.approx(whole - metric(at, SEQUENCE, settings, changes, where), abs=1e-4)
    largest = found.nodes.sort("attribution", descending=True, maintain_order=True)
    assert top["attribution"].to_list() == largest["attribution"].head(2).to_list()


def test_tables_add_up_and_hold_the_errors() -> None:
    at = layer_with_sae(esm2(), k=4)
    settings = AttributionSettings(metric="log-likelihood", steps=64, most_steps=512)
    found = attribution(at, SEQUENCE, settings)
    row = found.summary.row(0, named=True)
    assert row["features"] + row["inactive"] + row["error"] == pytest.approx(row["total"])
    assert row["total"] == pytest.approx(row["difference"], rel=0.02) and row["complete"]
    assert found.residues["error"].sum() == pytest.approx(row["error"])
    assert found.residues["features"].sum() == pytest.approx(row["features"] + row["inactive"])
    assert 0 < row["error_share"] < 1
    assert found.nodes["attribution"].abs().is_sorted(descending=True)
    assert set(found.tables()) == {"summary", "removals", "nodes", "residues", "singles"}


@torch.no_grad()
def test_the_effect_of_the_errors_is_that_of_decoding_the_features() -> None:
    for make, layer, where in ((esm2, 2, "output"), (tiny, 1, "output"), (tiny, 1, "recurrence")):
        at = layer_with_sae(make(), layer, k=4)
        settings = AttributionSettings(position=9, where=where)
        found = attribution(at, SEQUENCE, settings)
        prediction = Prediction(at.plm, SEQUENCE, settings)
        residues = prediction.residues

        def edit(h, at=at, residues=residues):
            new = h.clone()
            new[:, residues] = at.sae(h[:, residues]).x_hat
            return new

        def step(h, t, at=at):
            return at.sae(h).x_hat if t else h

        options = (
            {"step_edits": {layer: step}} if where == "recurrence" else {"edit": {layer: edit}}
        )
        logits = at.plm.forward(prediction.tokens, logits=True, **options).logits[:, residues]
        effect = found.summary["whole"].item() - float(prediction.of(logits))
        errors = found.removals.filter(set="errors")["effect"].item()
        assert errors == pytest.approx(effect, abs=1e-4)


def test_a_logit_of_the_last_layer_is_linear_so_attribution_is_the_effect() -> None:
    at = layer_with_sae(tiny(n_layers=1), 1)
    settings = AttributionSettings(metric="logit", position=9, method="gradient", k=3)
    found = attribution(at, SEQUENCE, settings)
    assert found.summary["pearson"].item() == pytest.approx(1)
    assert found.summary["gap"].item() < 1e-4
    np.testing.assert_allclose(found.singles["attribution"], found.singles["effect"], atol=1e-4)
    reached = found.nodes.filter(pl.col("attribution") != 0)["residue"].unique().to_list()
    assert reached == [8], "the output of the residue before the position, and of no other"


def test_removal_to_the_mean_clamps_features_there() -> None:
    at = layer_with_sae(esm2(), k=4)
    settings = AttributionSettings(position=9, baseline="mean", k=1, n_sets=2, n_singles=2)
    with pytest.raises(ValueError, match="the mean over sequences, and none was given"):
        attribution(at, SEQUENCE, settings)
    found = attribution(at, SEQUENCE, settings, ["MKVLAGH", "GGWTC"])
    background = parts.mean(at, ["MKVLAGH", "GGWTC"])
    row = found.singles.row(0, named=True)
    feature = row["feature"]
    value = float(background.features[feature]) / float(at.maxima[feature])
    changes = [Change(feature, "clamp", value, (row["residue"],))]
    effect = found.summary["whole"].item() - metric(at, SEQUENCE, settings, changes)
    assert row["effect"] == pytest.approx(effect, abs=1e-4)


def test_random_sets_are_of_equal_size_and_matched_ones_of_like_mass(monkeypatch) -> None:
    monkeypatch.setattr(ablations, "NEAREST", 3)
    mass = np.exp(np.linspace(0, 5, 40))
    top = np.array([10, 30])
    for drawn in random_sets(40, 4, 6, seed=1):
        assert len(set(drawn.tolist())) == 4
    for drawn in matched_sets(mass, top, 20, seed=1):
        first, second = sorted(drawn.tolist())
        assert 9 <= first <= 11 and 29 <= second <= 31
    assert all(
        len(set(one.tolist())) == 2 for one in matched_sets(mass[:3], np.array([0, 1]), 9, 0)
    )
    again = [matched_sets(mass, top, 5, seed=s) for s in (1, 1, 2)]
    assert np.array_equal(again[0], again[1]) and not np.array_equal(again[0], again[2])


def test_features_that_are_dead_on_train_are_not_removed() -> None:
    at = layer_with_sae(esm2(), k=4)
    at.maxima[:6] = 0
    found = attribution(at, SEQUENCE, AttributionSettings(position=9, k=2))
    assert found.nodes["feature"].min() >= 6
    assert abs(found.summary["inactive"].item()) > 0, "what they carry is told apart"


def test_the_sentence_has_the_errors_the_removals_and_their_controls() -> None:
    at = layer_with_sae(esm2(), k=4)
    found = attribution(at, SEQUENCE, AttributionSettings(position=9, residue="W", k=3))
    said = found.sentence
    row = found.summary.row(0, named=True)
    assert f"{row['error_share']:.0%} of all attribution" in said
    assert "log probability of W at position 9" in said and "Removing the top 3 of" in said
    assert "3 random nodes by" in said and "3 random like-mass nodes by" in said
    short = AttributionSettings(position=9, method="gradient")
    assert "as a gradient may; integrated ones do not" in attribution(at, SEQUENCE, short).sentence
    few = AttributionSettings(position=9, steps=1, most_steps=1, tolerance=1e-6)
    assert "take more steps" in attribution(at, SEQUENCE, few).sentence


def test_a_prediction_that_no_feature_reaches_is_refused() -> None:
    at = layer_with_sae(tiny(n_layers=1), 1, k=1)
    with pytest.raises(ValueError, match="1 active features of this layer reach the log prob"):
        attribution(at, SEQUENCE, AttributionSettings(position=9))


def test_the_same_seed_gives_the_same_tables_and_a_state_may_be_given() -> None:
    at = layer_with_sae(esm2(), k=4)
    settings = AttributionSettings(position=9, n_sets=5)
    first = attribution(at, SEQUENCE, settings)
    prediction = Prediction(at.plm, SEQUENCE, settings)
    h = at.plm.forward(prediction.tokens, [2]).representations[2].detach()
    again = attribution(at, SEQUENCE, settings, h=h)
    for name, table in first.tables().items():
        assert table.equals(again.tables()[name])
