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
    for start, stop in cuts(len(x), sae):
        part = x[start:stop]
        code = sae.encode_sparse(torch.tensor(part, device=sae.device))
        offsets = np.searchsorted(code.rows, np.arange(len(part) + 1))
        yield (
            start,
            sparse.csr_array(
                (code.values, code.features, offsets.astype(np.int32)), shape=(len(part), sae.d_sae)
            ),
        )


def cuts(n: int, sae: SAE) -> list[tuple[int, int]]:
    """First and last row (excluded) of the blocks of n rows, which are of one size, or one apart:
    a product of a few rows may round otherwise where its rows are shared by other threads."""
    parts = -(-n // max(1, _CELLS // sae.d_sae))
    return [(n * i // parts, n * (i + 1) // parts) for i in range(parts)]
