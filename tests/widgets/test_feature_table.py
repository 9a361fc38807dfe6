"""The table's Python half: its settings, what it shows, and the printed table."""

import math
from typing import Any

import polars as pl
import pytest
import traitlets as t
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.patches import Rectangle

from interplm_nb.pipeline.run import Run
from interplm_nb.widgets.feature_data import FeatureData
from interplm_nb.widgets.feature_table import PRINTED, FeatureTable


@pytest.fixture(scope="module")
def data() -> FeatureData:
    return FeatureData(Run.shipped())


def slow_rows(
    rows: list[dict[str, Any]],
    search: str,
    category: str,
    least: float,
    silent: bool,
    sort: str,
    descending: bool,
) -> list[int]:
    """Features by the words of the settings' help, one at a time."""

    def passes(row: dict[str, Any]) -> bool:
        names = [
            str(row[name]).lower() for name in ("concept", "category") if row[name] is not None
        ]
        found = all(
            str(row["feature"]).startswith(word) or any(word in name for name in names)
            for word in search.lower().split()
        )
        strong = not least or (row["f1_per_domain"] is not None and row["f1_per_domain"] >= least)
        return (
            found
            and strong
            and (silent or row["maximum"] > 0)
            and (not category or row["category"] == category)
        )

    shown = [row for row in rows if passes(row)]
    there = [row for row in shown if row[sort] is not None]
    there.sort(key=lambda row: row[sort], reverse=descending)  # sort is stable, reversed too
    return [row["feature"] for row in there + [row for row in shown if row[sort] is None]]


@settings(max_examples=40, deadline=None)
@given(
    search=st.sampled_from(
        ["", "7", "76", "zinc", "HELIX", "domain any", "domain 7", "no such thing", "trans 1"]
    ),
    category=st.sampled_from(["", "Domain", "Zinc finger"]),
    least=st.sampled_from([0, 0.1, 0.3, 1]),
    silent=st.booleans(),
    sort=st.sampled_from(
        ["feature", "concept", "validation_f1_per_domain", "f1_per_domain", "n_active", "maximum"]
    ),
    descending=st.booleans(),
)
def test_rows_are_those_that_the_settings_say(
    data: FeatureData,
    search: str,
    category: str,
    least: float,
    silent: bool,
    sort: str,
    descending: bool,
) -> None:
    table = FeatureTable(
        data,
        search=search,
        category=category,
        least_f1=least,
        silent=silent,
        sort=sort,
        descending=descending,
    )
    rows = data.features.to_dicts()
    expected = slow_rows(rows, search, category, least, silent, sort, descending)
    assert table.rows()["feature"].to_list() == expected
    table.close()


def test_settings_that_make_no_sense_are_refused(data: FeatureData) -> None:
    with pytest.raises(t.TraitError, match=r"cannot sort by 'weight'; the columns are feature, "):
        FeatureTable(data, sort="weight")
    with pytest.raises(
        t.TraitError,
        match=r"no best concept has the category 'domain'; the categories are .*Domain",
    ):
        FeatureTable(data, category="domain")
    with pytest.raises(t.TraitError, match="least_f1"):
        FeatureTable(data, least_f1=2)
    with pytest.raises(
        TypeError,
        match="FeatureTable has no setting order; its settings are: category, descending, "
        "height, least_f1, search, silent, sort",
    ):
        FeatureTable(data, order="up")


def test_the_printed_table_holds_the_first_rows(data: FeatureData) -> None:
    table = FeatureTable(data, sort="f1_per_domain", search="zinc")
    (axes,) = table.figure().axes
    texts = [text.get_text() for text in axes.texts]
    first = table.rows().row(0, named=True)
    assert {str(first["feature"]), first["concept"], f"{first['f1_per_domain']:.2f}"} <= set(texts)
    assert sum(text == first["category"] for text in texts) <= PRINTED
    assert axes.get_title(loc="left").startswith(
        "Features of sae, by F1 test, from the highest: "
        f"{min(PRINTED, table.rows().height)} of {table.rows().height}."
    )


def test_a_table_of_nothing_and_missing_numbers_can_be_printed(data: FeatureData) -> None:
    assert "0 of 0" in FeatureTable(data, search="no such thing").figure().axes[0].get_title(
        loc="left"
    )
    lowest = FeatureTable(
        data, sort="validation_f1_per_domain", descending=True, silent=True, search="3"
    )
    assert "–" in [
        text.get_text()
        for text in FeatureTable(data, silent=True, sort="maximum", descending=False)
        .figure()
        .axes[0]
        .texts
    ]
    assert lowest.rows()["validation_f1_per_domain"].to_list()[-1] is None


def test_bars_of_the_printed_table_are_as_long_as_f1(data: FeatureData) -> None:
    table = FeatureTable(data)
    (axes,) = table.figure().axes
    widths = [patch.get_width() for patch in axes.patches if isinstance(patch, Rectangle)]
    shares = [bar / ground for ground, bar in zip(widths[::2], widths[1::2], strict=True)]
    head = table.rows().head(PRINTED)
    assert all(
        math.isclose(a, b, abs_tol=1e-6)
        for a, b in zip(
            shares, [*head["validation_f1_per_domain"], *head["f1_per_domain"]], strict=True
        )
    )


def test_the_cell_output_has_a_picture(data: FeatureData) -> None:
    bundle, _ = FeatureTable(data)._repr_mimebundle_()
    assert bundle["image/png"].startswith("iVBOR")


def test_the_printed_table_marks_features_that_fire_near_the_ends(data: FeatureData) -> None:
    near = FeatureData(Run.shipped(), structures={})
    near.features = data.features.with_columns(
        share_near_ends=pl.when(pl.col("feature") % 2 == 0).then(0.62).otherwise(0.5)
    )
    (axes,) = FeatureTable(near, sort="feature", descending=False).figure().axes
    assert "Near ends: share of its maxima within 5 residues of an end" in axes.get_title(
        loc="left"
    )
    weights = [(x.get_text(), x.get_weight()) for x in axes.texts if x.get_text() in SHARES]
    assert len(weights) == PRINTED
    assert set(weights) == {("62 %", "bold"), ("50 %", "normal")}


SHARES = ("62 %", "50 %")
