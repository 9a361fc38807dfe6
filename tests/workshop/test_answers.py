"""What the lessons' answers and the teacher's notes state is true of what ships."""

from functools import cache
from typing import Any

import numpy as np
import polars as pl
import pytest

from interplm_nb.pipeline.run import Run
from interplm_nb.workshop.controls import best_f1
from interplm_nb.workshop.embedding import OFFSET, cosines, embedded
from interplm_nb.workshop.exercises import EXERCISES
from interplm_nb.workshop.features import strongest
from scripts.build_workshop import SOURCES, parts


@pytest.fixture(scope="module")
def run() -> Run:
    return Run.shipped()


@cache
def text(lesson: int) -> dict[str, str]:
    (source,) = (path for path in SOURCES if path.stem.startswith(f"{lesson}_"))
    return {part.name: " ".join(part.text.split()) for part in parts(source)}


def slip(name: str, number: int) -> float:
    return EXERCISES[name].slips[number][0]()


def test_embeddings_are_of_the_proteins_that_they_name(run: Run) -> None:
    sequences, vectors = embedded()
    assert {name for name in vectors if "/" not in name} == set(sequences)
    for name, values in vectors.items():
        assert values.shape == (len(sequences[name.removeprefix("shuffled/")]), 1900)
    whole, changed = sequences["P00044"], sequences["changed"]
    assert all(run.proteins().sequence(n) == s for n, s in sequences.items() if n != "changed")
    assert [i for i, pair in enumerate(zip(whole, changed, strict=True)) if len({*pair}) > 1] == [
        49
    ]
    assert (whole[49], changed[49]) == ("E", "P")
    assert whole[19:24] == "CLQCH" and sequences["P00045"][23] == whole[107] == "C"


def test_answers_of_1() -> None:
    sequences, vectors = embedded()
    said, x = text(1), vectors["P00044"]
    assert f"{x.size:,}: a row" in said["answer-shape"]
    assert f"({slip('cosine', 0):.1f})" in said["guide-one"]
    one, other = sequences["P00044"], sequences["P00045"]
    differ = np.array([letter != other[i + OFFSET] for i, letter in enumerate(one)])
    assert f"share {1 - differ.mean():.0%}".replace("%", " %") in said["guess-shuffled"]

    def hits(prefix: str) -> Any:
        pair = cosines(vectors[f"{prefix}P00044"], vectors[f"{prefix}P00045"])
        return pair.argmax(axis=1) == np.arange(len(one)) + OFFSET

    trained, shuffled = hits(""), hits("shuffled/")
    answer = said["answer-shuffled"]
    assert f"({shuffled.mean():.2f}) without" in answer
    assert f"trained model gets {trained.mean():.2f}" in answer
    assert f"{trained[differ].mean():.2f} against {shuffled[differ].mean():.2f}" in answer
    assert (differ.sum(), trained[differ].sum()) == (18, 15) and "15 of 18" in said["guide-two"]
    alike = cosines(vectors["P00044"], vectors["P00045"])
    assert alike[:20, :24].mean() > 0.4 > 0.3 > alike[:20, 40:].mean(), "blocks"
    assert alike[40:, 44:].mean() > 0.4 and one.index("CLQCH") + 5 == 24
    moved = np.linalg.norm(vectors["changed"] - x, axis=1) / np.linalg.norm(x, axis=1)
    assert not moved[:49].any() and moved[49] > 1 / 3 and moved[-1] > 0
    assert moved[49] == moved.max() and "more than a third" in said["answer-change"]


def test_answers_of_2(run: Run) -> None:
    said = text(2)
    csr = run.activations().of("P00044")
    assert set(np.diff(csr.indptr)) == {16}
    assert f"{np.unique(csr.indices).size} somewhere in the protein" in said["answer-sparse"]
    explained = run.about("sae")["quality"]["variance_explained"]
    assert f"explain {explained:.0%}".replace("%", " %") in said["answer-sparse"]
    assert f"gives {slip('cysteine', 0):.2f}" in said["guide-two"]
    assert (
        set(strongest(run, 405)["letter"]) == {"S"} and "are all serine" in said["answer-letters"]
    )
    rows = strongest(run, 645, 10**6)
    on_c = (rows["letter"] == "C").sum()
    assert on_c < 0.2 * (run.proteins().letters == ord("C")).sum()
    found = run.table("concepts", "found").filter(source="sae", convention="strict")
    assert found["concept"].n_unique() == 7 and "share seven concepts" in said["answer-found"]
    of = run.table("concepts", "comparison").filter(source="neurons", convention="strict")
    neurons = (of["features_found"].item(), of["concepts_found"].item())
    assert neurons == (129, 4) and "129 that match" in said["guide-three"]
    half = run.table("concepts", "unlabelled").filter(source="sae", limit=0.2)
    assert half["unlabelled"].item() == pytest.approx(0.5, abs=0.02)


