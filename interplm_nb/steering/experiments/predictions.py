"""What a model predicts for the residues of a sequence, as probabilities of the amino acids."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from interplm_nb.features.logos import AMINO_ACIDS
from interplm_nb.plm.mlstm import State
from interplm_nb.plm.protocol import PLM
from interplm_nb.plm.stepping import Reading, Stepping
from interplm_nb.steering.intervene import (
    MASK,
    Change,
    Intervention,
    Where,
    check_finite,
    n_residues,
    steered_logits,
)
from interplm_nb.steering.steered_layer import SteeredLayer

ROWS = 128
"""Rows of changes that run at once."""


def ahead(plm: PLM) -> int:
    """How many residues ahead of a residue its logits predict: 1 or, of a masked model, 0."""
    return int(plm.objective == "next residue")


def reached(plm: PLM) -> Where:
    """Where an experiment changes a layer: inside the recurrence where there is one, so that later
    residues can change; else its output."""
    return "recurrence" if plm.recurrent else "output"


def log_probabilities(plm: PLM, logits: Tensor) -> np.ndarray:
    """float64 [..., 20]: log P of each amino acid, in the order of `AMINO_ACIDS`.

    Of the twenty alone: what the model gives to other classes is left out and the rest adds up
    to 1.
    """
    first = plm.first_residue
    classes = plm.classes(plm.tokens([AMINO_ACIDS]))[0, first : first + len(AMINO_ACIDS)]
    return torch.log_softmax(logits[..., classes].double(), -1).cpu().numpy()


def steered(
    at: SteeredLayer, rows: Sequence[Sequence[Change]], sequence: str, start: int = 1
) -> np.ndarray:
    """float64 [rows, L - start + 1, 20]: `log_probabilities` of one sequence under each row of
    changes, from a residue on.

    No row changes a residue before `start`: a model that is read step by step reads these once for
    all rows.
    """
    parts = [rows[i : i + ROWS] for i in range(0, len(rows), ROWS)]
    if isinstance(at.plm, Stepping):
        before = _read_up_to(at.plm, sequence, start)
        logits = [_stepped(at, part, sequence, before) for part in parts]
    else:
        interventions = [Intervention(at, part) for part in parts]
        logits = [
            steered_logits([one], sequence, reached(at.plm))[:, start - 1 :]
            for one in interventions
        ]
    return np.concatenate([log_probabilities(at.plm, part) for part in logits])


def _read_up_to(plm: Stepping, sequence: str, start: int) -> Reading:
    """One lane, before residue `start`."""
    reading = plm.begin(1)
    for token in _tokens(plm, sequence)[: start - 1]:
        reading = plm.advance(reading, token[None])
    return reading


def _stepped(
    at: SteeredLayer, rows: Sequence[Sequence[Change]], sequence: str, before: Reading
) -> Tensor:
    """Logits [rows, L - residues before, n_classes], a lane per row, changed inside the
    recurrence."""
    assert isinstance(at.plm, Stepping)
    intervention = Intervention(at, rows)
    edits = {at.layer: intervention.step_edit([len(sequence)])}
    n = len(rows)
    reading = before._replace(
        states=tuple(State(h.expand(n, -1), c.expand(n, -1)) for h, c in before.states)
    )
    logits = []
    for token in _tokens(at.plm, sequence)[before.n_residues :]:
        reading = at.plm.advance(reading, token.expand(n), edits)
        logits.append(reading.logits)
    return check_finite(torch.stack(logits, dim=1), [intervention])


def _tokens(plm: PLM, sequence: str) -> Tensor:
    return plm.tokens([sequence])[0, plm.first_residue :]


@torch.no_grad()
def unsteered(at: SteeredLayer, sequence: str) -> tuple[np.ndarray, Tensor]:
    """`log_probabilities` [L, 20] of a sequence, and the layer's output on its residues [L,
    width]."""
    plm = at.plm
    found = plm.forward(plm.tokens([sequence]), [at.layer], logits=True)
    assert found.logits is not None
    own = slice(plm.first_residue, plm.first_residue + n_residues(sequence))
    return log_probabilities(plm, found.logits[0, own]), found.representations[at.layer][0, own]


def letters_of(sequence: str) -> list[str]:
    """The residues of a sequence, each `<mask>` as one.

    >>> letters_of("MG<mask>P")
    ['M', 'G', '<mask>', 'P']
    """
    parts = sequence.split(MASK)
    found = list(parts[0])
    for part in parts[1:]:
        found += [MASK, *part]
    return found
