"""A run of looked-at proteins in a browser: the most enriched features first, names marked."""

from collections.abc import Callable

import pytest

from interplm_nb.pipeline.looked import looked
from interplm_nb.pipeline.run import Run
from interplm_nb.questions.look import look
from interplm_nb.widgets.concept_panel import ConceptPanel
from interplm_nb.widgets.feature_data import FeatureData
from interplm_nb.widgets.feature_table import FeatureTable

pytestmark = pytest.mark.browser

ROWS = ".iplm-features tbody tr[data-feature]"


@pytest.fixture(scope="module")
def made(tiny_run, tmp_path_factory) -> Run:
    sequences = {f"own{i}": s for i, s in enumerate(tiny_run.proteins().sequences[:5])}
    return look(sequences, tmp_path_factory.mktemp("looked") / "mine", tiny_run, device="cpu")


def test_the_most_enriched_features_come_first_and_names_say_whose_they_are(
    made: Run, show: Callable
) -> None:
    data = FeatureData(made)
    table = FeatureTable(data, height=400)
    page = show(table, ConceptPanel(data), width=1200).page
    page.locator(ROWS).first.wait_for()
    rows = page.locator(ROWS).evaluate_all("rows => rows.map(row => Number(row.dataset.feature))")
    assert rows == table.rows()["feature"].head(len(rows)).to_list()
    found = looked(made)
    assert found is not None and rows[0] == found.enrichment["feature"][0]
    said = page.locator(".iplm-features .iplm-sub").inner_text()
    assert said.endswith("; names and F1 are of run run")
    assert page.locator(".iplm-concepts .iplm-sub").inner_text().endswith("; scores of run run")
    assert "measured on its own proteins, not on yours." in page.locator(".iplm-note").inner_text()
    lacking = page.locator(".iplm-lacking").inner_text()
    assert lacking.startswith(
        "Statistics, motifs and nearest features are in run run, not here. Descriptions are not "
    )
    share = found.enrichment["share"][0]
    assert f"{100 * share:.0f}" in page.locator(ROWS).first.inner_text()
