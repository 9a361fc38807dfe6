"""What pairs rest on, against loops over proteins, residues and clusters."""

from statistics import median

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from interplm_nb.activations import FeatureActivations
from interplm_nb.annotations import Annotations
from interplm_nb.concepts import support
from interplm_nb.concepts.best_pairs import CANDIDATES
from interplm_nb.concepts.support import SUPPORT, with_support
from interplm_nb.proteins import Proteins
from tests.concepts.some_labels import NAMES, PROTEINS, residues, some_labels


@given(some_labels(), st.integers(0, 2**32 - 1))
def test_support_is_what_loops_count(annotations: Annotations, seed: int) -> None:
    rng = np.random.default_rng(seed)
    values = rng.choice([0, 0.15, 0.3, 0.6], (PROTEINS.n_residues, 3)).astype(np.float32)
    source = FeatureActivations.from_dense(values, PROTEINS, "max")
    clusters = pl.DataFrame(
        {"accession": PROTEINS.accessions[1:], "cluster": rng.integers(0, 5, 8)}
    )
    pairs = [
        (str(rng.choice(NAMES)), int(rng.integers(3)), float(rng.choice([0.0, 0.15, 0.5])))
        for _ in range(6)
    ]
    candidates = pl.DataFrame(
        pairs, schema=["concept", "feature", "test_threshold"], orient="row"
    ).cast({"feature": pl.UInt32})
    found = with_support(source, annotations, candidates, clusters)
    assert found.select(candidates.columns).equals(candidates)
    for (concept, feature, threshold), row in zip(pairs, found.iter_rows(named=True), strict=True):
        n, families = 0, set()
        for accession, cluster in clusters.iter_rows():
            first = PROTEINS.rows(accession).start
            for own, position in residues(annotations, concept):
                value = values[first + position - 1, feature]
                if own == accession and value > np.float32(threshold):
                    n += 1
                    families.add(cluster)
        of = annotations.table.filter(concept=concept)
        single = median((of["end"] - of["start"] + 1).to_list()) == 1
        assert (row["true_positives"], row["clusters"]) == (n, len(families))
        assert row["supported"] == (n >= (10 if single else 20) and len(families) >= 3)


def planted(length: int, per_protein: list[int], clusters: list[int]) -> bool:
    """Whether a pair is found that is right on that many segments of each protein."""
    proteins = Proteins.from_sequences({f"P{i}": "M" * 90 for i in range(len(per_protein))})
    rows = [
        (f"P{i}", 1 + j * length, (j + 1) * length)
        for i, n in enumerate(per_protein)
        for j in range(n)
    ]
    table = pl.DataFrame(rows, schema=["accession", "start", "end"], orient="row")
    about = {"concept": pl.lit("c"), "category": pl.lit("c"), "level": pl.lit("instance")}
    annotations = Annotations(table.with_row_index("instance").with_columns(**about), proteins)
    source = FeatureActivations.from_dense(
        np.ones((proteins.n_residues, 1), np.float32), proteins, "max"
    )
    candidates = pl.DataFrame({"concept": ["c"], "feature": [0], "test_threshold": [0.5]})
    held = pl.DataFrame({"accession": proteins.accessions, "cluster": clusters})
    return with_support(source, annotations, candidates, held)["supported"].item()


@pytest.mark.parametrize(
    ("length", "per_protein", "clusters", "supported"),
    [
        (2, [4, 3, 3], [0, 1, 2], True),  # 20 residues in 3 clusters
        (2, [4, 3, 2], [0, 1, 2], False),  # 18
        (2, [20, 20, 20], [0, 0, 1], False),  # 120, in 2 clusters
        (1, [4, 3, 3], [0, 1, 2], True),  # 10 single residues
        (1, [3, 3, 3], [0, 1, 2], False),
    ],
)
def test_both_limits_hold(
    length: int, per_protein: list[int], clusters: list[int], supported: bool
) -> None:
    assert planted(length, per_protein, clusters) is supported
    assert (support.MIN_TRUE_POSITIVES, support.MIN_OF_SINGLE_RESIDUES) == (20, 10)


def test_no_pair_needs_no_pass() -> None:
    none = pl.DataFrame(schema=CANDIDATES)
    source = FeatureActivations.from_dense(np.ones((108, 1), np.float32), PROTEINS, "max")
    found = with_support(
        source,
        Annotations.empty(PROTEINS),
        none,
        pl.DataFrame(schema={"accession": pl.String, "cluster": pl.Int64}),
    )
    assert found.schema == pl.Schema(CANDIDATES | SUPPORT)
