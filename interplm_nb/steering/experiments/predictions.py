"""What a model predicts for the residues of a sequence, as probabilities of the amino acids."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from interplm_nb.features.logos import AMINO_ACIDS
from interplm_nb.plm.mlstm import State
from interplm_nb.plm.protocol import PLM
from interplm_nb.plm.stepping import Reading, Stepping
from interplm_nb.steering.intervene import (
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


class Opened(NamedTuple):
    """A sequence as the model predicts it, before anything is changed, from a residue on."""

    sequence: str
    start: int
    """First residue that may be changed, from 1."""
    log_p: np.ndarray
    """float64 [L - start + 1, 20]: `log_probabilities`."""
    h: Tensor
    """[L - start + 1, width]: the layer's output."""
    reading: Reading | None
    """Of a model that is read step by step: before `start`."""


@torch.no_grad()
def opened(at: SteeredLayer, sequence: str, start: int = 1) -> Opened:
    """Run a sequence once; what no change can reach is not run again."""
    plm = at.plm
    if isinstance(plm, Stepping):
        reading = before = _read_up_to(plm, sequence, start)
        logits, h = [], []
        for token in _tokens(plm, sequence)[start - 1 :]:
            reading = plm.advance(reading, token[None])
            logits.append(reading.logits)
            h.append(reading.states[at.layer - 1].h)
        log_p = log_probabilities(plm, torch.cat(logits))
        return Opened(sequence, start, log_p, torch.cat(h), before)
    found = plm.forward(plm.tokens([sequence]), [at.layer], logits=True)
    assert found.logits is not None
    first = plm.first_residue
    own = slice(first + start - 1, first + n_residues(sequence))
    log_p = log_probabilities(plm, found.logits[0, own])
    return Opened(sequence, start, log_p, found.representations[at.layer][0, own], None)


def steered(at: SteeredLayer, rows: Sequence[Sequence[Change]], of: Opened) -> np.ndarray:
    """float64 [rows, L - start + 1, 20]: `log_probabilities` under each row of changes, none of
    which is before `of.start`."""
    parts = [rows[i : i + ROWS] for i in range(0, len(rows), ROWS)]
    if of.reading is None:
        interventions = [Intervention(at, part) for part in parts]
        logits = [
            steered_logits([one], of.sequence, reached(at.plm))[:, of.start - 1 :]
            for one in interventions
        ]
    else:
        logits = [_stepped(at, part, of.sequence, of.reading) for part in parts]
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
