"""PLMs small enough to be followed by hand: a masked one that mixes neighbours, and a recurrent
one that predicts the next residue."""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import torch
from torch import Tensor

from interplm_nb.plm.protocol import Edit, EmbeddedBatch, Output, StepEdit
from interplm_nb.plm.record import Objective
from interplm_nb.plm.tokens import PAD, token_ids
from interplm_nb.proteins import Proteins


class FakePLM:
    """Layer 0 is the embedding, layer 1 adds to each position the mean of its sequence, logits are
    a linear map of layer 1."""

    name = "fake"
    revision = "sha256:fake"
    n_layers = 1
    widths = (6, 6)
    max_residues = 1022
    letters = "ACDEFGHIKLMNPQRSTVWYXBUZO"
    objective: Objective | None = "masked"
    has_logits = True
    recurrent = False
    has_contact_head = False
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
        given: tuple[int, Tensor] | None = None,
    ) -> Output:
        assert not step_edits
        self.n_forward += 1
        edit = dict(edit or {}) | ({given[0]: lambda h: given[1]} if given else {})
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
        *,
        long: str = "refuse",
    ) -> Iterator[EmbeddedBatch]:
        for i in np.argsort(proteins.lengths, kind="stable"):
            rows = np.arange(proteins.offsets[i], proteins.offsets[i + 1])
            found = self.forward(self.tokens([proteins.sequences[i]]), layers).representations
            yield EmbeddedBatch(rows, {layer: h[0, 1:-1] for layer, h in found.items()})

    def shuffled(self, seed: int = 42) -> "FakePLM":
        return FakePLM(seed)


class FakeRecurrentPLM:
    """Layer 0 is the embedding x; layers 1 and 2 are h[t] = tanh(x[t] @ A + h[t - 1] @ B), the
    input of layer 2 being layer 1; logits are a linear map of layer 2, over 20 letters.

    Tokens: 0 pads, 1 to 20 are letters, 21 starts a sequence where `start` says so.
    """

    name = "fake-recurrent"
    revision = "sha256:recurrent"
    n_layers = 2
    widths = (6, 6, 6)
    max_residues = 1022
    letters = "ACDEFGHIKLMNPQRSTVWY"
    objective: Objective | None = "next residue"
    has_logits = True
    recurrent = True
    has_contact_head = False
    licence = ""
    tokens_per_batch = 2048
    device = torch.device("cpu")
    dtype = torch.float32

    def __init__(self, start: bool, seed: int = 0) -> None:
        self.first_residue = int(start)
        generator = torch.Generator().manual_seed(seed)
        self.embedding = torch.randn(22, 6, generator=generator)
        self.A = torch.randn(2, 6, 6, generator=generator) / 2
        self.B = torch.randn(2, 6, 6, generator=generator) / 2
        self.unembedding = torch.randn(6, 20, generator=generator)

    def tokens(self, sequences: Sequence[str]) -> Tensor:
        rows = [
            [21] * self.first_residue + [1 + self.letters.index(a) for a in s] for s in sequences
        ]
        width = max(map(len, rows))
        return torch.tensor([row + [0] * (width - len(row)) for row in rows])

    def classes(self, tokens: Tensor) -> Tensor:
        return torch.where((tokens > 0) & (tokens < 21), tokens - 1, -100)

    def forward(
        self,
        tokens: Tensor,
        layers: Sequence[int] = (),
        edit: Mapping[int, Edit] | None = None,
        logits: bool = False,
        step_edits: Mapping[int, StepEdit] | None = None,
        given: tuple[int, Tensor] | None = None,
    ) -> Output:
        edit = dict(edit or {}) | ({given[0]: lambda h: given[1]} if given else {})
        step_edits = step_edits or {}
        assert 0 not in step_edits, "the embedding has no steps"
        x = edit.get(0, lambda h: h)(self.embedding[tokens])
        found = {0: x}
        for layer in (1, 2):
            h, states = torch.zeros(len(tokens), 6), []
            for t in range(tokens.shape[1]):
                h = torch.tanh(x[:, t] @ self.A[layer - 1] + h @ self.B[layer - 1])
                h = step_edits[layer](h, t) if layer in step_edits else h
                states.append(h)
            found[layer] = x = edit.get(layer, lambda h: h)(torch.stack(states, dim=1))
        return Output(
            {layer: found[layer] for layer in layers}, x @ self.unembedding if logits else None
        )

    def embed(
        self,
        proteins: Proteins,
        layers: Sequence[int],
        tokens_per_batch: int | None = None,
        progress: bool = True,
        *,
        long: str = "refuse",
    ) -> Iterator[EmbeddedBatch]:
        for i in range(len(proteins)):
            rows = np.arange(proteins.offsets[i], proteins.offsets[i + 1])
            found = self.forward(self.tokens([proteins.sequences[i]]), layers).representations
            yield EmbeddedBatch(
                rows, {layer: h[0, self.first_residue :] for layer, h in found.items()}
            )

    def shuffled(self, seed: int = 42) -> "FakeRecurrentPLM":
        return FakeRecurrentPLM(bool(self.first_residue), seed)
