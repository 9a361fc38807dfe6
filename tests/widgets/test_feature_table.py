"""The table's Python half: its settings, what it shows, and the printed table."""

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import polars as pl
import pytest
import traitlets as t
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.patches import Rectangle

from interplm_nb.pipeline.run import Run
from interplm_nb.widgets.concept_names import concept_name
from interplm_nb.widgets.feature_data import FeatureData
from interplm_nb.widgets.feature_table import PRINTED, FeatureTable


@pytest.fixture(scope="module")
def made() -> FeatureData:
    return FeatureData(Run.shipped())


@pytest.fixture
def data(made: FeatureData) -> Iterator[FeatureData]:
    yield made
    made.selection.listed = {}


@settings(max_examples=40, deadline=None)
@given(
    sort=st.sampled_from(
        ["feature", "concept", "validation_f1_per_domain", "f1_per_domain", "n_active", "rank"]
    ),
    descending=st.booleans(),
    listed=st.sampled_from([{}, {"search": "zinc"}, {"silent": True, "search": "1"}]),
)
def test_rows_are_those_listed_in_the_order_of_a_column(
    made: FeatureData, sort: str, descending: bool, listed: dict[str, Any]
) -> None:
    data = made
    data.selection.listed = listed
    table = FeatureTable(data, sort=sort, descending=descending)
    rows = data.listed(data.selection, by_rank=sort == "rank").to_dicts()
    there = [row for row in rows if row[sort] is not None]
    if sort == "rank":  # what shares a rank comes by F1, the other way round
        f1 = "validation_f1_per_domain"
        there.sort(key=lambda row: np.float32(row[f1]), reverse=not descending)
    value = np.float32 if data.features.schema.get(sort, pl.Int64).is_float() else lambda x: x
    # The browser holds float32; a sort is stable, reversed too.
    there.sort(key=lambda row: value(row[sort]), reverse=descending)
    expected = there + [row for row in rows if row[sort] is None]
    assert table.rows()["feature"].to_list() == [row["feature"] for row in expected]
    table.close()
    data.selection.listed = {}


def test_without_a_column_the_list_has_an_order_of_its_own(data: FeatureData) -> None:
    table = FeatureTable(data, descending=False)
    assert table.order() == ("rank", False)
    data.selection.listed = {"least_f1": 0.2}
    assert table.order() == ("rank", False)
    for listed in ({"search": "zinc"}, {"category": "Domain"}):
        data.selection.listed = listed
        assert table.order() == ("validation_f1_per_domain", True)
        f1 = table.rows()["validation_f1_per_domain"].cast(pl.Float32)  # as the browser holds it
        assert f1.is_sorted(descending=True)


def test_settings_that_make_no_sense_are_refused(data: FeatureData) -> None:
    with pytest.raises(t.TraitError, match=r"cannot sort by 'weight'; the columns are feature, "):
        FeatureTable(data, sort="weight")
    with pytest.raises(
        TypeError,
        match="FeatureTable has no setting order; its settings are: columns, descending, height",
    ):
        FeatureTable(data, order="up")


def test_columns_are_chosen(data: FeatureData) -> None:
    few = FeatureTable(data).columns
    assert "f1_per_domain" in few and "density_class" not in few
    table = FeatureTable(data, columns=["density_class", "motif_pattern"], sort="motif_information")
    (axes,) = table.figure().axes
    heads = [text.get_text() for text in axes.texts if text.get_position()[1] == -0.8]
    assert heads == ["feature", "concept", "class", "motif"]
    first = table.rows().row(0, named=True)
    assert {first["density_class"], first["motif_pattern"]} <= {x.get_text() for x in axes.texts}
    with pytest.raises(t.TraitError, match=r"cannot show 'weight'; the columns are enrichment, "):
        FeatureTable(data, columns=["weight"])


@pytest.mark.parametrize(("share", "shown"), [(0.2, False), (0.25, True)])
def test_descriptions_have_a_column_where_many_features_have_one(
    data: FeatureData, share: float, shown: bool
) -> None:
    described = FeatureData(Run.shipped(), structures={})
    living = data.features.filter(pl.col("maximum") > 0)["feature"]
    some = pl.col("feature").is_in(living.head(round(share * len(living)) + shown).to_list())
    described.features = data.features.with_columns(
        description=pl.when(some).then(pl.lit("Fires."))
    )
    assert ("description" in FeatureTable(described).columns) == shown


def test_classes_are_sorted_by_density_and_not_by_letter(data: FeatureData) -> None:
    data.selection.listed = {"silent": True}
    found = FeatureTable(data, sort="density_class", descending=False).rows()["density_class"]
    order = ["silent", "rare", "sparse", "frequent", "dense"]
    places = [order.index(name) for name in found]
    assert places == sorted(places) and len(set(places)) > 2


def test_the_printed_table_holds_the_first_rows(data: FeatureData) -> None:
    data.selection.listed = {"search": "zinc"}
    table = FeatureTable(data, sort="f1_per_domain")
    (axes,) = table.figure().axes
    texts = [text.get_text() for text in axes.texts]
    first = table.rows().row(0, named=True)
    name = concept_name(first["concept"], first["category"])
    assert {str(first["feature"]), name, f"{first['f1_per_domain']:.2f}"} <= set(texts)
    assert sum(text == first["category"] for text in texts) <= PRINTED
    assert axes.get_title(loc="left").startswith(
        "Features of sae, by F1 test, from the highest: "
        f"{min(PRINTED, table.rows().height)} of {table.rows().height}."
    )


def test_a_table_of_nothing_and_missing_numbers_can_be_printed(data: FeatureData) -> None:
    data.selection.listed = {"search": "no such thing"}
    title = FeatureTable(data).figure().axes[0].get_title(loc="left")
    assert "0 of 0" in title
    data.selection.listed = {"silent": True, "search": "3"}
    lowest = FeatureTable(data, sort="validation_f1_per_domain", descending=True)
    assert lowest.rows()["validation_f1_per_domain"].to_list()[-1] is None
    data.selection.listed = {"silent": True}
    least = FeatureTable(data, sort="maximum", descending=False)
    assert "–" in [text.get_text() for text in least.figure().axes[0].texts]


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
