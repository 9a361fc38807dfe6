"""Attribution over many predictions: what share the errors carry, and whether removing what it
names does more than removing random nodes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import polars as pl
from pydantic import Field

from interplm_nb.progress import progress_bar
from interplm_nb.steering.experiments.attribution import gradients
from interplm_nb.steering.experiments.attribution.attribute import (
    ERROR,
    MATCHED,
    RANDOM,
    TOP,
    Attribution,
    AttributionSettings,
    attribution,
)
from interplm_nb.steering.experiments.attribution.prediction import Prediction
from interplm_nb.steering.experiments.over_proteins import COVERS, SurveySettings, drawn, means
from interplm_nb.steering.steered_layer import SteeredLayer


class AttributionSurveySettings(SurveySettings):
    """Settings of attributions over proteins.

    >>> AttributionSurveySettings(n_positions=1).each.k
    5
    """

    kind: ClassVar[str] = "attribution-survey"

    each: AttributionSettings = Field(
        default_factory=lambda: AttributionSettings.model_validate({}),
        description="Of each prediction; position and residue are set here.",
    )


@dataclass(frozen=True)
class AttributionSurvey:
    """Attributions of many predictions.

    `predictions`: a row each: accession, position, then figures of `Attribution`. `figures`: their
    means and medians over predictions, columns of `over_proteins.MEANS`.
    """

    settings: AttributionSurveySettings
    predictions: pl.DataFrame
    figures: pl.DataFrame

    @property
    def sentence(self) -> str:
        """The error's share, and the removals beside their controls."""
        told = {row["figure"]: row for row in self.figures.iter_rows(named=True)}

        def mean(name: str) -> str:
            """A figure's mean with its interval."""
            row = told[name]
            return f"{row['mean']:.2f} [{row['mean_low']:.2f}, {row['mean_high']:.2f}]"

        row = told["error_share"]
        return (
            f"Over {row['n_predictions']} predictions in {row['n_proteins']} proteins, the SAE's "
            f"errors have {mean('error_share')} of all attribution; removing the errors alone "
            f"lowers the metric by {mean('errors')}. Removing the top nodes lowers it by "
            f"{mean('top')}, random ones by {mean('random')}, random ones of like mass by "
            f"{mean('matched')}; the top is above 97.5 % of both kinds in "
            f"{told['beats_both']['mean']:.0%} of predictions. Means, {COVERS}."
        )

    def tables(self) -> Mapping[str, pl.DataFrame]:
        """figures, predictions."""
        return {"figures": self.figures, "predictions": self.predictions}


def attribution_survey(
    at: SteeredLayer,
    sequences: Mapping[str, str],
    settings: AttributionSurveySettings,
    background_sequences: Sequence[str] = (),
    progress: bool = True,
) -> AttributionSurvey:
    """Attribute predictions at positions drawn from many proteins, or their log-likelihoods.

    Parameters
    ----------
    sequences
        Accession to sequence, such as test proteins.
    background_sequences
        For baseline "mean".

    Raises
    ------
    ValueError
        As `attribution`, and for proteins that are too short or too long.
    """
    each = settings.each
    rows = []
    plan = drawn(at.plm, sequences, settings, each.metric == "log-likelihood")
    ahead = at.plm.objective == "next residue"
    with progress_bar(plan, desc="attribution", disable=not progress) as bar:
        for accession, sequence, positions in bar:
            asked = [each.model_copy(update={"position": p, "residue": None}) for p in positions]
            last = Prediction(at.plm, sequence, asked[-1])
            h = gradients.state(at, last) if ahead else None
            for position, one in zip(positions, asked, strict=True):
                # A next-residue model reads the same states, only fewer.
                read = at.plm.first_residue + (position or len(sequence) + 1) - 1
                own = None if h is None else h[:, :read]
                found = attribution(at, sequence, one, background_sequences, own)
                rows.append({"accession": accession, "position": position, **_row(found)})
    table = pl.DataFrame(rows)
    return AttributionSurvey(settings, table, means(table, settings))


def _row(found: Attribution) -> dict[str, Any]:
    summary = found.summary.row(0, named=True)
    sets = {row["set"]: row for row in found.removals.iter_rows(named=True)}
    top = sets[TOP]["effect"]
    return {
        "whole": summary["whole"],
        "difference": summary["difference"],
        "gap": summary["gap"],
        "complete": summary["complete"],
        "error_share": summary["error_share"],
        "error": summary["error"],
        "errors": sets[ERROR]["effect"],
        "top": top,
        "top_attribution": sets[TOP]["attribution"],
        "random": sets[RANDOM]["effect"],
        "matched": sets[MATCHED]["effect"],
        "beats_random": top > sets[RANDOM]["high"],
        "beats_both": top > max(sets[RANDOM]["high"], sets[MATCHED]["high"]),
        "pearson": summary["pearson"],
        "spearman": summary["spearman"],
        "n_removed": sets[TOP]["n_nodes"],
    }
