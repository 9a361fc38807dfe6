"""The card of a run's SAE: its own figures, with every control; the shipped run's card."""

import re

from interplm_nb.figures.run_tables import named
from interplm_nb.figures.sae_card import sae_card
from interplm_nb.pipeline.run import Run
from interplm_nb.questions.export import HOW, grounds
from interplm_nb.stages.concept_summary import verdict
from scripts.build_demo_run import CARD


def test_it_states_the_scores_of_the_sae_and_of_every_control() -> None:
    run = Run.shipped()
    card = sae_card(run, "someone/my-sae")
    comparison = run.table("concepts", "comparison")
    for row in comparison.filter(convention="strict").to_dicts():
        mean, low, high = (row[name] for name in ("mean_f1_per_domain", "low", "high"))
        line = f"\n| {named(row['source'])} | {mean:.3f} ({low:.3f} to {high:.3f})"
        assert line in card, row["source"]
    for row in comparison.filter(convention="published").to_dicts():
        assert f"\n| {named(row['source'])} | {row['mean_f1_per_domain']:.3f} | " in card
    seeds = comparison.filter(source="sae", convention="strict")["seeds"].item()
    assert verdict(run.table("concepts", "differences"), seeds) in card
    assert all(words in card for words in HOW.values())


def test_it_names_what_it_rests_on(tiny_run: Run) -> None:
    for run in (Run.shipped(), tiny_run):
        card, model = sae_card(run, "someone/my-sae"), run.model()
        assert model is not None and model.record is not None
        hashes = (run.about("sae")["weights"], model.record.revision)
        assert all(text in card for text in (*hashes, grounds(run, "sae", "strict")["sequences"]))
        assert f"| PLM's licence | {model.record.licence} |" in card
        assert "interplm-nb models get someone/my-sae --out sae" in card
        assert str(run.folder) not in card
        not_free = "not for commercial use" in card
        assert not_free == ("NC" in model.record.licence)
    splits = re.findall(r"(\d+) (train|validation|test)\b", card)
    assert {split: int(n) for n, split in splits} == {
        split: len(tiny_run.accessions(split)) for split in ("train", "validation", "test")
    }
    assert tiny_run.annotations().fingerprint in card


def test_the_run_that_ships_has_its_card() -> None:
    run = Run.shipped()
    assert (run.folder / CARD).read_text(encoding="utf-8") == sae_card(run)
