"""What a feature must beat: composition, length, and the nearest labelled relative."""

from collections.abc import Mapping

import numpy as np
import polars as pl

from interplm_nb.concepts.by_protein.pool import PooledFeatures
from interplm_nb.proteins import LETTERS, Proteins
from interplm_nb.readers.mmseqs import SENSITIVITY, alignments

E_VALUE = 10.0
"""Highest E-value of a relative: BLAST's default."""

AMINO_ACIDS = LETTERS[:20]


def letters(proteins: Proteins) -> PooledFeatures:
    """The share of each of the 20 amino acids, in the order of `AMINO_ACIDS`: float32 [n, 20].

    Examples
    --------
    >>> letters(Proteins.from_sequences({"P1": "AAAC"})).values[0, :3].tolist()
    [0.75, 0.25, 0.0]
    """
    of = np.array([[s.count(a) for a in AMINO_ACIDS] for s in proteins.sequences], np.float64)
    return _dense(proteins, of.reshape(-1, len(AMINO_ACIDS)) / proteins.lengths[:, None])


def length(proteins: Proteins) -> PooledFeatures:
    """The number of residues: float32 [n, 1]."""
    return _dense(proteins, proteins.lengths[:, None])


def _dense(proteins: Proteins, values: np.ndarray) -> PooledFeatures:
    features = np.arange(values.shape[1], dtype=np.int64)
    return PooledFeatures(proteins, features, values.astype(np.float32), "mean", "raw")


def nearest(
    proteins: Proteins, splits: pl.DataFrame, sensitivity: float = SENSITIVITY
) -> Mapping[str, tuple[str, float]]:
    """The nearest labelled relative of each protein of validation and test, by MMseqs2.

    Returns accession -> (relative, E-value); none without a hit. The relative has the lowest
    E-value, then the highest identity, among the proteins that one may have learned from: those of
    train, and for a test protein those of validation too. Needs MMseqs2 (`readers.mmseqs.binary`).
    """
    split_of = dict(splits.select("accession", "split").iter_rows())
    asked = proteins.select(a for a, split in split_of.items() if split != "train")
    known = proteins.select(a for a, split in split_of.items() if split != "test")
    hits = alignments(asked, known, 0.0, E_VALUE, sensitivity)
    best = hits.sort("query", "e_value", "identity", descending=[False, False, True])
    found: dict[str, tuple[str, float]] = {}
    for query, target, e_value in best.select("query", "target", "e_value").iter_rows():
        accession, relative = asked.accessions[query], known.accessions[target]
        if split_of[accession] == "test" or split_of[relative] == "train":
            found.setdefault(accession, (relative, e_value))
    return found


def by_class(
    accessions: list[str], relatives: Mapping[str, tuple[str, float]], carriers: set[str]
) -> np.ndarray:
    """float64 [n]: how surely a protein has the class of its nearest relative.

    -log10(E / `E_VALUE`) where the relative has the class, the same below 0 where it lacks it,
    and 0 without a relative.
    """
    return np.array(
        [
            _closeness(relatives[a][1]) * (1 if relatives[a][0] in carriers else -1)
            if a in relatives
            else 0.0
            for a in accessions
        ]
    )


def by_number(
    accessions: list[str],
    relatives: Mapping[str, tuple[str, float]],
    numbers: Mapping[str, float],
    otherwise: float,
) -> np.ndarray:
    """float64 [n]: the number of the nearest relative; `otherwise` without one."""
    return np.array([numbers[relatives[a][0]] if a in relatives else otherwise for a in accessions])


def _closeness(e_value: float) -> float:
    # MMseqs2 writes very low E-values as 0.
    return -np.log10(max(e_value, 1e-300) / E_VALUE)
