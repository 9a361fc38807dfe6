"""Where features fire, against loops over residues and proteins."""

from typing import Any

import numpy as np
import polars as pl
import pytest
import scipy.sparse as sp
from hypothesis import given
from hypothesis import strategies as st

from interplm_nb.activations import FeatureActivations
from interplm_nb.features.examples import (
    EXAMPLES,
    Distribution,
    distribution,
    example_proteins,
    protein_distribution,
    proteins_of,
    sampled_proteins,
)
from interplm_nb.proteins import Proteins

N_FEATURES = 4


@st.composite
def activations(draw: st.DrawFn) -> tuple[Proteins, np.ndarray]:
    lengths = draw(st.lists(st.integers(1, 5), min_size=1, max_size=5))
    proteins = Proteins.from_sequences({f"P{i}": "A" * n for i, n in enumerate(lengths)})
    values = st.sampled_from([0.0, 0.0, 0.0, 0.15, 0.5, 1.0, 1.7])
    rows = draw(
        st.lists(
            st.lists(values, min_size=N_FEATURES, max_size=N_FEATURES),
            min_size=sum(lengths),
            max_size=sum(lengths),
        )
    )
    return proteins, np.array(rows, dtype=np.float32)


@given(activations(), st.integers(0, N_FEATURES - 1))
def test_proteins_of_a_feature_equal_a_loop(
    drawn: tuple[Proteins, np.ndarray], feature: int
) -> None:
    proteins, dense = drawn
    table = proteins_of(FeatureActivations.from_csr(sp.csr_array(dense), proteins, "max"), feature)
    expected = []
    for i, accession in enumerate(proteins.accessions):
        values = dense[proteins.rows(accession), feature]
        if values.any():
            expected.append(
                (
                    -values.max(),
                    i,
                    accession,
                    (values > 0).sum(),
                    int(values.argmax()) + 1,
                    len(values),
                )
            )
    assert table.select("accession", "n_active", "position", "length").rows() == [
        (a, n, p, length) for _, _, a, n, p, length in sorted(expected)
    ]
    for accession, maximum, mean in table.select("accession", "maximum", "mean").iter_rows():
        values = dense[proteins.rows(accession), feature]
        assert maximum == values.max() and np.isclose(mean, values[values > 0].mean())


def test_a_dead_feature_has_no_protein_and_an_empty_distribution() -> None:
    proteins = Proteins.from_sequences({"A": "MK"})
    activations = FeatureActivations.from_csr(
        sp.csr_array(np.zeros((2, 1), np.float32)), proteins, "max"
    )
    assert proteins_of(activations, 0).is_empty()
    assert sampled_proteins(activations, 0).is_empty()
    counted = distribution(*activations.feature(0), 2)
    assert (counted.counts.sum(), counted.n_zero, counted.edges[-1]) == (0, 2, 1)


def obvious_counts(track: np.ndarray, edges: np.ndarray) -> list[int]:
    """Values above 0 by bin; the last bin holds its upper edge."""
    last = len(edges) - 2
    return [
        sum(1 for v in track if v > 0 and edges[i] <= v and (v < edges[i + 1] or i == last))
        for i in range(last + 1)
    ]


def obviously(track: np.ndarray, carried: np.ndarray, largest: float) -> tuple[Any, ...]:
    edges = np.linspace(0, max(1.0, largest), 11)
    return (
        edges.tolist(),
        obvious_counts(track, edges),
        int((track == 0).sum()),
        obvious_counts(track[carried], edges),
        int((track[carried] == 0).sum()),
    )


def listed(counted: Distribution) -> tuple[Any, ...]:
    return tuple(x.tolist() if isinstance(x, np.ndarray) else x for x in counted)


