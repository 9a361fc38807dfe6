"""A run's features in space: the spatial test, and F1 on labels that structures give, next to the
run's controls."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any

import polars as pl

from interplm_nb.concepts.best_pairs import ranked_pairs
from interplm_nb.concepts.count import count
from interplm_nb.features.spatial.spatial_test import Convention, SpatialTest, spatial_test
from interplm_nb.pipeline.errors import PipelineError
from interplm_nb.pipeline.run import Run
from interplm_nb.pipeline.scored_sources import SAE_CONTROLS
from interplm_nb.readers.residue_coordinates import ResidueCoordinates
from interplm_nb.readers.structure_labels import StructureLabels
from interplm_nb.readers.structures import Structure

STRUCTURE_SCORES: dict[str, Any] = {
    "concept": pl.String,
    "source": pl.String,
    "n_chosen_on": pl.Int64,
    "n_read_on": pl.Int64,
    "feature": pl.UInt32,
    "threshold": pl.Float64,
    "f1_chosen_on": pl.Float64,
    "f1": pl.Float64,
    "precision": pl.Float64,
    "recall": pl.Float64,
    "f1_of_everything": pl.Float64,
}
"""Columns of `structure_scores`. F1, precision and recall count instances where the concept's level
is instance (f1_per_domain). `f1_of_everything`: of an answer that calls every residue: 2 share /
(1 + share)."""


@dataclass(frozen=True)
class SpaceOfRun:
    """What `spatial_of_run` found."""

    coordinates: ResidueCoordinates
    tests: Mapping[str, SpatialTest]
    """By source: the SAE, and its controls with stored activations."""

    def table(self) -> pl.DataFrame:
        """`SpatialTest.table` of every source, which the first column names."""
        return pl.concat(
            [
                test.table.select(pl.lit(source).alias("source"), pl.all())
                for source, test in self.tests.items()
            ]
        )

    def summary(self, alpha: float = 0.05) -> pl.DataFrame:
        """Per source and kind of neighbours: features, those that could be tested, those whose
        adjusted p is under `alpha` with more than by chance, and the median Cohen's d."""
        passed = (pl.col("p_adjusted") < alpha) & (pl.col("score") > pl.col("by_chance"))
        return (
            self.table()
            .group_by("source", "neighbours", maintain_order=True)
            .agg(
                pl.len().alias("features"),
                pl.col("score").is_not_null().sum().alias("tested"),
                passed.sum().alias("pass"),
                pl.col("cohen_d").median().alias("median d"),
            )
        )


def spatial_of_run(
    run: Run,
    structures: Mapping[str, Callable[[], Structure]],
    convention: Convention = "strict",
    source: str = "sae",
    **options: Any,
) -> SpaceOfRun:
    """Test a run's features in space, and those of its controls on the same structures.

    Parameters
    ----------
    run
        A run with its stage 'activations'.
    structures
        By accession, a function that returns the structure.
    convention
        As in `spatial_test`; "published" takes the maxima of all proteins, "strict" of train.
    source
        Source of the features; controls with stored activations come along.
    **options
        Of `spatial_test`.

    Raises
    ------
    PipelineError
        Where none of the structures is of a protein of the run.

    Examples
    --------
    >>> from interplm_nb.readers.structure_list import structures_at_hand
    >>> run = Run.shipped()
    >>> found = spatial_of_run(run, structures_at_hand(run.proteins()), draws=100)
    >>> found.coordinates
    ResidueCoordinates(34 of 120 proteins, 6,992 of their 12,043 residues)
    """
    coordinates = ResidueCoordinates.of(run.proteins(), structures)
    if not coordinates.accessions:
        why = coordinates.read["why_not"].drop_nulls()
        raise PipelineError(
            f"no structure of the {len(run.proteins()):,} proteins of {run.folder} "
            + (f"could be used ({why[0]})" if len(why) else "was given")
            + f"; fetch them: interplm-nb data structures {run.folder}"
        )
    stored = run.with_activations()
    sources = [source, *(s for s in SAE_CONTROLS if s in stored and s != source)]
    tests = {
        s: spatial_test(
            run.activations(s).relative_to(run.maxima(s).of(convention)),
            coordinates,
            convention,
            **options,
        )
        for s in sources
    }
    return SpaceOfRun(coordinates, tests)


def structure_scores(
    run: Run, labels: StructureLabels, sources: Collection[str] = ("sae",)
) -> pl.DataFrame:
    """The best feature of each label that structures give: chosen on train and validation, read on
    test, on the labelled proteins alone.

    Parameters
    ----------
    run
        A run with its stage 'activations'.
    labels
        Of the run's proteins.
    sources
        Sources with stored activations.

    Returns
    -------
    pl.DataFrame
        Columns of `STRUCTURE_SCORES`; concepts that one side lacks have no row.

    Raises
    ------
    PipelineError
        Where train and validation, or test, have no labelled protein.
    """
    labelled = set(labels.accessions)
    test = [a for a in run.accessions("test") if a in labelled]
    chosen = [a for s in ("train", "validation") for a in run.accessions(s) if a in labelled]
    if not test or not chosen:
        raise PipelineError(
            f"{len(chosen):,} labelled proteins are in train and validation and {len(test):,} in "
            "test; features are chosen on the ones and read on the others, so both are needed: "
            "give more structures"
        )
    parts = [pl.DataFrame(schema=STRUCTURE_SCORES)]
    for source in sources:
        scored = run.scored(source, "strict")
        before, after = (count(scored, labels.annotations, a) for a in (chosen, test))
        lengths = {a: len(run.proteins().sequence(a)) for a in test}
        share = after.concepts.select("concept", share=pl.col("n_residues") / sum(lengths.values()))
        pairs = ranked_pairs(before, after, after.concepts["concept"].to_list())
        best = pairs.group_by("concept", maintain_order=True).first().join(share, on="concept")
        columns = {
            "source": pl.lit(source),
            "n_chosen_on": pl.lit(len(chosen)),
            "n_read_on": pl.lit(len(test)),
            "f1_chosen_on": pl.col("validation_f1_per_domain"),
            "f1": pl.col("f1_per_domain"),
            "recall": pl.col("recall_per_domain"),
            "f1_of_everything": 2 * pl.col("share") / (1 + pl.col("share")),
        }
        table = best.with_columns(**columns)
        parts.append(table.select(pl.col(c).cast(t) for c, t in STRUCTURE_SCORES.items()))
    return pl.concat(parts).sort("concept", maintain_order=True)


def left_out(coordinates: ResidueCoordinates) -> str:
    """Which structures and residues were not used, and why; "" where all were."""
    read = coordinates.read
    used = read.filter(pl.col("n_placed") > 0)
    without = int((used["n_residues"] - used["n_placed"]).sum())
    absent = read.filter(pl.col("why_not").is_not_null())
    lines = [f"{without:,} residues of these proteins have no coordinates"] if without else []
    lines += [f"not used: {a}: {why}" for a, why in absent.select("accession", "why_not").rows()]
    if n := used["predicted"].sum():
        lines.append(f"{n:,} of the structures are models")
    return "\n".join(lines)
