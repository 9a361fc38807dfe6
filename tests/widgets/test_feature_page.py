import re
import shutil
from pathlib import Path

import polars as pl
import pytest

from interplm_nb.pipeline.parameters import ConceptsParameters
from interplm_nb.pipeline.run import Run
from interplm_nb.readers import demo
from interplm_nb.stages.concepts import concepts
from interplm_nb.widgets.concept_panel import ConceptPanel
from interplm_nb.widgets.feature_data import FeatureData
from interplm_nb.widgets.feature_page import FeaturePages
from interplm_nb.widgets.structure.nglview import show_nglview

HELIX, SILENT = 3, 7  # of the hand-made run in conftest.py


@pytest.fixture(scope="module")
def pages(run: Run) -> FeaturePages:
    return FeaturePages(run)


def test_the_feature_that_fires_on_helices_is_ranked_first_for_helices(pages: FeaturePages) -> None:
    best = pages.ranked.filter(concept="Helix").row(0, named=True)
    assert best["feature"] == HELIX
    assert best["validation_f1_per_domain"] == pytest.approx(1.0) and best[
        "f1_per_domain"
    ] == pytest.approx(1.0)


def test_the_test_f1_is_read_at_the_threshold_chosen_on_validation(pages: FeaturePages) -> None:
    scores = pages.run.scores("sae", "test", "strict").table()
    row = pages.ranked.filter(pl.col("f1_per_domain") > 0).sample(1, seed=0).row(0, named=True)
    same = scores.filter(concept=row["concept"], feature=row["feature"], threshold=row["threshold"])
    assert same["f1_per_domain"].item() == row["f1_per_domain"]


def test_the_views_rank_the_concepts_that_the_stage_scored(tiny_run: Run, tmp_path: Path) -> None:
    """Also where a person requested fewer instances than the default of 10."""
    shutil.copytree(tiny_run.folder, tmp_path / "run")
    run = Run.open(tmp_path / "run")
    asked = ConceptsParameters(
        run=str(run.folder),
        device="cpu",
        min_instances=3,
        min_clusters=2,
        bootstrap=0,
        null_draws=0,
    )
    concepts(run, asked)
    for source in run.with_activations():
        pages = FeaturePages(run, source)
        stored = run.table("concepts", "best").filter(convention="strict", source=source)
        assert stored["n_instances"].min() in range(3, 10)
        found = (
            stored.drop_nulls("feature").select("concept", "feature", "threshold").sort("concept")
        )
        first = pages.ranked.unique("concept", keep="first", maintain_order=True).sort("concept")
        assert first["concept"].to_list() == found["concept"].to_list()
        assert first["feature"].to_list() == found["feature"].to_list()
        assert first["threshold"].to_list() == found["threshold"].to_list()
        assert pages.concepts_scored == (
            "at least 3 instances in validation and in test, "
            "and at least 2 homology clusters in test"
        )
        assert (
            f"no concept with {pages.concepts_scored}."
            in ConceptPanel(FeatureData(run, source, structures={})).no_match
        )


def test_the_best_pair_of_each_concept_is_the_stages() -> None:
    pages = FeaturePages(Run.shipped())
    stored = pages.best_of_sources.filter(source="sae")
    first = pages.ranked.unique("concept", keep="first", maintain_order=True)
    both = first.join(stored, on=["concept", "feature", "n_instances"])
    assert both.height == stored.height
    assert both["threshold"].to_list() == both["threshold"].to_list()
    assert both["f1_per_domain"].to_list() == pytest.approx(both["f1_per_domain"].to_list())


def test_a_dead_feature_is_said_to_be_so(pages: FeaturePages) -> None:
    assert SILENT not in pages.alive
    assert "never fires" in pages.top_html(SILENT)


def test_the_top_proteins_are_shown_around_their_maxima(pages: FeaturePages) -> None:
    top = pages.top(HELIX, 3)
    html = pages.top_html(HELIX, 3)
    for accession, position, maximum in top.select("accession", "position", "maximum").iter_rows():
        letter = pages.proteins.sequence(accession)[position - 1]
        assert f'title="{accession} {letter}{position}: {maximum:.2f} of maximum' in html


def test_the_whole_protein_is_shown(pages: FeaturePages) -> None:
    accession = pages.proteins.accessions[0]
    positions = [
        int(p)
        for p in re.findall(
            rf'title="{accession} [A-Z](\d+):', pages.protein_html(accession, HELIX)
        )
    ]
    assert positions == list(range(1, len(pages.proteins.sequence(accession)) + 1))


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_structure_is_coloured_by_b_factor_and_its_strong_residues_are_sticks(
    pages: FeaturePages,
) -> None:
    accession = next(
        a
        for a in demo.structures()
        if a in pages.proteins and pages.activations.along(a, HELIX).max() > 0.5
    )
    structure = demo.structure(accession)
    values = pages.activations.along(accession, HELIX)
    drawn = {
        m["args"][0]: m["kwargs"]
        for m in show_nglview(structure, values)._ngl_msg_archive
        if m["methodName"] == "addRepresentation"
    }
    assert drawn["licorice"]["colorScheme"] == "bfactor"
    sticks = {number.split()[0] for number in drawn["licorice"]["sele"].split(" or ")}
    assert sticks == {n for n, p in structure.positions.items() if values[p - 1] >= 0.5}
