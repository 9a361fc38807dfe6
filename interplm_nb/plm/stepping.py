"""Models that read one residue at a time, so that a sequence can grow as it is drawn."""

from collections.abc import Mapping
from typing import NamedTuple, Protocol, runtime_checkable

from torch import Tensor

from interplm_nb.plm.mlstm import State
from interplm_nb.plm.protocol import PLM, StepEdit


class Reading(NamedTuple):
    """Where B sequences, which are read side by side, have come to."""

    states: tuple[State, ...]
    """Each layer's state, [B, width]."""
    logits: Tensor
    """[B, n_classes]: of the next residue."""
    n_residues: int
    """Residues read so far, the same in all sequences."""


@runtime_checkable
class Stepping(PLM, Protocol):
    """A next-residue model that is read step by step."""

    @property
    def stop_class(self) -> int:
        """The class of the logits that ends a sequence."""
        ...

    def begin(
        self,
        n: int,
        step_edits: Mapping[int, StepEdit] | None = None,
        output_edits: Mapping[int, StepEdit] | None = None,
    ) -> Reading:
        """n sequences before their first residue."""
        ...

    def advance(
        self,
        reading: Reading,
        residues: Tensor,
        step_edits: Mapping[int, StepEdit] | None = None,
        output_edits: Mapping[int, StepEdit] | None = None,
    ) -> Reading:
        """Read one more residue of each sequence, int64 [B] as in `PLM.tokens`.

        `step_edits` as in `forward`. `output_edits` maps a layer to a function of the same form
        whose result the layers above and the head read, while the layer's own state stays: one step
        of what `edit` does in `forward`.
        """
        ...
