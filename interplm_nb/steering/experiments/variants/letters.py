"""What the letters of a variant say without a model, and what its positions' other scores say."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from biotite.sequence.align import SubstitutionMatrix

from interplm_nb.readers.variants import Variant
from interplm_nb.steering.rules import HYDROPATHY


def blosum62(variants: Sequence[Variant]) -> np.ndarray:
    """float64 [n_variants]: BLOSUM62 of old and new letter, summed over mutations.

    A wild-type letter that is no amino acid counts as X.
    """
    matrix = SubstitutionMatrix.std_protein_matrix()
    alphabet: Any = matrix.get_alphabet1()
    known = set(alphabet.get_symbols())
    return np.array(
        [
            sum(matrix.get_score(m.before if m.before in known else "X", m.after) for m in variant)
            for variant in variants
        ],
        np.float64,
    )


def hydropathy_change(variants: Sequence[Variant]) -> np.ndarray:
    """float64 [n_variants]: |hydropathy of the new letter - of the old|, summed over mutations."""
    return np.array(
        [
            sum(abs(HYDROPATHY[m.after] - HYDROPATHY.get(m.before, 0.0)) for m in variant)
            for variant in variants
        ]
    )


def position_means(variants: Sequence[Variant], scores: np.ndarray) -> np.ndarray:
    """float64 [n_variants]: the mean score of other variants at the same positions.

    Of each mutated position, the mean over all other variants that change it, then the mean over
    the variant's positions; the mean of all others for a position that no other changes. It is
    given measured scores, so it is no prediction but what knowing the positions alone would give.
    """
    total: dict[int, float] = {}
    count: dict[int, int] = {}
    for variant, score in zip(variants, scores, strict=True):
        for m in variant:
            total[m.position] = total.get(m.position, 0.0) + score
            count[m.position] = count.get(m.position, 0) + 1
    n = len(scores)
    found = []
    for variant, score in zip(variants, scores, strict=True):
        rest = (scores.sum() - score) / (n - 1) if n > 1 else 0.0
        means = [
            (total[m.position] - score) / (count[m.position] - 1) if count[m.position] > 1 else rest
            for m in variant
        ]
        found.append(np.mean(means))
    return np.array(found)
