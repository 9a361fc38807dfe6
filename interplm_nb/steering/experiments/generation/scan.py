"""Which of several features cause which concept: every feature steered, every rule applied.

A feature that causes its concept raises its own rule and no other. All pairs of a feature and a
rule are tested beside the same unsteered sequences, and the false discovery rate is controlled over
all of them (Benjamini & Hochberg 1995).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from interplm_nb.steering.experiments.generation.experiment import generated
from interplm_nb.steering.experiments.generation.settings import ScanSettings
from interplm_nb.steering.experiments.rates import ALPHA, beyond_letters, more_often, wilson
from interplm_nb.steering.generate import Lane
from interplm_nb.steering.intervene import Change
from interplm_nb.steering.judges import commonest_letter
from interplm_nb.steering.rules import Rule
from interplm_nb.steering.steered_layer import SteeredLayer

SCAN: dict[str, Any] = {
    "feature": pl.Int64,
    "concept": pl.String,
    "rule": pl.String,
    "own": pl.Boolean,
    "n": pl.Int64,
    "found": pl.Int64,
    "rate": pl.Float64,
    "low": pl.Float64,
    "high": pl.Float64,
    "shuffled": pl.Float64,
    "unsteered": pl.Float64,
    "letter": pl.String,
    "letter_share": pl.Float64,
    "p_letters": pl.Float64,
    "p_unsteered": pl.Float64,
    "q_value": pl.Float64,
    "caused": pl.Boolean,
}
"""Columns of `ScanResult.table`. own: whether the rule is of the feature's concept; p_letters: that
the letters alone give as many (`beyond_letters`); p_unsteered: Fisher's exact test, one-sided;
q_value: of the larger p; caused: q under 0.05."""


@dataclass(frozen=True)
class ScanResult:
    """Every feature beside every rule."""

    settings: ScanSettings
    table: pl.DataFrame
    """Columns of `SCAN`, one row per feature and rule."""
    sequences: pl.DataFrame
    """feature (null: unsteered), sequence."""

    def tables(self) -> Mapping[str, pl.DataFrame]:
        """scan, sequences."""
        return {"scan": self.table, "sequences": self.sequences}

    @property
    def sentence(self) -> str:
        """How many features cause their own concept, and how many another."""
        own = self.table.filter("own")
        other = self.table.filter(~pl.col("own"))
        return (
            f"Clamped to {self.settings.strength:g} times its maximum, {int(own['caused'].sum())} "
            f"of {own['feature'].n_unique()} features of a concept cause it in generated "
            f"sequences, and {int(other['caused'].sum())} of {other.height} pairs of a feature "
            "with another concept's rule show one (more often than unsteered and than the same "
            "letters shuffled; false discovery rate 5 % over all pairs)."
        )


def scan(
    at: SteeredLayer,
    features: Mapping[int, str],
    rules: Mapping[str, Rule],
    settings: ScanSettings | None = None,
) -> ScanResult:
    """Steer each feature on its own, and apply every rule to what is generated.

    Parameters
    ----------
    at
        The layer, its PLM and SAE.
    features
        Features, each with its concept, or "" for a control.
    rules
        Rules by concept.
    settings
        Strength, numbers, length, temperature.

    Raises
    ------
    ValueError
        For no feature or no rule, and a feature that does not exist or is dead.
    """
    settings = settings or ScanSettings()
    if not features or not rules:
        raise ValueError(
            f"a scan needs features and rules; got {len(features)} features and {len(rules)} rules"
        )
    where = "recurrence" if at.plm.recurrent else "output"
    lanes = [Lane((Change(f, "clamp", settings.strength),), where) for f in features]
    drawn: list[list[str]] = [[] for _ in (*lanes, None)]
    for seed in range(settings.seed, settings.seed + settings.n_seeds):
        some = generated(at, [*lanes, Lane()], settings, seed)
        for all_of, new in zip(drawn, some, strict=True):
            all_of += new
    *steered, plain = drawn
    rows = [
        _row(feature, concept, of, rules[of], sequences, plain, settings)
        for (feature, concept), sequences in zip(features.items(), steered, strict=True)
        for of in rules
    ]
    return ScanResult(settings, _corrected(rows), _listed([*features, None], drawn))


def _row(
    feature: int,
    concept: str,
    of: str,
    rule: Rule,
    sequences: Sequence[str],
    plain: Sequence[str],
    settings: ScanSettings,
) -> dict[str, Any]:
    n, found, unsteered = len(sequences), rule.count(sequences), rule.count(plain)
    low, high = wilson(found, n)
    letter, share = commonest_letter("".join(sequences))
    shuffled = rule.shuffled(sequences, settings.n_shuffles, settings.seed)
    return {
        "feature": feature,
        "concept": concept,
        "rule": of,
        "own": of == concept,
        "n": n,
        "found": found,
        "rate": found / n,
        "low": low,
        "high": high,
        "shuffled": float(shuffled.mean()),
        "unsteered": unsteered / len(plain),
        "letter": letter,
        "letter_share": share,
        "p_letters": beyond_letters(found, n, shuffled.tolist()),
        "p_unsteered": more_often(found, n, unsteered, len(plain)),
    }


def _corrected(rows: list[dict[str, Any]]) -> pl.DataFrame:
    from scipy.stats import false_discovery_control

    larger = [max(row["p_letters"], row["p_unsteered"]) for row in rows]
    for row, q in zip(rows, false_discovery_control(larger), strict=True):
        row |= {"q_value": float(q), "caused": bool(q < ALPHA)}
    return pl.DataFrame(rows, schema=SCAN)


def _listed(features: Sequence[int | None], drawn: Sequence[Sequence[str]]) -> pl.DataFrame:
    rows = [(f, sequence) for f, some in zip(features, drawn, strict=True) for sequence in some]
    return pl.DataFrame(rows, schema={"feature": pl.Int64, "sequence": pl.String}, orient="row")
