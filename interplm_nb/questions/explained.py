"""Which share of a run's features each kind of explanation covers, with its controls."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import polars as pl
from scipy.stats import binom, false_discovery_control

from interplm_nb.features.motifs import MIN_SITES, SIGNIFICANT
from interplm_nb.features.spatial.spatial_test import KINDS
from interplm_nb.features.statistics import MARKED_NEAR_ENDS
from interplm_nb.pipeline.run import Run
from interplm_nb.pipeline.scored_sources import SAES
from interplm_nb.questions.space import SpaceOfRun

LEAST = 0.5
"""An explanation counts above this: F1 of a concept, F1 of a pattern, r of a description."""

EXPLAINED: dict[str, Any] = {
    "source": pl.String,
    "by": pl.String,
    "features": pl.Int64,
    "tested": pl.Int64,
    "explained": pl.Int64,
    "share": pl.Float64,
}
"""Columns of `explained`. features: that are ever active; tested: of these, those that the
definition can be put to, of descriptions a sample; explained: of those tested; share: of all
features, of descriptions estimated as explained / drawn times the share with enough examples."""


def explained(run: Run, space: SpaceOfRun | None = None) -> pl.DataFrame:
    """How many features of the SAE and of its controls are explained, by each kind of explanation.

    concept: F1 above `LEAST` with one concept on validation and on test, with support
    (`concepts.support`); of a control with several seeds the first.

    motif: maxima beat shuffled ones (q at most `SIGNIFICANT`), and on test the harmonic mean of
    the pattern's recall and precision is above `LEAST`. Tested: at least `MIN_SITES` sites.

    position: more than half of the maxima are on the first or last 5 residues, and more than by
    chance (binomial, Benjamini and Hochberg, q at most `SIGNIFICANT`). Tested: maxima in at least
    `MIN_SITES` proteins.

    structure: active around its maximum in space, 6 or more residues away in the sequence, beyond
    tracks moved along the chain (`features.spatial`, strict, q below `SIGNIFICANT`). Tested: fires
    in 25 proteins with a structure. Only with `space`.

    description: the statistical describer's predicts maxima over proteins not seen with r above
    `LEAST`, and the 95 % interval of r lies above r of each null for the same feature: the median
    of other features' descriptions, the length, and length with composition.

    Parameters
    ----------
    run : Run
        With stages 'features' and 'interpret'.
    space : SpaceOfRun, optional
        Strict, from `spatial_of_run`.

    Returns
    -------
    pl.DataFrame
        Columns of `EXPLAINED`, a row per source and kind.

    Raises
    ------
    PipelineError
        Before these stages.

    Examples
    --------
    >>> explained(Run.shipped()).filter(source="sae")["by"].to_list()
    ['concept', 'motif', 'position', 'description']
    """
    counts = {row["source"]: row for row in run.table("interpret", "counts").to_dicts()}
    rows = []
    for source in (s for s in SAES if s in counts):
        active = run.feature_table("statistics", source).filter(pl.col("n_active") > 0)
        n = active.height
        for by, tested, found in _by_all_features(run, source, active, space):
            row = {"source": source, "by": by, "features": n, "tested": tested}
            rows.append(row | {"explained": found, "share": found / max(1, n)})
        tested, found = _described(run.interpretation("judged", source))
        own = counts[source]
        share = found / max(1, own["n_drawn"]) * own["n_enough"] / max(1, n)
        row = {"source": source, "by": "description", "features": n, "tested": tested}
        rows.append(row | {"explained": found, "share": share})
    return pl.DataFrame(rows, schema=EXPLAINED)


def _by_all_features(
    run: Run, source: str, active: pl.DataFrame, space: SpaceOfRun | None
) -> Iterator[tuple[str, int, int]]:
    """Kind, number tested, number explained."""
    concepts = run.table("concepts", "found").filter(source=source, convention="strict")
    yield "concept", active.height, concepts["feature"].n_unique()
    motifs = run.feature_table("motifs", source)
    recall, precision = pl.col("pattern_recall"), pl.col("pattern_precision")
    holds = 2 * recall * precision > LEAST * (recall + precision)
    motif = (pl.col("q_motif") <= SIGNIFICANT) & (pl.col("pattern") != "") & holds
    yield "motif", motifs.height, motifs.filter(motif).height
    yield "position", *_near_ends(active)
    if space is not None and source in space.tests:
        away = KINDS["strict"][1].name
        table = space.tests[source].table.filter(neighbours=away).drop_nulls("score")
        passed = (pl.col("p_adjusted") < SIGNIFICANT) & (pl.col("score") > pl.col("by_chance"))
        yield "structure", table.height, table.filter(passed).height


def _near_ends(active: pl.DataFrame) -> tuple[int, int]:
    tested = active.filter(pl.col("n_proteins") >= MIN_SITES)
    if tested.is_empty():
        return 0, 0
    n, share = tested["n_proteins"].to_numpy(), tested["share_near_ends"].to_numpy()
    near = np.rint(share * n)
    q = false_discovery_control(binom.sf(near - 1, n, tested["near_ends_by_chance"].to_numpy()))
    return tested.height, int(((q <= SIGNIFICANT) & (share > MARKED_NEAR_ENDS)).sum())


def _described(judged: pl.DataFrame) -> tuple[int, int]:
    """Features whose description was judged, and those that it explains."""
    # A constant tells no protein from another.
    r, low = (pl.col(name).fill_null(0.0) for name in ("pearson", "pearson_low"))
    done = judged.filter(pl.col("failed").is_null())
    own = done.filter(given="description").select("feature", r, low)
    nulls = done.filter(~pl.col("given").is_in(["description", "the mean"]))
    medians = nulls.group_by("feature", "given").agg(r.median().alias("null"))
    best = medians.group_by("feature").agg(pl.col("null").max())
    both = own.join(best, on="feature", how="left")
    beyond = pl.col("pearson_low") > pl.col("null").fill_null(0.0)
    return own.height, both.filter(beyond & (pl.col("pearson") > LEAST)).height
