"""The Python half of the map of features: its words, its colours, its figure."""

import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import traitlets as t
from hypothesis import given
from hypothesis import strategies as st

from interplm_nb.features.atlas_quality import AtlasQuality
from interplm_nb.features.cluster_names import CLUSTERS
from interplm_nb.pipeline.run import Run
from interplm_nb.widgets.feature_atlas import PALETTE, FeatureAtlas, cluster_colours
from interplm_nb.widgets.feature_atlas_figure import IN_KEY, atlas_figure
from interplm_nb.widgets.feature_data import FeatureData
from tests.widgets.conftest import HELIX, N_FEATURES, SILENT
from tests.widgets.small_run import write_map


@pytest.fixture(scope="module")
def data(run: Run, tmp_path_factory: pytest.TempPathFactory) -> FeatureData:
    """The small run with a map.

    Feature i at (i, -i), the first half in cluster 0; 0 and 2 match no concept.
    """
    folder = tmp_path_factory.mktemp("atlas") / "run"
    shutil.copytree(run.folder, folder)
    copied = Run.open(folder)
    write_map(copied, AtlasQuality(recurrence=0.9, kept=0.4, kept_by_chance=0.1))
    data = FeatureData(copied, structures={})
    silent = pl.col("feature").is_in([0, 2])  # as if they matched nothing
    names = ("concept", "category", "validation_f1_per_domain", "f1_per_domain")
    data.features = data.features.with_columns(
        pl.when(~silent).then(pl.col(name)).alias(name) for name in names
    )
    return data


def labels(view: FeatureAtlas) -> list[str]:
    legend = view.figure().axes[0].get_legend()
    assert legend is not None
    return [text.get_text() for text in legend.get_texts()]


def test_a_map_has_a_caption_and_no_excuse(data: FeatureData) -> None:
    view = FeatureAtlas(data)
    assert view.about == {
        "missing": "",
        "caption": "The two principal axes of the decoder vectors, too few for a UMAP; keeps "
        "40\u00a0% of a feature's 10 nearest by cosine (random places: 10\u00a0%)",
        "no_clusters": "",
        "clusters": [PALETTE[0]],
        "cluster_names": {},
    }
    many = FeatureData(Run.shipped(), structures={})
    assert (
        FeatureAtlas(many).about["caption"]
        == f"UMAP of decoder vectors; {many.pages.map_words}; far distances mean little"
    )


@pytest.mark.parametrize(
    ("quality", "why"),
    [
        (
            AtlasQuality(0.08, 0.4, 0.1),
            "clusters do not recur over five seeds: mean adjusted Rand index 0.08",
        ),
        (
            AtlasQuality(),
            "it was not measured whether clusters recur: run stage activations again "
            "(--force activations)",
        ),
    ],
)
def test_clusters_that_do_not_recur_are_not_offered_and_it_says_why(
    run: Run, tmp_path: Path, quality: AtlasQuality, why: str
) -> None:
    shutil.copytree(run.folder, tmp_path / "run")
    copied = Run.open(tmp_path / "run")
    write_map(copied, quality)
    data = FeatureData(copied, structures={})
    assert "cluster" not in data.features.columns
    view = FeatureAtlas(data)
    assert (view.about["no_clusters"], view.about["clusters"]) == (
        f"No colours of clusters: {why}.",
        [],
    )
    for colour in (lambda: FeatureAtlas(data, colour="cluster"), lambda: set_cluster(view)):
        with pytest.raises(t.TraitError, match=f"No colours of clusters: {re.escape(why)}"):
            colour()


def test_a_cluster_has_the_name_that_its_features_gave_it(
    data: FeatureData, tmp_path: Path
) -> None:
    shutil.copytree(data.pages.run.folder, tmp_path / "run")
    run = Run.open(tmp_path / "run")
    rows = [{"cluster": 0, "name": "Zinc finger"}, {"cluster": 0, "name": "Zinc finger"}]
    rows += [{"cluster": 1, "name": ""}]
    run.write_feature_table("clusters", pl.DataFrame(rows, schema=CLUSTERS), "sae")
    view = FeatureAtlas(FeatureData(run, structures={}), colour="cluster")
    assert view.about["cluster_names"] == {"0": "Zinc finger"}
    assert labels(view)[0].startswith("cluster 0: Zinc finger (")


def set_cluster(view: FeatureAtlas) -> None:
    view.colour = "cluster"


def test_where_there_is_no_map_the_view_says_why_and_the_way_out(run: Run) -> None:
    data = FeatureData(run, structures={})
    view = FeatureAtlas(data)
    assert "interplm-nb run PROFILE --out RUN --force activations" in view.about["missing"]
    assert [text.get_text() for text in view.figure().texts] == [view.about["missing"]]
    data.features = data.features.with_columns(
        pl.lit(None, pl.Float32).alias("x"),
        pl.lit(None, pl.Float32).alias("y"),
        cluster=pl.lit(None, pl.Int32),
    )
    assert (
        FeatureAtlas(data).about["missing"]
        == f"None of the {N_FEATURES} features is active on these proteins, so there is "
        "nothing to map."
    )


def test_another_source_has_no_map(run: Run, tmp_path: Path) -> None:
    shutil.copytree(run.folder, tmp_path / "run")
    shutil.copytree(run.source("sae"), tmp_path / "run" / "sources" / "random_sae")
    data = FeatureData(Run.open(tmp_path / "run"), source="random_sae", structures={})
    assert (
        FeatureAtlas(data).about["missing"]
        == "The map is of the trained SAE's features; source random_sae has none."
    )


