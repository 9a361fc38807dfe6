"""What one feature's changes do to one protein's predictions, at each strength, and what its
controls do there."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch

from interplm_nb.features.logos import AMINO_ACIDS
from interplm_nb.steering.controls import along_random, as_feature, atom_alone, matched_features
from interplm_nb.steering.experiments.dose.settings import DoseSettings
from interplm_nb.steering.experiments.dose.sites import Site
from interplm_nb.steering.experiments.predictions import Opened, ahead, opened, steered
from interplm_nb.steering.intervene import Change
from interplm_nb.steering.steered_layer import SteeredLayer

FEATURE, MATCHED, DIRECTION, ALONE = "feature", "matched feature", "random direction", "atom alone"
KINDS = (FEATURE, MATCHED, DIRECTION, ALONE)


class Dose(NamedTuple):
    """A row: what is changed, how strongly."""

    kind: str
    control: int | None
    """The matched feature, or the seed of the direction."""
    strength: float


class Measured(NamedTuple):
    """Per row, of one protein."""

    effect: np.ndarray
    """[rows]: mean change of the target's log odds over the near residues, nats."""
    probability: np.ndarray
    """[rows]: mean change of the target's probability there."""
    kl: np.ndarray
    """[rows]: KL(before, after) per near residue, nats."""
    kl_of_target: np.ndarray
    """[rows]: the part of `kl` that is the target against all other letters."""
    kl_far: np.ndarray
    """[rows]: KL per residue beyond reach; NaN where there is none."""
    along: np.ndarray
    """[rows, n]: change of the target's log odds by distance; NaN outside the protein."""
    step: np.ndarray
    """[rows]: how far the edited residue's state moves, as a share of its length: below 0 to less
    of the feature; NaN where all residues are changed."""


def doses(at: SteeredLayer, feature: int, settings: DoseSettings) -> list[Dose]:
    """The rows of a feature: all controls at the tested strength, some at the others."""
    matched = matched_features(at, feature, settings.n_controls, settings.seed)
    # They come sorted; those that are shown at every strength must not be the lowest numbers.
    rng = np.random.default_rng([settings.seed, feature, 1])
    rng.shuffle(matched)
    seeds = range(settings.seed, settings.seed + settings.n_directions)
    found = []
    for strength in settings.strengths:
        n = None if strength == settings.tested else settings.n_shown
        found += [Dose(FEATURE, None, strength), Dose(ALONE, None, strength)]
        found += [Dose(MATCHED, control, strength) for control in matched[:n]]
        found += [Dose(DIRECTION, seed, strength) for seed in seeds[:n]]
    return found


def distances(settings: DoseSettings, next_residue: bool) -> np.ndarray:
    """int64 [n]: predicted residues that are looked at, from the edited one."""
    return np.arange(1 if next_residue else -settings.furthest, settings.furthest + 1)


def opened_at(at: SteeredLayer, sequence: str, site: Site, settings: DoseSettings) -> Opened:
    """A protein before it is changed, as far as it is looked at.

    What a next-residue model has read before the changed residue cannot move, and what follows the
    last prediction does not count.
    """
    if not ahead(at.plm):
        return opened(at, sequence)
    start = site.position if settings.edited == "maximum" else 1
    return opened(at, sequence[: site.position + settings.furthest - 1], start)


@torch.no_grad()
def measure(
    at: SteeredLayer,
    feature: int,
    rows: Sequence[Dose],
    letters: str,
    of: Opened,
    site: Site,
    settings: DoseSettings,
) -> Measured:
    """Run one protein under every row.

    A change of one residue moves its state by a step along the atom; controls take a step of
    exactly that length, whatever their own value there is.
    """
    here = of.h[site.position - of.start]
    own = _own_steps(at, feature, here, rows, settings)
    changes = [
        _change(at, feature, row, site, step, settings)
        for row, step in zip(rows, own.tolist(), strict=True)
    ]
    after = steered(at, changes, of)
    where = distances(settings, bool(ahead(at.plm)))
    index = site.position - of.start + where - ahead(at.plm)
    there = (index >= 0) & (index < len(of.log_p))
    target = np.array([letter in letters for letter in AMINO_ACIDS])
    moved = _moved(at, feature, here, own) if settings.edited == "maximum" else own * np.nan
    before = of.log_p[index[there]]
    return Measured(
        **_compared(before, after[:, index[there]], target, where, there, settings), step=moved
    )


def _own_steps(
    at: SteeredLayer,
    feature: int,
    h: torch.Tensor,
    rows: Sequence[Dose],
    settings: DoseSettings,
) -> np.ndarray:
    """float64 [rows]: from the feature's value at the residue to the row's, in maxima."""
    f = at.sae.encode(h.to(at.sae.W_dec.dtype), torch.tensor([feature], device=h.device))
    strength = np.array([row.strength for row in rows])
    adds = np.array([settings.how == "add" or row.kind == ALONE for row in rows])
    return strength - np.where(adds, 0.0, float(f[0]) / float(at.maxima[feature]))


def _change(
    at: SteeredLayer, feature: int, row: Dose, site: Site, step: float, settings: DoseSettings
) -> list[Change]:
    positions = (site.position,) if settings.edited == "maximum" else None
    own = [Change(feature, settings.how, row.strength, positions)]
    if row.kind == ALONE:
        return atom_alone(own)
    if row.control is None:
        return own
    if row.kind == DIRECTION:
        return along_random(own, row.control)
    if settings.edited == "all":
        return as_feature(own, row.control)
    length = _lengths(at, [feature, row.control])
    return [Change(row.control, "add", float(step * length[0] / length[1]), positions)]


def _lengths(at: SteeredLayer, features: list[int]) -> np.ndarray:
    """float64 [n]: how far each feature's maximum moves the layer."""
    atoms = at.sae.W_dec[features].detach().double().norm(dim=1).cpu().numpy()
    return at.maxima[features] * atoms


def _moved(at: SteeredLayer, feature: int, h: torch.Tensor, own: np.ndarray) -> np.ndarray:
    x = h.to(at.sae.W_dec.dtype)
    length = float(_lengths(at, [feature])[0] * at.sae.normed(x).scale)
    return own * length / float(x.norm())


def _compared(
    before: np.ndarray,
    after: np.ndarray,
    target: np.ndarray,
    where: np.ndarray,
    there: np.ndarray,
    settings: DoseSettings,
) -> dict[str, np.ndarray]:
    """`Measured` without its step, from log probabilities [n, 20] and [rows, n, 20]."""
    near = np.abs(where[there]) <= settings.reach
    inside, outside = (np.logaddexp.reduce(before[:, on], axis=-1) for on in (target, ~target))
    inside_after, outside_after = (
        np.logaddexp.reduce(after[..., on], axis=-1) for on in (target, ~target)
    )
    change = (inside_after - outside_after) - (inside - outside)
    kl = (np.exp(before) * (before - after)).sum(axis=-1)
    kl_of_target = np.exp(inside) * (inside - inside_after) + np.exp(outside) * (
        outside - outside_after
    )
    along = np.full((len(after), len(where)), np.nan)
    along[:, there] = change
    far = kl[:, ~near]
    return {
        "effect": change[:, near].mean(axis=1),
        "probability": (np.exp(inside_after) - np.exp(inside))[:, near].mean(axis=1),
        "kl": kl[:, near].mean(axis=1),
        "kl_of_target": kl_of_target[:, near].mean(axis=1),
        "kl_far": far.mean(axis=1) if far.size else np.full(len(after), np.nan),
        "along": along,
    }
