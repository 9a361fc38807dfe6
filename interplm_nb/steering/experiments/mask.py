"""The experiment of InterPLM's paper: a periodic feature clamped at one residue, and what the model
then predicts some periods on.

The paper clamps each of three periodic-glycine features at the first glycine of a collagen-like
sequence whose glycine three residues on is masked (Simon & Zou 2025, figure 6). The probability of
glycine rises at both residues; features that stand for glycine itself move the edited residue
alone. A next-residue model has no masks: there the feature is clamped inside the recurrence, and
every later residue is predicted from what precedes it.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, NamedTuple

import numpy as np
import polars as pl
from pydantic import Field, field_validator

from interplm_nb.features.logos import AMINO_ACIDS
from interplm_nb.steering.controls import along_random, as_feature, matched_features
from interplm_nb.steering.experiments.predictions import ahead, opened, steered
from interplm_nb.steering.experiments.settings import ExperimentSettings
from interplm_nb.steering.intervene import MASK, Change, check_masks, letters_of
from interplm_nb.steering.steered_layer import SteeredLayer

PAPERS = "MGPP<mask>PP"
"""The paper's sequence (figure 6)."""
COLLAGEN = "MGPPGPPGPPGPPGPP"
"""Its form for a model without masks: the glycines come from what precedes them."""

PERIODIC, IDENTITY, MATCHED, DIRECTION = "periodic", "identity", "matched feature", "random"
"""Kinds of what is clamped; the last is a random direction of the same length."""

PROBABILITIES: dict[str, Any] = {
    "sequence": pl.String,
    "kind": pl.String,
    "feature": pl.Int64,
    "control": pl.Int64,
    "strength": pl.Float64,
    "position": pl.Int64,
    "residue": pl.String,
    "place": pl.String,
    "before": pl.Float64,
} | dict.fromkeys(AMINO_ACIDS, pl.Float64)
"""Columns of `MaskResult.probabilities`, a row per clamp and predicted position. feature: the one
asked about; control: the matched feature, or the seed of the random direction, that was changed
in its place, else null. residue: what the sequence has there, null behind its end. place:
"edited", "in phase" (a whole number of periods from it), "out of phase", or "in phase, seen" (in a
sequence with masks, a residue in phase that the model sees and need not predict). before: the
letter's probability in the model left alone; A to Y: probabilities under the clamp."""

EFFECTS: dict[str, Any] = {
    "kind": pl.String,
    "feature": pl.Int64,
    "edited": pl.Float64,
    "in_phase": pl.Float64,
    "out_of_phase": pl.Float64,
    "matched_in_phase": pl.Float64,
    "random_in_phase": pl.Float64,
    "p_matched": pl.Float64,
    "p_random": pl.Float64,
}
"""Columns of `MaskResult.effects`, a row per feature asked about. The first three are the mean
change of the letter's probability, over strengths above 0, sequences and residues of that
place (edited is null for a next-residue model, whose clamp comes after that residue was
predicted). matched and random: the mean of the feature's controls; p: (1 + controls whose change in
phase is at least as high) / (1 + controls)."""


class MaskSettings(ExperimentSettings):
    """Settings of `mask`."""

    kind: ClassVar[str] = "mask"

    features: tuple[int, ...] = Field(
        (), description="Periodic features to clamp; empty: found by their period."
    )
    sequences: tuple[str, ...] = Field(
        (),
        description="Sequences; empty: the paper's, or a collagen repeat for a model without "
        "masks.",
    )
    edited: int = Field(2, ge=1, le=2000, description="Residue whose features are clamped, from 1.")
    letter: str = Field("G", description="Amino acid whose probability is followed.")
    period: int = Field(3, ge=2, le=50, description="Residues from one repeat to the next.")
    strengths: tuple[float, ...] = Field(
        (0.0, 0.5, 1.0, 1.5, 2.0, 2.5),
        min_length=2,
        description="Clamped values, as multiples of each feature's maximum.",
    )
    n_features: int = Field(
        3, ge=1, le=100, description="Most features of a kind, periodic and identity."
    )
    least_strength: float = Field(
        0.2, ge=0, le=1, description="Least strength of a periodic feature's period."
    )
    least_f1: float = Field(
        0.8, ge=0, le=1, description="Least F1 of an identity feature on its amino acid."
    )
    n_controls: int = Field(
        20, ge=1, le=200, description="Matched features, and random directions, per feature."
    )

    @field_validator("letter")
    @classmethod
    def _one_amino_acid(cls, letter: str) -> str:
        if letter not in AMINO_ACIDS or len(letter) != 1:
            raise ValueError(f"letter must be one of {AMINO_ACIDS}; got {letter!r}")
        return letter

    @field_validator("strengths")
    @classmethod
    def _rise_above_0(cls, strengths: tuple[float, ...]) -> tuple[float, ...]:
        if list(strengths) != sorted(set(strengths)) or strengths[-1] <= 0:
            raise ValueError(f"strengths must rise, and end above 0; got {strengths}")
        return strengths


