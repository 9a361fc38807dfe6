"""Made-up proteins in space, and their activations."""

from collections.abc import Sequence

import numpy as np
import polars as pl

from interplm_nb.activations import FeatureActivations
from interplm_nb.proteins import Proteins
from interplm_nb.readers.residue_coordinates import STRUCTURES_READ, ResidueCoordinates


def in_space(carbons: Sequence[np.ndarray], plddt: np.ndarray | None = None) -> ResidueCoordinates:
    """Proteins P0, P1, ... whose alpha carbons, [n, 3] each, stand here; NaN: no coordinates."""
    proteins = Proteins.from_sequences({f"P{i}": "A" * len(c) for i, c in enumerate(carbons)})
    alpha = np.concatenate(carbons).astype(np.float32)
    placed = [int(np.isfinite(c[:, 0]).sum()) for c in carbons]
    read = pl.DataFrame(
        {
            "accession": proteins.accessions,
            "file": "made",
            "chain": "A",
            "predicted": plddt is not None,
            "n_residues": [len(c) for c in carbons],
            "n_placed": placed,
            "why_not": None,
        },
        schema=STRUCTURES_READ,
    )
    scores = np.full(len(alpha), np.nan, np.float32) if plddt is None else plddt
    return ResidueCoordinates(proteins, alpha, alpha, scores, read)


def active(coordinates: ResidueCoordinates, values: np.ndarray) -> FeatureActivations:
    """Dense values [n_residues, n_features] of these proteins, in unit "max"."""
    return FeatureActivations.from_dense(values, coordinates.proteins, unit="max")
