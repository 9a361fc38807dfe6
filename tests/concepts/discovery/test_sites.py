"""Sites against a walk along each protein, residue by residue."""

import numpy as np
import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from interplm_nb.activations import FeatureActivations
from interplm_nb.concepts.discovery.sites import SITES, firing_sites
from interplm_nb.proteins import Proteins


def slow_sites(
    values: np.ndarray, threshold: float, carried: np.ndarray, bridge: int, proteins: Proteins
) -> list[tuple]:
    found = []
    for i, accession in enumerate(proteins.accessions):
        own, labels = values[proteins.rows(accession)], carried[proteins.rows(accession)]
        groups: list[list[int]] = []
        for place in [p for p, value in enumerate(own) if value > np.float32(threshold)]:
            if groups and place - groups[-1][-1] - 1 <= bridge:
                groups[-1].append(place)
            else:
                groups.append([place])
        for group in groups:
            top = max(own[p] for p in group)
            position = next(p for p in group if own[p] == top) + 1
            total = sum(float(own[p]) for p in group)
            found.append(
                (
                    i,
                    group[0] + 1,
                    group[-1] + 1,
                    position,
                    top,
                    np.float32(total),
                    bool(labels[group[0] : group[-1] + 1].any()),
                )
            )
    return found


@given(st.integers(0, 100_000), st.sampled_from([0.0, 0.15, 0.5, 0.95]), st.integers(0, 4))
def test_sites_equal_the_walk(seed: int, threshold: float, bridge: int) -> None:
    rng = np.random.default_rng(seed)
    proteins = Proteins.from_sequences(
        {f"P{i}": "M" * int(n) for i, n in enumerate(rng.integers(1, 25, 5))}
    )
    values = rng.choice([0, 0, 0, 0.15, 0.3, 0.9], (proteins.n_residues, 2)).astype(np.float32)
    carried = rng.random(proteins.n_residues) < 0.2
    source = FeatureActivations.from_dense(values, proteins, "max")
    found = firing_sites(source, 1, threshold, carried, bridge)
    assert found.schema == pl.Schema(SITES)
    assert found.rows() == slow_sites(values[:, 1], threshold, carried, bridge, proteins)
