"""An experiment repeated over positions of many proteins, and its figures with intervals."""

from collections.abc import Mapping

import numpy as np
import polars as pl
from pydantic import Field

from interplm_nb.plm.protocol import PLM
from interplm_nb.steering.experiments.settings import ExperimentSettings

COVERS = "95 % over proteins, for these weights"
"""What the intervals cover: other proteins, with one SAE and one PLM."""

MEANS = {
    "figure": pl.String,
    "n_predictions": pl.Int64,
    "n_proteins": pl.Int64,
    **{f"{name}{end}": pl.Float64 for name in ("mean", "median") for end in ("", "_low", "_high")},
}
"""Columns of `means`."""


class SurveySettings(ExperimentSettings):
    """Which predictions are taken, and how often proteins are resampled."""

    n_proteins: int = Field(
        default=20, ge=1, le=100_000, description="Proteins, drawn by seed where a run's are taken."
    )
    longest: int = Field(default=300, ge=2, le=100_000, description="Their most residues.")

    n_positions: int = Field(
        default=2,
        ge=1,
        le=1000,
        description="Positions of each protein, at random; none are drawn for the log-likelihood.",
    )
    after: int = Field(
        default=20,
        ge=1,
        le=10_000,
        description="Residues at least before a position that is drawn.",
    )
    n_resamples: int = Field(default=1000, ge=10, le=100_000, description="Bootstrap resamples.")


def of_run(sequences: Mapping[str, str], plm: PLM, settings: SurveySettings) -> dict[str, str]:
    """`n_proteins` of these, drawn by seed among those that fit; all where they are fewer."""
    most = min(settings.longest, plm.max_residues)
    fit = [name for name in sequences if settings.after < len(sequences[name]) <= most]
    rng = np.random.default_rng([settings.seed, 6])
    return {fit[k]: sequences[fit[k]] for k in rng.permutation(len(fit))[: settings.n_proteins]}


def drawn(
    plm: PLM, sequences: Mapping[str, str], settings: SurveySettings, whole: bool
) -> list[tuple[str, str, list[int | None]]]:
    """Accession, sequence and the drawn positions, from 1, ascending; one None for a prediction of
    the whole sequence.

    ValueError for no sequence, and one that is too short or too long for the model.
    """
    if not sequences:
        raise ValueError("no protein was given; give at least one sequence")
    plan: list[tuple[str, str, list[int | None]]] = []
    for k, (accession, sequence) in enumerate(sequences.items()):
        if not settings.after < len(sequence) <= plm.max_residues:
            raise ValueError(
                f"{accession} has {len(sequence)} residues; positions are drawn after "
                f"{settings.after} residues of proteins of at most {plm.max_residues}: leave it out"
            )
        possible = np.arange(settings.after + 1, len(sequence) + 1)
        rng = np.random.default_rng([settings.seed, k])
        n = min(settings.n_positions, len(possible))
        positions = sorted(rng.choice(possible, n, replace=False).tolist())
        plan.append((accession, sequence, [None] if whole else positions))
    return plan


def means(table: pl.DataFrame, settings: SurveySettings) -> pl.DataFrame:
    """Mean and median of each number in `table` but position, with intervals: `MEANS`.

    `table` has a row per prediction, with its accession. Proteins are resampled with all of their
    predictions; predictions without a figure are left out of it.
    """
    rows = []
    for name, dtype in table.schema.items():
        if name == "position" or not (dtype.is_numeric() or dtype == pl.Boolean):
            continue
        known = table.select("accession", pl.col(name).cast(pl.Float64)).drop_nulls()
        values = known[name].to_numpy()
        names, protein = np.unique(known["accession"].to_numpy(), return_inverse=True)
        row = {"figure": name, "n_predictions": len(values), "n_proteins": len(names)}
        if len(values):
            row |= _intervals(values, protein, len(names), settings)
        rows.append(row)
    return pl.DataFrame(rows, schema=MEANS)


def _intervals(
    values: np.ndarray, protein: np.ndarray, n: int, settings: SurveySettings
) -> dict[str, float]:
    rng = np.random.default_rng([settings.seed, 5])
    groups = [values[protein == k] for k in range(n)]
    resampled = [
        np.concatenate([groups[k] for k in rng.integers(0, n, n)])
        for _ in range(settings.n_resamples)
    ]
    found = {}
    for name, figure in (("mean", np.mean), ("median", np.median)):
        low, high = np.quantile([figure(one) for one in resampled], [0.025, 0.975])
        found |= {name: float(figure(values)), f"{name}_low": low, f"{name}_high": high}
    return found
