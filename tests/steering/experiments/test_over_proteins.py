"""Surveys: which positions are drawn, and figures with intervals against the plain bootstrap."""

import numpy as np
import polars as pl
import pytest

from interplm_nb.steering.experiments.attribution.attribute import AttributionSettings, attribution
from interplm_nb.steering.experiments.attribution.survey import (
    AttributionSurveySettings,
    attribution_survey,
)
from interplm_nb.steering.experiments.circuits.circuit import CircuitSettings, circuit
from interplm_nb.steering.experiments.circuits.survey import CircuitSurveySettings, circuit_survey
from interplm_nb.steering.experiments.over_proteins import (
    SurveySettings,
    drawn,
    means,
    of_run,
)
from tests.plm.tiny_unirep import tiny
from tests.steering.test_intervene import SEQUENCE, esm2, layer_with_sae

TWO = {"A": SEQUENCE, "B": "MKKLAGHWW"}


def test_positions_are_drawn_after_enough_residues_and_once_each() -> None:
    settings = SurveySettings(n_positions=3, after=5, seed=2)
    plan = drawn(tiny(), TWO, settings, False)
    for accession, sequence, positions in plan:
        assert sequence == TWO[accession] and positions == sorted(set(positions))
        assert len(positions) == 3 and positions[0] >= 6 and positions[-1] <= len(sequence)
    assert plan == drawn(tiny(), TWO, settings, False)
    few = drawn(tiny(), TWO, SurveySettings(after=8, n_positions=5), False)
    assert [len(positions) for _, _, positions in few] == [2, 1]


@pytest.mark.parametrize(
    ("sequences", "message"),
    [
        ({}, "no protein was given"),
        ({"A": "MKV"}, "A has 3 residues; positions are drawn after 20 residues"),
        ({"A": "M" * 2001}, "proteins of at most 2000: leave it out"),
    ],
)
def test_proteins_without_positions_are_refused(sequences, message) -> None:
    with pytest.raises(ValueError, match=message):
        drawn(tiny(), sequences, SurveySettings(), False)


def test_means_have_the_intervals_of_resampled_proteins() -> None:
    table = pl.DataFrame(
        {
            "accession": ["A", "A", "B", "C", "C"],
            "position": [1, 2, 3, 4, 5],
            "effect": [1.0, 2.0, 4.0, None, 8.0],
            "better": [True, False, True, True, True],
            "nothing": pl.Series([None] * 5, dtype=pl.Float64),
        }
    )
    settings = SurveySettings(n_resamples=4000)
    found = {row["figure"]: row for row in means(table, settings).iter_rows(named=True)}
    assert set(found) == {"effect", "better", "nothing"}, "a position is no figure"
    effect = found["effect"]
    assert (effect["n_predictions"], effect["n_proteins"]) == (4, 3)
    assert effect["mean"] == 15 / 4 and effect["median"] == 3
    groups = [[1.0, 2.0], [4.0], [8.0]]
    every = [  # all 27 equally likely resamples
        np.mean([*groups[a], *groups[b], *groups[c]])
        for a in range(3)
        for b in range(3)
        for c in range(3)
    ]
    low, high = np.quantile(every * 100, [0.025, 0.975])
    assert effect["mean_low"] == pytest.approx(low)
    assert effect["mean_high"] == pytest.approx(high)
    assert found["better"]["mean"] == 0.8
    assert found["nothing"]["mean"] is None


@pytest.mark.parametrize(("make", "layer"), [(esm2, 2), (tiny, 1)])
def test_a_survey_is_the_attribution_of_each_prediction(make, layer) -> None:
    at = layer_with_sae(make(), layer, k=4)
    each = AttributionSettings(k=2, n_sets=4, n_singles=4)
    settings = AttributionSurveySettings(after=5, each=each, n_resamples=20)
    found = attribution_survey(at, TWO, settings, progress=False)
    assert found.predictions.height == 4
    for row in found.predictions.iter_rows(named=True):
        asked = each.model_copy(update={"position": row["position"]})
        one = attribution(at, TWO[row["accession"]], asked)
        assert row["error_share"] == pytest.approx(one.summary["error_share"].item(), abs=1e-5)
        assert row["top"] == pytest.approx(one.removals["effect"][0], abs=1e-4)
        assert row["errors"] == pytest.approx(one.removals["effect"][3], abs=1e-4)
    assert "Over 4 predictions in 2 proteins" in found.sentence
    assert "95 % over proteins" in found.sentence and "of like mass" in found.sentence
    assert found.figures.filter(figure="top")["mean"].item() == pytest.approx(
        found.predictions["top"].mean()
    )


