"""The interface of a protein language model (PLM).

To add a model, write a class that meets `PLM`; pipeline, SAEs and views use nothing else.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Literal, NamedTuple, Protocol, runtime_checkable

import numpy as np
import torch
from torch import Tensor

from interplm_nb.plm.record import Objective
from interplm_nb.proteins import Proteins

Edit = Callable[[Tensor], Tensor]
"""Takes a layer's whole output, [B, T, width]; returns its replacement, of the same shape."""

StepEdit = Callable[[Tensor, int], Tensor]
"""Takes a recurrent layer's state at a position, [B, width], and that position in the tokens (from
0); returns the state that replaces it in the output and in all later steps."""


class EmbeddedBatch(NamedTuple):
    """Residue embeddings of some proteins, without special tokens and padding."""

    rows: np.ndarray
    """int64 [n]: rows of the residue axis, in the order of the rows of `layers`."""
    layers: dict[int, Tensor]
    """layer -> [n, width], float32 by default, on the PLM's device, without gradient."""


class Output(NamedTuple):
    """One forward pass; positions include special tokens and padding."""

    representations: dict[int, Tensor]
    """layer -> [B, T, width] after its edits. Layer 0 is the embedding; the last layer is after the
    final layer norm, if the model has one."""
    logits: Tensor | None
    """[B, T, n_classes], or None if not requested. At a position they predict that position
    (objective "masked") or the next one ("next residue"); `PLM.classes` gives the targets."""


@runtime_checkable
class PLM(Protocol):
    """A protein language model with layers 0 (embedding) to `n_layers`."""

    @property
    def name(self) -> str:
        """The model's name, saved with its embeddings and with SAEs trained on them."""
        ...

    @property
    def revision(self) -> str:
        """`sha256:...` over the encoder's tensors, with canonical names.

        A model has one revision in every file layout, with its head or without.
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
        """Longest protein that the model can read in one pass."""
        ...

    @property
    def letters(self) -> str:
        """Residue letters that have a token."""
        ...

    @property
    def objective(self) -> Objective | None:
        """What the model was trained to predict; None if it may not predict residues."""
        ...

    @property
    def has_logits(self) -> bool:
        """Whether `forward(..., logits=True)` works; a model may lack its head."""
        ...

    @property
    def has_contact_head(self) -> bool:
        """Whether it came with a head that reads contacts from attention: see `Attending`."""
        ...

    @property
    def recurrent(self) -> bool:
        """Whether `forward` takes `step_edits`."""
        ...

    @property
    def licence(self) -> str:
        """Licence of the weights, such as "CC BY-NC 4.0"; "" if unknown."""
        ...

    @property
    def device(self) -> torch.device:
        """Where the model runs, and its tokens and representations are."""
        ...

    @property
    def dtype(self) -> torch.dtype:
        """Dtype of the model's matrix products."""
        ...

    @property
    def first_residue(self) -> int:
        """Position of a sequence's first residue in its tokens: 1 after a start token, else 0."""
        ...

    @property
    def tokens_per_batch(self) -> int:
        """Default number of tokens that `embed` runs at once on this device."""
        ...

    def tokens(self, sequences: Sequence[str]) -> Tensor:
        """int64 [B, T] on the PLM's device: special tokens, residues, padding to the longest.

        For a masked model, `<mask>` in a sequence is one token.
        """
        ...

    def classes(self, tokens: Tensor) -> Tensor:
        """int64 [B, T]: each token's class in the logits; -100 for no class."""
        ...

    def forward(
        self,
        tokens: Tensor,
        layers: Sequence[int] = (),
        edit: Mapping[int, Edit] | None = None,
        logits: bool = False,
        step_edits: Mapping[int, StepEdit] | None = None,
        given: tuple[int, Tensor] | None = None,
    ) -> Output:
        """Run as deep as `layers` and `logits` need.

        `edit` replaces a layer's whole output: layers above see it, the layer's own recurrence does
        not. `step_edits` replaces a recurrent layer's state step by step, inside the recurrence:
        later positions of the layer see it too. `given` is a layer and its whole output: the run
        starts above it, and neither reads nor edits anything below. Raises ValueError for
        `step_edits` of a model that is not recurrent, for logits or a layer that the model lacks,
        and for a layer up to the given one in `layers` or edits.
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
        """Embed every residue of every protein once.

        Proteins over `max_residues` are refused, or read in overlapping windows; see `embed.embed`.
        """
        ...

    def shuffled(self, seed: int = 42) -> "PLM":
        """The control of the paper: the values of each weight tensor in random order."""
        ...


@runtime_checkable
class Attending(PLM, Protocol):
    """A PLM whose class can have a contact head; `has_contact_head` says whether this one does."""

    def attention_contacts(self, tokens: Tensor, edit: Mapping[int, Edit] | None = None) -> Tensor:
        """Probabilities of contact between residues, float32 [B, n, n], in one pass.

        Tokens are of sequences of n residues each. An edit changes the attention of layers above
        it; one of the last layer, which no attention reads, changes nothing. Raises ValueError
        without the head, for padding, and for a layer that the model lacks.
        """
        ...
