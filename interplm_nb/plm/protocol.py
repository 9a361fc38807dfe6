"""What this project needs of a protein language model (PLM): one small class. Another model implements `PLM` and everything else works."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple, Protocol, runtime_checkable

import numpy as np
import torch
from torch import Tensor

from interplm_nb.proteins import Proteins

Edit = Callable[[Tensor], Tensor]
"""Takes the representation at a layer, [B, T, d_model], and returns what replaces it, of the same shape."""


class EmbeddedBatch(NamedTuple):
    """Residue embeddings of some proteins; special tokens and padding are never among them."""

    rows: np.ndarray
    """int64 [n]: rows of the residue axis, in the order of `layers`' rows."""
    layers: dict[int, Tensor]
    """layer -> [n, d_model], float32 unless asked otherwise, on the PLM's device; plain tensors without a gradient."""


class Output(NamedTuple):
    """One forward pass; positions include special tokens and padding."""

    representations: dict[int, Tensor]
    """layer -> [B, T, d_model]; 0 is the embedding, the last layer is after the final layer norm. After `edit`, where one was given."""
    logits: Tensor | None
    """[B, T, n_tokens], or None where they were not asked for."""


@runtime_checkable
class PLM(Protocol):
    """A protein language model with layers 0 (embedding) to `n_layers`."""

    @property
    def name(self) -> str:
        """The model's name, noted with its embeddings and with SAEs trained on them."""
        ...

    @property
    def revision(self) -> str:
        """`sha256:...` of the weights: two models of one name but other weights differ here."""
        ...

    @property
    def n_layers(self) -> int:
        """Number of the last layer; layer 0, the embedding, comes before the first transformer layer."""
        ...

    @property
    def d_model(self) -> int:
        """Width of a representation, the same at every layer."""
        ...

    @property
    def device(self) -> torch.device:
        """Where the model runs, and where its tokens and representations lie."""
        ...

    def tokens(self, sequences: Sequence[str]) -> Tensor:
        """int64 [B, T] on the PLM's device: special tokens, residues, padding to the longest."""
        ...

    def forward(
        self,
        tokens: Tensor,
        layers: Sequence[int] = (),
        edit: Mapping[int, Edit] | None = None,
        logits: bool = False,
    ) -> Output:
        """Run as deep as `layers` (and `logits`) need. `edit` replaces the representation at a layer and the run goes on from there."""
        ...

    def embed(
        self,
        proteins: Proteins,
        layers: Sequence[int],
        tokens_per_batch: int | None = None,
        progress: bool = True,
    ) -> Iterator[EmbeddedBatch]:
        """Every residue of every protein once, in batches of proteins of like length."""
        ...
