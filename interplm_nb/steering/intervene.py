"""Features of a layer set to other values, while the rest of the model runs on as it is.

With h a residue's representation, f its features, v the values that replace some of them and d
their atoms (rows of W_dec), the layer continues with

    h + sum (v - f) d

so that what the SAE does not reconstruct stays (Simon & Zou 2025, Methods: steering). Without that
error (`keep_error=False`) it continues with decode(v) instead. Strengths are multiples of the
feature's maximum m on training proteins:

    clamp   v = strength * m          add      v = f + strength * m
    scale   v = strength * f          ablate   v = 0

A change of a layer's output (`edit`) reaches the layers above. In a recurrent layer, a change
inside the recurrence (`step_edit`) replaces the state too, so that it also reaches the layer's own
later steps. The two agree at the first position that is changed, and nowhere later.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from torch import Tensor

from interplm_nb.plm.protocol import Edit, StepEdit
from interplm_nb.steering.steered_layer import SteeredLayer

How = Literal["clamp", "add", "scale", "ablate"]
Where = Literal["output", "recurrence"]
"""A layer's whole output, or the state that a recurrent layer carries on."""

MASK = "<mask>"
_KEPT = 64
"""Batches whose changed positions are remembered."""


@dataclass(frozen=True)
class Change:
    """What is done to one feature.

    >>> Change(12, "clamp", 1.5, positions=(3, 4))
    Change(feature=12, how='clamp', strength=1.5, positions=(3, 4), direction=None)
    """

    feature: int
    how: How = "clamp"
    strength: float = 1.0
    """A multiple of the feature's maximum; of its own value for "scale"; not used by "ablate"."""
    positions: tuple[int, ...] | None = None
    """Residues, from 1; None: all."""
    direction: int | None = None
    """A control: the same change along a random direction, of this seed and of the length of the
    feature's atom, instead of along the atom."""

    def __post_init__(self) -> None:
        if self.how not in ("clamp", "add", "scale", "ablate"):
            raise ValueError(
                f"a change is clamp, add, scale or ablate; feature {self.feature} has {self.how!r}"
            )
        if not np.isfinite(self.strength):
            raise ValueError(
                f"feature {self.feature}: a strength must be a finite number; got {self.strength}"
            )
        if self.positions is not None and min(self.positions, default=0) < 1:
            raise ValueError(
                f"feature {self.feature}: positions are counted from 1, and at least one is "
                f"needed (None: all); got {self.positions}"
            )


