"""The check of a split: made families by MMseqs2; the choice of pairs and of splits by loops."""

from functools import partial

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from interplm_nb.proteins import Proteins
from interplm_nb.readers import demo, homology, mmseqs, separation
from interplm_nb.readers.homology import SPLITS, ClusterReport, Clusters, cluster
from interplm_nb.readers.separation import (
    RELATIVES,
    Separation,
    _joined,
    _searches,
    _where_most_residues_are,
    separate,
    without_partial_relatives,
)
from tests.readers import made_sequences

RNG = np.random.default_rng(11)
sequence, mutated = partial(made_sequences.sequence, RNG), partial(made_sequences.mutated, RNG)


A, B, C = sequence(200), sequence(150), sequence(300)
FAMILIES = Proteins.from_sequences(
    {
        "A": A,
        "A_child": mutated(A, 0.3),
        "A_domain": A[40:120],
        "B": B,
        "B_child": mutated(B, 0.4),
        "C": C,
        "chimera": C[:60] + sequence(150),
        "lone": sequence(180),
    }
)
DEALT = {
    "A": "train",
    "A_child": "test",
    "A_domain": "test",
    "B": "validation",
    "B_child": "test",
    "C": "train",
    "chimera": "test",
    "lone": "validation",
}


def dealt(named: dict[str, str] = DEALT) -> pl.DataFrame:
    return pl.DataFrame({"accession": FAMILIES.accessions}).with_columns(
        split=pl.col("accession").replace_strict(named)
    )


def unclustered(proteins: Proteins) -> Clusters:
    """What a clustering that misses every relative returns."""
    n, share = len(proteins), float(proteins.lengths.max() / proteins.n_residues)
    report = ClusterReport(0.3, 0.5, 0.5, "shorter", 5.7, 1e-2, n, n, n, 1, share, 0.6, ())
    return Clusters(homology.alone(proteins), report)


@pytest.fixture(scope="module")
def apart() -> Separation:
    return separate(FAMILIES, unclustered(FAMILIES), dealt(), threads=1)


def test_relatives_across_splits_are_merged_and_few_residues_move(apart: Separation) -> None:
    # A's child and domain (280 residues) outweigh A (200), so A moves to test. B and its child are
    # equal, and validation comes before test.
    assert dict(apart.splits.select("accession", "split").iter_rows()) == DEALT | {
        "A": "test",
        "B_child": "validation",
    }
    assert apart.clusters.table["cluster"].to_list() == [0, 0, 0, 1, 1, 2, 3, 4]
    assert apart.splits.columns == ["accession", "cluster", "split"]
    report = apart.clusters.report
    assert (report.n_clusters, report.n_singletons, report.largest) == (5, 3, 3)
    assert report.largest_share == pytest.approx(480 / FAMILIES.n_residues)
    assert (apart.n_moved, apart.n_left, apart.exhaustive) == (2, 0, True)


def test_what_was_found_is_listed_with_the_splits_that_it_had(apart: Separation) -> None:
    assert apart.merged.schema == {"search": pl.Int64, **RELATIVES}
    assert set(apart.merged.select("search", "accession", "split", "relative").iter_rows()) == {
        (0, "A_child", "test", "A"),
        (0, "A_domain", "test", "A"),
        (0, "B_child", "test", "B"),
    }
    assert (apart.merged["identity"] >= 0.3).all() and (apart.merged["coverage"] >= 0.5).all()
    assert apart.merged["relative_split"].to_list().count("train") == 2


def test_partial_relatives_are_those_of_the_final_splits(apart: Separation) -> None:
    # 60 of the chimera's 210 residues are C's.
    assert apart.partial_relatives.schema == RELATIVES
    row = apart.partial_relatives.row(0, named=True)
    assert (row["accession"], row["split"], row["relative"], row["relative_split"]) == (
        "chimera",
        "test",
        "C",
        "train",
    )
    assert row["coverage"] == pytest.approx(60 / 210, abs=0.03) and row["e_value"] <= 1e-3
    assert apart.partial_relatives.height == 1
    assert without_partial_relatives(apart.splits, apart.partial_relatives) == [
        "A",
        "A_child",
        "A_domain",
    ]


