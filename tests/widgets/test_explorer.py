import pytest

from interplm_nb.pipeline.run import Run
from interplm_nb.widgets.explorer import FeatureExplorer

HELIX, DEAD = 3, 7  # of the hand-made run in conftest.py

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


@pytest.fixture
def explorer(run: Run) -> FeatureExplorer:
    return FeatureExplorer(run)


def test_it_opens_on_the_feature_with_the_highest_f1(explorer: FeatureExplorer) -> None:
    assert explorer.number.value == explorer.features.value == HELIX
    assert f"Feature {HELIX}" in explorer.title.value
    assert "Helix" in explorer.concepts.value


def test_choosing_a_concept_shows_its_best_feature(explorer: FeatureExplorer) -> None:
    best = explorer.pages.ranked.filter(concept="Beta strand").row(0, named=True)
    explorer.concept.value = "Beta strand"
    assert explorer.number.value == best["feature"]
    assert all("Beta strand" in label for label, _ in explorer.features.options)


def test_choosing_by_number_changes_every_view(explorer: FeatureExplorer) -> None:
    explorer.number.value = DEAD
    assert explorer.features.value is None
    assert "never fires" in explorer.top.value
    assert explorer.protein.options == ()
    explorer.number.value = HELIX
    assert explorer.features.value == HELIX and explorer.protein.value is not None


def test_a_random_feature_is_one_that_fires(explorer: FeatureExplorer) -> None:
    for _ in range(10):
        explorer.random.click()
        assert explorer.number.value in explorer.pages.alive


def test_proteins_with_a_structure_come_first_and_are_drawn(explorer: FeatureExplorer) -> None:
    labels = [label for label, _ in explorer.protein.options]
    assert "structure" in labels[0]
    other = next(a for label, a in explorer.protein.options if "structure" not in label)
    explorer.protein.value = other
    assert other in explorer.whole.value


def test_the_embedded_model_is_never_taken_for_esm2(explorer: FeatureExplorer) -> None:
    assert "It is not ESM-2" in explorer.widget.children[0].value


def test_a_number_outside_is_refused(explorer: FeatureExplorer) -> None:
    with pytest.raises(ValueError, match="features 0 to 11, not 99"):
        explorer.select(99)