def periodic_features(statistics: pl.DataFrame, settings: MaskSettings) -> list[int]:
    """Features that fire on the letter once a period, the strictest first.

    Those whose period is the one asked for, with at least the strength asked for
    (`features.patterns`), and whose activation lies on the letter more than on any other.

    Parameters
    ----------
    statistics
        feature, period, period_strength, top_amino_acid.

    Raises
    ------
    ValueError
        Where there are none.
    """
    own = statistics.filter(
        pl.col("period") == settings.period,
        pl.col("top_amino_acid") == settings.letter,
        pl.col("period_strength") >= settings.least_strength,
    )
    if own.is_empty():
        raise ValueError(
            f"no feature of this SAE fires on {settings.letter} every {settings.period} residues "
            f"with strength {settings.least_strength:g} or more; lower least_strength, take "
            "another letter or period, or name features yourself"
        )
    ordered = own.sort("period_strength", "feature", descending=[True, False])
    return [int(f) for f in ordered["feature"].head(settings.n_features)]


def identity_features(
    identity: pl.DataFrame, settings: MaskSettings, without: Collection[int] = ()
) -> list[int]:
    """Features that stand for the letter itself, the best first; there may be none.

    Those whose best amino acid (`features.identity.letter_identity`) is the letter, with at least
    the F1 asked for.
    """
    own = identity.filter(
        pl.col("letter") == settings.letter,
        pl.col("f1") >= settings.least_f1,
        ~pl.col("feature").is_in(list(without)),
    )
    ordered = own.sort("f1", "feature", descending=[True, False])
    return [int(f) for f in ordered["feature"].head(settings.n_features)]


@dataclass(frozen=True)
class MaskResult:
    """What `mask` found."""

    settings: MaskSettings
    plm: str
    objective: str
    probabilities: pl.DataFrame
    """Columns of `PROBABILITIES`."""
    effects: pl.DataFrame
    """Columns of `EFFECTS`."""

    @property
    def sentence(self) -> str:
        """The result in a sentence, with its controls."""
        own = self.effects.filter(pl.col("kind") == PERIODIC)
        others = self.effects.filter(pl.col("kind") == IDENTITY)
        n, letter = own.height, self.settings.letter
        beat = own.filter((pl.col("p_matched") <= 0.05) & (pl.col("p_random") <= 0.05)).height
        known = (
            f"{_mean(others, 'in_phase'):+.3f} with {_n(others.height, 'identity feature')}"
            if others.height
            else "no identity feature was found to compare with"
        )
        return (
            f"Clamped at residue {self.settings.edited}, {_n(n, 'periodic feature')} "
            f"change{'s' * (n == 1)} P({letter}) in phase by "
            f"{_mean(own, 'in_phase'):+.3f} on average and out of phase by "
            f"{_mean(own, 'out_of_phase'):+.3f}; in phase it is "
            f"{_mean(own, 'matched_in_phase'):+.3f} with matched features, "
            f"{_mean(own, 'random_in_phase'):+.3f} along random directions, and {known}. "
            f"{beat} of {n} beat both controls (p at most 0.05)."
        )

    def tables(self) -> Mapping[str, pl.DataFrame]:
        """`effects` and `probabilities`."""
        return {"effects": self.effects, "probabilities": self.probabilities}


def mask(
    at: SteeredLayer,
    periodic: Sequence[int],
    identity: Sequence[int] = (),
    settings: MaskSettings | None = None,
) -> MaskResult:
    """Clamp features at one residue and follow a letter's probability at every other.

    Parameters
    ----------
    at
        The layer, its PLM and SAE.
    periodic
        Features of the claim, such as `periodic_features`.
    identity
        Features to compare with that stand for the letter itself, such as `identity_features`.

    Raises
    ------
    ValueError
        Without a periodic feature, for a sequence without a predicted residue in phase, and for
        what `steered_logits` refuses.
    """
    settings = settings or MaskSettings.model_validate({})
    both = sorted({*periodic} & {*identity})
    if both:
        raise ValueError(
            f"feature {both[0]} is given as periodic and as an identity feature; give it once"
        )
    if not periodic:
        raise ValueError("the mask experiment needs at least one periodic feature; none was given")
    clamps = _clamps(at, periodic, identity, settings)
    default = COLLAGEN if ahead(at.plm) else PAPERS
    parts = [_read(at, s, clamps, settings) for s in settings.sequences or (default,)]
    table = pl.concat(parts)
    objective = at.plm.objective or ""
    return MaskResult(settings, at.plm.name, objective, table, _effects(table, settings))


