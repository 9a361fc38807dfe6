"""Figures over layers, categories and sources show what the tables say, in words too."""

import numpy as np
import polars as pl
import pytest

from interplm_nb.concepts.best_pairs import PAIRS
from interplm_nb.concepts.by_category import ALL, by_category, by_layer, unlabelled
from interplm_nb.concepts.links import LINKS
from interplm_nb.concepts.point_or_domain import COVERAGE
from interplm_nb.figures import concepts as figures

LONG = "Cross-link_Glycyl lysine isopeptide (Lys-Gly) (interchain with G-Cter in ubiquitin)"


def links() -> pl.DataFrame:
    rng = np.random.default_rng(0)
    rows = [
        {
            "concept": c,
            "category": c.split("_")[0],
            "level": "instance",
            "feature": f,
            "threshold": 0.5,
        }
        | {name: float(rng.random()) for name in ("validation_f1_per_domain", "f1_per_domain")}
        for c in ("Domain_PH", "Helix", LONG)
        for f in range(20)
    ]
    return pl.DataFrame([dict.fromkeys(LINKS) | row for row in rows], schema=LINKS)


def layers() -> pl.DataFrame:
    def pairs(f1s: list[float], names: list[str]) -> pl.DataFrame:
        rows = [
            dict.fromkeys(PAIRS)
            | {"concept": n, "category": n.split("_")[0], "n_instances": 3, "f1_per_domain": f}
            for n, f in zip(names, f1s, strict=True)
        ]
        return pl.DataFrame(rows, schema=PAIRS)

    return by_layer(
        {
            "layer 1": pairs([0.2, 0.4], ["Domain_PH", "Helix"]),
            "layer 2": pairs([0.9, 0.1, 0.3], ["Domain_PH", "Helix", LONG]),
        }
    )


def found(layers: range = range(1, 4)) -> pl.DataFrame:
    rows = [
        (k, s, 1000 * k * (s == "sae"), 7 * k) for k in layers for s in ("neurons", "sae", "my own")
    ]
    return pl.DataFrame(
        rows, schema=["layer", "source", "features_found", "concepts_found"], orient="row"
    )


def covered(mean: list[float | None], features: list[int]) -> pl.DataFrame:
    rows = [
        dict.fromkeys(COVERAGE) | {"feature": f, "n_hit": int(m is not None), "mean": m}
        for m, f in zip(mean, features, strict=True)
    ]
    return pl.DataFrame(rows, schema=COVERAGE)


def without() -> pl.DataFrame:
    return pl.concat(
        [
            unlabelled(links(), np.ones(n, bool)).with_columns(source=pl.lit(s))
            for s, n in (("sae", 30), ("random_sae", 40))
        ]
    )


@pytest.mark.parametrize(
    "draw",
    [
        lambda: figures.heat_map(layers()),
        lambda: figures.found(found()),
        lambda: figures.categories(by_category(links())),
        lambda: figures.coverage(
            {"sae": covered([0.1, 0.9], [1, 2]), "neurons": covered([0.5], [0])}
        ),
        lambda: figures.unlabelled(without()),
    ],
)
def test_a_chart_is_a_picture_with_words_beside_it(draw):
    data, _ = draw()._repr_mimebundle_()
    assert data["image/png"].startswith(b"\x89PNG") and len(data["text/plain"]) > 60


@pytest.mark.parametrize(
    "draw",
    [
        lambda: figures.heat_map(layers().clear()),
        lambda: figures.found(found().clear()),
        lambda: figures.categories(by_category(links().clear())),
        lambda: figures.coverage({}),
        lambda: figures.coverage({"sae": covered([], [])}),
        lambda: figures.unlabelled(without().clear()),
    ],
)
def test_nothing_is_drawn_too(draw):
    assert draw()._repr_mimebundle_()


