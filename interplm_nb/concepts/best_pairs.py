"""The best feature of each concept: chosen on validation, read on test, in two conventions.

`strict` fixes feature and threshold on validation and counts a concept that is not found as 0.
`published` reproduces InterPLM: it chooses the threshold again on test and drops concepts without
a hit there, so its figures are higher. Neither scores the amino-acid concepts, which are letters
of the sequence, not annotations. `ranked_pairs` gives every pair, not only the best.

All of them, and every other part of the package that pairs a feature with a concept, choose with
`best_thresholds` and `ranked_pairs`.
"""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from interplm_nb.concepts.measures import Measures
from interplm_nb.concepts.scored_concepts import ScoredConcepts, is_amino_acid
from interplm_nb.concepts.scores import ConceptScores

FOUND = 0.5
"""A pair may be found where its f1_per_domain is above this on validation and on test;
`support.with_support` says whether enough residues and families support it."""

NOT_PUBLISHED = (
    "Region_any",
    "Modified residue_any",
    "Domain_any",
    "Compositional bias_any",
    "Motif_any",
)
"""Concepts that InterPLM's evaluation leaves out."""

PAIRS: dict[str, Any] = {
    "concept": pl.String,
    "category": pl.String,
    "level": pl.String,
    "n_residues": pl.Int64,
    "n_instances": pl.Int64,
    "feature": pl.UInt32,
    "threshold": pl.Float64,
    "validation_f1_per_domain": pl.Float64,
    "validation_f1": pl.Float64,
    "test_threshold": pl.Float64,
    "precision": pl.Float64,
    "recall": pl.Float64,
    "recall_per_domain": pl.Float64,
    "f1": pl.Float64,
    "f1_per_domain": pl.Float64,
}
"""Columns of `ranked_pairs` and of `BestPairs.pairs`. n_residues, n_instances and everything from
test_threshold on describe the test split."""

MEASURED = [name for name in PAIRS if name.startswith(("validation_", "precision", "recall", "f1"))]
"""Columns of `PAIRS` that are 0 where a concept has no feature."""