def test_a_survey_of_circuits_is_the_circuit_of_each_prediction() -> None:
    two = [layer_with_sae(esm2(), layer, k=4, seed=layer) for layer in (1, 2)]
    each = CircuitSettings(n_nodes=2, sizes=(4,), n_random=3)
    settings = CircuitSurveySettings(after=5, each=each, n_positions=1, n_resamples=20)
    found = circuit_survey(two, TWO, settings, progress=False)
    for row in found.predictions.iter_rows(named=True):
        asked = each.model_copy(update={"position": row["position"]})
        one = circuit(two, TWO[row["accession"]], asked).faithfulness
        for name, size, errors in (("circuit", 2, False), ("random", 4, True)):
            wanted = one.filter(set=name, per_layer=size, errors=errors)["faithfulness"].item()
            column = f"{name} {size}{' + errors' if errors else ''}"
            assert row[column] == pytest.approx(wanted, abs=1e-4)
    assert "circuits of 2 nodes per layer" in found.sentence and "errors alone" in found.sentence


@pytest.mark.parametrize("make", [esm2, tiny])
def test_a_survey_of_log_likelihoods_takes_each_protein_once(make) -> None:
    two = [layer_with_sae(make(), layer, k=4, seed=layer) for layer in (1, 2)]
    each = AttributionSettings(metric="log-likelihood", k=2, n_sets=4, n_singles=3)
    settings = AttributionSurveySettings(after=3, each=each, n_resamples=20)
    found = attribution_survey(two[0], TWO, settings, progress=False).predictions
    assert found["position"].to_list() == [None, None]
    wanted = [attribution(two[0], s, each).summary["whole"].item() for s in TWO.values()]
    assert found["whole"].to_list() == pytest.approx(wanted, abs=1e-4)
    each = CircuitSettings(metric="log-likelihood", n_nodes=2, n_random=2, unit="feature")
    settings = CircuitSurveySettings(after=3, each=each, n_resamples=20)
    found = circuit_survey(two, TWO, settings, progress=False).predictions
    assert found["whole"].to_list() == pytest.approx(wanted, abs=1e-4)


@pytest.mark.parametrize(
    ("settings", "values", "message"),
    [
        (AttributionSettings, {"k": 0}, "greater than or equal to 1"),
        (AttributionSettings, {"steps": 0}, "greater than or equal to 1"),
        (AttributionSettings, {"tolerance": 0}, "greater than 0"),
        (AttributionSettings, {"method": "shap"}, "'gradient' or 'integrated'"),
        (AttributionSettings, {"position": 0}, "greater than or equal to 1"),
        (CircuitSettings, {"n_nodes": 0}, "greater than or equal to 1"),
        (CircuitSettings, {"where": "output"}, "Extra inputs are not permitted"),
        (SurveySettings, {"n_resamples": 5}, "greater than or equal to 10"),
    ],
)
def test_settings_out_of_bounds_are_refused(settings, values, message) -> None:
    with pytest.raises(ValueError, match=message):
        settings(**values)


def test_proteins_of_a_run_are_drawn_by_seed_among_those_that_fit() -> None:
    sequences = {f"P{n}": "M" * n for n in range(1, 60)}
    settings = SurveySettings(n_proteins=8, longest=30, after=10)
    found = of_run(sequences, tiny(), settings)
    assert len(found) == 8 and all(10 < len(s) <= 30 for s in found.values())
    assert found == of_run(sequences, tiny(), settings)
    other = of_run(sequences, tiny(), settings.model_copy(update={"seed": 1}))
    assert set(other) != set(found)
    assert len(of_run(sequences, tiny(), settings.model_copy(update={"n_proteins": 99}))) == 20
