"""A mutational scan read by a model and its features, beside what letters alone say."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from interplm_nb.concepts.by_protein.resampling import spearman
from interplm_nb.concepts.intervals import draws_of_clusters, middle
from interplm_nb.readers.variants import VariantScan
from interplm_nb.steering.experiments.variants.resampling import (
    draws_of_positions,
    partial_correlation,
)
from interplm_nb.steering.experiments.variants.scan_scores import (
    LETTERS,
    MEASURED,
    Scores,
    scan_scores,
)
from interplm_nb.steering.experiments.variants.separating import separating_features
from interplm_nb.steering.experiments.variants.settings import DEFAULTS, VariantsSettings
from interplm_nb.steering.steered_layer import SteeredLayer

CORRELATIONS: dict[str, Any] = {
    "variants": pl.String,
    "n": pl.UInt32,
    "source": pl.String,
    "score": pl.String,
    "rho": pl.Float64,
    "low": pl.Float64,
    "high": pl.Float64,
    "low_positions": pl.Float64,
    "high_positions": pl.Float64,
    "beyond_letters": pl.Float64,
    "beyond_low": pl.Float64,
    "beyond_high": pl.Float64,
}
"""Spearman's rho of a score with the measured one; low and high: 95 % over variants;
low_positions, high_positions: over positions, for single mutants. beyond_letters: the partial rank
correlation given all scores of source "letters", with its 95 % interval over positions where all
variants are single mutants, else over variants; null for letters and other scores."""

ROBUSTNESS: dict[str, Any] = {
    "source": pl.String,
    "measure": pl.String,
    "stabilising": pl.Float64,
    "destabilising": pl.Float64,
    "difference": pl.Float64,
    "low": pl.Float64,
    "high": pl.Float64,
    "n_stabilising": pl.UInt32,
    "n_destabilising": pl.UInt32,
}
"""Means of the variants that score above the wild type and of the others, the first less the
second, and its 95 % interval over positions. Of single mutants, or of all where fewer than `FEWEST`
single mutants are of one kind: then the number of mutations may differ, as its own row shows."""

FEWEST = 10
"""Single mutants of each kind from which on robustness is of single mutants."""

GROUPS = ("all", "single mutants", "multiple mutants")


@dataclass(frozen=True, eq=False)
class ScanResult:
    """A mutational scan with the scores of the model, of its features, and of controls."""

    name: str
    plm: str
    n: int
    variants: pl.DataFrame
    """A row per variant: its mutations, the measured score, and a column `source: score` each."""
    correlations: pl.DataFrame
    """Columns `CORRELATIONS`."""
    robustness: pl.DataFrame
    """Columns `ROBUSTNESS`."""
    separating: pl.DataFrame
    """Columns `separating.SEPARATING`."""

    @property
    def sentence(self) -> str:
        """The result in a sentence, with its controls."""
        group = self.correlations["variants"][0]
        told = self.correlations.filter(
            pl.col("variants") == group,
            pl.col("score").is_in(["log_likelihood_ratio", "features_changed", "blosum62"]),
        )
        words = [
            f"{row['score'].replace('_', ' ')} of {row['source']} {row['rho']:.2f} "
            f"[{row['low']:.2f}, {row['high']:.2f}]"
            for row in told.iter_rows(named=True)
        ]
        held = [
            f"{(self.separating.filter(pl.col('source') == source)['q_value'] <= 0.05).sum()} of "
            f"{self.separating.filter(pl.col('source') == source).height} ({source})"
            for source in self.separating["source"].unique(maintain_order=True)
        ]
        held_words = (
            f" Chosen features that separate tolerated variants on the other positions too, at a "
            f"false discovery rate of 5 %: {', '.join(held)}."
            if held
            else ""
        )
        return (
            f"{self.name}, {self.n:,} variants, {self.plm}: rank correlation with the measured "
            f"score, 95 % over variants: {'; '.join(words)}.{held_words}"
        )

    def tables(self) -> dict[str, pl.DataFrame]:
        """`correlations`, `robustness`, `separating` and `variants`."""
        names = ("correlations", "robustness", "separating", "variants")
        return {name: getattr(self, name) for name in names}


def scan_variants(
    at: SteeredLayer,
    scan: VariantScan,
    settings: VariantsSettings = DEFAULTS,
    controls: Mapping[str, SteeredLayer] | None = None,
    progress: bool = True,
) -> ScanResult:
    """Score the variants of a scan by likelihood, by features and by letters.

    Parameters
    ----------
    at
        The layer and its SAE; source "SAE".
    scan
        Measured variants, as `readers.variants.read_variants` reads them; higher is fitter.
    settings
        See `VariantsSettings`.
    controls
        Other dictionaries of the same PLM and layer by name, such as "random SAE": they read the
        same states.
    progress
        Show a progress bar.

    Raises
    ------
    ValueError
        For fewer than 4 variants, controls of another PLM or layer, or letters that the PLM lacks.
    """
    scan = scan.drawn(settings.n, settings.seed)
    if len(scan.variants) < 4:
        raise ValueError(
            f"{scan.name} has {len(scan.variants)} variants; a correlation needs 4 or more"
        )
    sources = {"SAE": at, **(controls or {})}
    _check(at, sources)
    scores, summed = scan_scores(sources, scan, settings, progress)
    threshold = settings.tolerated
    tolerated = scan.scores >= (np.median(scan.scores) if threshold is None else threshold)
    return ScanResult(
        scan.name,
        at.plm.name,
        len(scan.variants),
        _variants(scan, scores),
        _correlations(scan, scores, settings),
        _robustness(scan, scores, settings),
        separating_features(
            scan.variants,
            tolerated,
            summed,
            settings.chosen,
            settings.resamples,
            settings.seed,
        ),
    )


def _check(at: SteeredLayer, sources: Mapping[str, SteeredLayer]) -> None:
    for name, one in sources.items():
        if (one.plm.revision, one.layer) != (at.plm.revision, at.layer):
            raise ValueError(
                f"control {name!r} is of layer {one.layer} of {one.plm.name}, not of layer "
                f"{at.layer} of {at.plm.name}; give dictionaries of one layer"
            )


def _variants(scan: VariantScan, scores: Scores) -> pl.DataFrame:
    columns: dict[str, Any] = {
        "variant": [" ".join(map(str, variant)) for variant in scan.variants],
        "measured": scan.scores,
    }
    return pl.DataFrame(columns | {f"{source}: {name}": x for (source, name), x in scores.items()})


def _correlations(scan: VariantScan, scores: Scores, settings: VariantsSettings) -> pl.DataFrame:
    single = np.array([len(variant) == 1 for variant in scan.variants])
    rows = []
    for group, kept in zip(GROUPS, (np.ones(len(single), bool), single, ~single), strict=True):
        at = np.flatnonzero(kept)
        if len(at) < 4 or (group != "all" and kept.all()):
            continue
        weights = draws_of_clusters(len(at), settings.resamples, settings.seed)
        these = [scan.variants[i] for i in at.tolist()]
        by_position = (
            draws_of_positions(these, settings.resamples, settings.seed)
            if single[at].all()
            else None
        )
        letters = np.column_stack([x[at] for (source, _), x in scores.items() if source == LETTERS])
        for (source, name), x in scores.items():
            figures = _rho(x[at], scan.scores[at], weights, by_position)
            if source not in (LETTERS, MEASURED):
                draws = weights if by_position is None else by_position
                figures += _beyond(x[at], scan.scores[at], letters, draws)
            else:
                figures += (None, None, None)
            rows.append((group, len(at), source, name, *figures))
    return pl.DataFrame(rows, CORRELATIONS, orient="row")


def _rho(
    x: np.ndarray, y: np.ndarray, weights: np.ndarray, by_position: np.ndarray | None
) -> tuple[float | None, ...]:
    whole = float(spearman(x, y[None], np.ones((1, len(x)), np.int64))[0])
    over_variants = middle(spearman(x, y[None], weights)).tolist()
    if by_position is None:
        return whole, *over_variants, None, None
    return whole, *over_variants, *middle(spearman(x, y[None], by_position)).tolist()


def _beyond(
    x: np.ndarray, y: np.ndarray, letters: np.ndarray, weights: np.ndarray
) -> tuple[float, ...]:
    whole = partial_correlation(x, y, letters, np.ones((1, len(x)), np.int64))
    return float(whole[0]), *middle(partial_correlation(x, y, letters, weights)).tolist()


def _robustness(scan: VariantScan, scores: Scores, settings: VariantsSettings) -> pl.DataFrame:
    """Of single mutants, all with one mutation, where there are enough of both kinds."""
    up = scan.scores > settings.wild_type_score
    single = np.array([len(variant) == 1 for variant in scan.variants])
    enough = min(up[single].sum(), (~up[single]).sum()) >= FEWEST
    at = np.flatnonzero(single) if enough else np.arange(len(single))
    up = up[at]
    if up.all() or not up.any():
        return pl.DataFrame(schema=ROBUSTNESS)
    variants = [scan.variants[i] for i in at.tolist()]
    weights = draws_of_positions(variants, settings.resamples, settings.seed)
    rows = []
    for (source, name), values in scores.items():
        if name.startswith("features_") or source == LETTERS or name == "log_likelihood_ratio":
            x = values[at]
            mean_up, mean_down = x[up].mean(), x[~up].mean()
            drawn = _mean(x, weights * up) - _mean(x, weights * ~up)
            ends = middle(drawn[np.isfinite(drawn)]).tolist()
            means = (float(mean_up), float(mean_down), float(mean_up - mean_down))
            rows.append((source, name, *means, *ends, int(up.sum()), int((~up).sum())))
    return pl.DataFrame(rows, ROBUSTNESS, orient="row")


def _mean(x: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """float64 [n_draws]: weighted means; NaN where nothing is drawn."""
    total = weights.sum(axis=1)
    return np.divide(weights @ x, total, out=np.full(len(total), np.nan), where=total > 0)
