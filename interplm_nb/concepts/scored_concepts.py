"""Which concepts `strict` scores: enough instances, in enough families, each counted once."""

from dataclasses import dataclass
from typing import Any

import polars as pl

from interplm_nb.annotations import Annotations
from interplm_nb.concepts.same_residues import same_residues

FEW_CLUSTERS = 10
"""A scored concept whose test instances are in fewer homology clusters rests on few families."""

SCORED: dict[str, Any] = {
    "concept": pl.String,
    "category": pl.String,
    "level": pl.String,
    "n_validation": pl.Int64,
    "n_instances": pl.Int64,
    "n_clusters": pl.Int64,
    "counted_under": pl.String,
}
"""Columns of `ScoredConcepts.table`. n_validation, n_instances: instances on validation and on
test; n_clusters: homology clusters of test that hold one; counted_under: the concept's own name, or
that of the more specific one on the same residues."""


@dataclass(frozen=True)
class ScoredConcepts:
    """The concepts of a run that have enough instances, from `scored_concepts`.

    `table` has the columns of `SCORED`, sorted by concept.
    """

    table: pl.DataFrame
    min_instances: int
    min_clusters: int

    @property
    def names(self) -> list[str]:
        """The concepts that means are over, sorted: those counted under their own name."""
        return self.table.filter(pl.col("concept") == pl.col("counted_under"))["concept"].to_list()

    @property
    def words(self) -> str:
        """What a concept needs to be scored, as a phrase after "concepts with"."""
        return (
            f"at least {self.min_instances} instances in validation and in test, "
            f"and at least {self.min_clusters} homology clusters in test"
        )

    @property
    def n_few_clusters(self) -> int:
        """How many of `names` rest on fewer than 10 homology clusters of test."""
        few = self.table.filter(pl.col("n_clusters") < FEW_CLUSTERS)
        return len(set(few["concept"]) & set(self.names))


def scored_concepts(
    annotations: Annotations, splits: pl.DataFrame, min_instances: int = 10, min_clusters: int = 5
) -> ScoredConcepts:
    """The concepts with enough instances to be scored, regardless of the sources.

    Concepts on the same residues (`same_residues`, on all proteins of `annotations`) count once,
    under the most specific name among those that have enough. Letters of the sequence are no
    annotations, and not scored.

    Parameters
    ----------
    annotations : Annotations
        The run's labels.
    splits : pl.DataFrame
        accession, split ("validation" and "test" are read) and cluster.
    min_instances : int
        Concepts with fewer instances in either split are not scored.
    min_clusters : int
        Concepts whose test instances are in fewer homology clusters are not scored: ten instances
        in one family are one observation.

    Returns
    -------
    ScoredConcepts

    Examples
    --------
    >>> from interplm_nb.proteins import Proteins
    >>> about = {"concept": "Helix", "category": "Helix", "level": "instance", "start": 2, "end": 5}
    >>> rows = [about | {"accession": f"P{i}", "instance": i} for i in range(4)]
    >>> proteins = Proteins.from_sequences({f"P{i}": "MKVLAA" for i in range(4)})
    >>> splits = pl.DataFrame(
    ...     {"accession": proteins.accessions, "split": ["validation", "test"] * 2, "cluster": 7}
    ... )
    >>> scored_concepts(Annotations(pl.DataFrame(rows), proteins), splits, 2, 1).names
    ['Helix']
    >>> scored_concepts(Annotations(pl.DataFrame(rows), proteins), splits, 2, 2).names
    []
    """
    placed = annotations.table.join(splits.select("accession", "split", "cluster"), on="accession")
    on_test = pl.col("split") == "test"
    counts = placed.group_by("concept", "category", "level").agg(
        pl.col("instance").filter(pl.col("split") == "validation").n_unique().alias("n_validation"),
        pl.col("instance").filter(on_test).n_unique().alias("n_instances"),
        pl.col("cluster").filter(on_test).n_unique().alias("n_clusters"),
    )
    enough = counts.filter(
        pl.min_horizontal("n_validation", "n_instances") >= min_instances,
        pl.col("n_clusters") >= min_clusters,
    )
    letters = [concept for concept in enough["concept"] if is_amino_acid(concept)]
    enough = enough.filter(~pl.col("concept").is_in(letters)).sort("concept")
    names = enough["concept"].to_list()
    goes_by = same_residues(annotations, names)
    counted_under = pl.Series("counted_under", [goes_by.get(n, n) for n in names], pl.String)
    table = enough.with_columns(counted_under)
    return ScoredConcepts(
        table.select(pl.col(name).cast(kind) for name, kind in SCORED.items()),
        min_instances,
        min_clusters,
    )


def is_amino_acid(concept: str) -> bool:
    """Whether a concept is a letter of the sequence, such as `amino_acid_W`."""
    return "amino_acid" in concept.lower()