class _Clamp(NamedTuple):
    kind: str
    feature: int
    control: int | None
    change: Change


def _clamps(
    at: SteeredLayer, periodic: Sequence[int], identity: Sequence[int], settings: MaskSettings
) -> list[_Clamp]:
    """The features and their controls, each clamped to its own maximum."""
    found = []
    for kind, features in ((PERIODIC, periodic), (IDENTITY, identity)):
        for feature in features:
            own = [Change(feature, "clamp", 1.0, (settings.edited,))]
            matched = matched_features(
                at, feature, settings.n_controls, settings.seed, [*periodic, *identity]
            )
            found.append(_Clamp(kind, feature, None, own[0]))
            found += [_Clamp(MATCHED, feature, k, as_feature(own, k)[0]) for k in matched]
            seeds = range(settings.seed, settings.seed + settings.n_controls)
            found += [_Clamp(DIRECTION, feature, k, along_random(own, k)[0]) for k in seeds]
    return found


def _read(
    at: SteeredLayer, sequence: str, clamps: Sequence[_Clamp], settings: MaskSettings
) -> pl.DataFrame:
    """Columns of `PROBABILITIES` of one sequence."""
    check_masks(at.plm.objective, at.plm.name, sequence)
    residues = letters_of(sequence)
    if settings.edited > len(residues):
        raise ValueError(
            f"residue {settings.edited} is to be clamped, and {sequence} has {len(residues)}"
        )
    step = ahead(at.plm)
    first = settings.edited - 1 if step else 0
    positions = np.arange(first, len(residues)) + 1 + step
    places = [_place(residues, int(p), settings) for p in positions]
    if "in phase" not in places:
        raise ValueError(
            f"{sequence} has no residue to predict a whole number of periods ({settings.period}) "
            f"from residue {settings.edited}; a masked model needs a {MASK} there"
        )
    plain = opened(at, sequence, first + 1)
    rows = [
        [replace(clamp.change, strength=strength)]
        for clamp in clamps
        for strength in settings.strengths
    ]
    found = np.exp(steered(at, rows, plain))
    letter = AMINO_ACIDS.index(settings.letter)
    clamped = [(c, s) for c in clamps for s in settings.strengths]
    n = len(positions)
    there = [residues[p - 1] if p <= len(residues) else None for p in positions.tolist()]
    columns: dict[str, Any] = {
        "sequence": [sequence] * (n * len(rows)),
        "kind": [c.kind for c, _ in clamped for _ in range(n)],
        "feature": [c.feature for c, _ in clamped for _ in range(n)],
        "control": [c.control for c, _ in clamped for _ in range(n)],
        "strength": [s for _, s in clamped for _ in range(n)],
        "position": np.tile(positions, len(rows)),
        "residue": there * len(rows),
        "place": places * len(rows),
        "before": np.tile(np.exp(plain.log_p[:, letter]), len(rows)),
    } | {a: found[..., i].ravel() for i, a in enumerate(AMINO_ACIDS)}
    return pl.DataFrame(columns, schema=PROBABILITIES)


def _place(residues: Sequence[str], position: int, settings: MaskSettings) -> str:
    if position == settings.edited:
        return "edited"
    if (position - settings.edited) % settings.period:
        return "out of phase"
    seen = MASK in residues and residues[position - 1] != MASK
    return "in phase, seen" if seen else "in phase"


def _effects(table: pl.DataFrame, settings: MaskSettings) -> pl.DataFrame:
    """Columns of `EFFECTS`."""
    change = pl.col(settings.letter) - pl.col("before")
    key = ["kind", "feature", "control"]
    means = (
        table.filter(pl.col("strength") > 0)
        .group_by(*key, maintain_order=True)
        .agg(
            change.filter(pl.col("place") == place).mean().alias(name)
            for place, name in (
                ("edited", "edited"),
                ("in phase", "in_phase"),
                ("out of phase", "out_of_phase"),
            )
        )
    )
    rows = []
    for row in means.filter(pl.col("control").is_null()).iter_rows(named=True):
        of = means.filter(pl.col("feature") == row["feature"])
        for kind, name in ((MATCHED, "matched"), (DIRECTION, "random")):
            others = of.filter(pl.col("kind") == kind)["in_phase"]
            row[f"{name}_in_phase"] = others.mean()
            row[f"p_{name}"] = (1 + int((others >= row["in_phase"]).sum())) / (1 + len(others))
        rows.append(row)
    return pl.DataFrame(rows, schema_overrides=EFFECTS).select(EFFECTS.keys())


def _mean(table: pl.DataFrame, column: str) -> float:
    value = table[column].mean()
    return float("nan") if value is None else float(value)  # type: ignore[arg-type]


def _n(n: int, what: str) -> str:
    return f"{n} {what}{'s' * (n != 1)}"
