"""Scores from counts, by the formulas, and what is saved of them."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_array_equal

from interplm_nb.concepts.scores import ConceptScores
from interplm_nb.saving import write_parquet

REFERENCE = [
    "concept",
    "feature",
    "threshold",
    "precision",
    "recall",
    "recall_per_domain",
    "f1",
    "f1_per_domain",
    "tp",
    "fp",
    "tp_per_domain",
    "is_aa_level_concept",
    "category",
    "level",
    "n_instances",
    "n_residues",
]


def concepts(*rows: tuple[str, str, int, int]) -> pl.DataFrame:
    """(concept, level, n_residues, n_instances) rows."""
    table = pl.DataFrame(
        rows,
        schema={
            "concept": pl.String,
            "level": pl.String,
            "n_residues": pl.Int64,
            "n_instances": pl.Int64,
        },
        orient="row",
    )
    return table.select(
        "concept", pl.lit("x").alias("category"), "level", "n_residues", "n_instances"
    )


@st.composite
def some_scores(draw: st.DrawFn, thresholds: tuple[float, ...] = (0.0, 0.15)) -> ConceptScores:
    names = sorted(
        draw(st.sets(st.sampled_from(["Helix", "Kinase", "Signal", "Zinc"]), min_size=1))
    )
    shape = (len(names), 3, len(thresholds))
    numbers = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    tp = numbers.integers(0, 4, shape).astype(np.int32)
    hits = np.minimum(tp, numbers.integers(0, 3, shape)).astype(np.int32)
    active = tp.sum(axis=0).astype(np.int64) + numbers.integers(0, 5, shape[1:])
    return ConceptScores(
        concepts(*((n, "residue" if n == "Zinc" else "instance", 4, 3) for n in names)),
        thresholds,
        tp,
        hits,
        active,
    )


@given(some_scores())
def test_the_table_follows_the_formulas_and_omits_what_has_no_true_positive(
    scores: ConceptScores,
) -> None:
    table = scores.table()
    assert table.columns == REFERENCE
    assert table.height == (scores.tp > 0).sum()
    for row in table.iter_rows(named=True):
        c, t = (
            scores.concepts["concept"].to_list().index(row["concept"]),
            scores.thresholds.index(row["threshold"]),
        )
        tp, active, hits = (
            scores.tp[c, row["feature"], t],
            scores.active[row["feature"], t],
            scores.instance_hits[c, row["feature"], t],
        )
        precision, recall = tp / active, tp / 4
        recall_per_domain = recall if row["level"] == "residue" else hits / 3
        assert (row["tp"], row["fp"], row["tp_per_domain"]) == (tp, active - tp, hits)
        assert row["is_aa_level_concept"] == (row["level"] == "residue")
        assert row["precision"] == pytest.approx(precision)
        assert row["recall"] == pytest.approx(recall)
        assert row["recall_per_domain"] == pytest.approx(recall_per_domain)
        assert row["f1"] == pytest.approx(2 * precision * recall / (precision + recall))
        wanted = (
            2 * precision * recall_per_domain / (precision + recall_per_domain)
            if recall_per_domain
            else 0
        )
        assert row["f1_per_domain"] == pytest.approx(wanted)


@given(some_scores(), st.sets(st.integers(0, 2)), st.sets(st.sampled_from(["Helix", "Kinase"])))
def test_a_part_of_the_table_is_that_part(
    scores: ConceptScores, features: set[int], names: set[str]
) -> None:
    whole = scores.table()
    assert scores.table(features=features).equals(
        whole.filter(pl.col("feature").is_in(list(features)))
    )
    assert scores.table(concepts=names).equals(whole.filter(pl.col("concept").is_in(list(names))))
    assert scores.only(names).table().equals(scores.table(concepts=names))


@given(some_scores())
def test_measures_of_a_concept_are_the_rows_of_the_table(scores: ConceptScores) -> None:
    found = scores.measures(0)
    for row in scores.table(concepts=[scores.concepts["concept"][0]]).iter_rows(named=True):
        place = row["feature"], scores.thresholds.index(row["threshold"])
        for name, values in found._asdict().items():
            assert values[place] == row[name]


@given(first=some_scores(), second=some_scores())
def test_loading_what_was_saved_gives_the_same(
    tmp_path_factory: pytest.TempPathFactory, first: ConceptScores, second: ConceptScores
) -> None:
    folder = tmp_path_factory.mktemp("source")
    first.save(folder, "validation", "strict")
    second.save(folder, "validation", "strict")
    first.save(folder, "test", "published", {"thresholds_of": "nothing"})
    with pytest.raises(
        KeyError, match=r"no scores for validation/strict; it has \['test/published'\]"
    ):
        ConceptScores.load(folder, "validation", "strict")
    first.save(folder, "test", "strict", {"thresholds_of": "nothing"})
    second.save(folder, "test", "published", {"thresholds_of": "nothing"})
    for split, convention, scores in (("test", "strict", first), ("test", "published", second)):
        loaded = ConceptScores.load(folder, split, convention)
        assert loaded.concepts.equals(scores.concepts)
        assert loaded.thresholds == scores.thresholds
        assert_array_equal(loaded.tp, scores.tp)
        assert_array_equal(loaded.instance_hits, scores.instance_hits)
        assert_array_equal(loaded.active, scores.active)


def test_the_files_have_the_columns_of_a_run(tmp_path: Path) -> None:
    one().save(tmp_path, "test", "strict", {"plm": "esm2-mini"})
    columns = {p.stem: pl.read_parquet(p).columns for p in tmp_path.glob("*.parquet")}
    assert columns == {
        "scores": ["split", "convention", "concept", "feature", "threshold", "tp", "instance_hits"],
        "active": ["split", "convention", "feature", "threshold", "active"],
        "concepts": [
            "split",
            "convention",
            "concept",
            "category",
            "level",
            "n_residues",
            "n_instances",
        ],
    }


def test_files_of_two_saves_are_not_read_together(tmp_path: Path) -> None:
    one().save(tmp_path, "test", "strict")
    before = (tmp_path / "active.parquet").read_bytes()
    one(tp=1).save(tmp_path, "test", "strict")
    (tmp_path / "active.parquet").write_bytes(before)
    with pytest.raises(ValueError, match="come from different saves; run stage 'concepts' again"):
        ConceptScores.load(tmp_path, "test", "strict")


def test_another_kind_of_file_is_refused(tmp_path: Path) -> None:
    write_parquet(
        pl.DataFrame({"a": [1]}), tmp_path / "scores.parquet", {"type": "Proteins", "version": 1}
    )
    with pytest.raises(
        ValueError, match=r"expected ConceptScores.scores version 1, found Proteins"
    ):
        ConceptScores.load(tmp_path, "test", "strict")
    with pytest.raises(FileNotFoundError, match="run the stage"):
        ConceptScores.load(tmp_path / "nowhere", "test", "strict")


def one(
    tp: int = 2, level: str = "instance", thresholds: tuple[float, ...] = (0.0,)
) -> ConceptScores:
    counts = np.full((1, 1, 1), tp, np.int32)
    return ConceptScores(
        concepts(("Helix", level, 4, 3)), thresholds, counts, counts, np.full((1, 1), 3)
    )


def test_scores_of_other_thresholds_levels_or_shapes_do_not_add() -> None:
    with pytest.raises(ValueError, match="features and thresholds must be the same"):
        one() + one(thresholds=(0.5,))
    with pytest.raises(ValueError, match="concept 'Helix' has another category or level"):
        one() + one(level="residue")
    with pytest.raises(
        ValueError,
        match=r"tp has shape \(1, 1, 2\); 1 concepts, 1 features and 1 thresholds need \(1, 1, 1\)",
    ):
        ConceptScores(
            one().concepts, (0.0,), np.zeros((1, 1, 2)), np.zeros((1, 1, 1)), np.zeros((1, 1))
        )


def test_counts_past_int32_do_not_wrap() -> None:
    half = ConceptScores(one().concepts, (0.0,), one().tp, one().tp, np.full((1, 1), 2**30))
    with pytest.raises(OverflowError, match="counts are int32"):
        half + half
