"""Picture of the map of all features."""

import polars as pl
from matplotlib.colors import LogNorm

from interplm_nb.figures.chart import Chart, panels


def atlas(table: pl.DataFrame) -> Chart:
    """Every feature at its place, coloured by the share of residues on which it is active.

    The rarest are drawn last. table: of `Run.atlas`; may be empty. A feature that is silent on the
    run's own residues has the colour of the rarest.
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
    clusters = table.filter(pl.col("cluster") >= 0)["cluster"].n_unique()
    return Chart(
        figure,
        f"Scatter plot of {table.height:,} living features by the directions of their decoder "
        f"vectors (UMAP), in {clusters:,} clusters, coloured by the share of residues on which "
        f"each is active, from {rarest:.1e} to {commonest:.1e}.",
    )
