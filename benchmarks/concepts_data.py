"""Synthetic proteins, annotations and activations of realistic size, for concept counting."""

from collections.abc import Iterator

import numpy as np
import polars as pl
from scipy.sparse import csc_array, csr_array

from interplm_nb.annotations import Annotations
from interplm_nb.proteins import Proteins

LENGTHS = (1, 4, 20, 60, 150)
"""Residues of an instance; concepts of length 1 are residue-level."""
_POOL = 2**22


def proteins_of(rng: np.random.Generator, n_residues: int) -> Proteins:
    """Proteins of 30 to 1,022 residues, about 360 on average, n_residues in total."""
    lengths = np.clip(rng.lognormal(5.7, 0.6, n_residues // 50), 30, 1022).astype(int)
    ends = np.cumsum(lengths)
    lengths = lengths[: np.searchsorted(ends, n_residues)]
    lengths[-1] += n_residues - lengths.sum()
    return Proteins.from_sequences({f"P{i}": "M" * n for i, n in enumerate(lengths)})


def annotations_of(
    rng: np.random.Generator, proteins: Proteins, n_concepts: int, labels_per_residue: float
) -> Annotations:
    """Concepts from frequent to rare; instances anywhere on long enough proteins; a few overlap."""
    shares = np.sort(np.exp(rng.normal(0, 1.8, n_concepts)))[::-1]
    residues = shares / shares.sum() * labels_per_residue * proteins.n_residues
    lengths = np.array(LENGTHS)[np.arange(n_concepts) % len(LENGTHS)]
    counts = np.maximum(residues / lengths, 1).astype(int)
    concept = np.repeat(np.arange(n_concepts), counts)
    length = lengths[concept]
    place = rng.choice(np.flatnonzero(proteins.lengths >= max(LENGTHS)), len(concept))
    start = 1 + (rng.random(len(concept)) * (proteins.lengths[place] - length + 1)).astype(int)
    names = pl.Series([f"concept {c:03d}" for c in range(n_concepts)])
    columns = {
        "accession": proteins.table["accession"].gather(place),
        "concept": names.gather(concept),
        "category": pl.repeat("synthetic", len(concept), eager=True),
        "level": pl.Series(["residue", "instance"]).gather((length > 1).astype(int)),
        "start": start,
        "end": start + length - 1,
        "instance": np.arange(len(concept)),
    }
    return Annotations(pl.DataFrame(columns), proteins)


def blocks_of(
    rng: np.random.Generator, n_residues: int, n_features: int, drawn: int, rows: int = 50_000
) -> Iterator[tuple[int, csr_array]]:
    """Blocks of activations, each with its first row; `drawn` features per residue.

    Values are float32 above 0 and at most 1, 4 % of them above a half; features go from frequent to
    rare. A feature drawn twice on a residue counts once, so about 6 % fewer are active. Draws are
    cut from a pool of 4 million that is made once: a block takes little more than its sort.
    """
    frequency = 1 / (rng.permutation(n_features) + 20.0)
    # The table holds each feature as often as it is drawn among a million, and at least once.
    table = np.repeat(
        np.arange(n_features, dtype=np.int32),
        np.maximum(frequency / frequency.sum() * 2**20, 1).astype(int),
    )
    pool = np.maximum(rng.beta(0.7, 4, _POOL).astype(np.float32), np.float32(1e-6))
    for first in range(0, n_residues, rows):
        n = min(rows, n_residues - first)
        features = np.sort(table[rng.integers(0, len(table), (n, drawn), dtype=np.uint32)], axis=1)
        new = np.ones((n, drawn), bool)
        new[:, 1:] = features[:, 1:] != features[:, :-1]
        strengths = np.resize(np.roll(pool, int(rng.integers(0, _POOL))), n * drawn)
        indptr = np.concatenate([[0], np.cumsum(new.sum(axis=1))]).astype(np.int32)
        yield (
            first,
            csr_array(
                (strengths.reshape(n, drawn)[new], features[new], indptr), shape=(n, n_features)
            ),
        )


def instance_numbers(annotations: Annotations) -> csc_array:
    """[n_residues, n_concepts]: the reference's label matrix, the instance of each residue from 1.

    Where instances overlap, the highest number counts.
    """
    names = {name: c for c, name in enumerate(annotations.concepts)}
    last = annotations.residues().group_by("row", "concept").agg(pl.col("instance").max())
    columns = last["concept"].replace_strict(names, return_dtype=pl.Int64).to_numpy()
    numbers = last["instance"].to_numpy().astype(np.int64) + 1
    return csc_array(
        (numbers, (last["row"].to_numpy(), columns)),
        shape=(annotations.proteins.n_residues, len(names)),
    )
