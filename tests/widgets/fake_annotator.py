"""An annotator that needs no model.

A function of the letters alone, so that a test can say what it must find.
"""

from types import SimpleNamespace
from typing import Any

import numpy as np
import polars as pl
from scipy.sparse import csr_array

from interplm_nb.activations import FeatureActivations
from interplm_nb.proteins import Proteins

N_FEATURES = 4


def values_of(sequence: str) -> np.ndarray:
    """float32 [length, 4].

    Feature 0 fires on W, 1 on A and more where A comes before, 2 on the residue after a P, 3 never.
    """
    values = np.zeros((len(sequence), N_FEATURES), np.float32)
    for i, letter in enumerate(sequence):
        before = sequence[i - 1] if i else ""
        values[i, 0] = 0.8 * (letter == "W")
        values[i, 1] = (letter == "A") * (0.5 if before != "A" else 0.75)
        values[i, 2] = 0.4 * (before == "P")
    return values


class FakeAnnotator:
    """Counts how often, and what, it is asked."""

    def __init__(self, n_features: int = N_FEATURES) -> None:
        self.n_features = n_features
        self.asked: list[list[str]] = []

    def activations(self, proteins: Proteins) -> FeatureActivations:
        self.asked.append(list(proteins.sequences))
        values = np.concatenate([values_of(s) for s in proteins.sequences])
        wide = np.zeros((len(values), self.n_features), np.float32)
        wide[:, : min(N_FEATURES, self.n_features)] = values[:, : self.n_features]
        return FeatureActivations.from_csr(csr_array(wide), proteins, "max")

    def __call__(self, sequences: Proteins, min_confidence: float) -> Any:
        """Each W is named "Tryptophan" with confidence 0.6."""
        rows = [
            {
                "accession": a,
                "concept": "Tryptophan",
                "category": "Letter",
                "feature": 0,
                "start": i + 1,
                "end": i + 1,
                "confidence": 0.6,
            }
            for a, s in zip(sequences.accessions, sequences.sequences, strict=True)
            for i, letter in enumerate(s)
            if letter == "W" and min_confidence <= 0.6
        ]
        kinds = dict.fromkeys(("accession", "concept", "category"), pl.String) | {
            "feature": pl.UInt32,
            "start": pl.Int64,
            "end": pl.Int64,
        }
        return SimpleNamespace(
            activations=self.activations(sequences),
            concepts=pl.DataFrame(rows, schema=kinds | {"confidence": pl.Float64}),
        )
