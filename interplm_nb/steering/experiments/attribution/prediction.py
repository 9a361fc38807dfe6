"""The number that is attributed to features: one prediction of a PLM for one sequence.

    log probability   log p(residue at the position), in nats
    logit             its logit minus the mean logit of the 20 amino acids at the position
    log-likelihood    sum of log p over residues, in nats: of a next-residue model those after the
                      first, each given the ones before it; of a masked model all that are not
                      masked, in one pass that sees them

For the first two, a masked model reads the position as `<mask>`, because a residue that it sees is
copied, and a next-residue model reads the residues before the position alone: it sees no others.
"""

from typing import Literal

import torch
from pydantic import Field
from torch import Tensor

from interplm_nb.features.logos import AMINO_ACIDS
from interplm_nb.plm.protocol import PLM
from interplm_nb.steering.experiments.settings import ExperimentSettings
from interplm_nb.steering.intervene import MASK, check_masks, letters_of

Metric = Literal["log probability", "logit", "log-likelihood"]


class PredictionSettings(ExperimentSettings):
    """Which prediction an experiment is about."""

    metric: Metric = Field(default="log probability", description="What is attributed.")
    position: int | None = Field(
        default=None,
        ge=1,
        description="Residue that is predicted, from 1; none for the log-likelihood.",
    )
    residue: str | None = Field(
        default=None,
        min_length=1,
        max_length=1,
        description="Amino acid; the sequence's own if none.",
    )


class Prediction:
    """A prediction of a PLM: what it reads, and the metric of its logits.

    Raises ValueError for a model without logits, a position outside the sequence or with nothing
    before it, a position missing or too many, and a letter that the model lacks.
    """

    def __init__(self, plm: PLM, sequence: str, settings: PredictionSettings) -> None:
        if plm.objective is None or not plm.has_logits:
            raise ValueError(
                f"{plm.name} predicts no residues, so there is no prediction to attribute; take a "
                "model with its head"
            )
        check_masks(plm.objective, plm.name, sequence)
        self.plm, self.metric = plm, settings.metric
        self.letters = letters_of(sequence)
        self._ahead = 1 if plm.objective == "next residue" else 0
        self.position = settings.position
        self.residue = self._residue(settings)
        if self.position is not None and self._ahead:
            self.letters = self.letters[: self.position - 1]
        elif self.position is not None:
            self.letters[self.position - 1] = MASK
        self.sequence = "".join(self.letters)
        self.tokens = plm.tokens([self.sequence])
        self._classes = self._targets()

    @property
    def n_residues(self) -> int:
        """Residues that the model reads, masked ones included."""
        return len(self.letters)

    @property
    def residues(self) -> slice:
        """Where the residues are in the tokens."""
        first = self.plm.first_residue
        return slice(first, first + self.n_residues)

    @property
    def words(self) -> str:
        """Such as "log probability of C at position 12"."""
        if self.position is None:
            return "log-likelihood of the sequence"
        return f"{self.metric} of {self.residue} at position {self.position}"

    def of(self, logits: Tensor) -> Tensor:
        """float64 [B]: the metric of logits [B, L, n_classes] at the residues."""
        logits = logits.double()
        if self.position is None:
            n = self.n_residues - self._ahead
            log_p = logits[:, :n].log_softmax(-1)
            targets = self._classes[self._ahead :]
            known = targets >= 0
            found = log_p[:, known].gather(-1, targets[known].expand(len(logits), -1)[..., None])
            return found[..., 0].sum(1)
        there = logits[:, self.position - 1 - self._ahead]
        if self.metric == "logit":
            return there[:, self._classes[0]] - there[:, self._classes[1:]].mean(-1)
        return there.log_softmax(-1)[:, self._classes[0]]

    def _residue(self, settings: PredictionSettings) -> str:
        position, n = settings.position, self.n_residues
        if settings.metric == "log-likelihood":
            if position is not None or settings.residue is not None:
                raise ValueError(
                    "the log-likelihood is of the whole sequence; leave out position and residue, "
                    "or take the log probability"
                )
            if n <= self._ahead:
                raise ValueError(
                    "the log-likelihood needs residues to predict; give a longer sequence"
                )
            return ""
        if position is None:
            raise ValueError(f"the {settings.metric} is of a residue at a position; give position")
        if position > n:
            raise ValueError(
                f"position {position} is outside the sequence, which has residues 1 to {n}"
            )
        if position <= self._ahead:
            raise ValueError(
                f"{self.plm.name} predicts position 1 from no residue, so no feature carries it; "
                "take a position from 2 on"
            )
        residue = settings.residue or self.letters[position - 1]
        if residue == MASK:
            raise ValueError(f"position {position} is masked; give the residue to be predicted")
        return residue

    def _targets(self) -> Tensor:
        """int64: the class of the residue, then of the amino acids; or each residue's own."""
        if self.position is None:
            own = self.plm.classes(self.tokens)[0, self.residues]
            masked = torch.tensor([letter == MASK for letter in self.letters], device=own.device)
            return own.masked_fill(masked, -100)
        tokens = self.plm.tokens([self.residue + AMINO_ACIDS])
        first = self.plm.first_residue
        return self.plm.classes(tokens)[0, first : first + 1 + len(AMINO_ACIDS)]