@given(activations(), st.integers(0, N_FEATURES - 1), st.data())
def test_distributions_equal_a_loop_over_residues_and_proteins(
    drawn: tuple[Proteins, np.ndarray], feature: int, data: st.DataObject
) -> None:
    proteins, dense = drawn
    n = proteins.n_residues
    carried = np.array(data.draw(st.lists(st.booleans(), min_size=n, max_size=n)))
    track, axis = dense[:, feature], [proteins.rows(a) for a in proteins.accessions]
    rows, values = FeatureActivations.from_csr(sp.csr_array(dense), proteins, "max").feature(
        feature
    )
    whole = distribution(rows, values, n, carried, bins=10)
    per_protein = protein_distribution(rows, values, proteins.offsets, carried, bins=10)
    largest = float(track.max())
    assert listed(whole) == obviously(track, carried, largest)
    assert listed(per_protein) == obviously(
        np.array([track[r].max() for r in axis]),
        np.array([carried[r].any() for r in axis]),
        largest,
    )
    for counted, plain in (
        (whole, distribution(rows, values, n, bins=10)),
        (per_protein, protein_distribution(rows, values, proteins.offsets, bins=10)),
    ):
        assert listed(plain) == (*listed(counted)[:3], None, None)


def test_a_mask_of_other_residues_or_of_rows_is_refused() -> None:
    rows, values = np.array([1]), np.array([0.5], np.float32)
    message = r"carried must be bool of shape \(3,\), one per residue, not {} of {}"
    with pytest.raises(ValueError, match=message.format("bool", r"\(2,\)")):
        distribution(rows, values, 3, np.ones(2, bool))
    with pytest.raises(ValueError, match=message.format("int64", r"\(3,\)")):
        protein_distribution(rows, values, np.array([0, 2, 3]), np.array([0, 1, 2]))
    with pytest.raises(ValueError, match="must be positive"):
        distribution(rows, values, 3, bins=0)


def sample_by_turns(table: pl.DataFrame, n: int, bins: int) -> list[int]:
    """How many proteins each bin gives, strongest bin first: one each in turn, up to n."""
    largest = table["maximum"].cast(float).max()
    left = [0] * bins
    for maximum in table["maximum"].cast(float):
        left[bins - 1 - min(int(maximum / largest * bins), bins - 1)] += 1
    given_by = [0] * bins
    while sum(given_by) < n and sum(left):
        for i in range(bins):
            if left[i] and sum(given_by) < n:
                left[i], given_by[i] = left[i] - 1, given_by[i] + 1
    return given_by


def one_feature(maxima: list[float]) -> FeatureActivations:
    """A protein of two residues for each maximum."""
    proteins = Proteins.from_sequences({f"P{i}": "AA" for i in range(len(maxima))})
    return FeatureActivations.from_dense(
        np.array([[v] for m in maxima for v in (m, m / 2)]), proteins, "max"
    )


@given(
    st.lists(st.sampled_from([0.0, 0.1, 0.2, 0.3, 0.55, 0.9, 1.0, 1.3]), min_size=1, max_size=40),
    st.integers(0, 30),
    st.integers(1, 7),
)
def test_a_sample_has_as_many_proteins_of_each_strength_as_turns_give(
    maxima: list[float], n: int, bins: int
) -> None:
    activations = one_feature(maxima)
    table, sample = proteins_of(activations, 0), sampled_proteins(activations, 0, n, bins)
    assert sample.equals(table.filter(pl.col("accession").is_in(sample["accession"].to_list())))
    if table.height and n:
        assert sample.row(0) == table.row(0)
        given_by, largest = sample_by_turns(table, n, bins), float(table["maximum"][0])
        places = [
            bins - 1 - min(int(m / largest * bins), bins - 1) for m in sample["maximum"].to_list()
        ]
        assert [places.count(i) for i in range(bins)] == given_by
        assert set(sampled_proteins(activations, 0, n - 1, bins)["accession"]) <= set(
            sample["accession"]
        )


def test_chance_decides_within_a_bin_and_the_seed_decides_chance() -> None:
    activations = one_feature([1.0] * 50 + [0.3] * 50)
    samples = [
        sampled_proteins(activations, 0, 20, seed=seed)["accession"].to_list() for seed in (0, 0, 1)
    ]
    assert samples[0] == samples[1] != samples[2]
    assert all(
        sample[0] == "P0" and sum(int(a[1:]) >= 50 for a in sample) == 10 for sample in samples
    )
    assert samples[0] != [f"P{i}" for i in (*range(10), *range(50, 60))]