def test_the_heat_map_holds_every_f1_and_leaves_what_is_not_scored_grey():
    chart = figures.heat_map(layers())
    values = chart.figure.axes[0].images[0].get_array()
    names = [t.get_text() for t in chart.figure.axes[0].get_yticklabels()]
    assert [name[:9] for name in names] == ["Cross-lin", "Domain_PH", "Helix"] and len(
        names[0]
    ) < len(LONG)
    np.testing.assert_array_equal(
        np.ma.filled(values, np.nan), [[np.nan, 0.3], [0.2, 0.9], [0.4, 0.1]]
    )
    assert {t.get_text() for t in chart.figure.axes[0].texts} == {
        "0.30",
        "0.20",
        "0.90",
        "0.40",
        "0.10",
    }
    assert "layer 1 0.30; layer 2 0.43" in repr(chart)
    few = figures.heat_map(layers(), n=1)
    assert [t.get_text() for t in few.figure.axes[0].get_yticklabels()] == ["Domain_PH"]
    assert "1 of 3 concepts" in few.figure.axes[0].get_title()


def test_names_with_dollars_are_no_formulas():
    name = "a $x_{ $ b"
    table = layers().with_columns(
        label=pl.lit(name), concept=pl.lit(name), category=pl.lit("b $y_{ $")
    )
    marked = links().with_columns(category=pl.lit(name))
    rows = found().with_columns(layer=pl.lit(name))
    charts = [
        figures.heat_map(table),
        figures.categories(by_category(marked)),
        figures.found(rows),
        figures.coverage({name: covered([0.5], [1])}),
    ]
    for chart in charts:
        assert chart._repr_mimebundle_()
    assert charts[0].figure.axes[0].get_xticklabels()[0].get_text() == name


def test_found_has_a_mark_for_every_layer_and_source():
    chart = figures.found(found())
    for axis, column in zip(chart.figure.axes, ("features_found", "concepts_found"), strict=True):
        drawn = {line.get_label(): line.get_ydata().tolist() for line in axis.lines}
        for source, name in (("sae", "SAE"), ("neurons", "neurons"), ("my own", "my own")):
            assert drawn[name] == found().filter(pl.col("source") == source)[column].to_list()
    assert "sae 3000 features, 21 concepts" in repr(chart)


def test_categories_are_bars_within_bars():
    table = by_category(links())
    axis = figures.categories(table).figure.axes[0]
    names = [t.get_text() for t in axis.get_yticklabels()]
    assert names[0] == f"{ALL} (3)" and len(names) == 4
    for bars, limit in zip(axis.containers, table["limit"].unique().sort(), strict=True):
        widths = sorted(bar.get_width() for bar in bars)
        assert widths == sorted(table.filter(pl.col("limit") == limit)["features"])


def test_coverage_says_the_shares_and_whether_it_counts_features_or_pairs():
    chart = figures.coverage(
        {
            "sae": covered([0.1, 0.15, 0.5, 0.9, None], [1, 2, 3, 4, 5]),
            "pca": covered([0.9, 0.9], [1, 1]),
        }
    )
    titles = [axis.get_title() for axis in chart.figure.axes]
    assert titles[0] == "SAE: 4 features\n50% cover < 20%, 25% > 80%"
    assert titles[1].endswith("2 pairs\n0% cover < 20%, 100% > 80%")
    assert sum(bar.get_height() for bar in chart.figure.axes[0].patches) == 4
    many = figures.coverage({str(i): covered([0.5], [0]) for i in range(5)})
    assert len(many.figure.axes) == 5


def test_unlabelled_names_the_alive_features():
    chart = figures.unlabelled(without())
    labels = [line.get_label() for line in chart.figure.axes[0].lines]
    assert labels == ["SAE (30 alive)", "random SAE (40 alive)"]
    np.testing.assert_allclose(
        chart.figure.axes[0].lines[0].get_ydata(),
        100 * without().filter(pl.col("source") == "sae")["unlabelled"],
    )
