"""Pictures and tables of the lesson on what features are."""

import numpy as np
import polars as pl
from matplotlib.axes import Axes

from interplm_nb.features.families import BY_CHANCE
from interplm_nb.features.hierarchy import beyond_first, with_parent
from interplm_nb.figures.chart import Chart, panels
from interplm_nb.figures.tables import Sentence, Table
from interplm_nb.pipeline.scored_sources import SOURCES, scored_source

_OVERVIEW = {
    "source": "source",
    "n_features": "features that fire",
    "share_frequent": "on 1 % of residues or more",
    "share_near_ends": "mostly near an end",
    "n_tested": "with 10 sites",
    "share_motif": "of these with a motif",
    "median_information": "bits",
    "information_by_chance": "bits by chance",
    "n_pattern": "with a pattern",
    "pattern_recall": "recall on test",
    "pattern_precision": "precision on test",
    "precision_by_chance": "precision by chance",
}
_KINDS = {
    "decoder": "by decoder vector (cosine)",
    "activation": "by activation (correlation)",
    "concept": "by concepts (cosine of F1)",
}
_MOTIF = (
    "feature",
    "consensus",
    "pattern",
    "n_sites",
    "information",
    "information_by_chance",
    "q_motif",
    "pattern_recall",
    "pattern_precision",
    "precision_by_chance",
)


def overview(table: pl.DataFrame) -> Table:
    """What the features of each SAE are; `overview` of stage `features`."""
    names = [scored_source(source).name for source in table["source"]]
    shown = table.select(*_OVERVIEW).with_columns(source=pl.Series(names, dtype=pl.String))
    return Table(
        shown,
        "the features of each SAE; bits, recall and precision are medians over features",
        _OVERVIEW,
    )


def letters(statistics: pl.DataFrame) -> Chart:
    """How much a feature cares for the letter, by SAE: `statistics` of stage `features`."""
    figure, (axis,) = panels(height=3.2)
    medians = []
    for (source,), part in _alive(statistics).group_by("source", maintain_order=True):
        bits, record = part["amino_acid_information"].to_numpy(), SOURCES[str(source)]
        medians.append(f"{record.name} {np.median(bits):.2f}")
        _step(axis, bits, np.linspace(0, 6, 49), record.colour, record.name)
    axis.set(xlabel="information on the amino acid (bits)", ylabel="share of features")
    axis.legend(frameon=False)
    return Chart(
        figure,
        "Histograms of how far the amino acids under each feature's activation are from the "
        f"composition of the proteins, in bits; medians: {'; '.join(medians)}.",
    )


def patterns(motifs: pl.DataFrame) -> Chart | Sentence:
    """How well patterns do on test, by SAE: `motifs` of stage `features`."""
    stated = motifs.filter((pl.col("pattern") != "") & (pl.col("held_out_matches") > 0))
    if stated.is_empty():
        return Sentence("No feature of this run has a pattern that occurs in test.")
    figure, (axis,) = panels(height=3.2)
    medians = []
    for (source,), part in stated.group_by("source", maintain_order=True):
        precision, record = part["pattern_precision"].to_numpy(), SOURCES[str(source)]
        medians.append(f"{record.name} {np.median(precision):.2f} of {part.height:,}")
        _step(axis, precision, np.linspace(0, 1, 21), record.colour, record.name)
    axis.set(xlabel="precision of the pattern on test", ylabel="share of patterns", xlim=(0, 1))
    axis.legend(frameon=False)
    return Chart(
        figure,
        "Histograms of the share of a pattern's matches in test proteins on which its feature is "
        f"active; medians: {'; '.join(medians)}.",
    )


def matches(table: pl.DataFrame) -> Table | Sentence:
    """How many features are found again in other SAEs: `matches` of stage `features`."""
    if table.is_empty():
        return Sentence("This run has no other SAE with activations to match features with.")
    again = pl.col("by_chance") <= BY_CHANCE
    shown = table.group_by("other", "kind", maintain_order=True).agg(
        pl.len().alias("n"),
        again.mean().alias("again"),
        pl.col("similarity").median(),
        pl.col("ambiguity").median(),
    )
    words = {"similarity": "median similarity", "ambiguity": "median ambiguity"}
    return Table(
        shown.with_columns(
            pl.col("other").map_elements(_other, pl.String),
            pl.col("kind").replace_strict(_KINDS, return_dtype=pl.String),
        ),
        "features of the trained SAE that are found again in another",
        {"other": "in", "kind": "matched", "n": "features", "again": "beyond chance", **words},
    )


