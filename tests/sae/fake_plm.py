"""A PLM small enough to be followed by hand: an embedding, one layer that mixes neighbours, and logits."""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import torch
from torch import Tensor

from interplm_nb.plm.protocol import Edit, EmbeddedBatch, Output, StepEdit
from interplm_nb.plm.tokens import PAD, token_ids
from interplm_nb.proteins import Proteins


class FakePLM:
    """Layer 0 is the embedding, layer 1 adds to each position the mean of its sequence, logits are a linear map of layer 1."""

    name = "fake"
    revision = "sha256:fake"
    n_layers = 1
    widths = (6, 6)
    max_residues = 1022
    letters = "ACDEFGHIKLMNPQRSTVWYXBUZO"
    objective = "masked"
    has_logits = True
    recurrent = False
    licence = ""
    first_residue = 1
    tokens_per_batch = 2048
    device = torch.device("cpu")
    dtype = torch.float32

    def __init__(self, seed: int = 0) -> None:
        generator = torch.Generator().manual_seed(seed)
        self.embedding = torch.randn(33, 6, generator=generator)
        self.unembedding = torch.randn(6, 33, generator=generator)
        self.n_forward = 0

    def tokens(self, sequences: Sequence[str]) -> Tensor:
        return torch.from_numpy(token_ids(sequences))

    def classes(self, tokens: Tensor) -> Tensor:
        return tokens

    def forward(
        self,
        tokens: Tensor,
        layers: Sequence[int] = (),
        edit: Mapping[int, Edit] | None = None,
        logits: bool = False,
        step_edits: Mapping[int, StepEdit] | None = None,
    ) -> Output:
        assert not step_edits
        self.n_forward += 1
        edit = edit or {}
        h = edit.get(0, lambda h: h)(self.embedding[tokens])
        found = {0: h}
        real = (tokens != PAD)[..., None]
        h = h + (h * real).sum(1, keepdim=True) / real.sum(1, keepdim=True)
        found[1] = h = edit.get(1, lambda h: h)(h)
        return Output(
            {layer: found[layer] for layer in layers}, h @ self.unembedding if logits else None
        )

    def embed(
        self,
        proteins: Proteins,
        layers: Sequence[int],
        tokens_per_batch: int | None = None,
        progress: bool = True,
    ) -> Iterator[EmbeddedBatch]:
        for i in np.argsort(proteins.lengths, kind="stable"):
            rows = np.arange(proteins.offsets[i], proteins.offsets[i + 1])
            found = self.forward(self.tokens([proteins.sequences[i]]), layers).representations
            yield EmbeddedBatch(rows, {layer: h[0, 1:-1] for layer, h in found.items()})

    def shuffled(self, seed: int = 42) -> "FakePLM":
        return FakePLM(seed)
