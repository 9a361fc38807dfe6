"""Each feature's atom (row of W_dec): its first value, its unit norm, and whether it moved."""

import torch
from torch import Tensor

from interplm_nb.sae.feature_use import MOVED


def first_atoms(d_sae: int, d_in: int, generator: torch.Generator) -> Tensor:
    """float32 [d_sae, d_in]: random directions of unit norm."""
    atoms = torch.randn(d_sae, d_in, generator=generator)
    renormalise(atoms)
    return atoms


@torch.no_grad()
def share_moved(atoms: Tensor, first: Tensor) -> float:
    """Share of the atoms [d_sae, d_in] whose cosine with their first value is below `MOVED`."""
    cosine = torch.nn.functional.cosine_similarity(atoms, first.to(atoms), dim=1)
    return float((cosine < MOVED).float().mean())


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
