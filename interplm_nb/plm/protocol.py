"""What this project needs of a protein language model (PLM).

A class that meets `PLM` is all that another model takes: pipeline, SAEs and views know no more.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Literal, NamedTuple, Protocol, runtime_checkable

import numpy as np
import torch
from torch import Tensor

from interplm_nb.plm.record import Objective
from interplm_nb.proteins import Proteins

Edit = Callable[[Tensor], Tensor]
"""Takes a layer's whole output, [B, T, width], and returns its replacement, of the same shape."""

StepEdit = Callable[[Tensor, int], Tensor]
"""Takes a recurrent layer's state at one position, [B, width], and that position in the tokens
(from 0); returns the state that stands for it in the output and in all later steps."""


class EmbeddedBatch(NamedTuple):
    """Residue embeddings of some proteins; special tokens and padding are never among them."""

    rows: np.ndarray
    """int64 [n]: rows of the residue axis, in the order of `layers`' rows."""
    layers: dict[int, Tensor]
    """layer -> [n, width], float32 unless asked otherwise, on the PLM's device; no gradient."""


class Output(NamedTuple):
    """One forward pass; positions include special tokens and padding."""

    representations: dict[int, Tensor]
    """layer -> [B, T, width] after its edits. Layer 0 is the embedding; the last layer is after the
    final layer norm, where the model has one."""
    logits: Tensor | None
    """[B, T, n_classes], or None where they were not asked for. At a position they predict that
    position (objective "masked") or the next one ("next residue"); `PLM.classes` gives targets."""


@runtime_checkable
class PLM(Protocol):
    """A protein language model with layers 0 (embedding) to `n_layers`."""

    @property
    def name(self) -> str:
        """The model's name, noted with its embeddings and with SAEs trained on them."""
        ...

    @property
    def revision(self) -> str:
        """`sha256:...` over the encoder's tensors under canonical names.

        One model in several file layouts, with its head or without, has one revision.
        """
        ...

    @property
    def widths(self) -> tuple[int, ...]:
        """Width of each layer's representation, layer 0 first."""
        ...

    @property
    def n_layers(self) -> int:
        """Number of the last layer: `len(widths) - 1`."""
        ...

    @property
    def max_residues(self) -> int:
        """Longest protein that the model reads in one pass."""
        ...

    @property
    def letters(self) -> str:
        """Residue letters that the model has a token for."""
        ...

    @property
    def objective(self) -> Objective | None:
        """What the model was trained to predict; None where it is not known to predict residues."""
        ...

    @property
    def has_logits(self) -> bool:
        """Whether `forward(..., logits=True)` works: a model may come without its head."""
        ...

    @property
    def recurrent(self) -> bool:
        """Whether `forward` takes `step_edits`."""
        ...

    @property
    def licence(self) -> str:
        """Licence of the weights, such as "CC BY-NC 4.0"; "" where it is not known."""
        ...

    @property
    def device(self) -> torch.device:
        """Where the model runs, and where its tokens and representations lie."""
        ...

    @property
    def dtype(self) -> torch.dtype:
        """Arithmetic of the model's matrix products."""
        ...

    @property
    def first_residue(self) -> int:
        """Position of a sequence's first residue in its tokens: 1 behind a start token, else 0."""
        ...

    @property
    def tokens_per_batch(self) -> int:
        """Tokens that `embed` runs at once by default on this device."""
        ...

    def tokens(self, sequences: Sequence[str]) -> Tensor:
        """int64 [B, T] on the PLM's device: special tokens, residues, padding to the longest.

        A masked model reads `<mask>` in a sequence as one token.
        """
        ...

    def classes(self, tokens: Tensor) -> Tensor:
        """int64 [B, T]: each token's class in the logits; -100 where it has none."""
        ...

    def forward(
        self,
        tokens: Tensor,
        layers: Sequence[int] = (),
        edit: Mapping[int, Edit] | None = None,
        logits: bool = False,
        step_edits: Mapping[int, StepEdit] | None = None,
    ) -> Output:
        """Run as deep as `layers` (and `logits`) need.

        `edit` replaces a layer's whole output: layers above see it, the layer's own recurrence does
        not. `step_edits` replaces a recurrent layer's state step by step, inside the recurrence:
        later positions of the same layer see it too. ValueError for `step_edits` of a model that is
        not recurrent, for logits that the model lacks, and for a layer that is not there.
        """
        ...

    def embed(
        self,
        proteins: Proteins,
        layers: Sequence[int],
        tokens_per_batch: int | None = None,
        progress: bool = True,
        *,
        long: Literal["refuse", "window"] = "refuse",
    ) -> Iterator[EmbeddedBatch]:
        """Every residue of every protein once, in batches of proteins of like length.

        Proteins over `max_residues` are refused, or read in windows that overlap.
        """
        ...

    def shuffled(self, seed: int = 42) -> "PLM":
        """The control of the paper: the same model, each weight tensor's values in random order."""
        ...
