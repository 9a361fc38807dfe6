"""The panel's Python half.

How sources are drawn, the printed scores, the rows that a bundle carries.
"""

import re
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from matplotlib.patches import Rectangle

from interplm_nb.figures.hover import SYMBOLS
from interplm_nb.pipeline.run import Run
from interplm_nb.pipeline.scored_sources import SOURCES
from interplm_nb.widgets.concept_names import concept_name
from interplm_nb.widgets.concept_panel import ConceptPanel
from interplm_nb.widgets.concept_rows import SHOWN, concept_rows
from interplm_nb.widgets.feature_data import FeatureData
from interplm_nb.widgets.feature_page import FeaturePages
from interplm_nb.widgets.packing import unpack


@pytest.fixture(scope="module")
def data() -> FeatureData:
    return FeatureData(Run.shipped(), structures={})


def record(data: FeatureData) -> dict[str, Any]:
    return unpack(data.bundle)[0]


def test_sources_are_named_and_drawn_as_in_the_lessons(data: FeatureData) -> None:
    sources = ConceptPanel(data).sources
    assert sources == {
        name: {
            "name": source.name,
            "colour": source.colour,
            "marker": source.marker,
            "kind": source.kind,
        }
        for name, source in SOURCES.items()
    }


def test_every_source_has_a_mark_of_its_own_that_each_picture_can_draw() -> None:
    marks = (Path(__file__).parents[2] / "widgets/concept_panel/marks.js").read_text("utf-8")
    drawn = {key.strip('"') for key in re.findall(r'^    ("?[^ "]+"?): \[$', marks, re.MULTILINE)}
    used = [source.marker for source in SOURCES.values()]
    assert set(used) - {"o"} <= drawn and set(used) <= set(SYMBOLS)
    looks = {(source.marker, source.colour) for source in SOURCES.values()}
    assert len(looks) == len(SOURCES) == len(set(used))


def test_rows_agree_with_the_runs_tables(data: FeatureData) -> None:
    run, feature = data.pages.run, data.selection.feature
    best = run.table("concepts", "best").filter(pl.col("convention") == "strict")
    rows = concept_rows(data.pages, feature)
    assert 0 < len(rows) <= SHOWN
    for row in rows:
        of_concept = best.filter(pl.col("concept") == row["concept"])
        others = {
            r["source"]: r["f1_per_domain"] for r in of_concept.to_dicts() if r["source"] != "sae"
        }
        assert row["controls"] == pytest.approx(others)
        own = of_concept.filter(
            (pl.col("source") == "sae") & (pl.col("feature") == feature)
        ).to_dicts()
        assert [row["low"], row["high"], row["q_value"]] == (
            [own[0]["low"], own[0]["high"], own[0]["q_value"]] if own else [None] * 3
        )
        if own:
            assert row["f1_per_domain"] == pytest.approx(own[0]["f1_per_domain"])
    assert [row["validation_f1_per_domain"] for row in rows] == sorted(
        (row["validation_f1_per_domain"] for row in rows), reverse=True
    )


def test_a_run_that_was_scored_again_is_read_again(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    best = run.table("concepts", "best")
    helix = best.filter(concept="Helix")
    for f1 in (0.25, 0.5):
        control = helix.with_columns(source=pl.lit("pca"), f1_per_domain=pl.lit(f1))
        table = pl.concat([best, control])
        monkeypatch.setattr(Run, "table", lambda *_, table=table: table)
        assert concept_rows(FeaturePages(run), 3)[0]["controls"] == {"pca": f1}  # helices


def test_the_printed_scores_are_the_rows(data: FeatureData) -> None:
    rows = record(data)["concepts"]
    figure = ConceptPanel(data).figure()
    (axes,) = figure.axes
    assert [bar.get_width() for bar in axes.patches if isinstance(bar, Rectangle)] == pytest.approx(
        [row["f1_per_domain"] for row in rows]
    )
    lines = [(str(line.get_label()), np.asarray(line.get_xdata()).tolist()) for line in axes.lines]
    marks = {(label, x[0]) for label, x in lines if not label.startswith("_")}
    assert marks == {
        (SOURCES[name].name, value) for row in rows for name, value in row["controls"].items()
    }
    whiskers = [x for label, x in lines if label.startswith("_")]
    assert whiskers == [[row["low"], row["high"]] for row in rows if row["low"] is not None]
    assert (
        axes.get_yticklabels()[0].get_text()
        == f"{concept_name(rows[0]['concept'], rows[0]['category'])} (n = {rows[0]['n_instances']})"
    )
    assert {text.get_text() for text in figure.legends[0].get_texts()} == {
        "this feature (SAE)",
        *(SOURCES[n].name for n in rows[0]["controls"]),
    }


def test_a_feature_without_a_concept_is_printed_with_words(run: Run) -> None:
    small = FeatureData(run, structures={})
    small.selection.feature = 7  # silent
    figure = ConceptPanel(small).figure()
    said = "matches no concept with at least 10 instances in validation and in test"
    assert said in figure.axes[0].get_title(loc="left")
    assert figure.legends == []


def test_a_described_feature_is_printed_with_its_description(tmp_path: Path) -> None:
    shipped = Run.shipped()
    described = shipped.interpretation("descriptions").drop_nulls("summary").row(0, named=True)
    data = FeatureData(shipped, structures={})
    data.selection.feature = described["feature"]
    figure = ConceptPanel(data).figure()
    printed = figure.legends[0].get_title().get_text().replace("\n", " ")
    judged = shipped.interpretation("judged").filter(
        feature=described["feature"], given="description"
    )
    r = judged["pearson"].item()
    assert printed == f"{described['summary']} (statistical, r {r:.2f})"
    figure.savefig(tmp_path / "described.pdf")


def test_a_run_without_controls_has_none(run: Run, tmp_path: Path) -> None:
    small = FeatureData(run, structures={})
    small.selection.feature = 3  # helices
    rows = record(small)["concepts"]
    assert rows[0]["concept"] == "Helix"
    assert (rows[0]["controls"], rows[0]["low"], rows[0]["q_value"]) == ({}, None, None)
    ConceptPanel(small).figure().savefig(tmp_path / "scores.pdf")
