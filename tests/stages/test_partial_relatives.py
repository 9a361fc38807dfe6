"""The headline without partial relatives, counted anew protein by protein; and without MMseqs2."""

import shutil
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from interplm_nb.concepts.intervals import ClusterCounts, by_cluster
from interplm_nb.figures import tables
from interplm_nb.pipeline.errors import PipelineError
from interplm_nb.pipeline.parameters import ProteinsParameters
from interplm_nb.pipeline.run import Run
from interplm_nb.readers import mmseqs
from interplm_nb.readers.separation import RELATIVES
from interplm_nb.stages.partial_relatives import (
    COLUMN,
    NOT_COUNTED,
    mean_apart,
    related_clusters,
    with_mean_apart,
)
from interplm_nb.stages.proteins import NOT_SOUGHT, _summed_up, proteins
from tests.pipeline.tiny import tiny_parameters


def parameters(run: Run) -> ProteinsParameters:
    params = tiny_parameters(run.folder)["proteins"]
    assert isinstance(params, ProteinsParameters)
    return params


@pytest.fixture
def run(tiny_run: Run, tmp_path: Path) -> Run:
    """The tiny run, of which every third test protein has a partial relative in train."""
    shutil.copytree(tiny_run.folder, tmp_path / "run")
    run = Run.open(tmp_path / "run")
    test, train = run.accessions("test"), run.accessions("train")
    rows = [(a, "test", train[0], "train", 0.4, 0.2, 1e-9) for a in test[::3]]
    # Those of validation leave nothing out.
    rows += [(test[1], "test", run.accessions("validation")[0], "validation", 0.4, 0.2, 1e-9)]
    made = pl.DataFrame(rows, schema=RELATIVES, orient="row")
    run.write_table("proteins", "partial_relatives", made)
    return run


def test_the_mean_is_that_of_counting_the_other_proteins_alone(run: Run) -> None:
    values, annotations = run.scored("sae", "strict"), run.annotations()
    best = run.table("concepts", "best").filter(source="sae", convention="strict")
    pairs = best.select("concept", "feature", "threshold")
    test = run.splits().filter(split="test")
    related = {
        cluster
        for accession, cluster in test.select("accession", "cluster").iter_rows()
        if accession not in run.without_partial_relatives()
    }
    kept = test.filter(~pl.col("cluster").is_in(list(related)))
    assert 0 < kept.height < test.height and test["accession"][1] in kept["accession"]
    anew = by_cluster(values, annotations, pairs, kept)
    expected = anew.mean_f1_per_domain(np.ones((1, len(anew.clusters))))[0]
    counts = {"sae": by_cluster(values, annotations, pairs, test)}
    comparison = run.table("concepts", "comparison").drop(COLUMN)
    found = with_mean_apart(
        comparison, counts, related_clusters(run.splits(), run.partial_relatives())
    )
    assert found.filter(source="sae", convention="strict")[COLUMN].to_list() == [
        pytest.approx(expected)
    ]
    assert found[COLUMN].null_count() == found.height - 1
    assert found.drop(COLUMN).equals(comparison)
    assert NOT_COUNTED not in tables.comparison(found).caption
    assert "without partial relatives" in tables.comparison(found).html()


@given(st.data())
def test_the_mean_by_loops(data: st.DataObject) -> None:
    n_pairs, n_clusters = 3, 4
    level = np.array(data.draw(st.lists(st.booleans(), min_size=n_pairs, max_size=n_pairs)))
    drawn = st.lists(st.integers(0, 3), min_size=n_clusters, max_size=n_clusters)
    tp, more_active, more_residues, hits, more_instances = (
        np.array([data.draw(drawn) for _ in range(n_pairs)]) for _ in range(5)
    )
    counts = ClusterCounts(
        tuple("ABC"), (0, 1, 2), (2, 3, 5, 7), level, tp, tp + more_active, hits,
        tp + more_residues, hits + more_instances,
    )  # fmt: skip
    related = data.draw(st.sets(st.sampled_from([2, 3, 5, 7])))
    f1 = []
    for p in range(n_pairs):
        inside = [k for k, cluster in enumerate((2, 3, 5, 7)) if cluster not in related]
        n_tp, n_active, n_hits, n_residues, n_instances = (
            sum(int(table[p, k]) for k in inside)
            for table in (tp, tp + more_active, hits, tp + more_residues, hits + more_instances)
        )
        size = n_residues if level[p] else n_instances
        if size:
            precision = n_tp / n_active if n_active else 0
            recall = (n_tp if level[p] else n_hits) / size
            total = precision + recall
            f1.append(2 * precision * recall / total if total else 0)
    expected = pytest.approx(np.mean(f1)) if f1 else None
    assert mean_apart(counts, related) == expected


def test_a_run_without_the_table_says_so(run: Run) -> None:
    (run.stage_folder("proteins") / "partial_relatives.parquet").unlink()
    with pytest.raises(PipelineError, match=r"stage 'proteins' ran without MMseqs2; install it"):
        run.without_partial_relatives()
    shutil.rmtree(run.stage_folder("proteins"))
    with pytest.raises(PipelineError, match="run stage 'proteins' first"):
        run.partial_relatives()
    found = with_mean_apart(run.table("concepts", "comparison").drop(COLUMN), {}, None)
    assert found[COLUMN].is_null().all()
    assert tables.comparison(found).caption.endswith(NOT_COUNTED)


def test_without_mmseqs2_one_sentence_says_what_is_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mmseqs, "_program", lambda: None)
    run = Run.create(tmp_path / "run", "x")
    result = proteins(run, parameters(run))
    assert result.clusters == NOT_SOUGHT and NOT_SOUGHT.count(". ") == 0
    assert result.splits["cluster"].n_unique() == len(result.proteins)
    assert result.shares["partial_relatives"].is_null().all()
    with pytest.raises(PipelineError, match="ran without MMseqs2"):
        run.partial_relatives()


def test_the_stage_counts_proteins_with_partial_relatives(run: Run) -> None:
    result = _summed_up(run, parameters(run).too_long)
    counted = dict(result.shares.select("split", "partial_relatives").iter_rows())
    n = len(run.accessions("test"))
    assert counted == {"train": None, "validation": 0, "test": -(-n // 3)}
    assert len(run.without_partial_relatives()) == n - counted["test"]
    assert run.summary("proteins")["partial_relatives"] == {
        "validation": 0,
        "test": counted["test"],
    }
