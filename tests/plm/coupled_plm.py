"""A masked model with planted contacts: pairs of places whose residues decide about each other."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from interplm_nb.plm.protocol import Edit, Output
from tests.sae.fake_plm import FakePLM


class CoupledPLM(FakePLM):
    """Dimension m of layer 1 holds, at either residue of pair m, a number of the other's letter;
    logits are a linear map of layer 1. The last dimension holds, everywhere, a mean over the
    sequence, as composition does; it couples all residues a little."""

    name = "coupled"

    def __init__(self, pairs: Sequence[tuple[int, int]], seed: int = 0) -> None:
        generator = torch.Generator().manual_seed(seed)
        self.pairs = pairs
        self.widths = (33, len(pairs) + 1)
        self.letter = torch.rand(len(pairs) + 1, 33, generator=generator)
        self.unembedding = torch.randn(len(pairs) + 1, 33, generator=generator)

    def forward(
        self,
        tokens: Tensor,
        layers: Sequence[int] = (),
        edit: Mapping[int, Edit] | None = None,
        logits: bool = False,
        step_edits: object = None,
        given: object = None,
    ) -> Output:
        h = torch.zeros(*tokens.shape, self.widths[1])
        for m, (i, j) in enumerate(self.pairs):
            h[:, 1 + i, m] = self.letter[m, tokens[:, 1 + j]]
            h[:, 1 + j, m] = self.letter[m, tokens[:, 1 + i]]
        h[..., -1] = 3 * self.letter[-1, tokens].mean(1, keepdim=True)
        h = (edit or {}).get(1, lambda h: h)(h)
        return Output({1: h} if 1 in layers else {}, h @ self.unembedding if logits else None)
