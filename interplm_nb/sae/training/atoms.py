"""The decoder's constraint: each feature's atom (row of W_dec) keeps unit norm."""

import torch
from torch import Tensor


@torch.no_grad()
def renormalise(atoms: Tensor) -> None:
    """Scale each atom (row) to unit norm, in place."""
    atoms /= atoms.norm(dim=1, keepdim=True).clamp_min(torch.finfo(atoms.dtype).tiny)


@torch.no_grad()
def project_gradient(W_dec: Tensor) -> None:
    """Remove from each atom's gradient the part along the atom, which renormalising would undo.

    Atoms have unit norm.
    """
    if W_dec.grad is not None:
        W_dec.grad.addcmul_((W_dec.grad * W_dec).sum(1, keepdim=True), W_dec, value=-1)
