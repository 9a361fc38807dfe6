"""Family specificity against sets of proteins and clusters."""

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import false_discovery_control, hypergeom

from interplm_nb.activations import FeatureActivations
from interplm_nb.concepts.probes.specificity import SPECIFICITY, family_specificity
from interplm_nb.proteins import Proteins

N, N_FEATURES = 9, 3
PROTEINS = Proteins.from_sequences({f"P{i}": "A" * (1 + i % 3) for i in range(N)})
FAMILIES: tuple[str, ...] = ("globin", "kinase", "zinc finger")


@st.composite
def drawn(draw: st.DrawFn) -> tuple[np.ndarray, list[tuple[int, str]], list[int]]:
    """Values per residue, (protein, family) pairs, and the cluster of each protein."""
    values = draw(
        st.lists(
            st.sampled_from([0.0, 0.4, 0.5, 0.6, 1.0]),
            min_size=N_FEATURES * PROTEINS.n_residues,
            max_size=N_FEATURES * PROTEINS.n_residues,
        )
    )
    pairs = draw(
        st.lists(
            st.tuples(st.integers(0, N - 1), st.sampled_from(FAMILIES)), min_size=1, max_size=12
        )
    )
    clusters = draw(st.lists(st.integers(0, 4), min_size=N, max_size=N))
    return np.array(values, np.float32).reshape(PROTEINS.n_residues, N_FEATURES), pairs, clusters


def table_of(pairs: list[tuple[int, str]]) -> pl.DataFrame:
    return pl.DataFrame(
        [(f"P{i}", family) for i, family in pairs], schema=["accession", "family"], orient="row"
    )


@given(drawn(), st.booleans())
def test_the_best_family_is_that_of_sets(
    example: tuple[np.ndarray, list[tuple[int, str]], list[int]], by_cluster: bool
) -> None:
    values, pairs, clusters = example
    source = FeatureActivations.from_dense(values, PROTEINS, "max")
    cluster_table = (
        pl.DataFrame({"accession": PROTEINS.accessions, "cluster": clusters})
        if by_cluster
        else None
    )
    found = family_specificity(source, table_of(pairs), PROTEINS.accessions, clusters=cluster_table)
    unit = clusters if by_cluster else list(range(N))
    members = {u: {i for i in range(N) if unit[i] == u} for u in unit}
    families = {f: {i for i, g in pairs if g == f} for f in FAMILIES}

    def units(proteins: set[int]) -> set[int]:
        return {u for u, inside in members.items() if 2 * len(inside & proteins) >= len(inside)}

    strong = [
        units({i for i in range(N) if values[PROTEINS.rows(f"P{i}"), f].max() > 0.5})
        for f in range(N_FEATURES)
    ]
    of = {name: units(proteins) for name, proteins in families.items()}
    every = [
        (
            f,
            name,
            hypergeom.sf(
                len(strong[f] & of[name]) - 1, len(members), len(of[name]), len(strong[f])
            ),
        )
        for f in range(N_FEATURES)
        for name in FAMILIES
        if strong[f] and of[name]
    ]
    q = {
        (f, name): value
        for (f, name, _), value in zip(
            every, false_discovery_control([p for *_, p in every]) if every else [], strict=True
        )
    }
    assert found.columns == list(SPECIFICITY)
    assert found["feature"].to_list() == list(range(N_FEATURES))
    for f, row in enumerate(found.iter_rows(named=True)):
        assert row["n_strong"] == len(strong[f])
        f1 = {
            name: 2 * len(strong[f] & of[name]) / (len(strong[f]) + len(of[name]))
            for name in FAMILIES
            if strong[f] & of[name]
        }
        if not f1:
            assert (
                row["family"],
                row["n_both"],
                row["share"],
                row["f1"],
                row["p_value"],
                row["q_value"],
            ) == (None, 0, 0.0, 0.0, 1.0, 1.0)
            continue
        best = max(sorted(f1), key=f1.__getitem__)
        both = strong[f] & of[best]
        assert (row["family"], row["n_family"], row["n_both"]) == (best, len(of[best]), len(both))
        assert row["f1"] == pytest.approx(f1[best])
        assert row["share"] == pytest.approx(len(both) / len(strong[f]))
        assert row["recall"] == pytest.approx(len(both) / len(of[best]))
        assert row["q_value"] == pytest.approx(q[f, best])


