"""What the panel shows of one sequence: unsteered, steered, and under the same changes of a
control."""

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np
import polars as pl

from interplm_nb.features.logos import AMINO_ACIDS

if TYPE_CHECKING:
    from interplm_nb.steering.intervene import Change
    from interplm_nb.steering.steered_layer import SteeredLayer
    from interplm_nb.steering.steered_sequence import SteeredSequence

STRONGEST = 2.5
"""The upper end of the slider, in multiples of a feature's maximum."""

TABLE: dict[str, Any] = {
    "position": pl.Int64,
    "residue": pl.String,
    "amino_acid": pl.String,
    "unsteered": pl.Float32,
    "steered": pl.Float32,
    "control": pl.Float32,
}
"""Columns of `table`."""


@dataclass(frozen=True)
class Settings:
    """What is changed, and what it is compared with."""

    features: tuple[int, ...]
    positions: tuple[int, ...]
    """From 1; empty: all residues."""
    masks: tuple[int, ...]
    how: Literal["clamp", "add", "scale", "ablate"]
    strength: float
    where: Literal["output", "recurrence"]
    keep_error: bool
    control: Literal["feature", "direction"]
    seed: int

    def changes(self) -> "list[Change]":
        """One change for each feature."""
        from interplm_nb.steering.intervene import Change

        return [
            Change(feature, self.how, self.strength, self.positions or None)
            for feature in self.features
        ]

    def controls(self, at: "SteeredLayer") -> "list[Change]":
        """The same changes of matched features, or along random directions."""
        from interplm_nb.steering.controls import along_random, matched_changes

        if self.control == "direction":
            return along_random(self.changes(), self.seed)
        return matched_changes(at, self.changes(), self.seed)


class Steered(NamedTuple):
    """Probabilities float32 [n, 20] of the residues from `first`, in the order of `AMINO_ACIDS`."""

    sequence: str
    """Without masks."""
    first: int
    settings: Settings
    controls: tuple[int, ...]
    """The control feature of each changed one; empty for random directions."""
    unsteered: np.ndarray
    steered: np.ndarray
    control: np.ndarray
    active: np.ndarray
    """float32 [features, L]: the unsteered features, in shares of their maxima."""


def steer(one: "SteeredSequence", sequence: str, settings: Settings) -> Steered:
    """The predictions; ValueError as `SteeredSequence.steered` raises it."""
    controls = settings.controls(one.at)
    rows = [settings.changes(), controls]
    steered, control = one.steered(rows, settings.where, settings.keep_error)
    drawn = tuple(c.feature for c in controls) if settings.control == "feature" else ()
    active = one.activations(settings.features)
    return Steered(sequence, one.first, settings, drawn, one.unsteered(), steered, control, active)


def moved(before: np.ndarray, after: np.ndarray) -> np.ndarray:
    """float32 [n]: how far predictions move at each residue, as total variation.

    Half the sum of the absolute differences: 0 for equal ones, 1 for no amino acid in common.

    >>> moved(np.array([[0.5, 0.5, 0.0]]), np.array([[0.25, 0.5, 0.25]])).tolist()
    [0.25]
    """
    return np.abs(after - before).sum(axis=-1) / 2


def packed_steered(found: Steered, names: dict[int, str]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Record and arrays of `packing.pack`."""
    record = {
        **asdict(found.settings),
        "sequence": found.sequence,
        "first": found.first,
        "letters": AMINO_ACIDS,
        "controls": found.controls,
        "names": {str(f): names.get(f, "") for f in (*found.settings.features, *found.controls)},
        "sentence": sentence(found, names),
    }
    arrays = {
        "unsteered": found.unsteered.ravel(),
        "steered": found.steered.ravel(),
        "control": found.control.ravel(),
        "active": found.active.ravel(),
    }
    return record, arrays


def sentence(found: Steered, names: dict[int, str]) -> str:
    """What the change does, beside its control."""
    far = moved(found.unsteered, found.steered)
    most = int(far.argmax())
    grown = int((found.steered[most] - found.unsteered[most]).argmax())
    before, after = found.unsteered[most, grown], found.steered[most, grown]
    return (
        f"{changed_words(found.settings, names)} moves the predictions by {far.mean():.3f} on "
        f"average, {control_words(found)} by {moved(found.unsteered, found.control).mean():.3f} "
        f"(total variation, 0 to 1). Most at residue {most + found.first}: {AMINO_ACIDS[grown]} "
        f"{before:.2f} → {after:.2f}."
    )


def changed_words(settings: Settings, names: dict[int, str]) -> str:
    """The change, as a sentence begins."""
    several = len(settings.features) > 1
    whose = [f"{f} ({names[f]})" if names.get(f) else str(f) for f in settings.features]
    verb = {
        "clamp": f"set to {settings.strength:g} × {'their maxima' if several else 'its maximum'}",
        "add": f"raised by {settings.strength:g} × {'their maxima' if several else 'its maximum'}",
        "scale": f"multiplied by {settings.strength:g}",
        "ablate": "set to 0",
    }[settings.how]
    n = len(settings.positions)
    place = f"at {n} residue{'s' * (n > 1)}" if n else "at every residue"
    what = "Features" if several else "Feature"
    inside = ", inside the recurrence," if settings.where == "recurrence" else ""
    error = "" if settings.keep_error else " (without the SAE's error)"
    return f"{what} {', '.join(whose)} {verb} {place}{error}{inside}"


def control_words(found: Steered) -> str:
    """The control, within a sentence."""
    if found.settings.control == "direction":
        return "random directions" if len(found.settings.features) > 1 else "a random direction"
    several = len(found.controls) > 1
    listed = ", ".join(map(str, found.controls))
    return f"matched random feature{'s' * several} {listed}"


def table(found: Steered) -> pl.DataFrame:
    """Columns of `TABLE`, a row for each residue and amino acid."""
    n = len(found.unsteered)
    columns = {
        "position": np.repeat(np.arange(found.first, found.first + n), 20),
        "residue": list(np.repeat(list(found.sequence[found.first - 1 :]), 20)),
        "amino_acid": list(AMINO_ACIDS) * n,
        "unsteered": found.unsteered.ravel(),
        "steered": found.steered.ravel(),
        "control": found.control.ravel(),
    }
    return pl.DataFrame(columns, schema=TABLE)
