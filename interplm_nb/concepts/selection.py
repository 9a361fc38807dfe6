"""Which feature stands for which concept: chosen on validation, read on test, by two conventions side by side.

`strict` fixes feature and threshold on validation and counts a concept that is not found as 0. `published` reproduces InterPLM: it takes the
threshold anew on test and drops concepts without a hit there, so its figures come out higher. Neither scores the amino-acid concepts: they are
letters of the sequence, not annotations.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from interplm_nb.concepts.measures import Measures
from interplm_nb.concepts.scores import ConceptScores

FOUND = 0.5
"""A pair of concept and feature is found where f1_per_domain is above this on validation and on test."""

NOT_PUBLISHED = (
    "Region_any",
    "Modified residue_any",
    "Domain_any",
    "Compositional bias_any",
    "Motif_any",
)
"""Concepts that InterPLM's evaluation leaves out."""

_ABOUT = {
    "concept": pl.String,
    "category": pl.String,
    "level": pl.String,
    "n_residues": pl.Int64,
    "n_instances": pl.Int64,
}
_VALIDATION = {
    "feature": pl.UInt32,
    "threshold": pl.Float64,
    "validation_f1_per_domain": pl.Float64,
    "validation_f1": pl.Float64,
}
_TEST = {
    "test_threshold": pl.Float64, "precision": pl.Float64, "recall": pl.Float64, "recall_per_domain": pl.Float64, "f1": pl.Float64,
    "f1_per_domain": pl.Float64,
}  # fmt: skip
PAIRS: dict[str, Any] = _ABOUT | _VALIDATION | _TEST
"""Columns of `Selected.pairs`; n_residues, n_instances and the columns of `_TEST` are of the test split."""

MEASURED = [name for name in PAIRS if name.startswith(("validation_", "precision", "recall", "f1"))]
"""Columns of `PAIRS` that are 0 where a concept has no feature."""

FOUND_PAIRS = {
    name: PAIRS[name]
    for name in (
        "concept",
        "feature",
        "threshold",
        "validation_f1_per_domain",
        "test_threshold",
        "f1_per_domain",
    )
}
"""Columns of `Selected.found`."""

_Choice = tuple[int, int]


@dataclass(frozen=True)
class Selected:
    """The best feature of each concept, and all pairs that are found."""

    convention: str
    concepts_scored: str
    """Which concepts were asked for, in words."""
    pairs: pl.DataFrame
    """One row per concept that is scored, with the columns of `PAIRS`; no feature (null) and 0 where none is active on the concept."""
    found: pl.DataFrame
    """One row per concept and feature with f1_per_domain above 0.5 on both splits, with the columns of `FOUND_PAIRS`."""
    n_dropped: int
    """Concepts left out of the mean because their feature has no true positive on test (`published` only)."""

    @property
    def mean_f1_per_domain(self) -> float:
        """Mean over the concepts of the test f1_per_domain of their best feature: the headline figure. 0 where no concept is scored."""
        return _mean(self.pairs["f1_per_domain"])

    @property
    def mean_f1(self) -> float:
        """The same by residues alone."""
        return _mean(self.pairs["f1"])

    def summary(self, source: str) -> pl.DataFrame:
        """One row for a table of sources: source, convention, n_concepts, mean_f1_per_domain, mean_f1, and what is found on both splits."""
        return pl.DataFrame(
            {
                "source": [source],
                "convention": [self.convention],
                "n_concepts": [self.pairs.height],
                "n_dropped": [self.n_dropped],
                "mean_f1_per_domain": [self.mean_f1_per_domain],
                "mean_f1": [self.mean_f1],
                "features_found": [self.found["feature"].n_unique()],
                "concepts_found": [self.found["concept"].n_unique()],
                "pairs_found": [self.found.height],
                "concepts_scored": [self.concepts_scored],
            }
        )


def strict(validation: ConceptScores, test: ConceptScores, min_instances: int = 10) -> Selected:
    """Feature and threshold by the best (f1_per_domain, f1) on validation, ties to the lowest feature, then threshold; read on test at the same.

    Scored are the concepts with at least `min_instances` instances in both splits, whatever the source finds of them: all sources are scored on the
    same concepts.
    """
    chosen, words = strictly_scored(validation.concepts, test.concepts, min_instances)
    return _select(
        "strict", words, validation, test, chosen, lambda m, feature, threshold: threshold
    )


def strictly_scored(
    validation: pl.DataFrame, test: pl.DataFrame, min_instances: int
) -> tuple[list[str], str]:
    """The concepts that `strict` scores, sorted, and in words which they are; from the `concepts` of both splits' scores or labels."""
    enough = [
        set(concepts.filter(pl.col("n_instances") >= min_instances)["concept"])
        for concepts in (validation, test)
    ]
    chosen = sorted(concept for concept in enough[0] & enough[1] if not is_amino_acid(concept))
    return chosen, f"at least {min_instances} instances in validation and in test"


