"""Which features stand for one amino acid: how well being active tells a residue's letter."""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import polars as pl

from interplm_nb.activations import FeatureActivations
from interplm_nb.features.logos import AMINO_ACIDS, amino_acid_of

THRESHOLDS = (0.0, 0.15, 0.5, 0.8)
"""Shares of a feature's maximum above which it answers."""

IDENTITY: dict[str, Any] = {
    "feature": pl.UInt32,
    "letter": pl.String,
    "threshold": pl.Float64,
    "precision": pl.Float64,
    "recall": pl.Float64,
    "f1": pl.Float64,
}
"""Columns of `letter_identity`."""


def letter_identity(
    activations: FeatureActivations,
    accessions: Iterable[str] | None = None,
    thresholds: Sequence[float] = THRESHOLDS,
) -> pl.DataFrame:
    """The amino acid that each feature tells best, as residues: its F1.

    A feature answers on residues where it is strictly above a threshold; precision is the share of
    these that are the letter, recall the share of the letter's residues on which it answers. The
    letter and the threshold with the highest F1 are taken, of equals the first.

    Parameters
    ----------
    activations : FeatureActivations
        In unit "max".
    accessions : iterable of str, optional
        Proteins to count on (None: all).

    Returns
    -------
    pl.DataFrame
        Columns of `IDENTITY`, one row per feature that is ever above the lowest threshold.

    Raises
    ------
    ValueError
        For another unit than "max".

    Examples
    --------
    >>> from interplm_nb.proteins import Proteins
    >>> proteins = Proteins.from_sequences({"P1": "MGKG"})
    >>> values = np.array([[0], [1.0], [0], [0.4]])
    >>> activations = FeatureActivations.from_dense(values, proteins, unit="max")
    >>> letter_identity(activations).select("letter", "threshold", "f1").rows()
    [('G', 0.0, 1.0)]
    """
    if activations.unit != "max":
        raise ValueError(
            f"identity needs fractions of each feature's maximum (unit 'max'), not unit "
            f"{activations.unit!r}; use relative_to"
        )
    proteins = activations.proteins
    chosen = None if accessions is None else list(accessions)
    kind = amino_acid_of(proteins.letters)
    counted = kind if chosen is None else kind[proteins.rows_of(chosen)]
    of_letter = np.bincount(counted[counted >= 0], minlength=20)
    n = activations.n_features
    right, active = np.zeros((len(thresholds), n, 20)), np.zeros((len(thresholds), n))
    for block in activations.by_feature(chosen):
        column = block.values.tocoo()
        letter = kind[column.row]
        feature = column.col.astype(np.int64) + block.first_feature
        for t, threshold in enumerate(thresholds):
            on = column.data > threshold
            active[t] += np.bincount(feature[on], minlength=n)
            known = on & (letter >= 0)
            place = feature[known] * 20 + letter[known]
            right[t] += np.bincount(place, minlength=20 * n).reshape(n, 20)
    f1 = 2 * right / np.maximum(active[..., None] + of_letter, 1)
    alive = np.flatnonzero(active.any(axis=0))
    best = f1[:, alive].transpose(1, 0, 2).reshape(len(alive), -1).argmax(axis=1)
    t, letter = np.unravel_index(best, (len(thresholds), 20))
    hits = right[t, alive, letter]
    columns = {
        "feature": alive,
        "letter": [AMINO_ACIDS[i] for i in letter],
        "threshold": np.asarray(thresholds, float)[t],
        "precision": hits / np.maximum(active[t, alive], 1),
        "recall": hits / np.maximum(of_letter[letter], 1),
        "f1": f1[t, alive, letter],
    }
    return pl.DataFrame({name: pl.Series(columns[name]).cast(IDENTITY[name]) for name in IDENTITY})
