"""A design energy from features: the lower, the more of what is wanted a sequence has."""

from collections.abc import Mapping, Sequence

import numpy as np

from interplm_nb.proteins import Proteins
from interplm_nb.steering.experiments.variants.feature_changes import features
from interplm_nb.steering.steered_layer import SteeredLayer


def design_energy(
    at: SteeredLayer, sequences: Sequence[str], weights: Mapping[int, float]
) -> np.ndarray:
    """float64 [n_sequences]: E = - sum over i of c_i max over residues of f_i.

    f is in units of each feature's maximum on training proteins, and the weights c are scaled so
    that their absolute values add up to 1: energies of other weights are comparable, and one
    feature at its maximum with weight 1 has E = -1. A weight below 0 is of a feature to be avoided.

    Parameters
    ----------
    at
        The layer and its SAE.
    sequences
        Residue letters, one sequence or more.
    weights
        feature -> c.

    Raises
    ------
    ValueError
        For a feature that does not exist or is dead, weights that are all 0 or not finite, and no
        sequence.
    """
    for feature in weights:
        at.check_feature(feature)
    c = np.array(list(weights.values()), np.float64)
    total = np.abs(c).sum()
    if not len(c) or not np.isfinite(total) or total == 0:
        raise ValueError(
            f"the weights of an energy must be finite and not all 0; got {dict(weights)}: give at "
            "least one feature a weight"
        )
    if not sequences:
        raise ValueError("an energy needs at least one sequence; got none")
    return -_most(at, sequences, list(weights)) @ (c / total)


def _most(at: SteeredLayer, sequences: Sequence[str], chosen: list[int]) -> np.ndarray:
    """float64 [n_sequences, n_chosen]: each feature's largest value in each sequence."""
    proteins = Proteins.from_sequences({str(i): s for i, s in enumerate(sequences)})
    found = np.zeros((len(proteins), len(chosen)))
    for rows, values in at.plm.embed(proteins, [at.layer], progress=False):
        f = features(at, values[at.layer].cpu().numpy())[:, chosen].toarray()
        np.maximum.at(found, np.searchsorted(proteins.offsets, rows, side="right") - 1, f)
    return found