class Intervention:
    """Changes of features in one layer, the same for all sequences or each sequence's own.

    Parameters
    ----------
    at
        The layer, its PLM and SAE.
    changes
        Of every sequence; or, as a list of lists, of each sequence of a batch.
    keep_error
        Keep what the SAE does not reconstruct. False continues with the reconstruction of the
        changed features at the changed residues: an option to compare with, not the paper's.

    Raises
    ------
    ValueError
        For no change, a feature that does not exist or is dead, and two changes of one feature at
        one residue.
    """

    def __init__(
        self,
        at: SteeredLayer,
        changes: Sequence[Change] | Sequence[Sequence[Change]],
        keep_error: bool = True,
    ) -> None:
        self.at = at
        self.keep_error = keep_error
        self.rows = _rows(changes)
        for row in self.rows:
            _check_once(row)
            for change in row:
                at.check_feature(change.feature)
        self._plan = _plan(at, self.rows)
        self._residues: dict[tuple[int, ...], Tensor] = {}

    @property
    def layer(self) -> int:
        """The layer that is changed."""
        return self.at.layer

    def applied(self, h: Tensor, lengths: Sequence[int]) -> Tensor:
        """The changed output of the layer.

        Parameters
        ----------
        h
            [B, T, width], special tokens and padding included; B may be 1 where this has several
            rows of changes, and the features of h are then computed once.
        lengths
            Residues of each sequence of h; other tokens stay as they are.

        Returns
        -------
        Tensor
            [B or rows, T, width], of the dtype of h.
        """
        return self._changed(h, self._chosen(lengths, h.shape[1], h.device))

    def edit(self, lengths: Sequence[int]) -> Edit:
        """What `PLM.forward(edit={layer: ...})` takes, for sequences of these lengths."""
        return lambda h: self.applied(h, lengths)

    def step_edit(self, lengths: Sequence[int] | None = None) -> StepEdit:
        """What `PLM.forward(step_edits={layer: ...})` takes; without lengths, every token from the
        first residue on is a residue, as in generation."""
        if not self.at.plm.recurrent:
            raise ValueError(
                f"{self.at.plm.name} is not recurrent, so nothing can be changed inside its "
                'recurrence; use where="output"'
            )
        first = self.at.plm.first_residue

        def step(h: Tensor, position: int) -> Tensor:
            """The changed state [B, width] at a position of the tokens."""
            if position < first:
                return h
            if lengths is None:
                chosen = self._at_residue(position - first + 1)
            else:
                width = first + max(lengths)
                chosen = self._chosen(lengths, width, h.device)[:, position]
            return self._changed(h, chosen) if chosen.any() else h

        return step

    def _changed(self, h: Tensor, chosen: Tensor) -> Tensor:
        """h [..., width] changed where `chosen` [..., n] says, for each of the n features."""
        sae, plan = self.at.sae, self._plan
        x = h.to(sae.W_dec.dtype)
        shape = (-1,) + (1,) * (h.ndim - 2)
        factor, added = (p.view(*shape, p.shape[-1]) for p in (plan.factor, plan.added))
        f = sae.encode(x, plan.features)
        difference = torch.where(chosen, (factor - 1) * f + added, 0)
        new = x + difference @ plan.along * sae.normed(x).scale
        if not self.keep_error:
            error = x - sae(x).x_hat
            new = torch.where(chosen.any(-1, keepdim=True), new - error, new)
        return torch.where(chosen.any(-1, keepdim=True), new.to(h.dtype), h)

    def _chosen(self, lengths: Sequence[int], width: int, device: torch.device) -> Tensor:
        """bool [B or rows, width, n]: where each feature changes, in tokens."""
        key = (width, *lengths)
        if key not in self._residues:
            n_rows = max(len(lengths), len(self.rows))
            if len(self.rows) not in (1, n_rows) or len(lengths) not in (1, n_rows):
                raise ValueError(
                    f"changes of {len(self.rows)} sequences cannot be made in {len(lengths)}; give "
                    "one list of changes per sequence, or one for all"
                )
            chosen = np.zeros((n_rows, width, len(self._plan.features)), bool)
            column = self._plan.column
            first = self.at.plm.first_residue
            for row in range(n_rows):
                length = lengths[row if len(lengths) > 1 else 0]
                for change in self.rows[row if len(self.rows) > 1 else 0]:
                    at = _within(change, length)
                    chosen[row, first + at, column[_column(change)]] = True
            if len(self._residues) >= _KEPT:
                self._residues.clear()
            self._residues[key] = torch.from_numpy(chosen).to(device)
        return self._residues[key]

    def _at_residue(self, residue: int) -> Tensor:
        """bool [rows, n]: which features change at a residue, from 1, of a growing sequence."""
        limited = {position for row in self.rows for one in row for position in one.positions or ()}
        key = (residue if residue in limited else 0,)
        if key not in self._residues:
            column = self._plan.column
            chosen = np.zeros((len(self.rows), len(column)), bool)
            for r, row in enumerate(self.rows):
                for change in row:
                    here = change.positions is None or residue in change.positions
                    chosen[r, column[_column(change)]] = here
            self._residues[key] = torch.from_numpy(chosen).to(self.at.plm.device)
        return self._residues[key]


def edits(
    interventions: Sequence[Intervention], lengths: Sequence[int], where: Where = "output"
) -> dict[str, Any]:
    """Arguments of `PLM.forward` that make these interventions, each in its own layer."""
    check_layers(interventions)
    if where == "recurrence":
        return {"step_edits": {one.layer: one.step_edit(lengths) for one in interventions}}
    return {"edit": {one.layer: one.edit(lengths) for one in interventions}}


def check_layers(interventions: Sequence[Intervention]) -> None:
    """Raise ValueError for no intervention, two of one layer, or of different PLMs."""
    layers = [one.layer for one in interventions]
    if not layers or len(set(layers)) < len(layers):
        raise ValueError(
            f"one intervention per layer is needed; got {len(layers)} of layers {layers}: put the "
            "changes of one layer together"
        )
    if len({one.at.plm.revision for one in interventions}) > 1:
        names = ", ".join(sorted({one.at.plm.name for one in interventions}))
        raise ValueError(f"interventions of different PLMs ({names}) cannot run together")


@torch.no_grad()
def steered_logits(
    interventions: Sequence[Intervention],
    sequence: str,
    where: Where = "output",
    below: Tensor | None = None,
) -> Tensor:
    """Logits of one sequence under each row of changes, with the layers below run once.

    Parameters
    ----------
    interventions
        At most one per layer; each with one row of changes, or all with the same number.
    sequence
        Residue letters; for a masked model, `<mask>` is one residue.
    where
        Change the layer's output, or the state inside a recurrent layer.
    below
        The unsteered output [1, T, width] of the lowest steered layer, if it is known: nothing is
        run up to there. A change inside a recurrence does not use it.

    Returns
    -------
    Tensor
        float32 [rows, L, n_classes]: at each residue the logits that predict it (masked) or the
        next one (next residue).

    Raises
    ------
    ValueError
        For letters or masks that the model lacks, a position outside the sequence, and a strength
        that makes the logits infinite or NaN.
    """
    check_layers(interventions)
    plm = interventions[0].at.plm
    check_masks(plm.objective, plm.name, sequence)
    tokens, lengths = plm.tokens([sequence]), [n_residues(sequence)]
    rows = max(len(one.rows) for one in interventions)
    many = tokens.expand(rows, -1)
    if where == "recurrence":
        found = plm.forward(many, logits=True, **edits(interventions, lengths * rows, where))
    else:
        lowest = min(interventions, key=lambda one: one.layer)
        if below is None:
            below = plm.forward(tokens, [lowest.layer]).representations[lowest.layer]
        changed = lowest.applied(below, lengths).expand(rows, -1, -1)
        above = {one.layer: one.edit(lengths * rows) for one in interventions if one is not lowest}
        found = plm.forward(many, edit=above, logits=True, given=(lowest.layer, changed))
    assert found.logits is not None
    residues = found.logits[:, plm.first_residue : plm.first_residue + lengths[0]].float()
    return check_finite(residues, interventions)