def published(
    validation: ConceptScores,
    test: ConceptScores,
    more_instances_than: int = 10,
    more_residues_than: int = 1500,
) -> Selected:
    """As InterPLM reports: the best pair on validation is given its best threshold on test; concepts without a true positive there are dropped.

    Scored are the concepts with more instances or more residues than stated, on validation (paper), but for those of `NOT_PUBLISHED`.
    Figures are optimistic: the threshold has seen the test split, and what is not found does not count.
    """
    enough = (pl.col("n_instances") > more_instances_than) | (
        pl.col("n_residues") > more_residues_than
    )
    names = validation.concepts.filter(enough)["concept"].to_list()
    chosen = [
        concept for concept in names if not is_amino_acid(concept) and concept not in NOT_PUBLISHED
    ]
    words = f"more than {more_instances_than} instances or {more_residues_than:,} residues in validation"
    return _select(
        "published",
        words,
        validation,
        test,
        chosen,
        lambda m, feature, threshold: _best(m, feature)[1],
        drop=True,
    )


def is_amino_acid(concept: str) -> bool:
    """Concepts such as `amino_acid_W`."""
    return "amino_acid" in concept.lower()


def _select(
    convention: str,
    words: str,
    validation: ConceptScores,
    test: ConceptScores,
    concepts: list[str],
    threshold_on_test: Callable[[Measures, int, int], int],
    drop: bool = False,
) -> Selected:
    _check(validation, test)
    levels = validation.thresholds
    places = [
        {name: i for i, name in enumerate(scores.concepts["concept"])}
        for scores in (validation, test)
    ]
    pairs: list[dict[str, Any]] = []
    found: list[dict[str, Any]] = []
    for concept in concepts:
        on_validation = validation.measures(places[0][concept])
        on_test = (
            test.measures(places[1][concept])
            if concept in places[1]
            else Measures(*(np.zeros(on_validation.f1.shape) for _ in range(5)))
        )
        about = (
            test.concepts.row(places[1][concept], named=True)
            if concept in places[1]
            else _absent(validation, concept)
        )
        f, t = _best(on_validation)
        if on_validation.f1_per_domain[f, t] > 0:
            u = threshold_on_test(on_test, f, t)
            pairs.append(about | {"feature": f} | _row(levels, on_validation, on_test, f, t, u))
        else:
            pairs.append(
                about
                | {"feature": None, "threshold": None, "test_threshold": None}
                | dict.fromkeys(MEASURED, 0.0)
            )
        found += [
            {"concept": concept} | row
            for row in _found(levels, on_validation, on_test, threshold_on_test)
        ]
    table = pl.DataFrame(pairs, schema=PAIRS)
    kept = table.filter(pl.col("f1_per_domain") > 0) if drop else table
    return Selected(
        convention, words, kept, pl.DataFrame(found, schema=FOUND_PAIRS), table.height - kept.height
    )


def _found(
    levels: tuple[float, ...],
    on_validation: Measures,
    on_test: Measures,
    threshold_on_test: Callable[[Measures, int, int], int],
) -> list[dict[str, Any]]:
    """Each feature at its own best threshold on validation, where that is above `FOUND`, and so on test."""
    rows = []
    for f in np.flatnonzero((on_validation.f1_per_domain > FOUND).any(axis=1)).tolist():
        t = _best(on_validation, f)[1]
        row = _row(levels, on_validation, on_test, f, t, threshold_on_test(on_test, f, t))
        if row["f1_per_domain"] > FOUND:
            rows.append({"feature": f} | {name: row[name] for name in FOUND_PAIRS if name in row})
    return rows


def _best(m: Measures, feature: int | None = None) -> _Choice:
    """Feature and threshold with the highest (f1_per_domain, f1); of equals the lowest feature, then the lowest threshold."""
    f1_per_domain, f1 = (a if feature is None else a[[feature]] for a in (m.f1_per_domain, m.f1))
    if f1_per_domain.size == 0:
        return 0, 0
    # argmax takes the first of equals, in the order of features, then thresholds.
    among = np.where(f1_per_domain == f1_per_domain.max(), f1, -1.0)
    f, t = divmod(int(among.argmax()), f1.shape[1])
    return (f if feature is None else feature), t


def _row(
    levels: tuple[float, ...], on_validation: Measures, on_test: Measures, f: int, t: int, u: int
) -> dict[str, Any]:
    """What the pair is worth: threshold t on validation, u on test."""
    chosen = {"threshold": levels[t], "test_threshold": levels[u]}
    chosen |= {
        f"validation_{name}": float(getattr(on_validation, name)[f, t])
        for name in ("f1_per_domain", "f1")
    }
    return chosen | {name: float(values[f, u]) for name, values in on_test._asdict().items()}


def _absent(validation: ConceptScores, concept: str) -> dict[str, Any]:
    return validation.concepts.row(by_predicate=pl.col("concept") == concept, named=True) | {
        "n_residues": 0,
        "n_instances": 0,
    }


def _check(validation: ConceptScores, test: ConceptScores) -> None:
    if (validation.thresholds, validation.n_features) != (test.thresholds, test.n_features):
        raise ValueError(
            f"validation and test are scores of one source at the same thresholds, not {validation} and {test}"
        )


def _mean(values: pl.Series) -> float:
    return float(values.to_numpy().mean()) if len(values) else 0.0