def test_the_sentences_say_what_was_found_and_done(apart: Separation) -> None:
    assert str(apart) == (
        "A second search, which aligned every pair of proteins of different splits, found 3 pairs "
        "of relatives across the splits: their clusters, and those of 0 more pairs that moving "
        "brought about, were merged, which moved 2 proteins. The last search found 0.\n"
        "Partial relatives in train (30% identity over less than 50% of the shorter): 0 validation "
        "proteins and 1 test proteins have some."
    )


def test_a_split_without_relatives_stays_as_it_is(apart: Separation) -> None:
    again = separate(FAMILIES, apart.clusters, apart.splits, threads=1)
    assert again.splits.equals(apart.splits)
    assert again.merged.is_empty() and again.n_moved == 0
    assert "found 0 pairs of relatives across the splits.\n" in str(again)


def test_what_moving_brings_about_is_found_in_the_next_search() -> None:
    # Half of "both" is B's: it moves to the longer B's split, and leaves its other relative, A.
    proteins = Proteins.from_sequences(
        {
            "B": B + sequence(200),
            "both": B + A[:150],
            "A": A,
            "C": C,
            "lone": sequence(180),
        }
    )
    splits = pl.DataFrame(
        {
            "accession": proteins.accessions,
            "split": ["train", "test", "test", "test", "validation"],
        }
    )
    found = separate(proteins, unclustered(proteins), splits, threads=1)
    assert found.merged.select("search", "accession", "relative").rows() == [
        (0, "both", "B"),
        (1, "A", "both"),
    ]
    assert found.splits["split"].to_list() == ["train", "train", "train", "test", "validation"]
    assert found.n_moved == 2 and "those of 1 more pairs that moving brought about" in str(found)


def test_many_residues_are_searched_by_kmers(monkeypatch: pytest.MonkeyPatch) -> None:
    none, asked = mmseqs.alignments(FAMILIES.select([]), FAMILIES, 0.3, 1e-2), []
    monkeypatch.setattr(separation, "EXHAUSTIVE_RESIDUES", FAMILIES.n_residues - 1)
    monkeypatch.setattr(separation, "alignments", lambda *args: asked.append(args[4]) or none)
    found = separate(FAMILIES, unclustered(FAMILIES), dealt())
    assert set(asked) == {7.5} and not found.exhaustive
    assert "which had sensitivity 7.5 instead of 5.7, found 0 pairs" in str(found)


def test_merging_must_leave_three_splits() -> None:
    named = dict.fromkeys(DEALT, "test") | {"A": "train", "A_domain": "validation", "C": "train"}
    with pytest.raises(ValueError, match=r"validation would be empty: 6 clusters do not fill"):
        separate(FAMILIES, unclustered(FAMILIES), dealt(named), threads=1)


def test_splits_of_other_proteins_are_refused() -> None:
    with pytest.raises(ValueError, match=r"the splits list 7 proteins, not these 8 in their order"):
        separate(FAMILIES, unclustered(FAMILIES), dealt()[1:])


def test_a_relative_that_kmers_miss_is_found_by_aligning_every_pair() -> None:
    # Four letters in eleven agree, in runs too short for a k-mer.
    rng = np.random.default_rng(2)
    parent = "".join(rng.choice(made_sequences.LETTERS, 150))
    child = "".join(
        p if i % 11 < 4 else rng.choice(made_sequences.LETTERS) for i, p in enumerate(parent)
    )
    one, other = (Proteins.from_sequences({"P": letters}) for letters in (parent, child))
    found = {s: mmseqs.alignments(one, other, 0.3, 1e-2, s, 1) for s in (5.7, None)}
    assert [table.height for table in found.values()] == [0, 1]
    assert found[None]["target_coverage"][0] > 0.9 and found[None]["e_value"][0] < 1e-9


