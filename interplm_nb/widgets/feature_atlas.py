"""The map of all features: which decoder vectors point the same way, and what they match."""

from textwrap import fill
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
import traitlets as t

from interplm_nb.features.atlas import N_NEIGHBORS
from interplm_nb.widgets.colours import PALETTE
from interplm_nb.widgets.view import View

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


class FeatureAtlas(View):
    """All active features by the UMAP of their decoder vectors (InterPLM, arXiv 2412.12101).

    The run has stored the map; silent features are absent. A click or an arrow key selects a
    feature. Features within a lasso, or of one colour of the legend, are listed alone in every
    view, and `[` and `]` step through them; what is not listed is faded. Colours show the category
    of the feature's best concept on validation, its density (share of residues on which it is
    active, on a log scale), the F1 of that concept on test or, where clusters recur from seed to
    seed, its cluster; else the view says why not. A feature without a value is hollow. Only the
    trained SAE has a map: for other sources the view says so. A cluster has the name that stage
    `features` gave it, if it gave one.
    """

    code_name = "feature_atlas"

    colour = t.Enum(
        ("category", "cluster", "density", "f1"), "category", help="what colours show"
    ).tag(sync=True)
    about = t.Dict(
        read_only=True,
        help="caption, why there is no map (empty: there is one), why no clusters, their colours "
        "and names",
    ).tag(sync=True)

    @t.default("about")
    def _about(self) -> dict[str, Any]:
        missing = _missing(self.data.features, self.data.pages.source)
        table = self.data.features.clear() if missing else mapped(self.data.features)
        return {
            "missing": missing,
            "caption": "" if missing else _caption(table.height, self.data.pages.map_words),
            "no_clusters": "" if missing else self._no_clusters,
            "clusters": cluster_colours(table) if "cluster" in table.columns else [],
            "cluster_names": {str(n): name for n, name in self.data.pages.cluster_names.items()},
        }

    @property
    def _no_clusters(self) -> str:
        """Why no colours of clusters are offered; empty: they are."""
        if "cluster" in self.data.features.columns:
            return ""
        return f"No colours of clusters: {self.data.pages.why_no_clusters}."

    @t.validate("colour")
    def _offered(self, proposal: Any) -> str:
        is_mapped = not _missing(self.data.features, self.data.pages.source)
        if proposal["value"] == "cluster" and is_mapped and self._no_clusters:
            raise t.TraitError(self._no_clusters)
        return proposal["value"]

    def figure(self) -> "Figure":
        """The map for print: see `View.figure`.

        Points are rasterised in PDF and SVG; axes have no unit and are not drawn.
        """
        from interplm_nb.widgets.feature_atlas_figure import atlas_figure, words_figure

        if self.about["missing"]:
            return words_figure(self.about["missing"])
        table = mapped(self.data.features)
        listed = self.data.narrowed(self.selection)
        clusters = dict(enumerate(self.about["clusters"]))
        figure, axes = atlas_figure(
            table,
            self.colour,
            clusters if self.colour == "cluster" else self.data.pages.colours,
            None if listed is None else listed["feature"].to_list(),
            self.data.pages.cluster_names,
        )
        for feature in dict.fromkeys([*self.selection.pinned, self.selection.feature]):
            _mark(
                axes, table, feature, "#c04e00" if feature == self.selection.feature else "#1a1a1a"
            )
        whole = self.data.about
        axes.set_title(
            f"{table.height:,} of {whole['n_features']:,} features; "
            f"{whole['plm']}, layer {whole['layer']}",
            fontsize=8,
            loc="left",
        )
        axes.set_xlabel(fill(self.about["caption"], 84))
        return self.signed(figure)


def mapped(features: pl.DataFrame) -> pl.DataFrame:
    """The rows of a `feature_list` that are on the map."""
    return features.filter(pl.col("x").is_not_null() & pl.col("y").is_not_null())


def cluster_colours(table: pl.DataFrame) -> list[str]:
    """A colour of `PALETTE` for each cluster 0, 1, ... of a table with x, y and cluster.

    Clusters that share a colour are far apart on the map: the largest choose first, a free colour,
    else the one whose nearest cluster is farthest away.
    """
    grouped = (
        table.filter(pl.col("cluster") >= 0).group_by("cluster").agg(pl.mean("x", "y"), n=pl.len())
    )
    found: dict[int, str] = {}
    taken: dict[str, list[tuple[float, float]]] = {colour: [] for colour in PALETTE}
    for cluster, x, y, _ in grouped.sort("n", "cluster", descending=[True, False]).iter_rows():
        away = {
            colour: min((np.hypot(x - a, y - b) for a, b in places), default=np.inf)
            for colour, places in taken.items()
        }
        found[cluster] = max(away, key=away.__getitem__)
        taken[found[cluster]].append((x, y))
    return [found.get(cluster, PALETTE[0]) for cluster in range(max(found, default=-1) + 1)]


def _mark(axes: "Axes", table: pl.DataFrame, feature: int, colour: str) -> None:
    """A ring around a feature, with its number."""
    ground = {"facecolor": "white", "edgecolor": "none", "alpha": 0.8, "pad": 0.4}
    for x, y in table.filter(pl.col("feature") == feature).select("x", "y").iter_rows():
        axes.scatter([x], [y], s=40, facecolors="none", edgecolors=colour, linewidths=1.2)
        axes.annotate(
            str(feature),
            (x, y),
            (5, 4),
            textcoords="offset points",
            fontsize=7,
            color=colour,
            bbox=ground,
        )


def _missing(features: pl.DataFrame, source: str) -> str:
    """Why there is no map; empty: there is one."""
    if "x" in features.columns:
        if mapped(features).height:
            return ""
        return (
            f"None of the {features.height:,} features is active on these proteins, "
            "so there is nothing to map."
        )
    if source != "sae":
        return f"The map is of the trained SAE's features; source {source} has none."
    return (
        "This run has no map of its features: run stage activations again, with "
        "interplm-nb run PROFILE --out RUN --force activations."
    )


def _caption(n: int, words: str) -> str:
    if n <= N_NEIGHBORS:
        return f"The two principal axes of the decoder vectors, too few for a UMAP; {words}"
    return f"UMAP of decoder vectors; {words}; far distances mean little"
