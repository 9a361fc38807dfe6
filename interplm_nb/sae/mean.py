"""The mean embedding of some residues: where a control that was never trained is centred."""

import numpy as np
import torch
from torch import Tensor

from interplm_nb.embeddings import Embeddings

_ROWS = 65_536


def mean_embedding(embeddings: Embeddings, rows: np.ndarray) -> Tensor:
    """float32 [d_in]: the mean over these rows (int64, at least one), summed in float64, read block by block."""
    if not len(rows):
        raise ValueError("the mean is over at least one residue; none is given")
    total = np.zeros(embeddings.d_in)
    for start in range(0, len(rows), _ROWS):
        total += embeddings[rows[start : start + _ROWS]].sum(axis=0, dtype=np.float64)
    return torch.from_numpy((total / len(rows)).astype(np.float32))
