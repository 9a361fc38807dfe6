"""How much of an instance a feature covers, against a loop over instances and their residues."""

from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from interplm_nb.activations import FeatureActivations
from interplm_nb.annotations import Annotations
from interplm_nb.concepts.point_or_domain import COVERAGE, domain_coverage
from interplm_nb.proteins import Proteins

PROTEINS = Proteins.from_sequences({f"P{i}": "M" * n for i, n in enumerate((4, 9, 6, 12))})
LEVELS = {"Active site": "residue", "Disulfide": "instance", "Kinase": "instance"}
PAIRS = pl.DataFrame(
    {
        "concept": ["Kinase", "Active site", "Disulfide", "Kinase", "Kinase"],
        "feature": [2, 0, 1, 0, None],
        "threshold": [0.15, 0.0, 0.5, 0.0, None],
    },
    schema_overrides={"feature": pl.UInt32},
)


def made(seed: int) -> tuple[np.ndarray, Annotations]:
    """Instances that overlap, and some of two segments."""
    rng = np.random.default_rng(seed)
    rows = []
    for concept, level in LEVELS.items():
        for instance in range(6):
            accession = str(rng.choice(PROTEINS.accessions))
            for _ in range(int(rng.integers(1, 3))):
                start, end = sorted(
                    rng.integers(1, len(PROTEINS.sequence(accession)) + 1, 2).tolist()
                )
                rows.append((accession, concept, "x", level, start, end, instance))
    schema = ["accession", "concept", "category", "level", "start", "end", "instance"]
    values = rng.choice([0, 0, 0.15, 0.3, 0.9], (PROTEINS.n_residues, 3)).astype(np.float32)
    return values, Annotations(pl.DataFrame(rows, schema=schema, orient="row"), PROTEINS)


def slow(
    values: np.ndarray, annotations: Annotations, pair: dict[str, Any], accessions: list[str]
) -> list[tuple[int, float]]:
    """(length, covered share) of each hit instance."""
    concept, feature, threshold = (pair[name] for name in ("concept", "feature", "threshold"))
    found = []
    for instance in range(6):
        segments = annotations.table.filter(
            pl.col("concept") == concept,
            pl.col("instance") == instance,
            pl.col("accession").is_in(accessions),
        )
        rows = {
            PROTEINS.rows(a).start + p - 1
            for a, first, last in segments.select("accession", "start", "end").iter_rows()
            for p in range(first, last + 1)
        }
        on = sum(values[r, feature] > np.float32(threshold) for r in rows)
        if on:
            found.append((len(rows), on / len(rows)))
    return found


@given(st.integers(0, 10_000), st.integers(1, 15))
def test_coverage_is_that_of_a_loop(seed: int, bits: int) -> None:
    values, annotations = made(seed)
    accessions = [a for i, a in enumerate(PROTEINS.accessions) if bits >> i & 1]
    table = domain_coverage(
        FeatureActivations.from_dense(values, PROTEINS, "max"), annotations, PAIRS, accessions
    )
    assert table.schema == COVERAGE
    assert table.select("concept", "feature").rows() == [
        ("Kinase", 2),
        ("Disulfide", 1),
        ("Kinase", 0),
    ]
    for row in table.iter_rows(named=True):
        hits = slow(values, annotations, row, accessions)
        assert row["n_hit"] == len(hits)
        if not hits:
            assert row["mean"] is row["median"] is row["point"] is None
            continue
        length, share = (np.array(column) for column in zip(*hits, strict=True))
        wanted = (
            np.median(length),
            share.mean(),
            *np.quantile(share, (0.1, 0.5, 0.9)),
            (share < 0.2).mean(),
            (share > 0.8).mean(),
        )
        assert [
            row[name] for name in ("length", "mean", "low", "median", "high", "point", "full")
        ] == pytest.approx(list(wanted))


def test_without_pairs_of_instances_there_is_no_row() -> None:
    values, annotations = made(0)
    source = FeatureActivations.from_dense(values, PROTEINS, "max")
    assert domain_coverage(source, annotations, PAIRS[1:2], PROTEINS.accessions).height == 0
    assert domain_coverage(source, annotations, PAIRS.clear(), PROTEINS.accessions).height == 0


def test_raw_activations_are_refused() -> None:
    values, annotations = made(0)
    with pytest.raises(ValueError, match="unit 'raw'"):
        domain_coverage(
            FeatureActivations.from_dense(values, PROTEINS), annotations, PAIRS, PROTEINS.accessions
        )
