"""The random SAE: the control that shows what a dictionary is worth without training."""

from collections.abc import Collection

import numpy as np
import torch
from torch import Tensor

from interplm_nb.embeddings import Embeddings
from interplm_nb.sae.architectures import TopK
from interplm_nb.sae.model import SAE

_ROWS = 65_536


def random_seeds(trained: Collection[int], n: int) -> list[int]:
    """The n lowest seeds above those of the trained SAEs, whose atoms start from their own seeds.

    >>> random_seeds([0], 3)
    [1, 2, 3]
    """
    return [max(trained) + 1 + i for i in range(n)]


def random_sae(d_in: int, d_sae: int, k: int, b_dec: Tensor, seed: int) -> SAE:
    """An untrained TopK SAE: random unit atoms, their transpose as the encoder, b_enc 0.

    Parameters
    ----------
    d_in, d_sae
        As the trained SAE has them.
    k
        The trained SAE's mean L0, rounded (at least 1), so that both are equally sparse.
    b_dec
        [d_in], the mean of the training data (`mean_embedding`). Without it, every random feature
        would mostly measure the distance to the origin.
    seed
        The same seed gives the same weights. A trained SAE of this seed starts from the same atoms,
        so take one of `random_seeds`.

    Examples
    --------
    >>> sae = random_sae(d_in=4, d_sae=8, k=2, b_dec=torch.zeros(4), seed=0)
    >>> (sae.encode(torch.ones(3, 4)) > 0).sum(dim=1).tolist()
    [2, 2, 2]
    """
    atoms = torch.randn(d_sae, d_in, generator=torch.Generator().manual_seed(seed))
    atoms /= atoms.norm(dim=1, keepdim=True)
    if b_dec.shape != (d_in,):
        raise ValueError(f"b_dec is the mean embedding, shape ({d_in},), not {tuple(b_dec.shape)}")
    sae = SAE(d_in, d_sae, TopK(k))
    with torch.no_grad():
        sae.W_dec.copy_(atoms)
        sae.W_enc.copy_(atoms.T)
        sae.b_dec.copy_(b_dec)
    return sae.eval()


def mean_embedding(embeddings: Embeddings, rows: np.ndarray) -> Tensor:
    """Mean over these rows (int64, at least one), float32 [d_in], summed in float64 by blocks."""
    if not len(rows):
        raise ValueError("the mean needs at least one residue; got no rows")
    total = np.zeros(embeddings.d_in)
    for start in range(0, len(rows), _ROWS):
        total += embeddings[rows[start : start + _ROWS]].sum(axis=0, dtype=np.float64)
    return torch.from_numpy((total / len(rows)).astype(np.float32))
