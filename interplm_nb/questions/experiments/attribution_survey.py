"""Attribution over a run: predictions in its test proteins, and for a mean its train proteins."""

from interplm_nb.pipeline.run import Run
from interplm_nb.pipeline.steered_layer import steered_layer
from interplm_nb.steering.experiments.attribution.survey import (
    AttributionSurvey,
    AttributionSurveySettings,
    attribution_survey,
)
from interplm_nb.steering.experiments.over_proteins import of_run

BACKGROUND = 50
"""Train proteins over which the mean of baseline "mean" is taken, drawn by seed."""


def attribution_survey_in_run(
    run: Run, settings: AttributionSurveySettings, source: str = "sae", device: str = "auto"
) -> AttributionSurvey:
    """Attribute predictions in test proteins of the run."""
    at, proteins = steered_layer(run, source, device), run.proteins()

    def of(split: str) -> dict[str, str]:
        """Accession to sequence."""
        own = proteins.select(run.accessions(split))
        return dict(zip(own.accessions, own.sequences, strict=True))

    background: list[str] = []
    if settings.each.baseline == "mean":
        drawn = settings.model_copy(update={"n_proteins": BACKGROUND})
        background = list(of_run(of("train"), at.plm, drawn).values())
    return attribution_survey(at, of_run(of("test"), at.plm, settings), settings, background)
