"""The picture of the atlas: a point per living feature, a colour bar, words; also if empty."""

import numpy as np
import polars as pl
import pytest

from interplm_nb.features.atlas_quality import AtlasQuality
from interplm_nb.figures import atlas as figures_atlas
from interplm_nb.pipeline.run import Run


@pytest.mark.parametrize("n", [0, 1, None])
def test_every_feature_is_a_point_and_the_colours_are_named(n: int | None) -> None:
    table: pl.DataFrame = Run.shipped().atlas().head(n) if n is not None else Run.shipped().atlas()
    chart = figures_atlas.atlas(table, AtlasQuality(0.39, 0.27, 0.01))
    data, _ = chart._repr_mimebundle_()
    assert data["image/png"].startswith(b"\x89PNG")
    assert f"{table.height:,} active features" in data["text/plain"]
    assert "keeps 27\u00a0% of a feature's 10 nearest" in data["text/plain"]
    assert "Clusters are not shown: " in data["text/plain"]
    assert " clusters." not in data["text/plain"]
    assert "random places: 1\u00a0%" in chart.figure.axes[0].get_title(loc="left")
    plot, bar = chart.figure.axes
    places = np.asarray(plot.collections[0].get_offsets())
    np.testing.assert_allclose(
        np.sort(places, axis=0), np.sort(table.select("x", "y").to_numpy(), axis=0)
    )
    assert plot.get_xlabel() == "UMAP 1 (no unit)"
    assert bar.get_ylabel() == "share of residues on which the feature is active"


def test_clusters_that_recur_are_counted() -> None:
    table = Run.shipped().atlas()
    n = table.filter(pl.col("cluster") >= 0)["cluster"].n_unique()
    chart = figures_atlas.atlas(table, AtlasQuality(0.7, 0.27, 0.01))
    assert f"It has {n} clusters." in chart.description
