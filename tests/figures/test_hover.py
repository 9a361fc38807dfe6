"""Charts to hover: plotly shows what the table says, is small and needs no network."""

import json

import polars as pl
import pytest

from interplm_nb.figures import compare, hover, stages
from interplm_nb.figures.chart import Chart, panels
from interplm_nb.figures.styles import STYLES
from interplm_nb.pipeline.scored_sources import SOURCES
from interplm_nb.stages.compare_tables import COMPARISON
from tests.figures.with_fidelity import with_fidelity

PLOTLY = "application/vnd.plotly.v1+json"


@pytest.fixture(scope="module")
def best() -> pl.DataFrame:
    rows = [
        (concept, source, "strict", f1 / (1 + i), 7 + i)
        for i, source in enumerate(("sae", "random_sae", "linear_probe"))
        for concept, f1 in (("Helix", 0.8), ("a <b>$x$", 0.4))
    ]
    names = ["concept", "source", "convention", "f1_per_domain", "feature"]
    table = pl.DataFrame(rows, schema=names, orient="row")
    probe = pl.when(pl.col("source") != "linear_probe").then(pl.col("feature"))
    return table.with_columns(feature=probe)


def shown(chart: Chart) -> dict:
    data, _ = chart._repr_mimebundle_()
    assert data["image/svg+xml"].startswith("<?xml")
    assert "image/png" not in data  # JupyterLab would show it instead of plotly
    assert data["text/plain"] == chart.description
    return data[PLOTLY]


def test_a_chart_without_hover_is_a_picture_alone() -> None:
    assert PLOTLY not in Chart(panels()[0], "nothing")._repr_mimebundle_()[0]


@pytest.mark.parametrize("draw", [compare.fidelity, compare.concepts])
def test_every_sae_of_the_comparison_is_a_point_with_its_name(compared, draw) -> None:
    table = with_fidelity(compared[1].comparison)
    figure = shown(draw(table))
    points = [t for t in figure["data"] if t.get("mode") == "markers" and "text" in t]
    saes = table.filter(pl.col("kind") != "neurons")
    for axis in ("x", "x2"):
        named = [name for t in points if t["xaxis"] == axis for name in t["text"]]
        assert sorted(named) == sorted(saes["label"])
    assert {t["name"] for t in points} == {STYLES[r].name for r in saes["recipe"].unique()}
    assert len({(t["marker"]["symbol"], t["marker"]["color"]) for t in points}) == len(
        {t["name"] for t in points}
    )
    for t in points:
        if draw is compare.fidelity and t["xaxis"] == "x":
            errors = t["error_y"]
            assert errors["arrayminus"] == pytest.approx([0.1] * len(t["x"]))
            assert errors["array"] == pytest.approx([0.2] * len(t["x"]))
        else:
            assert t["error_y"] == {"visible": False}
    ring = next(t for t in figure["data"] if t["name"] == "chosen on the tuning part")
    assert ring["x"] == table.filter("chosen")["l0"].to_list()
    titles = [figure["layout"][name]["title"]["text"] for name in ("xaxis", "yaxis", "yaxis2")]
    assert all(titles) and figure["layout"]["xaxis"]["type"] == "log"
    names = [t["name"] for t in figure["data"] if t["showlegend"]]
    assert len(names) == len(set(names)), "each once in the legend"


def test_neurons_are_a_line_at_their_f1(compared) -> None:
    table = with_fidelity(compared[1].comparison)
    lines = [t for t in shown(compare.concepts(table))["data"] if t["name"] == "neurons"]
    f1 = table.filter(pl.col("kind") == "neurons")["mean_f1_per_domain"].item()
    assert [t["y"] for t in lines] == [[f1, f1]] * 2


def test_two_layers_have_a_row_each_and_an_empty_table_is_drawn(compared) -> None:
    table = compared[1].comparison
    two = pl.concat([table, table.with_columns(pl.col("layer") + 1)])
    layout = shown(compare.fidelity(two))["layout"]
    assert "xaxis4" in layout and [a["text"] for a in layout["annotations"]] == [
        "layer 1",
        "layer 2",
    ]
    assert shown(compare.fidelity(pl.DataFrame(schema=COMPARISON)))


def test_a_measure_that_no_model_has_is_said_to_be_absent(compared) -> None:
    table = compared[1].comparison.with_columns(fidelity_measure=pl.lit(None, pl.String))
    figure = shown(compare.fidelity(table))
    absent = [
        t for t in figure["data"] if t.get("text") == ["absent or not defined for these models"]
    ]
    assert [t["xaxis"] for t in absent] == ["x"]
    assert "chosen on the tuning part" in {t["name"] for t in figure["data"] if t["showlegend"]}


def test_concepts_by_source_name_the_feature_behind_each_mark(best) -> None:
    figure = shown(stages.concepts_by_source(best))
    assert [t["name"] for t in figure["data"]] == ["linear probe", "random SAE", "SAE"]
    own = figure["data"][-1]
    assert own["x"] == [0.4, 0.8] and own["text"] == ["f/7", "f/7"]
    assert own["customdata"][1] == "Helix" and figure["data"][0]["text"] == ["", ""]
    for trace in figure["data"]:
        source = next(s for s in SOURCES.values() if s.name == trace["name"])
        assert trace["marker"]["color"] == source.colour
    axes = figure["layout"]["xaxis"], figure["layout"]["yaxis"]
    assert "F1 on test" in axes[0]["title"]["text"] and axes[1]["tickvals"] == [0, 1]


def test_names_from_files_are_neither_markup_nor_formulas(best) -> None:
    text = json.dumps(shown(stages.concepts_by_source(best)))
    assert "<b>" not in text and "$x$" not in text
    assert "a &lt;b&gt;&#36;x&#36;" in text


def test_it_is_small_and_asks_no_other_host(compared, best) -> None:
    for chart in (compare.fidelity(compared[1].comparison), stages.concepts_by_source(best)):
        text = json.dumps(shown(chart))
        assert len(text) < 40_000 and "http" not in text


def test_every_mark_has_a_symbol_of_its_own() -> None:
    assert {style.marker for style in STYLES.values()} | {
        source.marker for source in SOURCES.values()
    } <= set(hover.SYMBOLS)
    assert len(set(hover.SYMBOLS.values())) == len(hover.SYMBOLS)
