"""Sequences drawn from a PLM while features of a layer are changed.

A next-residue model is sampled from left to right (`sample`); a masked one fills in masks, some at
a time (`unmask`). Conditions that are compared are lanes of one batch: each has its own changes,
and sequence i of every lane is drawn with the same random numbers, which depend on the seed and i
alone.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from interplm_nb.plm.protocol import PLM, StepEdit
from interplm_nb.plm.residue_tokens import STANDARD
from interplm_nb.plm.stepping import Stepping
from interplm_nb.progress import progress_bar
from interplm_nb.steering.experiments.generation.settings import Order
from interplm_nb.steering.intervene import (
    MASK,
    Change,
    Intervention,
    Where,
    check_finite,
    check_masks,
    edits,
    n_residues,
)
from interplm_nb.steering.steered_layer import SteeredLayer

SIDE_BY_SIDE = 256
"""Most sequences that a next-residue model reads at once."""


@dataclass(frozen=True)
class Lane:
    """Sequences that are drawn under the same changes; without changes, unsteered."""

    changes: tuple[Change, ...] = ()
    where: Where = "output"
    """Of the layer's output, or inside the recurrence."""


@dataclass(frozen=True)
class Sampling:
    """How sequences are drawn from left to right.

    Raises ValueError for a length under 1, a temperature under 0 and a prefix that leaves nothing
    to draw.
    """

    length: int = 200
    """Residues, the prefix included; with `stop`, the most."""
    temperature: float = 1.0
    """Logits are divided by it; 0 takes the most probable residue."""
    prefix: str = ""
    """Residues that every sequence starts with; changes act on them too."""
    stop: bool = False
    """Whether a sequence ends where the model draws its stop token."""
    letters: str = STANDARD
    """Residues that may be drawn: others, such as X, B, Z, U and O, never are."""
    seed: int = 0

    def __post_init__(self) -> None:
        _check_temperature(self.temperature)
        if self.length <= len(self.prefix):
            raise ValueError(
                f"a length of {self.length} leaves nothing to draw after a prefix of "
                f"{len(self.prefix)} residues; give a larger length"
            )


@dataclass(frozen=True)
class Unmasking:
    """How masks of a sequence are filled in.

    Raises ValueError for a template without masks, a temperature under 0 and steps under 1.
    """

    template: str
    """Residues to keep, with `<mask>` at each residue to draw."""
    temperature: float = 1.0
    """Logits are divided by it; 0 takes the most probable residue."""
    order: Order = "confidence"
    steps: int = 20
    """Passes of the model; each fills in an equal number of masks."""
    letters: str = STANDARD
    """Residues that may be drawn."""
    seed: int = 0

    def __post_init__(self) -> None:
        _check_temperature(self.temperature)
        if MASK not in self.template:
            raise ValueError(
                f"the template has no {MASK}, so there is nothing to draw; put {MASK} at each "
                f'residue to draw, such as "{MASK}" * 100'
            )
        if self.steps < 1:
            raise ValueError(f"steps must be 1 or more; got {self.steps}")
        if self.order not in ("confidence", "random"):
            raise ValueError(f"the order is confidence or random; got {self.order!r}")


@torch.no_grad()
def sample(at: SteeredLayer, lanes: Sequence[Lane], n: int, how: Sampling) -> list[list[str]]:
    """Draw n sequences of each lane from a next-residue model, all side by side.

    Parameters
    ----------
    at
        The layer that is changed, of a model that is read step by step (`plm.stepping`).
    lanes
        Changes of each condition, and where they act. A change inside the recurrence is carried
        on; a change of the output only moves the next residue's logits.
    n
        Sequences per lane.
    how
        Length, temperature, prefix, stop, letters, seed.

    Returns
    -------
    list[list[str]]
        n sequences for each lane.

    Raises
    ------
    ValueError
        For a model that is not read step by step, a letter that it lacks, a position outside the
        sequences, and a strength that makes logits infinite or NaN.

    Examples
    --------
    `at` is a run's layer, from `interplm_nb.pipeline.steered_layer`:

        lanes = [Lane(), Lane((Change(691, "clamp", 1.0),), "recurrence")]
        unsteered, steered = sample(at, lanes, 32, Sampling(length=120, temperature=0.9))
    """
    plm = at.plm
    if not isinstance(plm, Stepping):
        raise ValueError(
            f"{plm.name} does not predict the next residue step by step, so it cannot be sampled "
            "from left to right; use unmask for a masked model"
        )
    _check_positions(lanes, how.length)
    choice = _Choice.of(plm, how.letters, how.temperature)
    rows = [(lane, i) for lane in lanes for i in range(n)]
    drawn: list[str] = []
    for some in _parts(rows, SIDE_BY_SIDE):
        drawn += _sampled(at, plm, some, how, choice)
    return _by_lane(drawn, n)


