"""The run that ships: its model and proteins are those that ship; it holds all 00_explore needs."""

import tomllib
from pathlib import Path

import numpy as np
import pytest

from interplm_nb.pipeline.errors import PipelineError
from interplm_nb.pipeline.run import Run
from interplm_nb.pipeline.scored_sources import SOURCES
from interplm_nb.questions.annotate import above_chance
from interplm_nb.questions.discover import discover
from interplm_nb.readers import demo
from interplm_nb.readers.uniprot_tsv import read_uniprot_tsv
from interplm_nb.saving import read_json

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="module")
def run() -> Run:
    return Run.shipped()


def test_it_says_which_model_made_it(run: Run) -> None:
    model = run.model()
    assert model is not None and model.record is not None
    assert model.asked in ("auto", "unirep-1900")
    assert (model.name, model.record.licence) == ("unirep-1900", "CC BY-NC 4.0")
    for source in ("sae", "random_sae"):
        about, activations = run.about(source), run.activations(source).about
        own = (model.record.name, model.record.revision)
        assert (about["plm"], about["plm_revision"]) == own
        assert (activations["plm"], activations["plm_revision"]) == own


def test_its_model_is_the_published_one(run: Run) -> None:
    from interplm_nb.plm import unirep_weights

    if not unirep_weights.is_available_offline("unirep-1900"):
        pytest.skip("the weights of unirep-1900 are not in the cache")
    model = run.model()
    assert model is not None and model.record is not None
    assert run.plm("cpu").revision == model.record.revision


@pytest.mark.parametrize(("source", "stored"), [("sae", "float16"), ("random_sae", "seed")])
def test_weights_activations_and_sequences_belong_together(
    run: Run, source: str, stored: str
) -> None:
    sae, about, activations = run.sae(source), run.about(source), run.activations(source)
    assert sae.weight_hash == about["weights"] == activations.about["sae"]
    assert read_json(run.source(source) / "config.json", "SAE", 3)["stored"] == stored
    assert activations.about["sequences"] == run.proteins().sequence_hash
    embedded = read_uniprot_tsv(demo.table_path()).proteins
    assert {a: run.proteins().sequence(a) for a in run.proteins().accessions} == {
        a: embedded.sequence(a) for a in run.proteins().accessions
    }


def test_it_holds_every_structure_and_what_views_read(run: Run) -> None:
    proteins = run.proteins()
    assert len(proteins) >= 100
    longest = int(proteins.lengths.max())
    every = read_uniprot_tsv(demo.table_path()).proteins
    lengths = dict(zip(every.accessions, every.lengths.tolist(), strict=True))
    fitting = [a for a in demo.structures() if lengths[a] <= max(longest, 1022)]
    assert len(fitting) >= 30 and set(fitting) <= set(proteins.accessions)
    for source in ("sae", "random_sae"):
        for split in ("validation", "test"):
            for convention in ("strict", "published"):
                assert run.scores(source, split, convention).n_concepts > 20
    assert set(run.table("concepts", "comparison")["source"]) == set(SOURCES)


def test_counts_of_other_sources_are_elsewhere(run: Run) -> None:
    words = r"keeps scores by feature of sae and random_sae alone, not of 'neurons'; make a run .*"
    with pytest.raises(PipelineError, match=f"{words}: interplm-nb run demo"):
        run.scores("neurons", "test", "strict")


def test_ten_links_name_something_at_the_default_confidence(run: Run) -> None:
    links = run.links()
    assert links.table["concept"].n_unique() > 20 and links.table["q_value"].null_count() == 0
    assert set(links.knots["feature"]) <= set(links.table["feature"])
    kept = above_chance(links.table).select("concept", "feature").iter_rows()
    surest = [links.confidence(c, f, np.array([1.0], np.float32))[0] for c, f in kept]
    assert sum(value >= 0.5 for value in surest) >= 10


def test_its_candidates_were_judged_and_there_are_some(run: Run) -> None:
    assert {"sae", "mmseqs2", "random_sae", "shuffled_sae"} <= set(
        run.table("concepts", "refound_precision")["method"]
    )
    assert discover(run).table.height > 0


def test_it_has_a_licence_of_its_own_that_the_package_lists(run: Run) -> None:
    text = (run.folder / "LICENSE.md").read_text(encoding="utf-8")
    assert "CC BY-NC 4.0" in text and "UniRep" in text
    listed = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["license-files"]
    assert "interplm_nb/data/demo_run/LICENSE.md" in listed


def test_it_is_small_enough_to_ship(run: Run) -> None:
    assert sum(f.stat().st_size for f in run.folder.rglob("*") if f.is_file()) <= 30e6


@pytest.mark.parametrize("page", ["README.md", "docs/results.md"])
def test_the_pages_state_the_figures_of_this_run(run: Run, page: str) -> None:
    text = (ROOT / page).read_text(encoding="utf-8")
    scores = run.table("concepts", "comparison").filter(convention="strict")
    for mean, low, high in scores.select("mean_f1_per_domain", "low", "high").iter_rows():
        assert f"{mean:.3f} ({low:.3f} to {high:.3f})" in text


def test_the_model_card_states_the_figures_of_the_training() -> None:
    folder = Run.shipped().folder.parent / "esm2_mini"
    figures, card = (
        read_json(folder / "training.json", "Pretraining", 1),
        (folder / "README.md").read_text(encoding="utf-8"),
    )
    assert (
        f"{figures['held_out_masked_perplexity']:.2f}" in card
        and f"{figures['unigram_perplexity']:.2f}" in card
    )
    assert f"{figures['residues_seen'] / 1e6:.1f} million residues" in card
