"""Shifted and exchanged tracks against the tracks written out, residue by residue."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_array_equal

from interplm_nb.concepts import nulls
from interplm_nb.concepts.nulls import Exchanged, Places, Segments, Shifted

LENGTHS = np.array([5, 1, 8, 3])
APART = np.arange(4)
"""Each protein its own cluster."""
SEGMENTS = Segments(
    np.array([0, 0, 1, 2, 2, 3]), np.array([0, 3, 0, 6, 1, 0]), np.array([2, 5, 1, 8, 8, 3])
)


def residues(places: Places, draw: int, lengths: np.ndarray) -> list[set[tuple[int, int]]]:
    """(protein, position from 0) of each segment on the doubled axis."""
    copies = [
        (i, x) for i, length in enumerate(lengths.tolist()) for _ in range(2) for x in range(length)
    ]
    return [set(copies[a:b]) for a, b in zip(places.first[draw], places.last[draw], strict=True)]


def test_a_shifted_track_is_turned_in_a_circle() -> None:
    null = Shifted.draw(LENGTHS, APART, 50, 0)
    placed = null.places(SEGMENTS, slice(10, 40))
    for d in range(30):
        offset = null.offsets[10 + d]
        expected = [
            {(i, (x + offset[i]) % LENGTHS[i]) for x in range(a, b)}
            for i, a, b in zip(*SEGMENTS, strict=True)
        ]
        assert residues(placed, d, LENGTHS) == expected
    for i, length in enumerate(LENGTHS):
        assert set(null.offsets[:, i]) == set(range(length))


def test_relatives_are_turned_alike() -> None:
    lengths, clusters = np.array([10, 10, 20, 10]), np.array([7, 7, 7, 2])
    offsets = Shifted.draw(lengths, clusters, 200, 0).offsets
    assert_array_equal(offsets[:, 0], offsets[:, 1])
    assert_array_equal(offsets[:, 2] // 2, offsets[:, 0])
    assert np.mean(offsets[:, 3] == offsets[:, 0]) < 0.3


def test_unshifted_labels_are_the_labels() -> None:
    null = Shifted.unshifted(LENGTHS)
    assert null.n_draws == 1
    assert residues(null.places(SEGMENTS, slice(None)), 0, LENGTHS) == [
        {(i, x) for x in range(a, b)} for i, a, b in zip(*SEGMENTS, strict=True)
    ]


def test_an_exchanged_track_keeps_its_positions_and_loses_what_is_past_the_end() -> None:
    null = Exchanged.draw(LENGTHS, np.array([7, 3, 3, 9]), 40, 0)
    placed = null.places(SEGMENTS, slice(None))
    for d, target in enumerate(null.targets):
        expected = [
            {(target[i], x) for x in range(a, b) if x < LENGTHS[target[i]]}
            for i, a, b in zip(*SEGMENTS, strict=True)
        ]
        assert residues(placed, d, LENGTHS) == expected


@given(st.integers(0, 10_000), st.integers(4, 60))
def test_tracks_are_exchanged_one_to_one_between_clusters_in_a_group_of_like_length(
    seed: int, n: int
) -> None:
    random = np.random.default_rng(seed)
    lengths = random.integers(1, 300, n)
    clusters = np.arange(n) // 2 if seed % 2 else random.permutation(n) % 4
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(nulls, "GROUP", 4)
        null = Exchanged.draw(lengths, clusters, 20, seed)
        ordered, starts = nulls._groups(lengths, clusters)
    assert null.n_draws == 20
    group = np.searchsorted(starts, np.argsort(ordered), side="right")
    assert np.bincount(group)[1:].min() >= 4
    assert (np.diff(lengths[ordered]) >= 0).all()
    for target in null.targets:
        assert sorted(target) == list(range(n))
        assert (clusters[target] != clusters).all()
        assert_array_equal(group[target], group)


def test_each_protein_of_another_cluster_is_as_likely() -> None:
    clusters = np.array([0, 0, 1, 2, 3, 3])
    targets = Exchanged.draw(np.full(6, 10), clusters, 6000, 0).targets
    for i, cluster in enumerate(clusters):
        shares = np.bincount(targets[:, i], minlength=6) / len(targets)
        others = clusters != cluster
        # The ring favours none strongly: each of the others is within a factor of 2 of an equal
        # share.
        assert (shares[others] > 0.5 / others.sum()).all()
        assert (shares[others] < 2 / others.sum()).all()


def test_draws_follow_the_seed() -> None:
    clusters = np.arange(4)
    assert_array_equal(
        Shifted.draw(LENGTHS, APART, 9, 1).offsets, Shifted.draw(LENGTHS, APART, 9, 1).offsets
    )
    assert_array_equal(
        Exchanged.draw(LENGTHS, clusters, 9, 1).targets,
        Exchanged.draw(LENGTHS, clusters, 9, 1).targets,
    )
    assert (
        Shifted.draw(LENGTHS, APART, 9, 1).offsets != Shifted.draw(LENGTHS, APART, 9, 2).offsets
    ).any()
    assert (
        Exchanged.draw(LENGTHS, clusters, 9, 1).targets
        != Exchanged.draw(LENGTHS, clusters, 9, 2).targets
    ).any()


def test_one_cluster_with_most_of_the_proteins_leaves_nothing_to_exchange() -> None:
    with pytest.raises(
        ValueError, match="one holds more than half of the 4 proteins; test on more clusters"
    ):
        Exchanged.draw(LENGTHS, np.array([1, 1, 1, 2]), 10, 0)
