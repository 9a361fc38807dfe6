"""Ranked features against one feature at a time; the controls, chance, and what is refused."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from scipy.sparse import csr_array
from scipy.stats import spearmanr
from sklearn.metrics import f1_score

from interplm_nb.concepts.by_protein import controls
from interplm_nb.concepts.by_protein.classifier import LabelClassifier
from interplm_nb.concepts.by_protein.pool import PooledFeatures
from interplm_nb.concepts.by_protein.rank import RANKED, Ranked, rank
from interplm_nb.concepts.decisions import ranking
from interplm_nb.proteins import Proteins
from interplm_nb.readers.protein_labels import ProteinLabels, read_protein_labels

N = 90
RANDOM = np.random.default_rng(0)
LETTERS = np.array(list("ACDEFGHIKLMNPQRSTVWY"))
PROTEINS = Proteins.from_sequences(
    {f"P{i}": "".join(RANDOM.choice(LETTERS, 20 + int(RANDOM.integers(30)))) for i in range(N)}
)
SPLITS = pl.DataFrame(
    {
        "accession": PROTEINS.accessions,
        "cluster": np.arange(N) // 2,
        "split": np.repeat(["train", "validation", "test"], N // 3),
    }
)
CARRIED = RANDOM.random(N) < 0.4
VALUES = (RANDOM.random((N, 6)) * (RANDOM.random((N, 6)) < 0.5)).astype(np.float32)
VALUES[:, 2] = np.where(CARRIED, 0.8, VALUES[:, 2])  # says the label
VALUES[:, 4] = np.where(CARRIED, 0, 0.2 + VALUES[:, 4])  # says its absence
VALUES[:, 5] = 0  # dead
ABOUT = {"plm": "toy", "plm_revision": "r1", "layer": 2, "sae": "sha256:ab", "scale": "m"}
FEATURES = np.array([10, 11, 12, 13, 14, 15])
POOLED = PooledFeatures(PROTEINS, FEATURES, csr_array(VALUES), "max", "max", 0.0, ABOUT)
CLASSES = read_protein_labels(
    pl.DataFrame(
        {"accession": PROTEINS.accessions, "label": np.where(CARRIED, "yes", "none").tolist()}
    )
).labels
NUMBERS = VALUES[:, 0] + 3 * VALUES[:, 2].astype(float)
NUMBERED = read_protein_labels(
    pl.DataFrame({"accession": PROTEINS.accessions, "label": NUMBERS})
).labels
OF = {s: np.flatnonzero((SPLITS["split"] == s).to_numpy()) for s in ("train", "validation", "test")}
RELATIVES = {f"P{i}": (f"P{i % 30}", 1e-5) for i in range(31, N, 2)}


@pytest.fixture(autouse=True)
def no_search(monkeypatch: pytest.MonkeyPatch) -> None:
    """MMseqs2 takes a second; one test below asks it."""
    monkeypatch.setattr(controls, "nearest", lambda proteins, splits: RELATIVES)


@pytest.fixture(scope="module")
def by_class() -> Ranked:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(controls, "nearest", lambda proteins, splits: RELATIVES)
        return rank(POOLED, CLASSES, SPLITS, {"neurons": POOLED}, n_resamples=200)


def slowly_by_f1() -> list[tuple[int, int, float, float, float]]:
    """Feature, direction, threshold, F1 on validation and test, best on validation first."""
    rows = []
    for j in range(6):
        train = VALUES[OF["train"], j]
        has = CARRIED[OF["train"]]
        direction = int(np.sign(train[has].mean() - train[~has].mean()))
        if direction == 0:
            continue
        scores = direction * VALUES[:, j]
        threshold, f1 = ranking(scores[OF["validation"]], CARRIED[OF["validation"]]).best()
        test = f1_score(CARRIED[OF["test"]], scores[OF["test"]] > threshold, zero_division=0)
        rows.append((int(FEATURES[j]), direction, direction * threshold, f1, test))
    return sorted(rows, key=lambda row: (-row[3], row[0]))


def test_features_are_ranked_as_one_at_a_time(by_class: Ranked) -> None:
    own = by_class.table.filter(source="sae", model="feature")
    columns = ["features", "direction", "threshold", "validation", "f1"]
    found = [(row[0][0], *row[1:]) for row in own.select(columns).rows()]
    for row, wanted in zip(found, slowly_by_f1(), strict=True):
        assert row == pytest.approx(wanted)
    assert own["rank"].to_list() == [1, 2, 3, 4, 5]
    assert {12, 14} == set(own.head(2)["features"].list.first())
    assert own.filter(pl.col("features").list.first() == 14)["direction"].item() == -1


def test_every_row_has_its_interval_chance_and_q(by_class: Ranked) -> None:
    table = by_class.table
    assert list(table.schema.items()) == list(RANKED.items())
    assert (table["f1_low"] <= table["f1"]).all() and (table["f1"] <= table["f1_high"]).all()
    assert table["rho"].null_count() == table.height
    best = by_class.best().filter(source="sae", model="feature").row(0, named=True)
    assert best["p_value"] == 1 / 201 and best["q_value"] <= 0.05 and best["chance"] < 0.6
    noise = table.filter(source="sae").filter(pl.col("features") == [11])["p_value"].item()
    assert noise > 0.05
    assert table["n"].unique().to_list() == [30] and by_class.n_clusters == 15
    assert table["n_positive"].unique().to_list() == [int(CARRIED[OF["test"]].sum())]


def test_controls_take_the_same_path(by_class: Ranked) -> None:
    sources = by_class.best().select("source", "model").rows()
    assert sources == [
        ("sae", "feature"),
        ("sae", "classifier"),
        ("neurons", "feature"),
        ("neurons", "classifier"),
        ("letters", "feature"),
        ("letters", "classifier"),
        ("length", "feature"),
        ("nearest relative", "search"),
    ]
    same = [
        by_class.best().filter(source=s, model="feature").drop("source") for s in ("sae", "neurons")
    ]
    assert same[0].drop("q_value").equals(same[1].drop("q_value"))
    assert "best control: neurons" in by_class.verdict()
    assert "which does at least as well" in by_class.verdict()


def test_numbers_are_ranked_by_rank_correlation() -> None:
    found = rank(POOLED, NUMBERED, SPLITS, n_resamples=100)
    first = found.best().row(0, named=True)
    assert first["features"] == [12] and found.by == "rho" and found.classifier is None
    rho = spearmanr(VALUES[OF["test"], 2], NUMBERS[OF["test"]])[0]
    assert first["rho"] == pytest.approx(rho) and first["rho_low"] < rho < first["rho_high"]
    assert abs(first["chance"]) < 0.1 and first["f1"] is None and first["threshold"] is None
    negative = found.table.filter(source="sae", direction=-1).row(0, named=True)
    j = negative["features"][0] - 10
    wanted = -spearmanr(VALUES[OF["test"], j], NUMBERS[OF["test"]])[0]
    assert negative["rho"] == pytest.approx(wanted)
    assert "nearest relative" in set(found.best()["source"])
    assert found.verdict().startswith("label (rank correlation on 30 test proteins): feature 12 ")


def test_chance_does_not_favour_labels_without_meaning() -> None:
    """p values of random labels are no smaller than they should be."""
    low = 0
    for seed in range(40):
        drawn = np.random.default_rng(seed).random(N)
        labels = ProteinLabels(
            "x", "number", pl.DataFrame({"accession": PROTEINS.accessions, "label": drawn})
        )
        found = rank(POOLED, labels, SPLITS, top=1, n_resamples=60, seed=seed)
        low += found.best().row(0, named=True)["p_value"] < 0.1
    assert low <= 9  # 4 expected; 10 or more of 40 has a probability of 0.005


def test_by_auprc_and_by_f1_may_choose_others() -> None:
    found = rank(POOLED, CLASSES, SPLITS, by="auprc", top=2, n_resamples=20)
    own = found.table.filter(source="sae", model="feature")
    assert own.height == 2 and found.by == "auprc"
    assert own["validation"].to_list() == sorted(own["validation"], reverse=True)
    with pytest.raises(ValueError, match="ranked by f1 or auprc, not 'rho'"):
        rank(POOLED, CLASSES, SPLITS, by="rho")  # type: ignore[arg-type]


def test_classes_that_a_split_lacks_are_left_out() -> None:
    rare = pl.DataFrame({"accession": ["P1"], "label": ["rare"]})
    both = ProteinLabels("label", "class", pl.concat([CLASSES.table, rare]))
    found = rank(POOLED, both, SPLITS, n_resamples=20)
    assert list(found.left_out) == ["rare"] and "carry the label" in found.left_out["rare"]
    assert set(found.table["label"]) == {"yes"}
    lone = ProteinLabels("label", "class", pl.concat([CLASSES.table.filter(label="none"), rare]))
    with pytest.raises(ValueError, match=r"cannot rank .*: 0 of 15"):
        rank(POOLED, lone, SPLITS)


def test_proteins_that_are_not_pooled_are_named() -> None:
    part = POOLED.select(PROTEINS.accessions[1:])
    with pytest.raises(ValueError, match="1 of 90 proteins, such as 'P0', are not among"):
        rank(part, CLASSES, SPLITS)
    with pytest.raises(ValueError, match=r"cluster 0 is in"):
        rank(POOLED, CLASSES, SPLITS.with_columns(cluster=pl.lit(0)))


def test_without_mmseqs_the_relative_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(proteins: Proteins, splits: pl.DataFrame) -> Any:
        raise FileNotFoundError("no mmseqs program was found")

    monkeypatch.setattr(controls, "nearest", missing)
    found = rank(POOLED, CLASSES, SPLITS, n_resamples=20)
    assert found.left_out == {"nearest relative": "no mmseqs program was found"}
    assert found.classifier is not None and found.classifier.left_out == {}


def test_the_nearest_relative_is_one_that_is_not_tested(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    family = {f"R{i}": PROTEINS.sequences[0] * 2 for i in range(5)}
    proteins = Proteins.from_sequences({**family, "X": "W" * 60})
    splits = pl.DataFrame(
        {
            "accession": proteins.accessions,
            "split": ["train", "validation", "test", "test"] + ["test"] * 2,
        }
    )
    found = controls.nearest(proteins, splits)
    assert found["R1"][0] == "R0" and {found[f"R{i}"][0] for i in (2, 3, 4)} <= {"R0", "R1"}
    assert "X" not in found and "R0" not in found
    scores = controls.by_class(["R1", "X"], found, {"R0"})
    assert scores[0] > 5 and scores[1] == 0 and (controls.by_class(["R1"], found, set()) < -5).all()
    assert controls.by_number(["R1", "X"], found, {"R0": 3.0}, 1.0).tolist() == [3.0, 1.0]


def test_a_classifier_is_saved_and_predicts_the_same(by_class: Ranked, tmp_path: Path) -> None:
    classifier = by_class.classifier
    assert classifier is not None
    classifier.save(tmp_path / "c.json")
    again = LabelClassifier.load(tmp_path / "c.json")
    assert again.predict(POOLED).equals(classifier.predict(POOLED))
    assert repr(again) == repr(classifier)
    assert LabelClassifier.fit(POOLED, CLASSES, SPLITS).rules == classifier.rules
    test = again.predict(POOLED.select([PROTEINS.accessions[i] for i in OF["test"]]))
    row = by_class.best().filter(source="sae", model="classifier").row(0, named=True)
    assert f1_score(CARRIED[OF["test"]], test["called"]) == pytest.approx(row["f1"])
    assert test["probability"].is_between(0, 1).all()


@pytest.mark.parametrize(
    ("name", "other"), [("sae", "sha256:cd"), ("plm", "esm"), ("layer", 3), ("scale", "n")]
)
def test_a_classifier_refuses_other_features(by_class: Ranked, name: str, other: Any) -> None:
    assert by_class.classifier is not None
    theirs = PooledFeatures(
        PROTEINS, FEATURES, csr_array(VALUES), "max", "max", 0.0, {**ABOUT, name: other}
    )
    with pytest.raises(ValueError, match=rf"of SAE sha256:ab on toy .*these are.*differ in {name}"):
        by_class.classifier.predict(theirs)
    mean = PooledFeatures(PROTEINS, FEATURES, csr_array(VALUES), "mean", "max", 0.0, ABOUT)
    with pytest.raises(ValueError, match=r"max of unit max; these are of .* mean of unit max"):
        by_class.classifier.predict(mean)


def test_a_classifier_needs_names_and_classes(tmp_path: Path) -> None:
    nameless = PooledFeatures(PROTEINS, FEATURES, csr_array(VALUES), "max", "max")
    with pytest.raises(ValueError, match="do not say their plm, plm_revision, layer, sae"):
        LabelClassifier.fit(nameless, CLASSES, SPLITS).save(tmp_path / "c.json")
    with pytest.raises(ValueError, match=r"takes classes, and .* has numbers"):
        LabelClassifier.fit(POOLED, NUMBERED, SPLITS)
    (tmp_path / "other.json").write_text(json.dumps({"type": "Run", "version": 1}))
    with pytest.raises(ValueError, match="expected LabelClassifier version 1, found Run"):
        LabelClassifier.load(tmp_path / "other.json")


def test_ks_are_tried_up_to_the_number_of_features() -> None:
    classifier = LabelClassifier.fit(POOLED, CLASSES, SPLITS, ks=(1, 3, 80))
    assert len(classifier.rules["yes"].features) in (1, 3, 5)
