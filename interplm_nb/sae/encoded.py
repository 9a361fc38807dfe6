"""What an SAE makes of embeddings, as sparse blocks."""

from collections.abc import Iterator

import numpy as np
import torch
from scipy import sparse

from interplm_nb.sae.model import SAE

_CELLS = 16 * 2**20
"""Pre-activations held at once (64 MB)."""


def encoded(sae: SAE, x: np.ndarray) -> Iterator[tuple[int, sparse.csr_array]]:
    """Activations of x as csr blocks, each with the row of x at which it begins.

    Parameters
    ----------
    x
        float32 [n, d_in].

    Examples
    --------
    >>> from interplm_nb.sae.random_sae import random_sae
    >>> sae = random_sae(d_in=4, d_sae=8, k=2, b_dec=torch.zeros(4), seed=0)
    >>> [(start, f.shape, f.nnz) for start, f in encoded(sae, np.ones((3, 4), np.float32))]
    [(0, (3, 8), 6)]
    """
    rows = rows_at_once(sae)
    for start in range(0, len(x), rows):
        part = x[start : start + rows]
        code = sae.encode_sparse(torch.tensor(part, device=sae.device))
        offsets = np.searchsorted(code.rows, np.arange(len(part) + 1))
        yield (
            start,
            sparse.csr_array(
                (code.values, code.features, offsets.astype(np.int32)), shape=(len(part), sae.d_sae)
            ),
        )


def rows_at_once(sae: SAE) -> int:
    """Residues in a block of `encoded`."""
    return max(1, _CELLS // sae.d_sae)
