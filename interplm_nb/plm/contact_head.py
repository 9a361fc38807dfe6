"""The head of ESM-2 that reads contacts from attention (Rao et al. 2021, ICLR): a logistic
regression over the maps of all heads.

A map is symmetrised, M + M', and corrected by its average product: less the product of its row and
column sums over the sum of all. Maps are of residues alone, without start and end tokens.
"""

from collections.abc import Iterable
from typing import NamedTuple

import torch
from torch import Tensor


class ContactHead(NamedTuple):
    """A weight per attention head, and a bias."""

    weight: Tensor
    """float32 [n_layers, n_heads]"""
    bias: Tensor
    """float32 []"""

    def contacts(self, maps: Iterable[Tensor]) -> Tensor:
        """Probabilities of contact, float32 [B, n, n], symmetric.

        Parameters
        ----------
        maps
            Of each layer in turn, attention [B, n_heads, n, n] from residue to residue; a layer's
            maps are not kept.
        """
        score = self.bias
        for weight, attention in zip(self.weight, maps, strict=True):
            both = attention.float()
            both = both + both.transpose(-1, -2)
            rows, columns = both.sum(-1, keepdim=True), both.sum(-2, keepdim=True)
            corrected = both - rows * columns / both.sum((-1, -2), keepdim=True)
            score = score + torch.einsum("h,bhij->bij", weight, corrected)
        return torch.sigmoid(score)