CANDIDATES = {
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
"""Columns of `BestPairs.candidates`."""

TESTED = (
    "shifted_f1_per_domain",
    "exchanged_f1_per_domain",
    "p_shifted",
    "p_exchanged",
    "q_value",
)
"""Columns of `significance.significance`."""

STATISTICS = dict.fromkeys(
    ("low", "high", "recall_upper_bound", "auprc", "prevalence", *TESTED), pl.Float64
)
"""Columns that a run adds to its pairs; null where no draws or resamples were requested. low, high:
95 % interval of f1_per_domain, null where that is 0; recall_upper_bound: there alone, as in
`intervals.recall_upper_bound`."""


def without_statistics(pairs: pl.DataFrame) -> pl.DataFrame:
    """Pairs with the columns of `STATISTICS`, all null."""
    return pairs.with_columns(pl.lit(None, kind).alias(name) for name, kind in STATISTICS.items())


@dataclass(frozen=True)
class BestPairs:
    """The best feature of each concept, and all pairs with a high F1 on both splits."""

    convention: str
    """ "strict" or "published"."""
    concepts_scored: str
    """Which concepts are scored, in words."""
    pairs: pl.DataFrame
    """One row per scored concept, with the columns of `PAIRS`. Where no feature is active on the
    concept, the feature is null and the figures are 0."""
    candidates: pl.DataFrame
    """One row per concept and feature with f1_per_domain above 0.5 on both splits, with the
    columns of `CANDIDATES`. Those with support are found (`support.with_support`)."""
    n_dropped: int
    """Concepts left out of the mean because their feature has no true positive on test
    (`published` only)."""

    @property
    def mean_f1_per_domain(self) -> float:
        """Mean test f1_per_domain of the best features, over concepts: the headline figure.

        0 where no concept is scored.
        """
        return _mean(self.pairs["f1_per_domain"])

    @property
    def mean_f1(self) -> float:
        """The same mean of f1, which counts residues only."""
        return _mean(self.pairs["f1"])

    def summary(self, source: str, found: pl.DataFrame) -> pl.DataFrame:
        """One row for a table of sources: the means, and what is found on both splits.

        found: `candidates` after `support.with_support`. features_found, concepts_found,
        pairs_found count those with support; `..._by_f1_alone` all of them.
        """
        return pl.DataFrame(
            {
                "source": [source],
                "convention": [self.convention],
                "n_concepts": [self.pairs.height],
                "n_dropped": [self.n_dropped],
                "mean_f1_per_domain": [self.mean_f1_per_domain],
                "mean_f1": [self.mean_f1],
                **_numbers(found.filter("supported"), "found"),
                **_numbers(found, "found_by_f1_alone"),
                "concepts_scored": [self.concepts_scored],
            }
        )


def strict(validation: ConceptScores, test: ConceptScores, scored: ScoredConcepts) -> BestPairs:
    """Choose feature and threshold on validation, and read them on test.

    The pair with the highest (f1_per_domain, f1) on validation is chosen; ties go to the lowest
    feature, then the lowest threshold. All sources are scored on the same concepts, regardless of
    what each finds.

    Parameters
    ----------
    validation, test : ConceptScores
        Counts of one source on the two splits, such as `run.scores("sae", "validation")`.
    scored : ScoredConcepts
        The concepts to score, from `scored_concepts`.

    Returns
    -------
    BestPairs

    Raises
    ------
    ValueError
        If the scores differ in thresholds or number of features.

    Examples
    --------
    >>> import numpy as np
    >>> import polars as pl
    >>> from interplm_nb.concepts.scored_concepts import SCORED
    >>> from interplm_nb.concepts.scores import ConceptScores
    >>> about = {"concept": "Helix", "category": "Helix", "level": "residue"}
    >>> concepts = pl.DataFrame([about | {"n_residues": 4, "n_instances": 4}])
    >>> tp, active = np.array([[[1], [3]]], np.int32), np.array([[4], [4]])
    >>> scores = ConceptScores(concepts, (0.5,), tp, np.zeros_like(tp), active)
    >>> row = ("Helix", "Helix", "residue", 4, 4, 4, "Helix")
    >>> scored = ScoredConcepts(pl.DataFrame([row], SCORED, orient="row"), 4, 4)
    >>> strict(scores, scores, scored).pairs.select("concept", "feature", "f1").rows()
    [('Helix', 1, 0.75)]
    """
    return _best_pairs("strict", scored.words, validation, test, scored.names)


def published(
    validation: ConceptScores,
    test: ConceptScores,
    more_instances_than: int = 10,
    more_residues_than: int = 1500,
) -> BestPairs:
    """As InterPLM reports: the pair is chosen on validation, its threshold again on test.

    Concepts without a true positive on test are dropped. The figures are optimistic: the threshold
    has seen the test split, and what is not found does not count. Scored are the concepts with
    more instances or more residues on validation than the two limits (as in the paper), except
    `NOT_PUBLISHED`.
    """
    enough = (pl.col("n_instances") > more_instances_than) | (
        pl.col("n_residues") > more_residues_than
    )
    concepts = [
        concept
        for concept in validation.concepts.filter(enough)["concept"]
        if not is_amino_acid(concept) and concept not in NOT_PUBLISHED
    ]
    words = (
        f"more than {more_instances_than} instances or {more_residues_than:,} residues "
        "in validation"
    )
    return _best_pairs("published", words, validation, test, concepts)


def ranked_pairs(
    validation: ConceptScores,
    test: ConceptScores,
    concepts: Collection[str],
    min_f1: float = 0.0,
) -> pl.DataFrame:
    """Every feature that matches each concept on validation, best first, with its test figures.

    Each feature is read at its best threshold on validation (`best_thresholds`). The first row of
    a concept is its best pair, the one that `strict` reports.

    Parameters
    ----------
    validation, test : ConceptScores
        Counts of one source on the two splits, such as `run.scores("sae", "validation")`.
    concepts : collection of str
        Concepts to rank; `scored_concepts` gives those that a run scores. A concept that
        validation lacks has no row.
    min_f1 : float
        Lowest f1_per_domain on validation. A pair with 0 is never listed.

    Returns
    -------
    pl.DataFrame
        Columns of `PAIRS`, sorted by concept, then (f1_per_domain, f1) on validation descending,
        then feature. Test figures are 0 where test lacks the concept.

    Raises
    ------
    ValueError
        If the scores differ in thresholds or number of features.

    Examples
    --------
    >>> import numpy as np
    >>> import polars as pl
    >>> from interplm_nb.concepts.scores import ConceptScores
    >>> about = {"concept": "Helix", "category": "Helix", "level": "residue"}
    >>> concepts = pl.DataFrame([about | {"n_residues": 4, "n_instances": 4}])
    >>> tp, active = np.array([[[1], [3]]], np.int32), np.array([[4], [4]])
    >>> scores = ConceptScores(concepts, (0.5,), tp, np.zeros_like(tp), active)
    >>> ranked_pairs(scores, scores, ["Helix"]).select("feature", "validation_f1").rows()
    [(1, 0.75), (0, 0.25)]
    """
    _check(validation, test)
    known = [concept for concept in validation.concepts["concept"] if concept in concepts]
    parts = [_ranked(validation, test, concept, "strict", min_f1) for concept in known]
    return pl.concat([pl.DataFrame(schema=PAIRS), *parts])


def best_thresholds(measured: Measures) -> np.ndarray:
    """int64 [n]: number of each line's best threshold, from measures [n, n_thresholds].

    The best has the highest (f1_per_domain, f1); ties go to the lowest threshold.
    """
    top = measured.f1_per_domain.max(axis=1, keepdims=True)
    # argmax takes the first of equals, and thresholds ascend.
    return np.where(measured.f1_per_domain == top, measured.f1, -1.0).argmax(axis=1)


def _best_pairs(
    convention: str,
    words: str,
    validation: ConceptScores,
    test: ConceptScores,
    concepts: list[str],
) -> BestPairs:
    _check(validation, test)
    pairs, high = [pl.DataFrame(schema=PAIRS)], [pl.DataFrame(schema=CANDIDATES)]
    for concept in concepts:
        ranked = _ranked(validation, test, concept, convention)
        pairs.append(ranked.head(1) if ranked.height else _unmatched(validation, test, concept))
        both = pl.min_horizontal("validation_f1_per_domain", "f1_per_domain") > FOUND
        high.append(ranked.filter(both).sort("feature").select(CANDIDATES.keys()))
    table = pl.concat(pairs)
    kept = table.filter(pl.col("f1_per_domain") > 0) if convention == "published" else table
    return BestPairs(convention, words, kept, pl.concat(high), table.height - kept.height)


def _ranked(
    validation: ConceptScores,
    test: ConceptScores,
    concept: str,
    convention: str,
    min_f1: float = 0.0,
) -> pl.DataFrame:
    """`ranked_pairs` of one concept; `published` reads each feature at its best test threshold."""
    on_validation, on_test = _measured(validation, concept), _measured(test, concept)
    best = on_validation.f1_per_domain.max(axis=1)
    f = np.flatnonzero((best >= min_f1) & (best > 0))
    t = best_thresholds(on_validation)[f]
    u = best_thresholds(on_test)[f] if convention == "published" else t
    levels = np.asarray(validation.thresholds)
    columns = _about(validation, test, concept) | {
        "feature": f,
        "threshold": levels[t],
        "validation_f1_per_domain": on_validation.f1_per_domain[f, t],
        "validation_f1": on_validation.f1[f, t],
        "test_threshold": levels[u],
        **{name: values[f, u] for name, values in on_test._asdict().items()},
    }
    table = pl.DataFrame(columns).select(pl.col(name).cast(kind) for name, kind in PAIRS.items())
    return table.sort(
        "validation_f1_per_domain", "validation_f1", "feature", descending=[True, True, False]
    )


def _unmatched(validation: ConceptScores, test: ConceptScores, concept: str) -> pl.DataFrame:
    """The row of a concept that no feature is active on."""
    row = _about(validation, test, concept) | dict.fromkeys(MEASURED, 0.0)
    return pl.DataFrame([row], schema=PAIRS)


def _about(validation: ConceptScores, test: ConceptScores, concept: str) -> dict[str, Any]:
    """The concept's columns, counted on test."""
    here = pl.col("concept") == concept
    if concept in test.concepts["concept"]:
        return test.concepts.row(by_predicate=here, named=True)
    about = validation.concepts.row(by_predicate=here, named=True)
    return about | {"n_residues": 0, "n_instances": 0}


def _measured(scores: ConceptScores, concept: str) -> Measures:
    place = scores.concepts["concept"].index_of(concept)
    if place is None:
        return Measures(*(np.zeros(scores.active.shape) for _ in Measures._fields))
    return scores.measures(place)


def _check(validation: ConceptScores, test: ConceptScores) -> None:
    if (validation.thresholds, validation.n_features) != (test.thresholds, test.n_features):
        raise ValueError(
            "validation and test are scores of one source at the same thresholds, "
            f"not {validation} and {test}"
        )


def _numbers(found: pl.DataFrame, name: str) -> dict[str, list[int]]:
    return {
        f"features_{name}": [found["feature"].n_unique()],
        f"concepts_{name}": [found["concept"].n_unique()],
        f"pairs_{name}": [found.height],
    }


def _mean(values: pl.Series) -> float:
    return float(values.to_numpy().mean()) if len(values) else 0.0