def check_finite(logits: Tensor, interventions: Sequence[Intervention]) -> Tensor:
    """The logits; ValueError, with the largest strength, where they are infinite or NaN."""
    if not bool(logits.isfinite().all()):
        strongest = max(
            (change for one in interventions for row in one.rows for change in row),
            key=lambda change: abs(change.strength),
        )
        raise ValueError(
            f"the model's logits are not finite under this change: feature {strongest.feature}, "
            f"strength {strongest.strength:g}; take a smaller strength"
        )
    return logits


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


def n_residues(sequence: str) -> int:
    """Residues of a sequence, each `<mask>` as one."""
    return len(letters_of(sequence))


def check_masks(objective: str | None, name: str, sequence: str) -> None:
    """Raise ValueError for masks where the model has none."""
    if MASK in sequence and objective != "masked":
        raise ValueError(
            f"{name} predicts the next residue and has no mask token; give a sequence without "
            f"{MASK}, or a masked model"
        )


class _Plan(NamedTuple):
    """v = factor * f + added along a vector, for n features and R rows of changes."""

    column: dict[tuple[int, int | None], int]
    """Where each feature, along its atom or a random direction, is among the n."""
    features: Tensor
    """int64 [n]"""
    along: Tensor
    """[n, width]"""
    factor: Tensor
    """[R, n]"""
    added: Tensor
    """[R, n]"""


def _column(change: Change) -> tuple[int, int | None]:
    return change.feature, change.direction


def _plan(at: SteeredLayer, rows: Sequence[Sequence[Change]]) -> _Plan:
    columns = list(dict.fromkeys(_column(change) for row in rows for change in row))
    column = {key: i for i, key in enumerate(columns)}
    factor = np.ones((len(rows), len(columns)), np.float32)
    added = np.zeros_like(factor)
    for r, row in enumerate(rows):
        for change in row:
            i = column[_column(change)]
            factor[r, i] = {"clamp": 0, "ablate": 0, "add": 1, "scale": change.strength}[change.how]
            if change.how in ("clamp", "add"):
                added[r, i] = change.strength * at.maxima[change.feature]
    device, dtype = at.sae.device, at.sae.W_dec.dtype
    return _Plan(
        column,
        torch.tensor([feature for feature, _ in columns], device=device),
        torch.stack([_vector(at, *key) for key in columns]),
        torch.from_numpy(factor).to(device, dtype),
        torch.from_numpy(added).to(device, dtype),
    )


def _vector(at: SteeredLayer, feature: int, direction: int | None) -> Tensor:
    """[width]: a feature's atom, or a random direction of its length."""
    atom = at.sae.W_dec[feature].detach()
    if direction is None:
        return atom
    drawn = np.random.default_rng(direction).normal(size=len(atom))
    return torch.from_numpy(drawn / np.linalg.norm(drawn)).to(atom) * atom.norm()


def _rows(
    changes: Sequence[Change] | Sequence[Sequence[Change]],
) -> tuple[tuple[Change, ...], ...]:
    rows = [[one] if isinstance(one, Change) else list(one) for one in changes]
    if all(isinstance(one, Change) for one in changes):
        rows = [[change for row in rows for change in row]]
    if not any(rows):
        raise ValueError("no change was given; give at least one feature and its strength")
    return tuple(tuple(row) for row in rows)


def _check_once(row: Sequence[Change]) -> None:
    seen: set[int] = set()
    for change in row:
        if change.feature in seen:
            raise ValueError(
                f"feature {change.feature} is changed twice; give each feature one change, with "
                "all of its positions"
            )
        seen.add(change.feature)


def _within(change: Change, length: int) -> np.ndarray:
    """The residues of a change, from 0; ValueError for one outside the sequence."""
    if change.positions is None:
        return np.arange(length)
    if max(change.positions) > length:
        raise ValueError(
            f"feature {change.feature}: position {max(change.positions)} is outside the sequence, "
            f"which has residues 1 to {length}"
        )
    return np.array(change.positions) - 1
