"""Figures of stage `compare` show what the tables say, in words too, and without colour."""

import itertools

import numpy as np
import polars as pl
import pytest

from interplm_nb.figures import compare as figures
from interplm_nb.figures import tables
from interplm_nb.figures.styles import STYLES, line_styles, recipe_of
from interplm_nb.pipeline.parameters import L1_RECIPES
from interplm_nb.sae.config import RECIPES
from interplm_nb.stages.compare_tables import COMPARISON, STABILITY
from tests.figures.with_fidelity import with_fidelity


@pytest.mark.parametrize(
    "draw",
    [
        lambda r: figures.fidelity(r.comparison),
        lambda r: figures.concepts(r.comparison),
        lambda r: figures.stability(r.stability),
    ],
)
def test_a_chart_is_a_picture_with_axes_named_and_words_beside_it(compared, draw):
    chart = draw(compared[1])
    data, _ = chart._repr_mimebundle_()
    assert {"image/png", "image/svg+xml"} & set(data) and len(data["text/plain"]) > 80
    assert all(axis.get_xlabel() for axis in chart.figure.axes)
    assert chart.figure.legends


def test_every_sae_is_a_point_where_its_figures_are(compared):
    table = with_fidelity(compared[1].comparison)
    left, right = figures.fidelity(table).figure.axes
    for axis, y in ((left, "loss_recovered_strict"), (right, "fvu")):
        drawn = {
            (float(a), float(b))
            for line in axis.lines
            if line.get_linestyle() == "None"
            for a, b in line.get_xydata()
        }
        assert drawn >= set(table.drop_nulls(["l0", y]).select("l0", y).iter_rows())
    chosen = table.filter("chosen")
    ring = next(line for line in left.lines if line.get_markersize() == 14)
    assert (
        ring.get_xydata().tolist()
        == chosen.select("l0", "loss_recovered_strict").to_numpy().tolist()
    )
    whiskers = np.concatenate([lines.get_segments() for lines in left.collections])
    ends = table.filter(pl.col("kind") != "neurons").select(
        "l0", "loss_recovered_low_strict", "loss_recovered_high_strict"
    )
    assert {(w[0, 0], w[0, 1], w[1, 1]) for w in whiskers} == set(ends.iter_rows())


def test_the_front_is_what_nothing_beats():
    rng = np.random.default_rng(0)
    n = 60
    table = pl.DataFrame(
        {
            "kind": ["sae"] * n + ["random"],
            "l0": [*rng.integers(1, 20, n).astype(float), 0.5],
            "y": [*rng.integers(0, 20, n).astype(float), 99.0],
        }
    )
    saes = list(table.filter(pl.col("kind") == "sae").select("l0", "y").iter_rows())
    for higher, sign in ((True, 1), (False, -1)):
        slow = {
            p
            for p in saes
            if not any(q[0] <= p[0] and sign * q[1] >= sign * p[1] and q != p for q in saes)
        }
        assert set(figures.front(table, "y", higher).select("l0", "y").iter_rows()) == slow


def test_figures_of_several_layers_and_of_nothing_are_drawn(compared):
    _, result, _ = compared
    two = pl.concat([result.comparison, result.comparison.with_columns(pl.col("layer") + 1)])
    assert len(figures.fidelity(two).figure.axes) == len(figures.concepts(two).figure.axes) == 4
    nothing = pl.DataFrame(schema=COMPARISON)
    for chart in (
        figures.fidelity(nothing),
        figures.concepts(nothing),
        figures.stability(pl.DataFrame(schema=STABILITY)),
    ):
        assert chart._repr_mimebundle_()
    assert "no pair of seeds" in repr(figures.stability(pl.DataFrame(schema=STABILITY)))


def test_settings_that_differ_are_named_apart(compared):
    stability = compared[1].stability
    twice = pl.concat(
        [
            stability,
            stability.with_columns(lr=pl.lit(1e-6)),
            stability.with_columns(layer=pl.lit(2, pl.Int64)),
        ]
    )
    names = [text.get_text() for text in figures.stability(twice).figure.axes[0].get_yticklabels()]
    assert len(names) == len(set(names)) == 3 * 5
    assert {
        "layer 1, TopK, k 4, lr 1e-06",
        "layer 2, ReLU (InterPLM paper), L1 0.05, lr 0.0001",
    } <= set(names)


def test_recipes_are_told_apart_by_colour_and_by_mark():
    assert set(STYLES) == {*RECIPES, "random", "neurons"}
    for what in ("colour", "marker", "name"):
        values = [
            getattr(style, what)
            for name, style in STYLES.items()
            if name not in ("random", "interplm-v1")
        ]
        assert len(values) == len(set(values))
    for one, other in itertools.combinations(RECIPES, 2):
        assert STYLES[one].marker != STYLES[other].marker and (
            STYLES[one].colour,
            STYLES[one].dash,
        ) != (STYLES[other].colour, STYLES[other].dash)


@pytest.mark.parametrize("recipe", RECIPES)
def test_a_label_says_its_recipe(recipe):
    sparsity = "l0.1" if recipe in L1_RECIPES else "k8"
    assert recipe_of(f"layer_03-{recipe}-{sparsity}-lr1e-05-s0") == recipe
    assert recipe_of("sae") is None
    styles = line_styles(["sae", "shuffled_sae", "my-own"])
    assert styles["sae"]["label"] == "SAE" and styles["my-own"]["label"] == "my-own"


def test_the_table_marks_the_chosen_and_says_on_how_many_concepts(compared):
    table = compared[1].comparison
    shown = tables.compared(table)
    assert shown.html().count(">chosen<") == 1
    scored = table["concepts_tuning"][0], table["concepts_test"][0]
    assert "{} concepts on the tuning part, {} on test".format(*scored) in repr(shown)
    assert shown.table.height == table.height
