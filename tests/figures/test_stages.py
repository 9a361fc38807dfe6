"""Figures and tables of the lessons: drawn from a tiny run, described in words, escaped."""

import re
import shutil

import polars as pl
import pytest

from interplm_nb.annotations import Annotations
from interplm_nb.figures import stages as figures
from interplm_nb.figures import tables
from interplm_nb.pipeline.run import Run
from interplm_nb.pipeline.stage_table import STAGES
from interplm_nb.widgets.feature_page import FeaturePages
from tests.pipeline.tiny import tiny_parameters


@pytest.fixture(scope="module")
def results(tiny_run, tmp_path_factory):
    folder = tmp_path_factory.mktemp("figures") / "run"
    shutil.copytree(tiny_run.folder, folder)  # a stage that is called may begin again
    run, parameters = Run.open(folder), tiny_parameters(folder)
    return {name: STAGES[name].call(run, params) for name, params in parameters.items()}


@pytest.mark.parametrize(
    "draw",
    [
        lambda r: figures.lengths(r["proteins"].proteins, r["proteins"].splits),
        lambda r: figures.concept_sizes(r["proteins"].annotations),
        lambda r: figures.residue_map(
            r["proteins"].proteins, r["embed"].embeddings, r["embed"].shuffled, n=200
        ),
        lambda r: figures.learning(r["train"].metrics),
        lambda r: figures.frequencies(r["activations"].frequencies),
        lambda r: figures.comparison(r["concepts"].comparison),
        lambda r: figures.concepts_by_source(r["concepts"].best),
    ],
    ids=[
        "lengths",
        "concept_sizes",
        "residue_map",
        "learning",
        "frequencies",
        "comparison",
        "concepts_by_source",
    ],
)
def test_a_chart_is_a_picture_with_axes_named_and_words_beside_it(results, draw):
    chart = draw(results)
    data, about = chart._repr_mimebundle_()
    if chart.hover is None:
        assert data["image/png"].startswith(b"\x89PNG") and about["image/png"]["width"] > 400
    else:
        assert data["image/svg+xml"].startswith("<?xml")
    assert len(data["text/plain"]) > 20
    assert all(axis.get_xlabel() for axis in chart.figure.axes)


def test_charts_of_nothing_are_drawn(results):
    empty = results["concepts"].best.clear()
    assert figures.concepts_by_source(empty)._repr_mimebundle_()
    assert figures.concept_sizes(results["proteins"].annotations.only([]))._repr_mimebundle_()
    assert figures.comparison(
        results["concepts"].comparison.with_columns(low=None, high=None)
    )._repr_mimebundle_()


def test_concepts_with_dollars_are_no_formulas(results):
    name = pl.lit("a $x_{ $ b ") + pl.col("concept")
    chart = figures.concepts_by_source(results["concepts"].best.with_columns(concept=name))
    assert chart._repr_mimebundle_()
    annotations = results["proteins"].annotations
    marked = Annotations(
        annotations.only(["Helix"]).table.with_columns(concept=pl.lit("a $x_{ $ b")),
        annotations.proteins,
    )
    chart = figures.concept_sizes(marked)
    assert chart._repr_mimebundle_()
    assert [t.get_text() for t in chart.figure.axes[0].get_yticklabels()] == ["a $x_{ $ b"]


def test_published_means_name_the_concepts_that_each_is_over(results):
    table = results["concepts"].comparison
    figure = figures.comparison(table).figure
    assert (
        figure.axes[0].get_title()
        == f"strict ({table.filter(pl.col('convention') == 'strict')['n_concepts'].max()} concepts)"
    )
    assert figure.axes[1].get_title() == "published (each over the concepts it finds)"
    shown = [[t.get_text() for t in axis.texts] for axis in figure.axes]
    part = table.filter(pl.col("convention") == "published")
    assert shown[1] == [
        f"{mean:.2f} of {n}"
        for mean, n in part.select("mean_f1_per_domain", "n_concepts").iter_rows()
    ]
    assert not any("of" in text for text in shown[0])


def test_tables_show_what_they_are_given(results):
    shown = [
        tables.read_report(results["proteins"].read),
        tables.shares(results["proteins"].shares),
        tables.fidelity(results["train"].fidelity),
        tables.comparison(results["concepts"].comparison),
        tables.comparison(results["concepts"].comparison, "published"),
        tables.best_features(results["concepts"].best),
    ]
    for table in shown:
        data = table._repr_mimebundle_()
        assert data["text/html"].count("<table>") == 1
        assert "…" not in data["text/plain"].splitlines()[1]


def test_text_from_files_is_escaped_in_html():
    table = tables.Table(pl.DataFrame({"<b>": ["<script>alert(1)</script>"], "n": [1.5]}), "a & b")
    assert "<script>" not in table.html()
    assert "&lt;script&gt;" in table.html()
    assert "&lt;b&gt;" in table.html()
    assert "a &amp; b" in table.html()


def test_a_best_feature_links_to_where_it_is_looked_at(results, tiny_run):
    table = tables.best_features(results["concepts"].best)
    linked = re.findall(r'href="#(feature-[0-9]+)"', table.html())
    gallery = FeaturePages(tiny_run).gallery_html(table.table["feature"].drop_nulls())
    assert linked and set(linked) == set(re.findall(r'id="(feature-[0-9]+)"', gallery))


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "–"),
        (1234, "1,234"),
        (0.12345, "0.123"),
        (12345.6, "12,346"),
        (True, "True"),
        ("x", "x"),
    ],
)
def test_values_as_people_write_them(value, text):
    assert tables.plain(value) == text
