"""How well features match concepts on the split where SAEs are chosen, as the paper compares
them.
"""

from dataclasses import dataclass

import polars as pl

from interplm_nb.concepts.best_pairs import FOUND
from interplm_nb.concepts.scored_concepts import is_amino_acid
from interplm_nb.concepts.scores import ConceptScores


@dataclass(frozen=True)
class Tuned:
    """Best F1 of each concept over all features and thresholds.

    Optimistic, equally for every SAE: features are chosen on the same proteins.
    """

    concepts: pl.DataFrame
    """One row per scored concept: concept, n_instances, f1_per_domain (0 if nothing is active)."""

    @property
    def mean_f1(self) -> float:
        """Mean best f1_per_domain over the concepts; 0 without concepts."""
        return (
            float(self.concepts["f1_per_domain"].to_numpy().mean()) if self.concepts.height else 0.0
        )

    @property
    def n_found(self) -> int:
        """Number of concepts with a best f1_per_domain above 0.5."""
        return int((self.concepts["f1_per_domain"] > FOUND).sum())


def tuned(scores: ConceptScores, min_instances: int = 10) -> Tuned:
    """Score the concepts with at least `min_instances` instances, except amino acids."""
    rows = [
        {
            "concept": about["concept"],
            "n_instances": about["n_instances"],
            "f1_per_domain": float(scores.measures(c).f1_per_domain.max(initial=0.0)),
        }
        for c, about in enumerate(scores.concepts.iter_rows(named=True))
        if about["n_instances"] >= min_instances and not is_amino_acid(about["concept"])
    ]
    return Tuned(
        pl.DataFrame(
            rows,
            schema={"concept": pl.String, "n_instances": pl.Int64, "f1_per_domain": pl.Float64},
        )
    )
