"""Every lesson says what it is for, asks before it answers, and ends with what was learned; its
answers are true of the run that ships, on which the lessons run as they are."""

import re
from pathlib import Path
from typing import Any

import nbformat
import polars as pl
import pytest

from interplm_nb.pipeline.nearest_run import RunToRead
from interplm_nb.pipeline.notebooks import lessons
from interplm_nb.pipeline.parameters import InterpretParameters
from interplm_nb.pipeline.run import Run
from interplm_nb.pipeline.scored_sources import SAES
from interplm_nb.questions.discover import discover, stored_refound
from interplm_nb.stages.interpret import interpret
from tests.notebooks.lesson_cells import values_of

NAMES = sorted(path.stem for path in lessons().glob("*.ipynb") if path.stem != "09_gallery")
ON_WHAT_SHIPS = (
    "01_proteins",
    "03_train",
    "04_activations",
    "05_concepts",
    "06_features",
    "07_interpret",
    "08_steer",
)
NEED_MORE = {
    "02_embed": "embeddings",
    "03b_compare": "a comparison",
    "12_probe": "embeddings",
    "13_rank": "embeddings",
}


def read(name: str) -> Any:
    return nbformat.read(lessons() / f"{name}.ipynb", as_version=4)


def prose(name: str) -> list[str]:
    return [cell.source for cell in read(name).cells if cell.cell_type == "markdown"]


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder without a run in it or above it; matplotlib may write its font list at home."""
    monkeypatch.setattr(Path, "home", lambda: tmp_path)
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")


@pytest.mark.parametrize("name", NAMES)
def test_it_opens_with_what_for_how_long_and_what_is_needed(name: str) -> None:
    first = prose(name)[0]
    for start in ("Afterwards you can", "It takes", "You need"):
        assert first.count(f"* **{start}** ") == 1


@pytest.mark.parametrize("name", NAMES)
def test_two_questions_are_asked_before_the_cell_that_answers_them(name: str) -> None:
    asked, ran = [], False
    answers = 0
    for cell in read(name).cells:
        if cell.cell_type == "code":
            ran = bool(asked) or ran
        elif cell.source.startswith("<details><summary><b>Answer</b></summary>\n<p>"):
            assert asked and ran and cell.source.endswith("\n</details>"), cell.id
            assert "\n\n" not in cell.source, "one block of HTML stays folded everywhere"
            answers += 1
            asked, ran = [], False
        if cell.cell_type == "markdown":
            asked += re.findall(r"\*\*Before you [^*]+:\*\* [^?]+\?", cell.source)
    assert answers == 2 and not asked


@pytest.mark.parametrize("name", NAMES)
def test_it_ends_with_what_was_learned_and_its_links_lead_to_lessons(name: str) -> None:
    last = prose(name)[-1]
    assert "## What you have learned\n\n" in last
    after = last.partition("## What you have learned")[2]
    assert re.search(r"\]\(\w+\.ipynb\)", after)
    for target in re.findall(r"\]\((\w+\.ipynb)\)", "\n".join(prose(name))):
        assert (lessons() / target).is_file()


@pytest.mark.parametrize("name", ON_WHAT_SHIPS)
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_it_runs_on_the_run_that_ships(name: str, elsewhere: None, tmp_path: Path) -> None:
    before = {p: p.stat().st_mtime_ns for p in Run.shipped().folder.rglob("*")}
    values = values_of(read(name), {})
    assert "reads the one that comes with the package" in values["check"].data
    assert {p: p.stat().st_mtime_ns for p in Run.shipped().folder.rglob("*")} == before
    assert not list(Path.cwd().iterdir()), "no run is made"


@pytest.mark.parametrize("name", NEED_MORE)
def test_it_says_what_the_run_that_ships_lacks(name: str, elsewhere: None) -> None:
    with pytest.raises(Exception, match=f"needs a run with {NEED_MORE[name]}.*Make one: inter"):
        values_of(read(name), {})


def answer(name: str, cell: str) -> str:
    (found,) = (c.source for c in read(name).cells if c.id == cell)
    return " ".join(found.split())


@pytest.fixture(scope="module")
def run() -> Run:
    return Run.shipped()


def f1(run: Run, source: str, concept: str) -> str:
    best = run.table("concepts", "best").filter(convention="strict", source=source, concept=concept)
    return f"{best['f1_per_domain'].item():.2f}"


def of(run: Run, source: str, column: str) -> Any:
    table = run.table("concepts", "comparison").filter(convention="strict", source=source)
    return table[column].item()


def test_answers_of_00(run: Run) -> None:
    said = answer("00_explore", "answer-control")
    domain, motif = "Domain_any", "DNA binding_H-T-H motif"
    assert f"{f1(run, 'random_sae', domain)} for the random" in said
    assert f"{f1(run, 'sae', domain)} for the trained" in said
    assert f"{f1(run, 'random_sae', motif)} against {f1(run, 'sae', motif)}" in said
    best = run.table("concepts", "best").filter(convention="strict", source="sae", concept=domain)
    assert best["prevalence"].item() == pytest.approx(0.2, abs=0.02)


def test_answers_of_03(run: Run) -> None:
    said = answer("03_train", "answer-quality")
    trained = ("sae", "random_sae", "shuffled_sae")
    explained = {s: run.about(s)["quality"]["variance_explained"] for s in trained}
    assert f"On the demo {explained['random_sae']:.0%}".replace("%", " %") in said
    assert f"explains {explained['sae']:.0%}".replace("%", " %") in said
    assert f"explains {explained['shuffled_sae']:.0%}".replace("%", " %") in said
    said = answer("03_train", "answer-fidelity")
    (found,) = (m for m in run.fidelity("random_sae") if m["measure"] == "next residue, output")
    assert f"{found['loss_recovered']:.2f}, though" in said
    assert f"{found['ce_zero']:.2f} nats" in said and found["ce_zero"] > 3.0
    letters = run.proteins().letters
    shares = pl.Series(letters).value_counts()["count"] / len(letters)
    entropy = -(shares * shares.log()).sum()
    assert abs(found["ce_sae"] - entropy) < 0.03, "it predicts about the frequencies"


def test_answers_of_04(run: Run) -> None:
    said = answer("04_activations", "answer-frequencies")
    use = {source: run.about(source)["use"] for source in ("sae", "random_sae")}
    assert f"{use['random_sae']['effective']:.0f} of 1,024" in said
    assert use["random_sae"]["silent"] == 0
    own = use["sae"]
    assert (
        f"uses {own['effective']:.0f}, with {own['silent']} silent and {own['rare']} rare" in said
    )
    quality = run.atlas_quality()
    assert "more than chance and far from all" in answer("04_activations", "answer-atlas")
    assert quality.kept_by_chance * 2 < quality.kept < 0.6


def test_answers_of_05(run: Run) -> None:
    said = answer("05_concepts", "answer-compare")
    words = {"sae": "the SAE", "neurons": "neurons", "random_sae": "the random SAE"}
    words["letters"] = "letters"
    means = {source: of(run, source, "mean_f1_per_domain") for source in words}
    order = ", ".join(f"{word} {means[source]:.2f}" for source, word in words.items())
    assert f"On the demo: {order}." in said
    assert sorted(means.values(), reverse=True) == list(means.values())
    n, own = "neurons", "sae"
    assert f"{of(run, n, 'features_found')} neurons are found" in said
    assert f"but only {of(run, n, 'concepts_found')} concepts" in said
    assert f"{of(run, own, 'features_found')} match {of(run, own, 'concepts_found')}" in said
    assert f"reaches {of(run, 'window_7', 'mean_f1_per_domain'):.2f} without" in said
    assert f"{of(run, own, 'mean_auprc'):.2f}" == f"{of(run, n, 'mean_auprc'):.2f}" == "0.08"
    said = answer("05_concepts", "answer-which")
    helix, signal, motif = "Transmembrane_Helical", "Signal peptide", "DNA binding_H-T-H motif"
    assert f"reaches {f1(run, 'window_7', helix)}, more" in said
    assert f"best feature ({f1(run, own, helix)})" in said
    assert f"{f1(run, 'window_7', signal)} against {f1(run, own, signal)}" in said
    assert f"{f1(run, 'window_7', motif)} against {f1(run, own, motif)}" in said
    said = answer("05_concepts", "q-values")
    above = {s: of(run, s, "concepts_above_chance") for s in ("letters", own)}
    assert f"on {above['letters']} of 45 concepts, and the SAE on {above[own]}" in said
    assert 3 < means[own] / means["letters"] < 4


def test_answers_of_06(run: Run) -> None:
    table = run.table("features", "overview")
    of_source = {row["source"]: row for row in table.iter_rows(named=True)}
    said, bits = answer("06_features", "answer-letters"), {}
    for source in ("sae", "random_sae"):
        statistics = run.feature_table("statistics", source).filter(pl.col("n_active") > 0)
        bits[source] = statistics["amino_acid_information"].median()
    assert (
        f"the trained SAE's have {bits['sae']:.2f}, the random SAE's {bits['random_sae']:.2f}"
        in said
    )
    shares = {s: f"{of_source[s]['share_motif']:.0%}".replace("%", " %") for s in of_source}
    enough = f"{shares['shuffled_sae']} of those with enough sites have a motif, and "
    assert f"{enough}{shares['sae']} of the trained SAE's" in said
    said = answer("06_features", "answer-precision")
    motifs = run.feature_table("motifs")
    stated = motifs.filter((pl.col("pattern") != "") & (pl.col("held_out_matches") > 0))
    precision = stated["pattern_precision"].median()
    assert f"of the trained SAE's {precision:.2f} (by chance" in said
    zinc = motifs.filter(feature=156).row(0, named=True)
    assert zinc["pattern"] == "C-x(2)-C" and "<code>C-x(2)-C</code>" in said
    assert f"at {zinc['pattern_recall']:.0%} of".replace("%", " %") in said
    assert f"only {zinc['pattern_precision']:.0%} of".replace("%", " %") in said
    assert "x-G-K-[ST]" in motifs.filter(feature=211)["pattern"].item()


def test_answers_of_07(run: Run) -> None:
    made = interpret(RunToRead.open(run.folder), InterpretParameters())
    n = set(made.counts["n_described"])
    median = {(r["source"], r["given"]): r["median_pearson"] for r in made.medians.to_dicts()}
    said = answer("07_interpret", "answer-nulls")
    own, random, shuffled = "sae", "random_sae", "shuffled_sae"
    r = {key: f"{value:.2f}" for key, value in median.items() if value is not None}
    length, both = "no description", "composition"
    assert n == {200} and "On the demo (200 features of each)" in said
    assert (
        f"reach a median r of {r[random, 'description']} and the length alone {r[random, length]}:"
        in said
    )
    assert median[random, "description"] < median[random, length] + 0.05, "words add nothing"
    assert f"SAE's reach {r[own, 'description']} against {r[own, length]} for the length" in said
    assert f"composition alone reach {r[own, both]} for the trained SAE" in said
    assert f"the best descriptions of all, {r[shuffled, 'description']}:" in said
    assert median[shuffled, "description"] == max(median[s, "description"] for s in SAES)
    said = answer("07_interpret", "answer-scores")
    mean = {(row["source"], row["score"]): row["mean"] for row in made.scores.to_dicts()}
    detected, fuzzed = (
        {s: f"{mean[s, score]:.2f}" for s in SAES} for score in ("detection", "fuzzing")
    )
    assert f"scores {detected[own]} in detection and {fuzzed[own]} in fuzzing" in said
    assert f"the random one {detected[random]} and {fuzzed[random]}, and" in said
    assert f"the shuffled model {detected[shuffled]} and {fuzzed[shuffled]}." in said
    assert mean[own, "fuzzing"] > mean[own, "detection"]
    assert f"in {100 * mean[own, 'intruder']:.0f} of 100 sets" in said


def test_answers_of_11(run: Run) -> None:
    first = discover(run, [], 0.5, 3).table.row(0, named=True)
    assert (first["accession"], first["concept"]) == ("P07560", "Nucleotide binding_ATP")
    said = answer("11_discover", "answer-closer")
    assert (
        f"confidence {first['confidence']:.2f}, precision on test {first['precision']:.2f}" in said
    )
    near = run.proteins().sequence("P07560")[first["start"] - 15 : first["end"] + 10]
    assert re.search("G....GK[ST]", near) and "G....GK(S/T)" in said
    gtp = run.annotations().only(["Nucleotide binding_GTP"]).table.filter(accession="P07560")
    assert gtp.select("start", "end").row(0) == (27, 34) and "residues 27 to 34" in said
    assert 27 <= first["start"] <= 34
    kept = stored_refound(run)
    assert kept is not None
    said = answer("11_discover", "answer-evaluation")
    at = dict(kept.precision.filter(k=100).select("method", "precision").iter_rows())
    assert (
        f"{at['sae']:.0%} of its first 100 are right, {at['mmseqs2']:.0%} of MMseqs2's, "
        f"{at['random_sae']:.0%} of the".replace("%", "")
        in said
    )
    row = kept.concepts.filter(concept="Nucleotide binding_any").row(0, named=True)
    assert f"{row['mmseqs2']:.2f} against {row['sae']:.2f}" in said
