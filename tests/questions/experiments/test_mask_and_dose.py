"""Both experiments in a run: what they ask about, and where they take it from."""

import polars as pl
import pytest

from interplm_nb.pipeline.errors import PipelineError
from interplm_nb.pipeline.run import Run
from interplm_nb.pipeline.steered_layer import steered_layer
from interplm_nb.questions.experiments.dose import dose_in_run, features_asked
from interplm_nb.questions.experiments.mask import mask_in_run
from interplm_nb.steering.experiments.dose.settings import DoseSettings
from interplm_nb.steering.experiments.mask import MaskSettings

FEW = {
    "strengths": (2.0,),
    "n_proteins": 5,
    "longest": 2000,
    "n_controls": 5,
    "n_directions": 1,
    "n_shown": 1,
    "n_resamples": 100,
}


def alive_on_test(run: Run, n: int) -> list[int]:
    """Features that fire on at least 5 test proteins."""
    largest = pl.DataFrame(
        {
            "protein": run.accessions("test"),
            "on": [run.activations().largest([name]) > 0 for name in run.accessions("test")],
        }
    )
    counts = sum(row.astype(int) for row in largest["on"].to_numpy())
    return [int(f) for f in (counts >= 5).nonzero()[0][:n]]


def test_features_are_those_best_linked_and_some_at_random(tiny_run: Run) -> None:
    at = steered_layer(tiny_run, device="cpu")
    links = tiny_run.links().table
    found = features_asked(tiny_run, at, DoseSettings(n_concepts=2, n_random=3))
    named = {f: c for f, c in found.items() if c}
    for feature, concept in named.items():
        own = links.filter(pl.col("concept") == concept)
        best = own["validation_f1_per_domain"].max()
        f1 = own.filter(pl.col("feature") == feature)["validation_f1_per_domain"]
        assert f1.max() == best
    drawn = [f for f, c in found.items() if not c]
    assert len(named) <= 2 and len(drawn) == 3
    assert not set(drawn) & set(links["feature"].to_list())
    assert all(at.maxima[f] > 0 for f in drawn)
    asked = features_asked(tiny_run, at, DoseSettings(features=(drawn[0], *named)))
    assert asked == {drawn[0]: "", **named}


def test_doses_of_a_run_repeat_on_its_own_source(tiny_run: Run) -> None:
    feature = alive_on_test(tiny_run, 1)[0]
    settings = DoseSettings(features=(feature,), second="sae", letters="GP", **FEW)
    found = dose_in_run(tiny_run, settings, device="cpu")
    row = found.features.row(0, named=True)
    assert row["letters"] == "GP" and row["match"] == feature
    assert row["match_effect"] == pytest.approx(row["effect"], abs=1e-5)
    clusters = dict(tiny_run.splits().select("accession", "cluster").iter_rows())
    named = [clusters[name] for name in found.by_protein["accession"]]
    assert row["n_clusters"] == len(set(named))
    assert set(found.by_protein["accession"]) <= set(tiny_run.accessions("test"))


def test_a_second_dictionary_that_is_not_there_is_refused(tiny_run: Run) -> None:
    settings = DoseSettings(features=(alive_on_test(tiny_run, 1)[0],), second="sae/2", **FEW)
    with pytest.raises(PipelineError, match=r"'sae/2' is neither a source of .* nor the folder"):
        dose_in_run(tiny_run, settings, device="cpu")


def test_masks_take_named_features_or_find_them(tiny_run: Run) -> None:
    feature = alive_on_test(tiny_run, 1)[0]
    settings = MaskSettings(features=(feature,), n_controls=2, strengths=(0.0, 2.0))
    found = mask_in_run(tiny_run, settings, device="cpu")
    assert found.effects.filter(pl.col("kind") == "periodic")["feature"].to_list() == [feature]
    with pytest.raises(ValueError, match="no feature of this SAE fires on G every 41 residues"):
        mask_in_run(tiny_run, MaskSettings(period=41, least_strength=1.0), device="cpu")