@torch.no_grad()
def unmask(at: SteeredLayer, lanes: Sequence[Lane], n: int, how: Unmasking) -> list[list[str]]:
    """Draw n sequences of each lane from a masked model, filling in the masks of a template.

    In each pass a residue is drawn at every mask, and some are kept: the most probable ones, or
    random ones (`how.order`); the others are masked again.

    Parameters
    ----------
    at
        The layer that is changed.
    lanes
        Changes of each condition, of the layer's output.
    n
        Sequences per lane.
    how
        Template, temperature, order, steps, letters, seed.

    Returns
    -------
    list[list[str]]
        n sequences for each lane; residues of the template are kept.

    Raises
    ------
    ValueError
        For a model without masks, a lane inside a recurrence, a letter that the model lacks, a
        position outside the template, and a strength that makes logits infinite or NaN.
    """
    plm = at.plm
    check_masks(plm.objective, plm.name, how.template)
    length = n_residues(how.template)
    _check_positions(lanes, length)
    if any(lane.where == "recurrence" for lane in lanes):
        raise ValueError(f'{plm.name} has no recurrence to change; use where="output"')
    choice = _Choice.of(plm, how.letters, how.temperature)
    rows = [(lane, i) for lane in lanes for i in range(n)]
    drawn: list[str] = []
    for some in _parts(rows, max(1, plm.tokens_per_batch // (length + 2))):
        drawn += _unmasked(at, some, how, choice)
    return _by_lane(drawn, n)


@dataclass(frozen=True)
class _Choice:
    """The residues that may be drawn."""

    letters: np.ndarray
    """[n] of letters."""
    tokens: Tensor
    """int64 [n]"""
    classes: Tensor
    """int64 [n]"""
    temperature: float

    @classmethod
    def of(cls, plm: PLM, letters: str, temperature: float) -> "_Choice":
        """The tokens and classes of these letters; ValueError for one that the model lacks."""
        unknown = sorted(set(letters) - set(plm.letters))
        if unknown or not letters:
            raise ValueError(
                f"letters to draw must be among those of {plm.name}, {plm.letters}; got {letters!r}"
            )
        row = plm.tokens([letters])
        residues = slice(plm.first_residue, plm.first_residue + len(letters))
        classes = plm.classes(row)[0, residues]
        if len(classes.unique()) < len(letters):
            raise ValueError(
                f"some of the letters {letters!r} are one class for {plm.name}, which cannot draw "
                "them apart; give each class once"
            )
        return cls(np.array(list(letters)), row[0, residues], classes, temperature)

    def drawn(self, logits: Tensor, uniform: Tensor) -> tuple[Tensor, Tensor]:
        """Places in `letters`, int64 [...], and their probabilities, by uniform numbers [...]."""
        if self.temperature == 0:
            p = logits[..., self.classes].double().softmax(-1)
            place = p.argmax(-1, keepdim=True)
        else:
            p = (logits[..., self.classes].double() / self.temperature).softmax(-1)
            place = torch.searchsorted(p.cumsum(-1), uniform[..., None].contiguous(), right=True)
            place = place.clamp_max(len(self.classes) - 1)
        return place[..., 0], p.gather(-1, place)[..., 0]


_Row = tuple[Lane, int]
"""A lane, and which of its sequences."""


def _sampled(
    at: SteeredLayer, plm: Stepping, rows: Sequence[_Row], how: Sampling, choice: _Choice
) -> list[str]:
    changed, interventions = _step_edits(at, rows)
    classes = choice.classes
    if how.stop:
        stop = torch.tensor([plm.stop_class], device=classes.device)
        choice = _Choice(choice.letters, choice.tokens, torch.cat([classes, stop]), how.temperature)
    uniform = _uniform(rows, how.seed, how.length, plm.device)
    start = len(how.prefix)
    prefix = plm.tokens([how.prefix])[0, plm.first_residue :] if how.prefix else ()
    reading = plm.begin(len(rows), *changed)
    for token in prefix:
        reading = plm.advance(reading, token.expand(len(rows)), *changed)
    places = np.full((len(rows), how.length), len(choice.letters))
    ended = torch.zeros(len(rows), dtype=torch.bool, device=plm.device)
    for t in progress_bar(range(start, how.length), desc="sampling", unit="residue", leave=False):
        logits = check_finite(reading.logits, interventions)
        place = choice.drawn(logits, uniform[:, t])[0]
        ended |= place == len(choice.letters)
        places[:, t] = torch.where(ended, len(choice.letters), place).cpu().numpy()
        if t + 1 == how.length or bool(ended.all()):
            break
        residues = choice.tokens[place.clamp_max(len(choice.letters) - 1)]
        reading = plm.advance(reading, residues, *changed)
    letters = np.append(choice.letters, "")
    return [how.prefix + "".join(letters[row[start:]]) for row in places]


def _step_edits(
    at: SteeredLayer, rows: Sequence[_Row]
) -> tuple[tuple[dict[int, StepEdit], dict[int, StepEdit]], list[Intervention]]:
    """`step_edits` and `output_edits` of the rows that each lane's changes act on."""
    found: tuple[dict[int, StepEdit], dict[int, StepEdit]] = ({}, {})
    interventions = []
    for into, where in zip(found, ("recurrence", "output"), strict=True):
        of = [r for r, (lane, _) in enumerate(rows) if lane.changes and lane.where == where]
        if of:
            one = Intervention(at, [rows[r][0].changes for r in of])
            into[at.layer] = _on_rows(one.step_edit(), torch.tensor(of, device=at.plm.device))
            interventions.append(one)
    return found, interventions


def _on_rows(edit: StepEdit, rows: Tensor) -> StepEdit:
    """An edit of some rows of a batch."""

    def some(h: Tensor, position: int) -> Tensor:
        """h [B, width] with these rows edited."""
        return h.index_copy(0, rows, edit(h[rows], position).to(h.dtype))

    return some


def _unmasked(at: SteeredLayer, rows: Sequence[_Row], how: Unmasking, choice: _Choice) -> list[str]:
    plm = at.plm
    length = n_residues(how.template)
    inside = slice(plm.first_residue, plm.first_residue + length)
    tokens = plm.tokens([how.template]).repeat(len(rows), 1)
    mask = plm.tokens([MASK])[0, plm.first_residue]
    changed = [lane.changes for lane, _ in rows]
    interventions = [Intervention(at, changed)] if any(changed) else []
    edit = edits(interventions, [length] * len(rows))["edit"] if interventions else None
    uniform = _uniform(rows, how.seed, length * (how.steps + 1), plm.device)
    uniform = uniform.view(len(rows), how.steps + 1, length)
    free = tokens[:, inside] == mask
    n_masks = int(free[0].sum())
    for step in progress_bar(range(how.steps), desc="unmasking", unit="pass", leave=False):
        logits = plm.forward(tokens, edit=edit, logits=True).logits
        assert logits is not None
        check_finite(logits[:, inside], interventions)
        place, p = choice.drawn(logits[:, inside], uniform[:, step])
        worth = p if how.order == "confidence" else uniform[:, how.steps]
        left = n_masks - round(n_masks * (step + 1) / how.steps)
        n_kept = int(free[0].sum()) - left
        best = worth.masked_fill(~free, -1).topk(n_kept, dim=1).indices
        kept = torch.zeros_like(free).scatter_(1, best, True)
        tokens[:, inside] = torch.where(kept, choice.tokens[place], tokens[:, inside])
        free &= ~kept
    return _written(tokens[:, inside], how.template, choice)


def _written(tokens: Tensor, template: str, choice: _Choice) -> list[str]:
    """Residues as letters; those of the template as they were."""
    kept = [*template.replace(MASK, "\n")]
    letter = dict(zip(choice.tokens.tolist(), choice.letters.tolist(), strict=True))
    return [
        "".join(letter[t] if k == "\n" else k for k, t in zip(kept, row, strict=True))
        for row in tokens.tolist()
    ]


def _uniform(rows: Sequence[_Row], seed: int, n: int, device: torch.device) -> Tensor:
    """float64 [rows, n]: of the seed and a sequence's number, not of its lane."""
    drawn = {i: np.random.default_rng([seed, i]).random(n) for i in {i for _, i in rows}}
    return torch.from_numpy(np.stack([drawn[i] for _, i in rows])).to(device)


def _parts(rows: Sequence[_Row], most: int) -> Iterator[Sequence[_Row]]:
    for start in range(0, len(rows), most):
        yield rows[start : start + most]


def _by_lane(drawn: Sequence[str], n: int) -> list[list[str]]:
    return [list(drawn[start : start + n]) for start in range(0, len(drawn), n)]


def _check_temperature(temperature: float) -> None:
    if not 0 <= temperature < float("inf"):
        raise ValueError(f"a temperature must be a finite number of 0 or more; got {temperature}")


def _check_positions(lanes: Sequence[Lane], length: int) -> None:
    for change in (change for lane in lanes for change in lane.changes):
        if max(change.positions or (1,)) > length:
            raise ValueError(
                f"feature {change.feature}: position {max(change.positions or ())} is outside the "
                f"sequences, which have residues 1 to {length}"
            )