def test_answers_of_3(run: Run) -> None:
    said, scores = text(3), best_f1(run)

    def f1(concept: str, source: str) -> str:
        return f"{scores.filter(concept=concept)[source].item():.2f}"

    signal = said["answer-signal-sources"]
    for source, words in {
        "sae": "far ahead ({})",
        "neurons": "neurons ({})",
        "window_7": "7 residues ({})",
        "shuffled_sae": "model ({})",
    }.items():
        assert words.format(f1("Signal peptide", source)) in signal.replace(
            "<em>shuffled</em> ", ""
        )
    near, motif = "Domain_any", "DNA binding_H-T-H motif"
    against = said["answer-against"]
    assert f"{f1(near, 'sae')} for the SAE and {f1(near, 'random_sae')} for the random" in against
    assert f"{f1(motif, 'sae')} against {f1(motif, 'random_sae')}" in against
    fingers, helices = f1("Zinc finger_any", "neurons"), f1("Transmembrane_Helical", "neurons")
    assert f"({fingers} and {helices})" in said["guide-two"]
    assert f"{f1('Zinc finger_any', 'random_sae')} on zinc fingers" in said["guide-two"]
    assert f"recall ({slip('precision', 0):.2f})" in said["guide-one"]
    means = run.table("concepts", "comparison").filter(convention="strict")
    mean = {s: f"{m:.2f}" for s, m in means.select("source", "mean_f1_per_domain").iter_rows()}
    whole = said["answer-whole-table"]
    assert f"{mean['sae']} against {mean['random_sae']}: twice" in whole
    assert f"linear probe ({mean['linear_probe']})" in whole and f"({mean['ica']}) come" in whole
    annotated = run.annotations().table
    assert annotated.filter(accession="P18429", concept="Domain_any")["start"].to_list() == [29]
    sugars = annotated.filter(
        pl.col("concept").str.starts_with("Glycosylation"), accession="P32781"
    )
    assert sugars["start"].min() == 22
    helix = annotated.filter(concept="Transmembrane_Helical")
    assert {"P54483", "Q04119"} <= set(helix["accession"])


def test_answers_of_3_that_are_computed_in_the_lesson(run: Run) -> None:
    from interplm_nb.workshop.controls import active, rotated

    on, carried = active(run, 669, 0.5), run.annotations().mask("Signal peptide")
    proteins = run.proteins()
    assert carried.mean() == pytest.approx(0.005, abs=0.0005)
    draws = [rotated(carried, proteins.lengths, seed)[on].mean() for seed in range(200)]
    assert np.mean(draws) == pytest.approx(0.05, abs=0.01)
    positions = np.concatenate([np.arange(1, n + 1) for n in proteins.lengths])
    at = [carried[positions == position].mean() for position in positions[on]]
    assert f"About {np.mean(at):.2f}: of the 120" in text(3)["answer-position"]
    assert positions[on & ~carried].max() < 40
    alone = {proteins.residue(int(row)).accession for row in np.flatnonzero(on & ~carried)}
    assert len(alone) == 6 and "six proteins" in text(3)["guide-discussion"]
    carriers = run.annotations().only(["Signal peptide"]).table["accession"].n_unique()
    assert carriers == 10 and "ten have a signal" in text(3)["answer-position"]
    accession = "C0SP99"
    values = run.activations().along(accession, 669)
    assert values[0] == 0 and carried[proteins.rows(accession)][int(values.argmax())]


def test_answers_of_4(run: Run) -> None:
    said = text(4)
    pilot = dict(run.table("steer", "pilot").select("feature", "rate").iter_rows())
    assert [f for f, rate in pilot.items() if rate] == [691] and pilot[645] == 0
    assert f"in {pilot[691]:.0%}".replace("%", " %") in said["answer-pilot"]
    kinds = {row["kind"]: row for row in run.table("steer", "kinds").iter_rows(named=True)}
    steered, output = kinds["steered"], kinds["output only"]
    both = f"{steered['rate']:.0%} and {output['rate']:.0%} overlap".replace("%", " %")
    assert both in said["answer-controls"] and output["high"] > steered["low"]
    for kind in ("matched features", "random directions"):
        assert kinds[kind]["found"] == 0 and kinds[kind]["n"] == 144
        assert kinds[kind]["high"] < 0.03
        assert kinds[kind]["broken"] == pytest.approx(steered["broken"], abs=0.02)
    assert steered["broken"] == 0.25 and output["letter"] == "H"
    assert output["letter_share"] == pytest.approx(2 / 3, abs=0.02)
    left = EXERCISES["shuffled"].right() / EXERCISES["fingers"].right()
    assert left == pytest.approx(1 / 3, abs=0.05), "about a third is left"
    assert EXERCISES["fingers"].right() == steered["rate"]
    assert EXERCISES["broken"].right() == output["broken"]
    natural = dict(run.table("steer", "natural").select("kind", "rate").iter_rows())
    assert natural["natural carriers"] == pytest.approx(0.25, abs=0.03)
