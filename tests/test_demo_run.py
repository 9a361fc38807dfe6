"""The run that ships: it belongs to the model and the proteins that ship, and is whole enough for 00_explore."""

import pytest

from interplm_nb.pipeline.run import SOURCES, Run
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
    assert {a: run.proteins().sequence(a) for a in run.proteins().accessions} == {a: embedded.sequence(a) for a in run.proteins().accessions}


def test_it_holds_every_structure_and_every_score(run: Run) -> None:
    assert len([a for a in demo.structures() if a in run.proteins()]) >= 30
    for source in SOURCES:
        for split in ("validation", "test"):
            for convention in ("strict", "published"):
                assert run.scores(source, split, convention).n_concepts > 20
    assert set(run.table("concepts", "comparison")["source"]) == set(SOURCES)


def test_it_is_small_enough_to_ship(run: Run) -> None:
    assert sum(f.stat().st_size for f in run.folder.rglob("*") if f.is_file()) <= 25 * 2**20
