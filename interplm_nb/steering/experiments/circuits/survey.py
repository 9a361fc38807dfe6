"""Circuits of many predictions: how faithful they are, beside random ones and the errors alone."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import polars as pl
from pydantic import Field

from interplm_nb.progress import progress_bar
from interplm_nb.steering.experiments.attribution.attribute import MATCHED, RANDOM
from interplm_nb.steering.experiments.circuits.circuit import (
    CIRCUIT,
    FEATURES,
    NOTHING,
    Circuit,
    CircuitSettings,
    circuit,
)
from interplm_nb.steering.experiments.over_proteins import COVERS, SurveySettings, drawn, means
from interplm_nb.steering.steered_layer import SteeredLayer


class CircuitSurveySettings(SurveySettings):
    """Settings of circuits over proteins.

    >>> CircuitSurveySettings(n_positions=1).each.n_nodes
    8
    """

    kind: ClassVar[str] = "circuit-survey"

    each: CircuitSettings = Field(
        default_factory=lambda: CircuitSettings.model_validate({}),
        description="Of each prediction; position and residue are set here.",
    )


@dataclass(frozen=True)
class CircuitSurvey:
    """Circuits of many predictions.

    `predictions`: a row each: accession, position, then figures of `Circuit`; faithfulness of each
    set by the number of nodes per layer, "+ errors" where all errors are kept. `figures`: their
    means and medians, columns of `over_proteins.MEANS`.
    """

    settings: CircuitSurveySettings
    predictions: pl.DataFrame
    figures: pl.DataFrame

    @property
    def sentence(self) -> str:
        """Median faithfulness of the circuits, of random ones and of the errors alone."""
        told = {row["figure"]: row for row in self.figures.iter_rows(named=True)}
        n = self.settings.each.n_nodes

        def median(name: str) -> str:
            """A figure's median with its interval."""
            row = told[name]
            return f"{row['median']:.2f} [{row['median_low']:.2f}, {row['median_high']:.2f}]"

        row = told[f"{CIRCUIT} {n}"]
        without, kept = (
            [median(f"{name} {n}{end}") for name in (CIRCUIT, RANDOM, MATCHED)]
            for end in ("", " + errors")
        )
        return (
            f"Over {row['n_predictions']} predictions in {row['n_proteins']} proteins, circuits of "
            f"{n} nodes per layer keep {without[0]} of the prediction without errors, random ones "
            f"{without[1]}, random ones of like mass {without[2]}; with all errors kept {kept[0]}, "
            f"random ones {kept[1]}, of like mass {kept[2]}, errors alone "
            f"{median(f'{NOTHING} + errors')}; all features without errors {median(FEATURES)}. "
            f"Medians, {COVERS}."
        )

    def tables(self) -> Mapping[str, pl.DataFrame]:
        """figures, predictions."""
        return {"figures": self.figures, "predictions": self.predictions}


def circuit_survey(
    layers: Sequence[SteeredLayer],
    sequences: Mapping[str, str],
    settings: CircuitSurveySettings,
    background_sequences: Sequence[str] = (),
    progress: bool = True,
) -> CircuitSurvey:
    """Find circuits of predictions at positions drawn from many proteins, or of their
    log-likelihoods.

    Raises ValueError as `circuit`, and for proteins that are too short or too long.
    """
    each = settings.each
    rows = []
    plan = drawn(layers[0].plm, sequences, settings, each.metric == "log-likelihood")
    with progress_bar(plan, desc="circuits", disable=not progress) as bar:
        for accession, sequence, positions in bar:
            for position in positions:
                asked = each.model_copy(update={"position": position, "residue": None})
                found = circuit(layers, sequence, asked, background_sequences)
                rows.append({"accession": accession, "position": position, **_row(found)})
    table = pl.DataFrame(rows, infer_schema_length=None)
    return CircuitSurvey(settings, table, means(table, settings))


def _row(found: Circuit) -> dict[str, Any]:
    summary = found.summary.row(0, named=True)
    row = {"whole": summary["whole"], "difference": summary["whole"] - summary["removed"]}
    row["pearson"] = summary["pearson"]
    for layer in found.layers.iter_rows(named=True):
        row[f"error_share, layer {layer['layer']}"] = layer["error_share"]
        row[f"gap, layer {layer['layer']}"] = layer["gap"]
    for kept in found.faithfulness.iter_rows(named=True):
        size = "" if kept["per_layer"] is None else f" {kept['per_layer']}"
        row[f"{kept['set']}{size}{' + errors' if kept['errors'] else ''}"] = kept["faithfulness"]
    own, *controls = (
        found.faithfulness.filter(
            pl.col("set") == name,
            pl.col("per_layer") == found.settings.n_nodes,
            ~pl.col("errors"),
        ).row(0, named=True)
        for name in (CIRCUIT, RANDOM, MATCHED)
    )
    beats = None
    if own["faithfulness"] is not None:
        beats = own["faithfulness"] > max(control["high"] for control in controls)
    return row | {"beats_both": beats}
