"""A run's feature -> concept table as a file to publish."""

from pathlib import Path
from shlex import quote

import polars as pl

from interplm_nb.concepts.exported import write_exported
from interplm_nb.pipeline.errors import PipelineError
from interplm_nb.pipeline.run import Run
from interplm_nb.pipeline.scored_sources import scored_source
from interplm_nb.questions.feature_tables import OF_STATISTICS, FeatureTables
from interplm_nb.saving import read_parquet

_PAIR = ["concept", "feature"]
_OF_FEATURE = (
    *OF_STATISTICS,
    *("motif_information", "motif_pattern", "description", "described_by", "description_r"),
)
"""Columns of `FeatureTables` that go with every pair of a feature."""

HOW = {
    "strict": "features and thresholds are chosen on validation and read on test; no homology "
    "cluster is in two splits; maxima of train; overlapping instances are kept",
    "published": "InterPLM's own: thresholds chosen again on test, pairs without a hit there "
    "dropped; random halves; maxima of all proteins; overlapping instances are overwritten",
}
"""How pairs are chosen and read in each convention, in words."""


def export_links(run: Run, source: str, convention: str, path: Path, min_f1: float = 0.1) -> int:
    """Write the pairs of feature and concept with validation F1 of at least `min_f1`.

    The format is `exported.write_exported`; returns the number of pairs. Concepts are those that
    the run scores. If the source has links (stage `concepts`), their further columns, such as
    q_value, are added to linked pairs (`strict`). Where stages `features` and `interpret` have run,
    the feature's statistics, motif, description and its score go with every pair, and people's
    notes.
    PipelineError if the run has no such scores, and for the linear probe.
    """
    best = counted_pairs(run, source, convention)
    pairs = _pairs(run, source, convention, best["concept"].to_list(), min_f1)
    table = pairs.join(_words(run, source), on="feature", how="left", maintain_order="left")
    scored = run.table("concepts", "comparison").filter(
        pl.col("source") == source, pl.col("convention") == convention
    )
    about = run.about(source)
    record = {
        "convention": convention,
        "how": HOW[convention],
        "concepts_scored": scored["concepts_scored"].item(),
        "thresholds": list(run.scores(source, "validation", convention).thresholds),
        "min_f1": min_f1,
        "source": source,
        **{name: about.get(name) for name in ("plm", "plm_revision", "layer", "recipe")},
        "n_features": about["d_sae"],
        "sae": about.get("weights"),
        **grounds(run, source, convention),
    }
    write_exported(table, path, record)
    return table.height


def best_pairs(run: Run, source: str, convention: str) -> pl.DataFrame:
    """A source's rows of the table `best` of stage `concepts`.

    PipelineError if there are none; it says why.
    """
    pairs = run.table("concepts", "best").filter(
        pl.col("source") == source, pl.col("convention") == convention
    )
    if pairs.height:
        return pairs
    comparison = run.table("concepts", "comparison").filter(pl.col("convention") == convention)
    # Probes are fitted on the scored concepts: without any they have no row.
    probe = scored_source(source).kind == "probe"
    scored_as = "sae" if probe and convention == "strict" else source
    row = next(
        comparison.filter(pl.col("source") == scored_as, pl.col("n_concepts") == 0).iter_rows(
            named=True
        ),
        None,
    )
    if row is None:
        raise PipelineError(
            f"{run.folder} has no {convention} scores of {source!r}; "
            f"its sources are {', '.join(comparison['source'])}"
        )
    if row["n_dropped"]:
        raise PipelineError(
            f"{source!r} hits none of the {row['n_dropped']} concepts of {run.folder} on test, "
            f"and {convention} drops a concept without a hit; "
            "use the strict convention, which counts it as 0"
        )
    fewer = (
        "ask for fewer (interplm-nb run ... -p concepts.min_instances=N), or "
        if convention == "strict"
        else ""
    )
    why = (
        f"no concept of {run.folder} has {row['concepts_scored']}, "
        f"so {source!r} has no {convention} scores"
    )
    raise PipelineError(f"{why}: {fewer}run on more proteins")


def counted_pairs(run: Run, source: str, convention: str) -> pl.DataFrame:
    """`best_pairs` of a source whose features are counted on every concept.

    PipelineError for a probe, which has one direction per concept.
    """
    if scored_source(source).kind == "probe":
        others = ", ".join(name for name in run.sources() if scored_source(name).kind != "probe")
        raise PipelineError(
            f"{source} has no counts of features on concepts, so it cannot be exported or "
            "compared; "
            f"interplm-nb score {quote(str(run.folder))} --source {source} shows its figures; "
            f"use another source: {others}"
        )
    return best_pairs(run, source, convention)


def grounds(run: Run, source: str, convention: str) -> dict[str, str | None]:
    """Hashes of what a source was counted on.

    sequences: `Proteins.sequence_hash`. annotations: `Annotations.fingerprint`, or None in a run
    that was cut down for viewing, like the shipped one: it no longer holds them.
    """
    counted = read_parquet(run.of_source(source, "scores"), "ConceptScores.scores", 1)[1][
        "sequences"
    ]
    proteins = run.proteins()
    whole = proteins.sequence_hash == counted
    return {
        "sequences": counted,
        "annotations": run.annotations(convention).fingerprint if whole else None,
    }


def _words(run: Run, source: str) -> pl.DataFrame:
    """feature, and what is said of it, as far as the run has it."""
    columns = FeatureTables.of(run, source, looked=None).columns.with_columns(
        pl.col(pl.Enum).cast(pl.String)
    )
    said = columns.select("feature", *(name for name in _OF_FEATURE if name in columns.columns))
    notes = run.notes(source).select("feature", note="description")
    return said.join(notes, on="feature", how="full", coalesce=True) if notes.height else said


def _pairs(
    run: Run, source: str, convention: str, concepts: list[str], min_f1: float
) -> pl.DataFrame:
    from interplm_nb.concepts.links import linked

    validation, test = (run.scores(source, split, convention) for split in ("validation", "test"))
    chosen = linked(validation, test, concepts, min_f1)
    if convention == "strict":
        links = run.links(source).table if run.of_source(source, "links").is_file() else chosen
        # The stage keeps the strongest links alone: other pairs have no value in its columns.
        return chosen.join(
            links.drop(set(chosen.columns) - set(_PAIR)),
            on=_PAIR,
            how="left",
            maintain_order="left",
        )
    # `published` gives each pair its best threshold on test and drops pairs without a hit there.
    again = test.table(concepts, chosen["feature"].unique()).sort(
        "f1_per_domain", "f1", "threshold", descending=[True, True, False]
    )
    again = again.unique(_PAIR, keep="first", maintain_order=True)
    measures = [
        pl.col("threshold").alias("test_threshold"),
        "precision",
        "recall",
        "recall_per_domain",
        "f1",
        "f1_per_domain",
    ]
    return chosen.drop(measures[1:]).join(again.select(*_PAIR, *measures), on=_PAIR)
