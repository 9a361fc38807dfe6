"""Both data paths on a few made-up proteins: stored embeddings and a PLM's stream."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from interplm_nb.embeddings import Embeddings
from interplm_nb.plm.store import embed_to
from interplm_nb.proteins import Proteins
from interplm_nb.sae.training.stream import Batches, StoredBatches, StreamedBatches
from tests.sae.fake_plm import FakePLM

PROTEINS = Proteins.from_sequences(
    {f"P{i}": "ACDEFGHIKLMNPQRSTVWY"[i % 9 : 10 + i % 11] * (1 + i % 3) for i in range(80)}
)


def residue_batches(
    path: str, folder: Path, batch_size: int = 32, share: tuple[int, int] | None = None
) -> Batches:
    """`path` is "stored" (embeddings are written to `folder` where they are not there) or
    "streamed"; a buffer far smaller than an epoch."""
    if path == "streamed":
        return StreamedBatches(FakePLM(), PROTEINS, 1, batch_size, 3, share, buffer_residues=150)
    if not (folder / "about.json").exists():
        embed_to(FakePLM(), PROTEINS, [1], lambda _: folder, progress=False)
    return StoredBatches(
        Embeddings.open(folder),
        np.arange(PROTEINS.n_residues),
        batch_size,
        3,
        share,
        buffer_residues=150,
    )


class JoinedBatches:
    """The shares of several processes end to end: what one process trains on to get what they get
    together."""

    def __init__(self, shares: Sequence[Batches]) -> None:
        self._shares = list(shares)
        self.layers = self._shares[0].layers
        self.batch_size = self._shares[0].batch_size

    def about(self, layer: int) -> dict[str, Any]:
        """As each share has it."""
        return self._shares[0].about(layer)

    def batch(self, step: int) -> dict[int, Tensor]:
        """layer -> float32 [batch_size, d_in]"""
        parts = [share.batch(step) for share in self._shares]
        return {layer: torch.cat([part[layer] for part in parts]) for layer in self.layers}
