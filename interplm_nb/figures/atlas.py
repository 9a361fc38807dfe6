"""Picture of the map of all features."""

import polars as pl
from matplotlib.colors import LogNorm

from interplm_nb.features.atlas_quality import AtlasQuality
from interplm_nb.figures.chart import Chart, panels


def atlas(table: pl.DataFrame, quality: AtlasQuality) -> Chart:
    """Every feature at its place, coloured by the share of residues on which it is active.

    The rarest are drawn last. table, quality: of `Run.atlas` and `Run.atlas_quality`; the table may
    be empty. A feature that is silent on the run's own residues has the colour of the rarest.
    """
    figure, (axis,) = panels(width=7.0, height=5.4)
    ordered = table.sort("density", "feature", descending=[True, False])
    active = ordered["density"].filter(ordered["density"] > 0)
    rarest, commonest = (active[-1], active[0]) if len(active) else (1e-6, 1.0)
    # A single value would leave a logarithmic scale without length.
    shades = LogNorm(rarest, max(commonest, 10 * rarest))
    points = axis.scatter(
        ordered["x"],
        ordered["y"],
        c=ordered["density"].clip(rarest),
        s=12,
        cmap="viridis",
        norm=shades,
        linewidths=0,
    )
    axis.set(
        xlabel="UMAP 1 (no unit)",
        ylabel="UMAP 2 (no unit)",
        xlim=(-1.05, 1.05),
        ylim=(-1.05, 1.05),
        xticks=[],
        yticks=[],
        aspect="equal",
    )
    figure.colorbar(points, ax=axis, shrink=0.8).set_label(
        "share of residues on which the feature is active"
    )
    why_not = quality.why_no_clusters(table)
    clusters = f"{table.filter(pl.col('cluster') >= 0)['cluster'].n_unique():,} clusters"
    axis.set_title(f"The map {quality.words}", fontsize=9, loc="left")
    return Chart(
        figure,
        f"Scatter plot of {table.height:,} active features by the directions of their decoder "
        f"vectors (UMAP), coloured by the share of residues on which each is active, from "
        f"{rarest:.1e} to {commonest:.1e}. The map {quality.words}. "
        f"{f'Clusters are not shown: {why_not}' if why_not else f'It has {clusters}'}.",
    )