def test_settings_are_checked(data: FeatureData) -> None:
    with pytest.raises(TypeError, match="has no setting about; its settings are: colour"):
        FeatureAtlas(data, about={})
    with pytest.raises(t.TraitError, match="colour"):
        FeatureAtlas(data, colour="size")
    with pytest.raises(TypeError, match="FeatureAtlas has no setting color"):
        FeatureAtlas(data, color="density")


def drawn(view: FeatureAtlas) -> list[Any]:
    """The scatters of a figure that have points: hollow and full ones."""
    return [c for c in view.figure().axes[0].collections if np.size(c.get_offsets())]


def test_a_figure_shows_every_living_feature_with_the_colours_of_the_view(
    data: FeatureData,
) -> None:
    data.selection.pinned = [1]
    data.selection.feature = HELIX
    view = FeatureAtlas(data)
    hollow, full, *rings = drawn(view)
    matched = [i for i in range(N_FEATURES) if i not in (0, 2, SILENT)]
    assert [round(x) for x, _ in full.get_offsets()] == matched
    assert [round(x) for x, _ in hollow.get_offsets()] == [0, 2]
    assert [[round(x) for x, _ in ring.get_offsets()] for ring in rings] == [[1], [HELIX]]
    from matplotlib.colors import to_hex

    assert to_hex(full.get_facecolors()[matched.index(HELIX)]) == data.pages.colours["Helix"]
    assert labels(view) == ["Domain (8)", "Helix (1)", "no concept (2)"]
    assert (
        view.figure().axes[0].get_title(loc="left")
        == f"11 of {N_FEATURES} features; esm2-mini, layer 2"
    )


def test_what_is_not_listed_is_faded_in_print_too(data: FeatureData) -> None:
    data.selection.pinned = []
    data.selection.feature = SILENT  # which has no ring
    data.selection.listed = {"among": [0, 1, 8]}
    parts = drawn(FeatureAtlas(data, colour="cluster"))
    data.selection.listed = {}
    by_alpha = {
        round(part.get_alpha(), 3): [round(x) for x, _ in part.get_offsets()] for part in parts
    }
    assert by_alpha == {0.105: [6, 9, 10, 11], 0.15: [2, 3, 4, 5], 0.7: [8], 1: [0, 1]}


@pytest.mark.parametrize(
    ("colour", "title"),
    [("density", "share of residues on which a feature is active"), ("f1", "hollow: no concept")],
)
def test_numbers_have_a_bar_with_its_unit(data: FeatureData, colour: str, title: str) -> None:
    _, bar = FeatureAtlas(data, colour=colour).figure().axes
    assert title in bar.get_ylabel()


def test_one_feature_and_none_that_matches_can_be_drawn() -> None:
    schema = {
        "feature": pl.UInt32,
        "x": pl.Float32,
        "y": pl.Float32,
        "cluster": pl.Int32,
        "category": pl.String,
        "density": pl.Float64,
        "f1_per_domain": pl.Float64,
    }
    one = pl.DataFrame([[5], [0.5], [0.5], [-1], [None], [0.1], [None]], schema=schema)
    for colour in ("category", "cluster", "density", "f1"):
        figure, _ = atlas_figure(one, colour, {})
        figure.canvas.draw()


def test_a_key_names_the_largest_groups_and_counts_the_rest() -> None:
    n = IN_KEY + 5
    groups = np.repeat(np.arange(n), np.arange(n, 0, -1))
    table = pl.DataFrame(
        {"feature": np.arange(len(groups)), "x": groups * 1.0, "y": groups * 1.0, "cluster": groups}
    )
    _, axes = atlas_figure(table, "cluster", dict.fromkeys(range(n), "#0072b2"))
    names = [text.get_text() for text in axes.get_legend().get_texts()]  # type: ignore[union-attr]
    assert names[0] == f"cluster 0 ({n})"
    assert names[IN_KEY - 1 :] == [f"cluster {IN_KEY - 1} (6)", "no cluster (0)", "and 5 smaller"]


@given(st.lists(st.integers(-1, len(PALETTE) - 1), max_size=60))
def test_clusters_have_colours_of_their_own_as_long_as_there_are_enough(
    clusters: list[int],
) -> None:
    n = len(clusters)
    table = pl.DataFrame(
        {"x": np.arange(n) * 1.0, "y": np.zeros(n), "cluster": np.array(clusters, np.int32)}
    )
    colours = cluster_colours(table)
    assert len(colours) == max(clusters, default=-1) + 1
    own = {c for c in clusters if c >= 0}
    assert len({colours[c] for c in own}) == len(own)


def test_a_colour_is_used_again_as_far_away_as_can_be() -> None:
    n = len(PALETTE) + 1
    sizes = np.array([2] * (n - 1) + [1])  # the last one is the smallest, and so chooses last
    clusters = np.repeat(np.arange(n), sizes)
    x = np.repeat(np.arange(n) * 1.0, sizes)
    colours = cluster_colours(pl.DataFrame({"x": x, "y": 0 * x, "cluster": clusters}))
    assert colours[n - 1] == colours[0]


def test_the_picture_of_a_notebook_that_is_not_run_is_there(data: FeatureData) -> None:
    bundle, _ = FeatureAtlas(data)._repr_mimebundle_()
    assert bundle["image/png"].startswith("iVBORw0KGgo")
