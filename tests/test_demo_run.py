"""The run that ships: it belongs to the model and the proteins that ship, and is whole enough for 00_explore."""

from pathlib import Path

import pytest

from interplm_nb.pipeline.layout import IN_PUBLISHED, PROBE, SOURCES
from interplm_nb.pipeline.run import Run
from interplm_nb.saving import read_json
from interplm_nb.sources import demo
from interplm_nb.sources.uniprot_tsv import read_uniprot_tsv


@pytest.fixture(scope="module")
def run() -> Run:
    return Run.shipped()


def test_it_was_made_with_the_model_that_ships(run: Run) -> None:
    from interplm_nb.plm import esm2

    plm = esm2.load("esm2-mini", device="cpu")
    about = run.about("sae")
    assert (about["plm"], about["plm_revision"]) == (plm.name, plm.revision)
    assert run.activations("sae").about["plm_revision"] == plm.revision


def test_weights_activations_and_sequences_belong_together(run: Run) -> None:
    sae, about, activations = run.sae("sae"), run.about("sae"), run.activations("sae")
    assert sae.weight_hash == about["weights"] == activations.about["sae"]
    assert activations.about["sequences"] == run.proteins().sequence_hash
    embedded = read_uniprot_tsv(demo.table_path()).proteins
    assert {a: run.proteins().sequence(a) for a in run.proteins().accessions} == {
        a: embedded.sequence(a) for a in run.proteins().accessions
    }


def test_it_holds_every_structure_and_every_score(run: Run) -> None:
    assert len([a for a in demo.structures() if a in run.proteins()]) >= 30
    for source in SOURCES:
        for split in ("validation", "test"):
            for convention in ("strict", "published") if source in IN_PUBLISHED else ("strict",):
                assert run.scores(source, split, convention).n_concepts > 20
    assert set(run.table("concepts", "comparison")["source"]) == {*SOURCES, PROBE}


def test_its_features_can_name_and_its_candidates_were_judged(run: Run) -> None:
    links = run.links()
    assert links.table["concept"].n_unique() > 20 and links.table["q_value"].null_count() == 0
    assert set(links.knots["feature"]) <= set(links.table["feature"])
    assert {"sae", "mmseqs2", "random_sae", "shuffled_sae"} <= set(
        run.table("concepts", "refound_precision")["method"]
    )


def test_it_is_small_enough_to_ship(run: Run) -> None:
    assert sum(f.stat().st_size for f in run.folder.rglob("*") if f.is_file()) <= 25 * 2**20


@pytest.mark.parametrize("page", ["README.md", "interplm_nb/data/esm2_mini/README.md"])
def test_the_pages_state_the_figures_of_this_run(run: Run, page: str) -> None:
    text = (Path(__file__).resolve().parents[1] / page).read_text(encoding="utf-8")
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
