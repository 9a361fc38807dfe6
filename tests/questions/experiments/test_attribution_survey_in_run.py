"""Attribution over a run takes test proteins, and train proteins for the mean."""

from interplm_nb.pipeline.run import Run
from interplm_nb.questions.experiments.attribution import attribution_survey_in_run
from interplm_nb.steering.experiments.attribution.attribute import AttributionSettings
from interplm_nb.steering.experiments.attribution.survey import AttributionSurveySettings


def test_predictions_are_of_test_proteins(tiny_run: Run) -> None:
    each = AttributionSettings(baseline="mean", k=2, n_sets=3, n_singles=3, steps=2, most_steps=2)
    settings = AttributionSurveySettings(
        n_proteins=2, n_positions=1, after=5, each=each, n_resamples=10
    )
    found = attribution_survey_in_run(tiny_run, settings, device="cpu").predictions
    assert found.height == 2
    assert set(found["accession"]) <= set(tiny_run.accessions("test"))
