"""A run's concept as the experiment takes it: its feature, rule, carriers and other features."""

import polars as pl
import pytest

from interplm_nb.pipeline.errors import PipelineError
from interplm_nb.pipeline.run import Run
from interplm_nb.questions.experiments.generation import best_features, favoured, judging

CONCEPT = "Zinc finger_any"


@pytest.fixture(scope="module")
def run() -> Run:
    return Run.shipped()


def test_the_features_tried_are_the_best_on_validation(run: Run) -> None:
    own = run.links().table.filter(pl.col("concept") == CONCEPT)
    f1 = dict(own.select("feature", "validation_f1_per_domain").iter_rows())
    tried = best_features(run, CONCEPT, 3)
    assert [f1[feature] for feature in tried] == sorted(f1.values(), reverse=True)[:3]


def test_the_pilot_favours_what_order_adds_to_the_letters() -> None:
    pilot = pl.DataFrame(
        {"feature": [5, 6, 7], "rate": [0.9, 0.5, 0.5], "shuffled": [0.8, 0.0, 0.0]}
    )
    assert favoured(pilot) == 6  # of equals, the first


def test_judging_has_the_carriers_and_all_features_of_the_concept(run: Run) -> None:
    found = judging(run, CONCEPT)
    assert found.rule.name == "C2H2 zinc finger" and found.probe is None
    marked = run.annotations().mask(CONCEPT)
    proteins = run.proteins()
    assert set(found.carriers) == {a for a in proteins.accessions if marked[proteins.rows(a)].any()}
    own = run.links().table.filter(pl.col("concept") == CONCEPT)
    assert set(found.related) == set(own["feature"])


def test_a_concept_without_a_rule_or_a_feature_is_refused(run: Run) -> None:
    with pytest.raises(PipelineError, match="no rule finds 'Turn' in letters; there are rules for"):
        judging(run, "Turn")
    with pytest.raises(PipelineError, match="no feature of 'sae' is linked to 'Zinc fnger'; link"):
        best_features(run, "Zinc fnger", 3)
