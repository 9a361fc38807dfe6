"""Attribution and circuits in a run: which protein and residue, and the layers of other runs."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic import BaseModel, Field

from interplm_nb.pipeline.errors import PipelineError
from interplm_nb.pipeline.run import Run
from interplm_nb.pipeline.steered_layer import steered_layer
from interplm_nb.steering.experiments.attribution.attribute import (
    Attribution,
    AttributionSettings,
    attribution,
)
from interplm_nb.steering.experiments.attribution.survey import (
    AttributionSurvey,
    AttributionSurveySettings,
    attribution_survey,
)
from interplm_nb.steering.experiments.circuits.circuit import Circuit, CircuitSettings, circuit
from interplm_nb.steering.experiments.over_proteins import SurveySettings, of_run

if TYPE_CHECKING:
    from interplm_nb.plm.protocol import PLM
    from interplm_nb.proteins import Proteins

LONGEST = 300
"""Longest test protein that is drawn where none is named: gradients take time."""
BACKGROUND = 50
"""Train proteins over which the mean of baseline "mean" is taken, drawn by seed."""


class _OfProtein(BaseModel):
    protein: str = Field(
        "",
        description="Accession of the protein; empty: a test protein of at most 300 residues, "
        "drawn by seed.",
    )


class AttributionInRun(AttributionSettings, _OfProtein):
    """Settings of an attribution, and the protein; without a position one is drawn by seed."""


class CircuitInRun(CircuitSettings, _OfProtein):
    """Settings of a circuit, the protein, and where its other layers are."""

    with_runs: tuple[str, ...] = Field(
        (), description="Folders of runs of the same model on other layers, one or more."
    )


def attribution_in_run(
    run: Run, settings: AttributionInRun, source: str = "sae", device: str = "auto"
) -> Attribution:
    """Attribute a prediction for a protein of the run to the features of its layer."""
    at = steered_layer(run, source, device)
    accession = _accession(run, settings)
    placed = _placed(settings, run.proteins().sequence(accession))
    return attribution(
        at, run.proteins().sequence(accession), placed, _background(run, settings, at.plm)
    )


def attribution_survey_in_run(
    run: Run, settings: AttributionSurveySettings, source: str = "sae", device: str = "auto"
) -> AttributionSurvey:
    """Attribute predictions in test proteins of the run."""
    at = steered_layer(run, source, device)
    proteins = of_run(_sequences(run, "test"), at.plm, settings)
    background = _background(run, settings.each, at.plm)
    return attribution_survey(at, proteins, settings, background)


def circuit_in_run(
    run: Run, settings: CircuitInRun, source: str = "sae", device: str = "auto"
) -> Circuit:
    """Find a circuit across the layers of this run and of others of the same model."""
    if not settings.with_runs:
        raise PipelineError(
            "a circuit crosses two layers or more, and a run has the SAEs of one; give another "
            "run of the same model: -s 'with_runs=[\"runs/layer_2\"]'"
        )
    own = steered_layer(run, source, device)
    others = [steered_layer(Run.open(Path(name)), "sae", device) for name in settings.with_runs]
    for name, other in zip(settings.with_runs, others, strict=True):
        if other.plm.revision != own.plm.revision:
            raise PipelineError(
                f"{name} is of {other.plm.name}, {run.folder} of {own.plm.name}; a circuit is of "
                "one model"
            )
    accession = _accession(run, settings)
    sequence = run.proteins().sequence(accession)
    background = _background(run, settings, own.plm)
    return circuit([own, *others], sequence, _placed(settings, sequence), background)


def _accession(run: Run, settings: Any) -> str:
    proteins: Proteins = run.proteins()
    if settings.protein:
        if settings.protein not in proteins:
            raise PipelineError(
                f"{settings.protein!r} is not in {run.folder}; give one of its accessions, such as "
                f"{proteins.accessions[0]}"
            )
        return settings.protein
    short = [a for a in run.accessions("test") if len(proteins.sequence(a)) <= LONGEST]
    if not short:
        raise PipelineError(
            f"no test protein of {run.folder} has at most {LONGEST} residues; name one: "
            "-s protein=ACCESSION"
        )
    return short[int(np.random.default_rng(settings.seed).integers(len(short)))]


def _placed(settings: Any, sequence: str) -> Any:
    """The settings with a position: one of the protein's later half, drawn by seed."""
    if settings.position is not None or settings.metric == "log-likelihood":
        return settings
    drawn = np.random.default_rng([settings.seed, 1]).integers(len(sequence) // 2, len(sequence))
    return settings.model_copy(update={"position": int(drawn) + 1})


def _background(run: Run, settings: Any, plm: "PLM") -> list[str]:
    """Train proteins over which a mean is taken, where the baseline is one."""
    if settings.baseline != "mean":
        return []
    draw = SurveySettings(seed=settings.seed, n_proteins=BACKGROUND)
    return list(of_run(_sequences(run, "train"), plm, draw).values())


def _sequences(run: Run, split: str) -> dict[str, str]:
    """Accession to sequence."""
    own = run.proteins().select(run.accessions(split))
    return dict(zip(own.accessions, own.sequences, strict=True))
