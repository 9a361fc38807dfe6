"""Hidden labels on a planted world: found again, never seen, counted right."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from interplm_nb.activations import FeatureActivations
from interplm_nb.annotations import Annotations
from interplm_nb.concepts.discovery import evaluation as discovery_evaluation
from interplm_nb.concepts.discovery.evaluation import KS, Hiding, hidden, hide_and_refind
from interplm_nb.concepts.discovery.relatives import RELATIVES
from tests.concepts.discovery.planted import world

WORLD = world(200)
SMALL = Hiding(min_f1=0.3, min_instances=5, n_resamples=20)


def noting(function: Callable[..., Any], seen: list[Annotations]) -> Callable[..., Any]:
    def noted(source: FeatureActivations, annotations: Annotations, *rest: Any) -> Any:
        seen.append(annotations)
        return function(source, annotations, *rest)

    return noted


@pytest.fixture(autouse=True)
def searched(monkeypatch: pytest.MonkeyPatch) -> list[Annotations]:
    """The annotations that pairs, sites and homology are given. Every even protein of test gets a
    labelled relative, the later the nearer.
    """
    seen: list[Annotations] = []

    def found(annotations: Annotations, concepts: list[str], among: list[str]) -> pl.DataFrame:
        seen.append(annotations)
        rows = [
            (a, c, "P000", 0.5, 10.0 ** -int(a[1:]))
            for c in sorted(concepts)
            for a in sorted(among, reverse=True)
            if int(a[1:]) % 2 == 0
        ]
        return pl.DataFrame(rows, schema=RELATIVES, orient="row")

    monkeypatch.setattr(discovery_evaluation, "nearest_relatives", found)
    for name in ("count", "candidates"):
        monkeypatch.setattr(
            discovery_evaluation, name, noting(getattr(discovery_evaluation, name), seen)
        )
    return seen


def test_what_was_hidden_is_found_first() -> None:
    found = hide_and_refind(WORLD.source, WORLD.annotations(), WORLD.splits, hiding=SMALL)
    gone = hidden(WORLD.annotations(), WORLD.splits, 0.2, "protein", 0).filter(category="Domain")
    taken = sorted(set(gone["accession"]) & set(WORLD.of("test")))
    assert taken and found.n_hidden == len(taken)
    assert found.n_cases == found.n_hidden + sum(a not in WORLD.places for a in WORLD.of("test"))
    first = found.ranking.sort("rank_sae").head(found.n_hidden)
    assert (
        first["hidden"].all()
        and first["at_place"].all()
        and sorted(set(first["accession"])) == taken
    )
    sae = found.precision.filter(method="sae")
    assert sae.filter(k=10)["precision"][0] == pytest.approx(min(found.n_hidden, 10) / 10)
    assert sae.filter(pl.col("k").is_null()).select("precision", "low", "high").row(0) == (
        1.0,
        1.0,
        1.0,
    )
    assert found.concepts.select("concept", "n_hidden", "sae").rows() == [
        ("Domain_Motif", len(taken), 1.0)
    ]
    assert found.overlap.filter(pl.col("k").is_null()).row(0) == (
        None,
        found.n_hidden,
        found.n_hidden,
        found.n_hidden,
        0,
        0,
    )


def test_a_concept_on_the_residues_of_a_more_specific_one_counts_nothing() -> None:
    annotations = WORLD.annotations()
    without = annotations.only(["Domain_Motif", "Region_Other"])
    both, one = (
        hide_and_refind(WORLD.source, labels, WORLD.splits, hiding=SMALL)
        for labels in (annotations, without)
    )
    assert both.ranking["concept"].unique().to_list() == ["Domain_Motif"]
    for name in ("ranking", "precision", "overlap", "concepts"):
        assert_frame_equal(getattr(both, name), getattr(one, name))
    assert (both.n_pairs, both.n_cases, both.n_hidden) == (one.n_pairs, one.n_cases, one.n_hidden)


def test_the_methods_stand_beside_each_other_with_chance() -> None:
    dull = FeatureActivations.from_dense(
        np.random.default_rng(0).random((WORLD.proteins.n_residues, 2)).astype(np.float32),
        WORLD.proteins,
        "max",
    )
    found = hide_and_refind(
        WORLD.source, WORLD.annotations(), WORLD.splits, {"random_sae": dull}, SMALL
    )
    methods = ["sae", "mmseqs2", "both", "random_sae", "sae - mmseqs2", "random"]
    assert found.precision.select("method", "k").rows() == [
        (m, k) for m in methods for k in (*KS, None)
    ]
    estimate = {
        (m, k): p for m, k, p in found.precision.select("method", "k", "precision").iter_rows()
    }
    assert estimate["random", 10] == pytest.approx(found.n_hidden / found.n_cases)
    assert estimate["sae - mmseqs2", 50] == pytest.approx(
        estimate["sae", 50] - estimate["mmseqs2", 50]
    )
    assert estimate["random_sae", None] < estimate["sae", None]
    assert found.concepts.columns == [
        "concept",
        "category",
        "n_cases",
        "n_hidden",
        "sae",
        "mmseqs2",
        "both",
        "random_sae",
    ]
    fused = [
        1 / (60 + (r["rank_sae"] or 1e9)) + 1 / (60 + (r["rank_mmseqs2"] or 1e9))
        for r in found.ranking.to_dicts()
    ]
    assert found.ranking["rank_both"].to_list() == list(
        range(1, len(fused) + 1)
    ) and fused == sorted(fused, reverse=True)


@pytest.mark.parametrize("by", ["protein", "cluster"])
def test_nothing_sees_what_is_hidden(by: Any, searched: list[Annotations]) -> None:
    annotations = WORLD.annotations()
    gone = hidden(annotations, WORLD.splits, 0.2, by, 0)
    is_hidden = pl.struct("accession", "category").is_in(
        gone.select(pl.struct("accession", "category").alias("x"))["x"].implode()
    )
    moved = annotations.table.with_columns(
        start=pl.when(is_hidden).then(1).otherwise("start"),
        end=pl.when(is_hidden).then(2).otherwise("end"),
        concept=pl.when(is_hidden & (pl.col("concept") == "Domain_Motif"))
        .then(pl.lit("Domain_any"))
        .otherwise("concept"),
        instance=pl.when(is_hidden & (pl.col("concept") == "Domain_Motif"))
        .then(pl.col("instance") + 1000)
        .otherwise("instance"),
    )
    one, other = (
        hide_and_refind(WORLD.source, a, WORLD.splits, hiding=replace(SMALL, by=by))
        for a in (annotations, Annotations(moved, WORLD.proteins))
    )
    assert one.n_hidden != other.n_hidden
    assert_frame_equal(
        one.ranking.drop("hidden", "at_place"), other.ranking.drop("hidden", "at_place")
    )
    assert len(searched) == 6
    for seen in searched:
        assert_frame_equal(seen.table, searched[0].table)
        assert seen.table.join(gone, on=["accession", "category"], how="semi").height == 0


def test_a_fifth_is_hidden_by_protein_or_by_whole_cluster() -> None:
    annotations = WORLD.annotations()
    by_protein = hidden(annotations, WORLD.splits, 0.2, "protein", 0)
    assert (
        by_protein.filter(category="Domain").height == 20
        and by_protein.filter(category="Region").height == 40
    )
    by_cluster = (
        hidden(annotations, WORLD.splits, 0.2, "cluster", 0)
        .filter(category="Region")
        .join(WORLD.splits, on="accession")
    )
    assert by_cluster["cluster"].value_counts()["count"].to_list() == [2] * 20
    assert not by_protein.equals(hidden(annotations, WORLD.splits, 0.2, "protein", 1))
    fewer = annotations.only(["Domain_Motif", "Domain_any"])
    assert hidden(fewer, WORLD.splits, 0.2, "protein", 0).equals(
        by_protein.filter(category="Domain")
    )


def test_confidence_is_calibrated_on_what_was_hidden() -> None:
    made = world(6000, 0, blind=0.4)
    found = hide_and_refind(made.source, made.annotations(), made.splits, hiding=SMALL)
    strong = found.ranking.filter(pl.col("confidence") > 0.4)
    # Feature 0 fires on 50 motifs for 20 other places: with a fifth hidden, 40 of 70 of its sites
    # have the label, 10 of 30 without it are true.
    assert strong["confidence"].to_numpy().mean() == pytest.approx(40 / 70, abs=0.05)
    assert strong["at_place"].to_numpy().mean() == pytest.approx(10 / 30, abs=0.05)
    assert found.calibration.n.sum() == found.ranking["rank_sae"].count()
    assert found.calibration.error < 0.05


def test_what_cannot_be_evaluated_is_refused() -> None:
    annotations = WORLD.annotations()
    with pytest.raises(ValueError, match=r"above 0 and below 1, not 1\.5"):
        hide_and_refind(WORLD.source, annotations, WORLD.splits, hiding=Hiding(share=1.5))
    with pytest.raises(ValueError, match="hidden by 'protein' or 'cluster', not by 'family'"):
        by: Any = "family"
        hide_and_refind(WORLD.source, annotations, WORLD.splits, hiding=Hiding(by=by))
    with pytest.raises(
        ValueError, match=r"no feature reaches an F1 of 1\.1 .*lower min_f1 or min_instances"
    ):
        hide_and_refind(WORLD.source, annotations, WORLD.splits, hiding=Hiding(min_f1=1.1))
    with pytest.raises(ValueError, match="a control cannot be called 'both'"):
        hide_and_refind(WORLD.source, annotations, WORLD.splits, {"both": WORLD.source})
    with pytest.raises(ValueError, match="the activations are of"):
        hide_and_refind(WORLD.source, world(20).annotations(), WORLD.splits)
