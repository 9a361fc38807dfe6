"""Best pairs against loops over all rows of the score table."""

from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from interplm_nb.concepts.best_pairs import PAIRS, BestPairs, published, strict
from interplm_nb.concepts.scored_concepts import SCORED, ScoredConcepts
from interplm_nb.concepts.scores import ConceptScores

THRESHOLDS = (0.0, 0.15, 0.5)
NAMES = ("Active site", "Domain_any", "Helix", "Kinase", "amino_acid_W")


@st.composite
def some_scores(draw: st.DrawFn, names: tuple[str, ...] = NAMES) -> ConceptScores:
    """Few and small counts, so that ties are common and some concepts are never found."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    shape = (len(names), 3, len(THRESHOLDS))
    tp = (rng.integers(0, 4, shape) * rng.integers(0, 2, (len(names), 1, 1))).astype(np.int32)
    level = ["residue" if n == "Active site" else "instance" for n in names]
    hits = (
        np.minimum(tp, rng.integers(1, 4, shape)) * (np.array(level) == "instance")[:, None, None]
    )
    active = tp.max(axis=0).astype(np.int64) + rng.integers(0, 3, shape[1:])
    table = {
        "concept": names,
        "category": "x",
        "level": level,
        "n_residues": 4,
        "n_instances": rng.integers(2, 5, len(names)),
    }
    return ConceptScores(pl.DataFrame(table), THRESHOLDS, tp, hits.astype(np.int32), active)


def scored(*names: str) -> ScoredConcepts:
    """These concepts, whatever their instances: `test_scored_concepts` tests the rule."""
    rows = [(name, "x", "instance", 4, 4, 4, name) for name in sorted(names)]
    return ScoredConcepts(pl.DataFrame(rows, SCORED, orient="row"), 4, 3)


def best(table: pl.DataFrame, concept: str) -> dict[str, Any] | None:
    rows = [row for row in table.iter_rows(named=True) if row["concept"] == concept]
    return min(
        rows,
        key=lambda r: (-r["f1_per_domain"], -r["f1"], r["feature"], r["threshold"]),
        default=None,
    )


def at(
    table: pl.DataFrame, concept: str, feature: int, threshold: float | None = None
) -> list[dict[str, Any]]:
    found = table.filter(pl.col("concept") == concept, pl.col("feature") == feature)
    return (
        found if threshold is None else found.filter(pl.col("threshold") == threshold)
    ).to_dicts()


def instances(scores: ConceptScores, concept: str) -> int:
    return scores.concepts.row(by_predicate=pl.col("concept") == concept, named=True)["n_instances"]


@given(some_scores(), some_scores())
def test_strict_keeps_threshold_and_counts_what_is_missing_as_zero(
    validation: ConceptScores, test: ConceptScores
) -> None:
    wanted = [
        c
        for c in NAMES
        if c != "amino_acid_W" and min(instances(validation, c), instances(test, c)) >= 3
    ]
    selected = strict(validation, test, scored(*wanted))
    assert selected.pairs["concept"].to_list() == wanted
    assert selected.pairs.schema == PAIRS
    for row in selected.pairs.iter_rows(named=True):
        chosen = best(validation.table(), row["concept"])
        if chosen is None:
            assert (row["feature"], row["f1_per_domain"], row["f1"]) == (None, 0, 0)
            continue
        assert (row["feature"], row["threshold"], row["test_threshold"]) == (
            chosen["feature"],
            chosen["threshold"],
            chosen["threshold"],
        )
        assert (row["validation_f1_per_domain"], row["validation_f1"]) == (
            chosen["f1_per_domain"],
            chosen["f1"],
        )
        read = at(test.table(), row["concept"], chosen["feature"], chosen["threshold"])
        for name in ("precision", "recall", "recall_per_domain", "f1", "f1_per_domain"):
            assert row[name] == (read[0][name] if read else 0)
    assert selected.mean_f1_per_domain == pytest.approx(
        sum(selected.pairs["f1_per_domain"]) / len(wanted) if wanted else 0
    )
    assert selected.n_dropped == 0


@given(some_scores(), some_scores())
def test_candidates_are_the_pairs_that_hold_at_the_threshold_of_validation(
    validation: ConceptScores, test: ConceptScores
) -> None:
    wanted = set()
    for concept in NAMES[:-1]:
        for feature in range(3):
            chosen = best(validation.table(features=[feature]), concept)
            if chosen and chosen["f1_per_domain"] > 0.5:
                read = at(test.table(), concept, feature, chosen["threshold"])
                if read and read[0]["f1_per_domain"] > 0.5:
                    wanted.add((concept, feature, chosen["threshold"], read[0]["f1_per_domain"]))
    found = strict(validation, test, scored(*NAMES[:-1])).candidates
    assert set(found.select("concept", "feature", "threshold", "f1_per_domain").rows()) == wanted


@given(some_scores(), some_scores(NAMES[1:4]))
def test_published_takes_the_threshold_anew_and_drops_what_is_missing(
    validation: ConceptScores, test: ConceptScores
) -> None:
    selected = published(validation, test, more_instances_than=2, more_residues_than=10)
    wanted: dict[str, tuple[int, float, float]] = {}
    for concept in NAMES:
        chosen = best(validation.table(), concept)
        if (
            concept in ("amino_acid_W", "Domain_any")
            or instances(validation, concept) <= 2
            or chosen is None
        ):
            continue
        read = best(test.table(features=[chosen["feature"]]), concept)
        if read:
            wanted[concept] = (chosen["feature"], chosen["threshold"], read["f1_per_domain"])
    assert {
        c: tuple(row)
        for c, *row in selected.pairs.select(
            "concept", "feature", "threshold", "f1_per_domain"
        ).rows()
    } == wanted
    assert selected.mean_f1_per_domain == pytest.approx(
        np.mean([f1 for *_, f1 in wanted.values()]) if wanted else 0
    )
    on_both = {
        (concept, feature)
        for concept, feature in {
            (r["concept"], r["feature"])
            for r in validation.table().to_dicts()
            if r["f1_per_domain"] > 0.5
        }
        if concept not in ("amino_acid_W", "Domain_any") and instances(validation, concept) > 2
        if max((r["f1_per_domain"] for r in at(test.table(), concept, feature)), default=0) > 0.5
    }
    assert set(selected.candidates.select("concept", "feature").rows()) == on_both


@given(some_scores(), some_scores())
def test_the_best_threshold_on_test_is_never_worse_than_the_one_of_validation(
    validation: ConceptScores, test: ConceptScores
) -> None:
    fixed, anew = strict(validation, test, scored(*NAMES[:-1])), published(validation, test, 0)
    both = fixed.pairs.join(anew.pairs, on="concept", suffix="_anew")
    assert (both["f1_per_domain_anew"] >= both["f1_per_domain"]).all()


def exact(tp: list[list[int]]) -> ConceptScores:
    """One concept of 4 instances of one residue; every active residue is a hit."""
    counts = np.array([tp], np.int32)
    table = pl.DataFrame(
        {
            "concept": ["Helix"],
            "category": ["x"],
            "level": ["instance"],
            "n_residues": [4],
            "n_instances": [4],
        }
    )
    return ConceptScores(table, THRESHOLDS, counts, counts, counts[0].astype(np.int64))


def test_equal_pairs_go_to_the_lowest_feature_then_threshold() -> None:
    row = strict(
        exact([[1, 1, 1], [2, 3, 3], [3, 3, 0]]), exact([[4] * 3] * 3), scored("Helix")
    ).pairs.row(0, named=True)
    assert (row["feature"], row["threshold"]) == (1, 0.15)


def supported(candidates: pl.DataFrame) -> pl.DataFrame:
    """Feature 0 alone has support."""
    return candidates.with_columns((pl.col("feature") == 0).alias("supported"))


def test_summaries_of_sources_stack_into_one_table() -> None:
    scores = exact([[4, 3, 0], [2, 2, 2], [0, 0, 0]])
    rows = pl.concat(
        [
            made.summary(name, supported(made.candidates))
            for name in ("sae", "neurons")
            for made in (strict(scores, scores, scored("Helix")), published(scores, scores, 1))
        ]
    )
    assert rows.select("source", "convention").rows() == [
        ("sae", "strict"),
        ("sae", "published"),
        ("neurons", "strict"),
        ("neurons", "published"),
    ]
    first = rows.row(0, named=True)
    assert (first["n_concepts"], first["mean_f1_per_domain"], first["mean_f1"]) == (1, 1, 1)
    kinds = ("features", "concepts", "pairs")
    assert [first[f"{kind}_found"] for kind in kinds] == [1, 1, 1]
    assert [first[f"{kind}_found_by_f1_alone"] for kind in kinds] == [2, 1, 2]
    assert first["concepts_scored"] == scored().words


def test_nothing_to_score_is_a_mean_of_zero() -> None:
    scores = exact([[1, 1, 1]])
    nothing: BestPairs = strict(scores, scores, scored())
    assert (
        nothing.pairs.height,
        nothing.mean_f1_per_domain,
        nothing.mean_f1,
        nothing.candidates.height,
    ) == (0, 0, 0, 0)


def test_scores_of_two_sources_are_not_mixed() -> None:
    with pytest.raises(ValueError, match="validation and test are scores of one source"):
        strict(exact([[1, 1, 1]]), exact([[1, 1, 1], [1, 1, 1]]), scored("Helix"))