@pytest.mark.parametrize(("n", "bins"), [(-1, 10), (5, 0)])
def test_a_sample_that_cannot_be_is_refused(n: int, bins: int) -> None:
    with pytest.raises(
        ValueError, match=f"n must be 0 or more and bins 1 or more, not {n} and {bins}"
    ):
        sampled_proteins(one_feature([1.0]), 0, n, bins)


@given(activations(), st.integers(0, N_FEATURES - 1), st.integers(0, 4), st.booleans())
def test_examples_are_of_their_kind(
    drawn: tuple[Proteins, np.ndarray], feature: int, n: int, clustered: bool
) -> None:
    proteins, dense = drawn
    store = FeatureActivations.from_dense(dense, proteins)
    clusters = {a: i // 2 for i, a in enumerate(proteins.accessions)} if clustered else None
    table = example_proteins(store, feature, n, clusters=clusters)
    assert dict(table.schema) == EXAMPLES
    tracks = {a: dense[proteins.rows(a), feature] for a in proteins.accessions}
    top = max(track.max() for track in tracks.values())
    wanted: dict[str, list[str]] = {
        "maximum": [a for a in tracks if tracks[a].any()],
        "share": [a for a in tracks if tracks[a].any()],
        "silent": [a for a in tracks if not tracks[a].any()],
    }
    for low, high in ((0, 0.4), (0.4, 0.8), (0.8, 1)):
        some = [a for a in tracks if low < tracks[a].max() / (top or 1) <= high]
        wanted[f"({low:g}, {high:g}]"] = some
    if clusters is not None:
        lit = {clusters[a] for a in wanted["maximum"]}
        wanted["near miss"] = [a for a in wanted["silent"] if clusters[a] in lit]
    for kind, of_kind in wanted.items():
        found = table.filter(kind=kind)["accession"].to_list()
        families = {clusters[a] for a in of_kind} if clusters is not None else of_kind
        assert set(found) <= set(of_kind) and len(found) == min(n, len(families))
        if clusters is not None:
            assert len({clusters[a] for a in found}) == len(found)
    for kind, accession, maximum, share, n_active, length, position in table.iter_rows():
        track = tracks[accession]
        assert (maximum, n_active, length) == (track.max(), (track > 0).sum(), len(track))
        assert share == pytest.approx((track > 0).mean())
        assert position == (track.argmax() + 1 if track.any() else 0), kind
    assert table.filter(kind="maximum")["maximum"].is_sorted(descending=True)
    assert table.filter(kind="share")["share"].is_sorted(descending=True)


def test_examples_are_drawn_by_the_seed_and_near_misses_by_their_relatives() -> None:
    proteins = Proteins.from_sequences({f"P{i:02}": "AAAA" for i in range(40)})
    values = np.zeros((160, 1))
    values[:80:4, 0] = np.arange(1, 21)  # the first of each of 20 proteins
    store = FeatureActivations.from_dense(values, proteins)
    one, again, other = (example_proteins(store, 0, 5, seed=seed) for seed in (1, 1, 2))
    assert one.equals(again)
    draws = [t.filter(kind="silent")["accession"].to_list() for t in (one, other)]
    assert draws[0] != draws[1]
    clusters = {a: i % 20 for i, a in enumerate(proteins.accessions)}
    near = example_proteins(store, 0, 3, clusters=clusters).filter(kind="near miss")
    assert near["accession"].to_list() == ["P39", "P38", "P37"]


@pytest.mark.parametrize(("n", "edges"), [(-1, (0, 1)), (5, (0, 0.5)), (5, (0, 0.6, 0.4, 1))])
def test_examples_without_number_or_order_are_refused(n: int, edges: tuple[float, ...]) -> None:
    proteins = Proteins.from_sequences({"P": "A"})
    store = FeatureActivations.from_dense(np.zeros((1, 1)), proteins)
    with pytest.raises(ValueError, match="n must be 0 or more, and edges ascend from 0 to 1, not"):
        example_proteins(store, 0, n, edges)