@given(
    st.lists(st.integers(0, 30), min_size=1, max_size=8),
    st.lists(st.integers(1, 10), min_size=1, max_size=5),
)
def test_q_values_are_scipys_with_the_pairs_that_share_no_protein_at_one(
    strong: list[int], sizes: list[int]
) -> None:
    """Feature f is strong on the last strong[f] of 40 proteins; families of these sizes follow one
    another.
    """
    proteins = Proteins.from_sequences({f"P{i}": "A" for i in range(40)})
    values = np.array([[float(i >= 40 - n) for n in strong] for i in range(40)], np.float32)
    ends = np.minimum(np.cumsum(sizes), 40)
    of = {
        f"family {k}": set(range(start, end))
        for k, (start, end) in enumerate(zip([0, *ends], ends, strict=False))
        if end > start
    }
    families = pl.DataFrame(
        [(f"P{i}", name) for name, members in of.items() for i in members],
        schema=["accession", "family"],
        orient="row",
    )
    found = family_specificity(
        FeatureActivations.from_dense(values, proteins, "max"), families, proteins.accessions
    )
    both = {
        (f, name): len(members & set(range(40 - n, 40)))
        for f, n in enumerate(strong)
        if n
        for name, members in of.items()
    }
    p = [
        hypergeom.sf(n - 1, 40, len(of[name]), strong[f]) if n else 1.0
        for (f, name), n in both.items()
    ]
    q = dict(zip(both, false_discovery_control(p) if p else [], strict=True))
    wanted = [
        q[row["feature"], row["family"]] if row["family"] else 1.0
        for row in found.iter_rows(named=True)
    ]
    assert found["q_value"].to_list() == pytest.approx(wanted)


def test_relatives_count_once() -> None:
    """Six strong globins of one cluster count once: significant by proteins, not by clusters."""
    proteins = Proteins.from_sequences({f"P{i}": "AA" for i in range(30)})
    values = np.zeros((60, 1), np.float32)
    values[:12] = 1
    families = pl.DataFrame({"accession": [f"P{i}" for i in range(6)], "family": ["globin"] * 6})
    clusters = pl.DataFrame(
        {"accession": proteins.accessions, "cluster": [0] * 6 + list(range(1, 25))}
    )
    source = FeatureActivations.from_dense(values, proteins, "max")
    alone = family_specificity(source, families, proteins.accessions).row(0, named=True)
    together = family_specificity(source, families, proteins.accessions, clusters=clusters).row(
        0, named=True
    )
    assert (alone["n_both"], together["n_both"]) == (6, 1)
    assert alone["q_value"] < 1e-5
    assert together["q_value"] == pytest.approx(1 / 25)


def test_some_of_the_proteins() -> None:
    values = np.ones((PROTEINS.n_residues, 1), np.float32)
    found = family_specificity(
        FeatureActivations.from_dense(values, PROTEINS, "max"),
        table_of([(1, "a"), (8, "b")]),
        ["P1", "P2"],
    )
    assert found.select("n_strong", "family", "n_family").row(0) == (2, "a", 1)


def test_what_does_not_fit_is_refused() -> None:
    source = FeatureActivations.from_dense(np.ones((PROTEINS.n_residues, 1)), PROTEINS, "max")
    families = table_of([(1, "a")])
    with pytest.raises(ValueError, match=r"has unit 'raw'; use activations\.relative_to"):
        family_specificity(
            FeatureActivations.from_dense(np.ones((PROTEINS.n_residues, 1)), PROTEINS),
            families,
            ["P1"],
        )
    with pytest.raises(ValueError, match="none of the 1 rows of families is on these 1 proteins"):
        family_specificity(source, families, ["P2"])
    with pytest.raises(ValueError, match="1 of 2 proteins have no cluster, such as 'P2'"):
        family_specificity(
            source,
            families,
            ["P1", "P2"],
            clusters=pl.DataFrame({"accession": ["P1"], "cluster": [0]}),
        )
