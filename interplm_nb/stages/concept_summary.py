"""The sources side by side: one row each, how far the SAE lies above each control, and what that
amounts to in words."""

from collections.abc import Mapping, Sequence

import polars as pl

from interplm_nb.concepts.best_pairs import BestPairs
from interplm_nb.concepts.intervals import COVERS, ClusterCounts, difference, interval
from interplm_nb.concepts.scored_concepts import ScoredConcepts
from interplm_nb.pipeline.parameters import ConceptsParameters
from interplm_nb.pipeline.scored_sources import scored_source

SIGNIFICANT = 0.05
"""A pair beats chance where its false discovery rate is below this."""


def summary(
    source: str,
    convention: str,
    selected: BestPairs,
    best: pl.DataFrame,
    found: pl.DataFrame,
    counts: Mapping[str, ClusterCounts],
    params: ConceptsParameters,
    scored: ScoredConcepts | None,
) -> pl.DataFrame:
    """One row: `BestPairs.summary`, the mean's interval, the mean AUPRC, the number of concepts
    whose pair beats chance (null: not tested), and how many of the concepts rest on few homology
    clusters (null in `published`, which has its own rule, not `scored`)."""
    mean = interval(counts[source], params.bootstrap, params.seed) if source in counts else None
    tested = best["q_value"].drop_nulls()
    return selected.summary(source, found).with_columns(
        pl.lit(convention).alias("convention"),
        pl.lit(mean.low if mean else None, pl.Float64).alias("low"),
        pl.lit(mean.high if mean else None, pl.Float64).alias("high"),
        pl.lit(best["auprc"].mean(), pl.Float64).alias("mean_auprc"),
        pl.lit(int((tested < SIGNIFICANT).sum()) if len(tested) else None, pl.Int64).alias(
            "concepts_above_chance"
        ),
        pl.lit(scored.n_few_clusters if scored else None, pl.Int64).alias("n_few_clusters"),
    )


def over_seeds(
    rows: Sequence[pl.DataFrame], counts: ClusterCounts | None, params: ConceptsParameters
) -> pl.DataFrame:
    """One row of several seeds' `summary`, the first seed's first.

    Figures are means over seeds, counts rounded to whole numbers. low, high: the interval
    of the mean over seeds, which is taken within each resample of clusters (`counts`: the seeds,
    `stacked`; None: no interval). Adds seeds, their number, and lowest_seed, highest_seed, the
    range of their mean best F1 (null for one seed).
    """
    table = pl.concat(rows)
    numbers = [name for name, kind in table.schema.items() if kind.is_numeric()]
    means = table.select(pl.col(numbers).mean())
    whole = [name for name in numbers if table.schema[name].is_integer()]
    row = rows[0].with_columns(means).with_columns(pl.col(whole).round().cast(pl.Int64))
    mean = interval(counts, params.bootstrap, params.seed) if counts else None
    f1 = table["mean_f1_per_domain"] if table.height > 1 else pl.Series([None], dtype=pl.Float64)
    return row.with_columns(
        pl.lit(mean.low if mean else None, pl.Float64).alias("low"),
        pl.lit(mean.high if mean else None, pl.Float64).alias("high"),
        pl.lit(table.height, pl.Int64).alias("seeds"),
        pl.lit(f1.min(), pl.Float64).alias("lowest_seed"),
        pl.lit(f1.max(), pl.Float64).alias("highest_seed"),
    )


def differences(counts: Mapping[str, ClusterCounts], params: ConceptsParameters) -> pl.DataFrame:
    """The SAE's mean best F1 minus each other source's, on the same resamples.

    counts: by source, several seeds `stacked`. Columns: control, difference, low, high.
    """
    found = (
        {
            s: difference(counts["sae"], counts[s], params.bootstrap, params.seed)
            for s in counts
            if s != "sae"
        }
        if "sae" in counts
        else {}
    )
    rows = [
        {"control": s, "difference": i.estimate, "low": i.low, "high": i.high}
        for s, i in found.items()
    ]
    return pl.DataFrame(
        rows,
        schema={"control": pl.String} | dict.fromkeys(("difference", "low", "high"), pl.Float64),
    )


def verdict(differences: pl.DataFrame, seeds: int) -> str:
    """The table `differences` in one sentence, control by control; "" for an empty table.

    The SAE is better or worse where the interval of the difference excludes 0. References trained
    with the labels are named apart from the controls. seeds: of the SAE, whose mean is taken
    (`comparison`'s column).

    >>> found = {"control": ["pca", "ica"], "low": [0.01, -0.02], "high": [0.03, 0.01]}
    >>> print(verdict(pl.DataFrame(found), seeds=1))  # doctest: +NORMALIZE_WHITESPACE
    The SAE's mean best F1 is better than that of the principal components, and not distinguishable
    from that of the independent components (intervals of the paired differences: 95 % over test
    clusters, not seeds).
    """
    rows = list(differences.select("control", "low", "high").iter_rows())
    references = [row for row in rows if scored_source(row[0]).kind == "probe"]
    controls = [row for row in rows if row not in references]
    whose = "the SAE's mean best F1" + (f" (mean of {seeds} seeds)" if seeds > 1 else "")
    said = [f"{whose} is {_compared(controls)}"] if controls else []
    if references:
        it = "it" if controls else whose
        said.append(
            f"compared with references trained with the labels, {it} is {_compared(references)}"
        )
    if not said:
        return ""
    sentence = "; ".join(said)
    return f"{sentence[0].upper()}{sentence[1:]} (intervals of the paired differences: {COVERS})."


def _compared(rows: list[tuple[str, float, float]]) -> str:
    """Sources by how the SAE compares with them: (source, low, high) of the difference."""
    groups: dict[str, list[str]] = {
        "better than": [s for s, low, _ in rows if low > 0],
        "not distinguishable from": [s for s, low, high in rows if not (low > 0 or high < 0)],
        "worse than": [s for s, _, high in rows if high < 0],
    }
    said = [
        f"{how} that of {_listed([f'the {_named(source)}' for source in sources])}"
        for how, sources in groups.items()
        if sources
    ]
    return said[0] if len(said) == 1 else f"{', '.join(said[:-1])}, and {said[-1]}"


def _named(source: str) -> str:
    record = scored_source(source)
    return f"{record.words} (mean of {record.seeds} seeds)" if record.seeds > 1 else record.words


def _listed(parts: list[str]) -> str:
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"
