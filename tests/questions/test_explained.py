"""What share of features is explained, against the definitions taken row by row."""

import shutil
from pathlib import Path
from statistics import median
from typing import Any, cast

import polars as pl
import pytest
from scipy.stats import binomtest, false_discovery_control

from interplm_nb.features.spatial.spatial_test import SPATIAL, SpatialTest
from interplm_nb.pipeline.errors import PipelineError
from interplm_nb.pipeline.run import Run
from interplm_nb.questions.explained import EXPLAINED, explained
from interplm_nb.questions.space import SpaceOfRun

SOURCES = ("sae", "shuffled_sae", "random_sae")


@pytest.fixture(scope="module")
def run() -> Run:
    return Run.shipped()


def row(run: Run, source: str, by: str) -> dict[str, Any]:
    return explained(run).filter(source=source, by=by).row(0, named=True)


def test_a_row_for_each_source_and_kind(run: Run) -> None:
    table = explained(run)
    assert dict(table.schema) == EXPLAINED
    assert table["source"].unique(maintain_order=True).to_list() == list(SOURCES)
    assert table.height == 3 * 4


@pytest.mark.parametrize("source", SOURCES)
def test_by_concepts_and_motifs(run: Run, source: str) -> None:
    active = run.feature_table("statistics", source).filter(pl.col("n_active") > 0).height
    found = run.table("concepts", "found").filter(source=source, convention="strict")
    concept = row(run, source, "concept")
    assert (concept["features"], concept["tested"]) == (active, active)
    assert concept["explained"] == len(set(found["feature"]))
    motifs, n = run.feature_table("motifs", source), 0
    for one in motifs.iter_rows(named=True):
        recall, precision = one["pattern_recall"], one["pattern_precision"]
        f1 = 2 * recall * precision / (recall + precision) if recall + precision else 0
        n += one["q_motif"] <= 0.05 and one["pattern"] != "" and f1 > 0.5
    motif = row(run, source, "motif")
    assert (motif["tested"], motif["explained"]) == (motifs.height, n)
    assert motif["share"] == n / active


@pytest.mark.parametrize("source", SOURCES)
def test_by_position(run: Run, source: str) -> None:
    p, near = [], []
    for one in run.feature_table("statistics", source).iter_rows(named=True):
        if one["n_active"] and one["n_proteins"] >= 10:
            n, k = one["n_proteins"], round(one["share_near_ends"] * one["n_proteins"])
            p.append(binomtest(k, n, one["near_ends_by_chance"], "greater").pvalue)
            near.append(k / n > 0.5)
    q = false_discovery_control(p)
    position = row(run, source, "position")
    assert position["tested"] == len(p)
    assert position["explained"] == sum(a <= 0.05 and b for a, b in zip(q, near, strict=True))


@pytest.mark.parametrize("source", SOURCES)
def test_by_descriptions(run: Run, source: str) -> None:
    judged, n = run.interpretation("judged", source), 0
    for _, rows in judged.group_by("feature"):
        of: dict[str, list[float]] = {}
        for one in rows.iter_rows(named=True):
            of.setdefault(one["given"], []).append(one["pearson"] or 0.0)
        (own,) = rows.filter(given="description").iter_rows(named=True)
        r, low = own["pearson"] or 0.0, own["pearson_low"] or 0.0
        nulls = ("another description", "no description", "composition")
        n += r > 0.5 and all(low > median(of[null]) for null in nulls)
    described = row(run, source, "description")
    assert described["tested"] == judged["feature"].n_unique()
    assert described["explained"] == n
    counts = run.table("interpret", "counts").filter(source=source).row(0, named=True)
    share = n / counts["n_drawn"] * counts["n_enough"] / described["features"]
    assert described["share"] == pytest.approx(share)


def test_by_structure_where_a_test_is_given(run: Run) -> None:
    made = [
        (0, "space, 6 or more apart", 30, 0.4, 0.1, 0.01),
        (1, "space, 6 or more apart", 30, 0.1, 0.4, 0.01),  # less than by chance
        (2, "space, 6 or more apart", 30, 0.4, 0.1, 0.2),
        (3, "space, 6 or more apart", 3, None, None, None),
        (4, "space, 12 or more apart", 30, 0.4, 0.1, 0.01),
    ]
    names = ["feature", "neighbours", "n_proteins", "score", "by_chance", "p_adjusted"]
    table = pl.DataFrame(made, names, orient="row")
    table = table.with_columns(pl.lit(None, pl.Float64).alias(c) for c in ("cohen_d", "p_value"))
    test = SpatialTest(
        "strict", table.select(pl.col(c).cast(t) for c, t in SPATIAL.items()), 30, 25
    )
    space = SpaceOfRun(cast(Any, None), {"sae": test})
    found = explained(run, space).filter(by="structure").to_dicts()
    assert [(r["source"], r["tested"], r["explained"]) for r in found] == [("sae", 3, 1)]


def test_before_the_stage_it_says_so(run: Run, tmp_path: Path) -> None:
    shutil.copytree(run.folder, tmp_path / "run")
    own = Run.open(tmp_path / "run")
    (own.folder / "07_interpret" / "counts.parquet").unlink()
    with pytest.raises(PipelineError, match="interpret"):
        explained(own)