@given(st.lists(st.tuples(st.integers(0, 2), st.booleans()), min_size=1, max_size=12))
def test_each_ordered_pair_with_a_fresh_protein_is_searched_once(
    drawn: list[tuple[int, bool]],
) -> None:
    home, fresh = np.array([h for h, _ in drawn]), np.array([f for _, f in drawn])
    times = np.zeros((len(drawn), len(drawn)), int)
    for queries, targets in _searches(home, fresh):
        times[np.ix_(queries, targets)] += 1
    expected = [
        [int(home[i] != home[j] and (fresh[i] or fresh[j])) for j in range(len(drawn))]
        for i in range(len(drawn))
    ]
    np.testing.assert_array_equal(times, expected)


@given(
    st.lists(st.tuples(st.integers(0, 2), st.integers(1, 50)), min_size=8, max_size=8),
    st.lists(st.integers(0, 3), min_size=8, max_size=8),
    st.lists(st.tuples(st.integers(0, 7), st.integers(0, 7)), max_size=4),
)
def test_a_merged_cluster_goes_where_most_of_its_residues_are(drawn, clusters, pairs) -> None:
    proteins = Proteins.from_sequences({f"P{i}": "A" * n for i, (_, n) in enumerate(drawn)})
    home = np.array([h for h, _ in drawn])
    frame = pl.DataFrame(pairs, schema={"query": pl.UInt32, "target": pl.UInt32}, orient="row")
    together = [{j for j in range(8) if clusters[j] == clusters[i]} for i in range(8)]
    for _ in range(8):
        for i, j in pairs:
            both = together[i] | together[j]
            for member in both:
                together[member] = both | together[member]
    labels = _joined(np.unique(clusters, return_inverse=True)[1], frame)
    for i in range(8):
        assert {j for j in range(8) if labels[j] == labels[i]} == together[i]
        held = [sum(drawn[j][1] for j in together[i] if home[j] == s) for s in range(3)]
        moved = _where_most_residues_are(labels, home, proteins)
        assert moved[i] == held.index(max(held))


@given(st.data())
def test_proteins_without_partial_relatives_by_a_loop(data: st.DataObject) -> None:
    homes = data.draw(st.lists(st.sampled_from(SPLITS), min_size=6, max_size=6))
    splits = pl.DataFrame({"accession": list("abcdef"), "split": homes})
    named = dict(zip("abcdef", homes, strict=True))
    drawn = data.draw(st.lists(st.tuples(st.sampled_from("abcdef"), st.sampled_from("abcdef"))))
    # As `separate` writes them: the more held-out protein first.
    pairs = [(a, b) for a, b in drawn if SPLITS.index(named[a]) > SPLITS.index(named[b])]
    table = pl.DataFrame(
        [(a, named[a], b, named[b], 0.4, 0.2, 1e-9) for a, b in pairs],
        schema=RELATIVES,
        orient="row",
    )
    for split in ("validation", "test"):
        expected = [
            a
            for a in "abcdef"
            if named[a] == split
            and not any(first == a and named[b] == "train" for first, b in pairs)
        ]
        assert without_partial_relatives(splits, table, split) == expected


@pytest.mark.slow
def test_a_more_sensitive_search_finds_no_relative_across_the_demo_s_splits() -> None:
    from interplm_nb.readers.read import read

    proteins = read(demo.table_path()).annotations.proteins.up_to(1022)[0]
    clusters = cluster(proteins)
    apart = separate(proteins, clusters, homology.split(clusters.table, seed=42))
    assert apart.merged.height > 0
    named = dict(apart.splits.select("accession", "split").iter_rows())
    test, validation, train = (
        proteins.select(a for a in proteins.accessions if named[a] == split)
        for split in ("test", "validation", "train")
    )
    for queries, targets in ((test, train), (validation, train), (test, validation)):
        hits = mmseqs.alignments(queries, targets, 0.3, 1e-3, sensitivity=7.5)
        assert (hits.select(homology.covered("shorter")).to_series() < 0.5).all()
