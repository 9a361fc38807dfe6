"""Which features of an SAE recur when it is trained from another seed, and how many would by
chance."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from interplm_nb.sae.about import SAEAbout
from interplm_nb.sae.model import SAE

RECURS = 0.7
"""Cosine of decoder atoms from which two features count as the same."""
_CELLS = 2**24


@dataclass(frozen=True)
class Stability:
    """How far the alive features of one SAE recur in another of the same layer, next to the same
    figures for two nulls.

    `random`: random atoms, as many as the other SAE has alive features. `rotated`: the other SAE's
    own atoms under a random rotation, which keeps only their angles to each other.
    """

    n_alive: int
    n_alive_other: int
    recur: float
    """Share of the alive features whose nearest atom in the other SAE has a cosine of at least the
    threshold."""
    mean_cosine: float
    """Mean cosine with the nearest atom."""
    recur_random: float
    mean_cosine_random: float
    recur_rotated: float
    mean_cosine_rotated: float


@torch.no_grad()
def stability(
    sae: SAE,
    other: SAE,
    alive: np.ndarray,
    alive_other: np.ndarray,
    threshold: float = RECURS,
    seed: int = 0,
) -> Stability:
    """Compare the decoder atoms of two SAEs of one layer by signed cosine.

    `alive` and `alive_other`, bool [d_sae], mark the features that fire. ValueError for SAEs of
    different widths or layers. Where either has no alive feature, all shares are 0.
    """
    _check(sae, other, alive, alive_other)
    mine, theirs = unit_atoms(sae, alive), unit_atoms(other, alive_other)
    generator = torch.Generator().manual_seed(seed)
    noise = torch.randn(theirs.shape, generator=generator, dtype=torch.float64).to(mine)
    rotated = theirs @ random_rotation(sae.d_out, generator).to(mine)
    cosines = [
        nearest_cosines(mine, atoms)
        for atoms in (theirs, noise / noise.norm(dim=1, keepdim=True), rotated)
    ]
    figures = [figure for c in cosines for figure in (_mean(c >= threshold), _mean(c))]
    return Stability(len(mine), len(theirs), *figures)


def unit_atoms(sae: SAE, alive: np.ndarray) -> Tensor:
    """float32 [n_alive, d_in]: the decoder atoms of alive features, at norm 1."""
    atoms = sae.W_dec.detach()[torch.from_numpy(np.flatnonzero(alive)).to(sae.device)].float()
    return atoms / atoms.norm(dim=1, keepdim=True).clamp_min(torch.finfo(torch.float32).tiny)


def nearest_cosines(atoms: Tensor, others: Tensor) -> Tensor:
    """float32 [n]: each atom's (unit rows [n, d_in]) largest cosine with any of the others ([m,
    d_in])."""
    if not len(others):
        return atoms.new_zeros(len(atoms))
    blocks = atoms.split(max(1, _CELLS // len(others)))
    return (
        torch.cat([(block @ others.T).amax(dim=1) for block in blocks])
        if len(atoms)
        else atoms.new_zeros(0)
    )


def random_rotation(d_in: int, generator: torch.Generator) -> Tensor:
    """float64 [d_in, d_in]: a uniformly random orthogonal matrix (QR of a Gaussian matrix, with the
    signs of R's diagonal; Mezzadri 2007)."""
    q, r = torch.linalg.qr(torch.randn(d_in, d_in, generator=generator, dtype=torch.float64))
    return q * r.diagonal().sign()


def _mean(values: Tensor) -> float:
    return float(values.double().mean()) if len(values) else 0.0


def _place(about: SAEAbout) -> str:
    to = "" if about.target is None else f" to layer {about.target}"
    return f"{about.plm}, {about.reads}{to}"


def _check(sae: SAE, other: SAE, alive: np.ndarray, alive_other: np.ndarray) -> None:
    if sae.d_out != other.d_out:
        raise ValueError(
            f"cannot compare atoms of {sae.d_out} and of {other.d_out} dimensions; take two "
            "SAEs of one layer of one PLM"
        )
    if sae.about and other.about and _place(sae.about) != _place(other.about):
        places = [_place(about) for about in (sae.about, other.about)]
        raise ValueError(
            f"these SAEs are of {places[0]} and of {places[1]}; compare SAEs of one layer of one "
            "PLM"
        )
    for one, mask in ((sae, alive), (other, alive_other)):
        if np.asarray(mask).shape != (one.d_sae,) or np.asarray(mask).dtype != bool:
            raise ValueError(
                f"alive must be one bool per feature, shape ({one.d_sae},); got "
                f"{np.asarray(mask).dtype} {np.asarray(mask).shape}"
            )
