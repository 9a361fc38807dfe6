"""What a model predicts along one sequence, unsteered and under changes of features."""

from collections.abc import Collection, Sequence
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from interplm_nb.steering.experiments.predictions import ahead, log_probabilities
from interplm_nb.steering.intervene import (
    MASK,
    Change,
    Intervention,
    Where,
    check_masks,
    n_residues,
    steered_logits,
)
from interplm_nb.steering.steered_layer import SteeredLayer


class SteeredSequence:
    """One sequence, read once; every change of features starts from its unsteered layer.

    Parameters
    ----------
    at
        The layer, its PLM and SAE.
    sequence
        Residue letters; for a masked model, `<mask>` is one residue.

    Raises
    ------
    ValueError
        For a model without a head that predicts residues, letters or masks that it lacks, a
        sequence that is longer than it reads, and one without a predicted residue.
    """

    def __init__(self, at: SteeredLayer, sequence: str) -> None:
        plm, n = at.plm, n_residues(sequence)
        if plm.objective is None or not plm.has_logits:
            raise ValueError(
                f"{plm.name} has no head that predicts residues, so that steering shows nothing; "
                "take a model with its head"
            )
        check_masks(plm.objective, plm.name, sequence)
        self.first = 1 + ahead(plm)
        """The first residue that is predicted, from 1: a next-residue model predicts each from
        those before it."""
        if not self.first <= n <= plm.max_residues:
            raise ValueError(
                f"{plm.name} predicts residues of a sequence of {self.first} to "
                f"{plm.max_residues:,}; this one has {n:,}"
            )
        self.at = at
        self.sequence = sequence
        self._tokens = plm.tokens([sequence])

    @cached_property
    def _unsteered(self) -> tuple[Tensor, Tensor]:
        """The layer's output [1, T, width], and the logits [L, n_classes]."""
        plm, layer = self.at.plm, self.at.layer
        with torch.no_grad():
            found = plm.forward(self._tokens, [layer], logits=True)
        assert found.logits is not None  # `__init__` has seen to it
        n = n_residues(self.sequence)
        logits = found.logits[0, plm.first_residue : plm.first_residue + n].float()
        return found.representations[layer], logits

    def unsteered(self) -> np.ndarray:
        """float32 [n, 20]: probabilities as `steered` gives them, of the model as it is."""
        return self._probabilities(self._unsteered[1])

    def steered(
        self,
        rows: Sequence[Sequence[Change]],
        where: Where = "output",
        keep_error: bool = True,
    ) -> np.ndarray:
        """Predictions under each row of changes.

        Parameters
        ----------
        rows
            Changes, one list for each prediction.
        where
            Change the layer's output, or the state inside a recurrent layer.
        keep_error
            Keep what the SAE does not reconstruct: see `Intervention`.

        Returns
        -------
        np.ndarray
            float32 [rows, n, 20], probabilities of the residues from `first` to the last, among
            the amino acids in the order of `AMINO_ACIDS`: they add up to 1, other classes of the
            model being left out.

        Raises
        ------
        ValueError
            As `Intervention` and `steered_logits` do.
        """
        change = Intervention(self.at, rows, keep_error)
        below = self._unsteered[0] if where == "output" else None
        return self._probabilities(steered_logits([change], self.sequence, where, below))

    def activations(self, features: Sequence[int]) -> np.ndarray:
        """float32 [features, L]: the unsteered features in shares of their maxima."""
        at, start = self.at, self.at.plm.first_residue
        chosen = torch.tensor(features, device=at.sae.device)
        with torch.no_grad():
            f = at.sae.encode(self._unsteered[0][0].to(at.sae.W_dec.dtype), chosen)
        residues = f[start : start + n_residues(self.sequence)].float().cpu().numpy()
        return residues.T / at.maxima[list(features)][:, None]

    def _probabilities(self, logits: Tensor) -> np.ndarray:
        """float32 [..., n, 20] of logits [..., L, n_classes]."""
        predicted = logits[..., : logits.shape[-2] - self.first + 1, :]
        return np.exp(log_probabilities(self.at.plm, predicted)).astype(np.float32)


def masked(sequence: str, positions: Collection[int]) -> str:
    """The sequence with `<mask>` at positions from 1.

    ValueError for one outside the sequence.

    >>> masked("MKV", [2])
    'M<mask>V'
    """
    outside = [position for position in positions if not 1 <= position <= len(sequence)]
    if outside:
        raise ValueError(
            f"position {outside[0]} cannot be masked: the sequence has residues 1 to "
            f"{len(sequence)}"
        )
    chosen = set(positions)
    return "".join(MASK if i in chosen else letter for i, letter in enumerate(sequence, 1))
