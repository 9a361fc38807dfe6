"""Judges of sequences: against the model run one residue at a time, and on made-up labels."""

import numpy as np
import polars as pl
import pytest
import torch

from interplm_nb.annotations import Annotations
from interplm_nb.proteins import Proteins
from interplm_nb.readers import mmseqs
from interplm_nb.steering import judges
from interplm_nb.steering.intervene import MASK
from interplm_nb.steering.judges import commonest_letter, fit_judge, relatives, surprise, windows
from tests.plm.tiny_unirep import tiny
from tests.steering.test_intervene import esm2

SEQUENCES = ["MKVLAGHWTC", "MAAW", "GGGSSS"]


@torch.no_grad()
def test_surprise_of_a_next_residue_model_is_the_chain_rule(monkeypatch) -> None:
    plm = tiny()
    wanted = []
    for sequence in SEQUENCES:
        classes = plm.classes(plm.tokens([sequence]))[0, 1:]
        losses = []
        for i in range(len(sequence)):
            logits = plm.forward(plm.tokens([sequence[:i]]), logits=True).logits[0, -1]
            losses.append(-float(logits.log_softmax(-1)[classes[i]]))
        wanted.append(np.mean(losses))
    monkeypatch.setattr(judges, "SIDE_BY_SIDE", 2)
    np.testing.assert_allclose(surprise(plm, SEQUENCES), wanted, rtol=1e-5)


@torch.no_grad()
def test_surprise_of_a_masked_model_masks_one_residue_at_a_time() -> None:
    plm = esm2()
    wanted = []
    for sequence in SEQUENCES:
        classes = plm.classes(plm.tokens([sequence]))[0]
        losses = []
        for i in range(len(sequence)):
            tokens = plm.tokens([sequence[:i] + MASK + sequence[i + 1 :]])
            logits = plm.forward(tokens, logits=True).logits[0, i + 1]
            losses.append(-float(logits.log_softmax(-1)[classes[i + 1]]))
        wanted.append(np.mean(losses))
    np.testing.assert_allclose(surprise(plm, SEQUENCES), wanted, rtol=1e-4)


def labelled() -> tuple[Annotations, pl.DataFrame]:
    """Proteins with and without a run of W, in three splits."""
    rng = np.random.default_rng(0)
    sequences, segments, splits = {}, [], []
    for i in range(90):
        body = "".join(rng.choice(list("AGSTKE"), 40))
        name, split = f"P{i}", ("train", "validation", "test")[i % 3]
        if i % 2:
            body = body[:20] + "WWWW" + body[24:]
            row = {"accession": name, "concept": "W run", "category": "W", "level": "instance"}
            segments.append(row | {"start": 21, "end": 24, "instance": i})
        sequences[name] = body
        splits.append((name, split))
    proteins = Proteins.from_sequences(sequences)
    table = pl.DataFrame(splits, schema=["accession", "split"], orient="row")
    return Annotations(pl.DataFrame(segments), proteins), table


def test_a_probe_calls_sequences_with_the_concept() -> None:
    annotations, splits = labelled()
    plm = esm2()
    judge = fit_judge(plm, 0, annotations, splits, "W run", n_others=12)  # sees letters
    assert judge.found == (15, 15) and judge.wrong == (0, 12)
    scores = judge.scores(["AGSTKEWWWWAGST", "AGSTKEAGSTAGST"])
    assert scores[0] > judge.threshold >= scores[1]
    h = plm.forward(plm.tokens(["AGSTKEWWWWAGST"]), [0]).representations[0][0, 1:-1]
    odds = h.numpy() @ judge.weights + judge.intercept
    assert scores[0] == pytest.approx(odds.max(), rel=1e-4)
    assert judge.name == "probe of W run on toy, layer 0"


def test_a_probe_needs_the_concept_in_every_split() -> None:
    annotations, splits = labelled()
    some = splits.filter((pl.col("split") != "test") | pl.col("accession").is_in(["P2", "P8"]))
    with pytest.raises(ValueError, match="test has 0 proteins with 'W run' and 2 without; a probe"):
        fit_judge(esm2(), 3, annotations, some, "W run")


@pytest.mark.skipif(not mmseqs.is_installed(), reason="needs MMseqs2")
def test_a_relative_is_the_natural_protein_it_resembles() -> None:
    rng = np.random.default_rng(1)
    first, second = ("".join(rng.choice(list("ACDEFGHIKLMNPQRSTVWY"), 120)) for _ in range(2))
    natural = Proteins.from_sequences({"A": first, "B": second})
    found = relatives([second[:50] + "W" + second[51:], "G" * 60], natural)
    assert found.select("sequence", "relative").rows() == [(0, "B")]
    assert found["identity"][0] > 0.95


def test_windows_lie_within_their_proteins() -> None:
    proteins = Proteins.from_sequences({"A": "MKVLAGHWTC", "B": "GAV"})
    drawn = {tuple(windows(proteins, ["A", "B"], 4, seed)) for seed in range(30)}
    assert {b for _, b in drawn} == {"GAV"}
    assert {a for a, _ in drawn} == {"MKVLAGHWTC"[i : i + 4] for i in range(7)}


def test_ties_of_letters_go_to_the_first() -> None:
    assert commonest_letter("MAAMC") == ("A", 0.4)