def best_motifs(motifs: pl.DataFrame, n: int = 15) -> Table:
    """The trained SAE's motifs with the most information beyond chance, among those with a pattern
    of two positions or more."""
    beyond = pl.col("information") - pl.col("information_by_chance")
    own = motifs.filter((pl.col("source") == "sae") & pl.col("pattern").str.contains("-|\\("))
    shown = own.sort(beyond, "feature", descending=[True, False]).head(n).select(*_MOTIF)
    return Table(shown, "motifs of the trained SAE, by bits beyond chance", {"q_motif": "q"})


def neighbours(table: pl.DataFrame, feature: int, n: int = 3) -> Table:
    """The nearest features of one, of each kind: `neighbours` of stage `features`."""
    own = table.filter((pl.col("feature") == feature) & (pl.col("rank") <= n)).drop("feature")
    return Table(
        own.with_columns(pl.col("kind").replace_strict(_KINDS, return_dtype=pl.String)),
        f"the nearest features of feature {feature}",
    )


def clusters(table: pl.DataFrame, n: int = 20) -> Table | Sentence:
    """The clusters of the map with their best concepts: `clusters` of stage `features`."""
    if table.is_empty():
        return Sentence("The map has no clusters: no features lie close enough together.")
    best = table.unique("cluster", keep="first", maintain_order=True)
    reasons = set(best["why_no_name"])
    words = (
        f"{best['beyond_chance'].sum():,} of {best.height:,} clusters have a concept beyond chance"
    )
    caption = f"{words} (with features shuffled over the map: {best['named_by_chance'].sum():.2g})"
    if len(reasons) == 1 and not (best["name"] != "").any():
        caption += f"; no cluster has a name: {reasons.pop()}"
    shown = best.sort("name", "q", "cluster", descending=[True, False, False], nulls_last=True)
    columns = ["cluster", "n_features", "name", "concept", "n_matching", "expected"]
    columns += ["n_matching_all", "q", "named_by_chance"]
    names = {
        "n_features": "features",
        "concept": "best concept",
        "n_matching": "features that match it",
        "expected": "by chance",
        "n_matching_all": "of all features",
        "named_by_chance": "has a name, features shuffled",
    }
    return Table(shown.select(columns).head(n), caption, names)


def hierarchy(table: pl.DataFrame, n: int = 4) -> Table | Sentence:
    """The n features of the first prefix with the most descendants, and these, each under its
    parent: `hierarchy` of stage `features`."""
    if table.is_empty():
        return Sentence(
            "This SAE has no prefixes, so its features have no parents; train.recipe = matryoshka "
            "makes one that has."
        )
    table, random = (table.filter(source=source) for source in ("sae", "random_sae"))
    below, sure = beyond_first(table), with_parent(table)
    children: dict[int, list[int]] = {}
    for feature, parent in sure.select("feature", "parent").iter_rows():
        children.setdefault(parent, []).append(feature)
    trees = [_tree(children, f) for f in table.filter(pl.col("by_chance").is_null())["feature"]]
    trees = sorted((tree for tree in trees if len(tree) > 1), key=lambda tree: -len(tree))[:n]
    order = [{"feature": f, "depth": depth} for tree in trees for f, depth in tree]
    listed = pl.DataFrame(order, schema={"feature": pl.UInt32, "depth": pl.Int64})
    indent = pl.lit("\u2003").repeat_by("depth").list.join("")
    shown = listed.join(table, on="feature", how="left", maintain_order="left").with_columns(
        feature=indent + pl.col("feature").cast(pl.String)
    )
    control = f"{with_parent(random).height:,} of {beyond_first(random).height:,}"
    return Table(
        shown.select("feature", "prefix", "n_active", "share", "lift", "by_chance"),
        f"features under their parents; {sure.height:,} of the {below.height:,} beyond the first "
        f"prefix have one (of the random SAE's, cut at the same prefixes, {control})",
        {
            "prefix": "in the first",
            "n_active": "active residues",
            "share": "P(parent | feature)",
            "by_chance": "by chance",
        },
    )


def _tree(children: dict[int, list[int]], root: int, depth: int = 0) -> list[tuple[int, int]]:
    """A feature and all below it, each with its depth. A parent's number is lower, so this ends."""
    below = [pair for child in children.get(root, ()) for pair in _tree(children, child, depth + 1)]
    return [(root, depth), *below]


def _alive(statistics: pl.DataFrame) -> pl.DataFrame:
    return statistics.filter(pl.col("n_active") > 0)


def _other(source: str) -> str:
    _, _, seed = source.partition("/")
    return f"{scored_source(source).name}{seed and f', seed {seed}'}"


def _step(axis: Axes, values: np.ndarray, bins: np.ndarray, colour: str, label: str) -> None:
    """A histogram as a line, of shares of all values."""
    weights = np.full(len(values), 1 / max(1, len(values)))
    axis.hist(
        values,
        bins=bins.tolist(),
        weights=weights.tolist(),
        histtype="step",
        linewidth=1.8,
        color=colour,
        label=f"{label} ({len(values):,})",
    )
