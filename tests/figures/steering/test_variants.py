"""Pictures of variants: what is drawn, and what is said where nothing can be."""

import numpy as np
import polars as pl
import pytest

from interplm_nb.figures.steering import variants as figures
from interplm_nb.figures.tables import Sentence
from interplm_nb.readers.variants import VariantScan
from interplm_nb.steering.experiments.variants.one_mutation import lost_and_gained
from interplm_nb.steering.experiments.variants.scan import ScanResult, scan_variants
from interplm_nb.steering.experiments.variants.settings import VariantsSettings
from tests.plm.tiny_unirep import tiny
from tests.steering.experiments.test_variants import WILD, drawn_variants
from tests.steering.test_intervene import layer_with_sae


@pytest.fixture(scope="module")
def result() -> ScanResult:
    scores = np.random.default_rng(0).normal(size=80)
    scan = VariantScan("P1", WILD, drawn_variants(80), scores)
    settings = VariantsSettings.model_validate({"resamples": 100, "chosen": 3})
    plm = tiny()
    control = {"random SAE": layer_with_sae(plm, seed=1)}
    return scan_variants(layer_with_sae(plm), scan, settings, control, progress=False)


def texts(chart) -> list[str]:
    return chart._texts()


def test_correlations_show_every_source_with_its_controls(result: ScanResult) -> None:
    chart = figures.correlations(result)
    shown = texts(chart)
    wanted = result.correlations.filter(pl.col("variants") == "all", pl.col("low") < pl.col("high"))
    for source, score in wanted["source", "score"].iter_rows():
        assert f"{source}: {score.replace('_', ' ')}" in shown
    assert "model: log likelihood ratio" in shown and "letters: blosum62" in shown
    (axis,) = chart.figure.axes
    drawn = sorted(float(line.get_xdata()[0]) for line in axis.lines if len(line.get_xdata()) == 1)
    assert drawn == pytest.approx(sorted(wanted["rho"]))
    assert "thin: over positions" not in axis.get_xlabel()
    single = figures.correlations(result, "single mutants")
    assert "thin: over positions" in single.figure.axes[0].get_xlabel()
    with pytest.raises(ValueError, match="no correlations of 'none'; this scan has those of all"):
        figures.correlations(result, "none")


def test_robustness_shows_both_kinds_and_their_difference(result: ScanResult) -> None:
    chart = figures.robustness(result)
    assert not isinstance(chart, Sentence)
    row = result.robustness.filter(source="SAE", measure="features_changed").row(0, named=True)
    assert f"{row['stabilising']:.1f} by {row['n_stabilising']} stabilising" in repr(chart)
    assert "random SAE: features changed" in texts(chart)


def test_separating_features_are_drawn_by_source(result: ScanResult) -> None:
    chart = figures.separating(result)
    assert not isinstance(chart, Sentence)
    assert [a.get_title().split(":")[0] for a in chart.figure.axes] == ["SAE", "random SAE"]
    held = (result.separating.filter(source="SAE")["q_value"] <= 0.05).sum()
    assert f"SAE: {held} of 3" in repr(chart)


def test_what_cannot_be_drawn_is_said(result: ScanResult) -> None:
    empty = ScanResult(
        "P1",
        "tiny",
        80,
        result.variants,
        result.correlations,
        result.robustness.clear(),
        result.separating.clear(),
    )
    assert "one side of the wild type" in str(figures.robustness(empty))
    assert "no feature can be chosen" in str(figures.separating(empty))


def test_lost_and_gained_features_with_both_nulls() -> None:
    found = lost_and_gained(layer_with_sae(tiny()), WILD, "A6W")
    chart = figures.lost_and_gained(found)
    assert repr(chart) == found.sentence
    shown = texts(chart)
    first = found.features.row(0, named=True)
    assert any(text.startswith(f"f{first['feature']} at {first['position']}, p") for text in shown)
    assert any("others at the site" in text for text in shown)
    nothing = VariantsSettings.model_validate({"least": 100})
    chart = figures.lost_and_gained(lost_and_gained(layer_with_sae(tiny()), WILD, "A6W", nothing))
    assert "0 lost and 0 gained at the site" in repr(chart)
