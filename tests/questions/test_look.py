"""Your own proteins through an existing SAE: values, names and enrichment, each by its slow
definition, and every mistake that a person can make."""

import re
import shutil
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch
from polars.testing import assert_frame_equal
from scipy.stats import fisher_exact

from interplm_nb.cli.describe import describe_scores
from interplm_nb.pipeline.errors import PipelineError
from interplm_nb.pipeline.looked import looked
from interplm_nb.pipeline.run import Run
from interplm_nb.proteins import Proteins
from interplm_nb.questions.annotate import FIRES
from interplm_nb.questions.look import look
from interplm_nb.questions.rescore import Settings, kept_as, rescore
from interplm_nb.readers.report import InputError
from interplm_nb.sae.about import SAEAbout
from interplm_nb.sae.random_sae import random_sae
from interplm_nb.widgets.feature_list import feature_list
from interplm_nb.widgets.feature_page import FeaturePages
from interplm_nb.widgets.workbench import Workbench

N = 6
OWN = "MKTAYIAKQRQISFVKSHFSRQLEERLGLIEVQAPILSRVGDGTQDNLSGAEKAVQVKVKALPDAQFEVVHSLAKWK"


@pytest.fixture(scope="module")
def home(tiny_run, tmp_path_factory) -> Run:
    folder = tmp_path_factory.mktemp("look") / "home"
    shutil.copytree(tiny_run.folder, folder)
    return Run.open(folder)


@pytest.fixture(scope="module")
def asked(home) -> dict[str, str]:
    """One that the run has, and the reverse of others."""
    sequences = home.proteins().sequences
    return {"same": sequences[0]} | {f"own{i}": sequences[i][::-1] for i in range(1, N)}


@pytest.fixture(scope="module")
def made(home, asked, tmp_path_factory) -> Run:
    return look(asked, tmp_path_factory.mktemp("looked") / "mine", home, device="cpu")


def dense(run: Run, proteins: Proteins) -> np.ndarray:
    """[n_residues, n_features], raw: one protein after the other, without a batch."""
    plm, sae = run.plm("cpu"), run.sae()
    parts = []
    for sequence in proteins.sequences:
        states = plm.forward(plm.tokens([sequence]), [1]).representations[1][0]
        first = plm.first_residue
        parts.append(sae.encode(states[first : first + len(sequence)]).detach().numpy())
    return np.concatenate(parts)


def test_activations_are_shares_of_the_maxima_of_the_saes_run(made, home):
    values = dense(home, made.proteins())
    np.testing.assert_allclose(
        [made.activations().along(a, f) for a in ["own3"] for f in range(64)],
        values[made.proteins().rows("own3")].T,
        rtol=1e-4,
        atol=1e-4,
    )
    assert (made.maxima().train == home.maxima().train).all()
    feature = int(home.maxima().train.argmax())  # one that is alive
    np.testing.assert_allclose(
        FeaturePages(made).activations.along("own3", feature),
        values[made.proteins().rows("own3"), feature] / home.maxima().train[feature],
        rtol=1e-4,
        atol=1e-4,
    )


def test_the_enrichment_is_fishers_test_of_each_feature_with_benjamini_and_hochberg(
    made, home, asked
):
    found = looked(made)
    assert found is not None
    mine = made.proteins()
    others = home.proteins().select(
        [
            a
            for a, s in zip(home.proteins().accessions, home.proteins().sequences, strict=True)
            if not any(own in s for own in asked.values())
        ]
    )
    assert len(others) == len(home.proteins()) - 1 == found.about["background"]
    maxima = home.maxima().train
    fires = [
        np.array(
            [
                FeaturePages(run).activations.of(a).toarray().max(axis=0) > np.float32(FIRES)
                for a in p.accessions
            ]
        )
        for run, p in ((made, mine), (home, others))
    ]
    n, m = len(mine), len(others)
    alive = [f for f in range(len(maxima)) if maxima[f] > 0 and _any(made, home, mine, others, f)]
    p_values = {}
    for f in alive:
        a, b = int(fires[0][:, f].sum()), int(fires[1][:, f].sum())
        _, p_values[f] = fisher_exact([[a, n - a], [b, m - b]], alternative="greater")
    q_values = _benjamini_hochberg(p_values)
    table = found.enrichment
    assert sorted(table["feature"].to_list()) == alive
    for row in table.iter_rows(named=True):
        f = row["feature"]
        assert (row["members"], row["background"]) == (fires[0][:, f].sum(), fires[1][:, f].sum())
        assert row["share"] == row["members"] / n
        assert row["background_share"] == row["background"] / m
        assert row["p_count"] == pytest.approx(p_values[f], rel=1e-9)
        assert row["q_count"] == pytest.approx(q_values[f], rel=1e-9)
    assert table["p_count"].is_sorted()


def _any(made: Run, home: Run, mine: Proteins, others: Proteins, feature: int) -> bool:
    """Whether a feature is active anywhere in either set."""
    return any(
        run.activations().along(a, feature).any()
        for run, proteins in ((made, mine), (home, others))
        for a in proteins.accessions
    )


def _benjamini_hochberg(p_values: dict[int, float]) -> dict[int, float]:
    """The smallest p * n / rank among those at least as large, at most 1."""
    ranked = sorted(p_values.items(), key=lambda item: item[1])
    n = len(ranked)
    scaled = [p * n / (i + 1) for i, (_, p) in enumerate(ranked)]
    return {f: min(1.0, *scaled[i:], scaled[-1]) for i, (f, _) in enumerate(ranked)}


def test_names_and_scores_are_those_of_the_saes_run_and_said_to_be(made, home):
    mine, theirs = FeaturePages(made), FeaturePages(home)
    assert_frame_equal(mine.ranked, theirs.ranked)
    assert_frame_equal(mine.best_of_sources, theirs.best_of_sources)
    assert (mine.concepts_scored, mine.map_words) == (theirs.concepts_scored, theirs.map_words)
    assert_frame_equal(mine.found, theirs.found)
    columns = ["feature", "concept", "f1_per_domain", "maximum", "x", "y", "share_near_ends"]
    assert_frame_equal(feature_list(mine).select(columns), feature_list(theirs).select(columns))
    assert made.table("concepts", "best").is_empty()  # nothing was scored on these proteins
    bench = Workbench(made)
    assert bench.data.about["named_by"] == "home"
    assert (
        "are of run home: measured on its own proteins, not on yours." in bench.data.about["note"]
    )
    assert "Names, F1 and maximum are of run home" in bench.table._caption(1, 2)


def test_the_workbench_begins_with_the_most_enriched_feature(made):
    found = looked(made)
    assert found is not None
    bench = Workbench(made)
    assert bench.selection.feature == found.enrichment["feature"][0]
    rows = bench.table.rows()
    living = rows.drop_nulls("enrichment")
    assert living["enrichment"].is_sorted() and bench.table.order() == ("enrichment", False)
    shown = found.enrichment.filter(pl.col("feature").is_in(living["feature"].to_list()))
    assert living["feature"].to_list() == shown["feature"].to_list()
    assert living["share_background"].to_list() == shown["background_share"].to_list()
    bench.selection.listed = {"category": rows["category"].drop_nulls()[0]}
    assert bench.table.order() == ("validation_f1_per_domain", True)


def test_residues_of_fasta_are_not_said_to_lack_a_concept(made):
    record = Workbench(made).data.current[0]
    assert record["zero"]["residues"]["annotated"] is None


def test_a_run_without_its_background_has_the_share_alone(home, asked, tmp_path):
    bare = tmp_path / "bare"
    shutil.copytree(home.folder, bare, ignore=shutil.ignore_patterns("activations"))
    made = look(asked, tmp_path / "mine", bare, device="cpu")
    found = looked(made)
    assert found is not None and found.about["background"] == 0
    assert "There is no background" in found.about["enrichment"]
    assert found.enrichment.columns == ["feature", "members", "share"]
    bench = Workbench(made)
    assert bench.table.order() == ("share_here", True)
    assert bench.table.rows()["share_here"].drop_nulls().is_sorted(descending=True)


def test_longer_proteins_are_said_to_be(home, tmp_path):
    longest = max(home.proteins().sequences, key=len)
    made = look({"long": longest[::-1][:1000]}, tmp_path / "mine", home, device="cpu")
    found = looked(made)
    assert found is not None
    assert "Yours are longer (median" in found.about["enrichment"]


def other_sae(plm: str = "esm2-mini", layer: int = 1, revision: str = ""):
    sae = random_sae(192, 32, 4, torch.zeros(192), 7)
    sae.about = SAEAbout(plm, revision, layer, "random")
    return sae


def test_an_sae_alone_has_no_names_and_says_so(home, tmp_path):
    made = look({"a": OWN}, tmp_path / "alone", sae=other_sae(), device="cpu")
    found = looked(made)
    assert found is not None and found.names is None and found.about["run"] is None
    assert "on your proteins." in found.about["scale"]
    assert (made.maxima().train == made.activations().largest()).all()
    bench = Workbench(made)
    assert bench.concepts.no_match.startswith("No run names these features")
    assert bench.data.about["named_by"] == ""


def test_an_sae_in_its_publishers_unit_keeps_it(home, tmp_path):
    sae = other_sae()
    folded = sae.folded(np.full(32, 2, np.float32))
    folded.about = sae.about
    made = look({"a": OWN}, tmp_path / "published", sae=folded, device="cpu")
    found = looked(made)
    assert found is not None and "that its publisher measured" in found.about["scale"]
    assert (made.maxima().train == 1).all()


def test_a_rescored_sae_that_was_kept_is_a_source_of_the_run(home, asked, tmp_path):
    folder = tmp_path / "run"
    shutil.copytree(home.folder, folder)
    run, sae = Run.open(folder), other_sae()
    with pytest.raises(PipelineError, match=r"does not know this SAE.*--keep-activations"):
        look(asked, tmp_path / "mine", run, sae=sae, device="cpu")
    plain = rescore(run, {"an SAE": sae}, Settings(1, 1, 0), device="cpu")
    assert kept_as(run, ["an SAE"]) == {}
    table = rescore(run, {"an SAE": sae}, Settings(1, 1, 0), device="cpu", keep=True)
    assert_frame_equal(table.drop("seconds"), plain.drop("seconds"))
    source = kept_as(run, ["an SAE"])["an SAE"]
    assert run.sae(source).weight_hash == sae.weight_hash
    values = run.activations(source)
    np.testing.assert_allclose(values.largest(run.accessions("train")), run.maxima(source).train)
    bench = Workbench(run, source)
    assert bench.data.about["source"] == source and bench.table.rows().height > 0
    made = look(asked, tmp_path / "mine", run, sae=sae, device="cpu")
    mine, theirs = FeaturePages(made), FeaturePages(run, source)
    assert_frame_equal(mine.ranked, theirs.ranked)
    assert "sae" not in mine.best_of_sources["source"].to_list()  # the run's own is another SAE


@pytest.mark.parametrize(
    ("asked", "options", "text"),
    [
        ({"dna": "ACGT" * 20}, {}, "nucleotides, not residues"),
        ({"long": "A" * 1023}, {}, r"no sequence can be used; each needs 1 to 1,022 residues"),
        ({"mine": OWN}, {"layer": 2}, "is an SAE of layer 1, not of layer 2; leave the layer out"),
        (["P69905", OWN], {}, "P69905 is an accession and 'MKTAY.*' is not; give"),
        (["P69905"], {"offline": True}, "1 accessions: not in the cache .*, and offline"),
        ("nowhere/mine.fasta", {}, "mine.fasta"),
    ],
)
def test_what_cannot_be_looked_at_is_said(home, tmp_path, monkeypatch, asked, options, text):
    monkeypatch.setenv("HOME", str(tmp_path))
    with pytest.raises((InputError, PipelineError, FileNotFoundError), match=text):
        look(asked, tmp_path / "mine", home, device="cpu", **options)
    assert not (tmp_path / "mine").exists()


def test_an_sae_that_does_not_fit_is_refused(home, tmp_path):
    out = tmp_path / "mine"
    with pytest.raises(PipelineError, match=r"of esm2_t6_8M_UR50D, and .* is a run of esm2-mini"):
        look({"a": OWN}, out, home, sae=other_sae("esm2_t6_8M_UR50D"), device="cpu")
    with pytest.raises(ValueError, match="esm2-mini has no layer 99"):
        look({"a": OWN}, out, sae=other_sae(layer=99), device="cpu")
    with pytest.raises(PipelineError, match="trained on other weights of esm2-mini"):
        look({"a": OWN}, out, sae=other_sae(revision="sha256:00ff"), device="cpu")
    nameless = other_sae()
    nameless.about = None
    with pytest.raises(PipelineError, match="does not say to which PLM and layer it belongs"):
        look({"a": OWN}, out, sae=nameless, device="cpu")
    assert not out.exists()


def test_a_folder_with_files_and_a_looked_at_run_are_refused(made, tmp_path):
    with pytest.raises(PipelineError, match=r"exists and is not empty.*name of a new folder"):
        look({"a": OWN}, made.folder, device="cpu")
    with pytest.raises(PipelineError, match=r"itself a run of proteins .* run of its SAE, home"):
        look({"a": OWN}, tmp_path / "again", made, device="cpu")
    with pytest.raises(PipelineError, match=r"`interplm-nb look` read, .*; give another folder"):
        Run.create(made.folder, "demo")


def test_what_a_looked_at_run_lacks_is_asked_of_the_saes_run(made):
    with pytest.raises(PipelineError, match=r"has no .*links.parquet: it holds proteins that were"):
        made.links()
    with pytest.raises(PipelineError, match=r"the scores in its views are of run home; ask that"):
        describe_scores(made.folder, "sae", "strict", False)


def test_what_is_left_out_is_logged_and_kept(home, tmp_path, caplog):
    made = look({"a": OWN, "gap": "MK-V"}, tmp_path / "mine", home, device="cpu")
    found = looked(made)
    assert found is not None and found.about["left_out"] == {"gap in the sequence": 1}
    assert "gap in the sequence (gap:" in caplog.text


def test_a_damaged_record_is_named(made, tmp_path):
    shutil.copytree(made.folder, tmp_path / "mine")
    path: Path = tmp_path / "mine" / "looked" / "about.json"
    path.write_text(path.read_text().replace("home", "hone"), encoding="utf-8")
    with pytest.raises(PipelineError, match=re.escape("interplm-nb look PROTEINS --out")):
        looked(Run.open(tmp_path / "mine"))


def test_without_a_run_the_nearest_is_taken(home, tmp_path, monkeypatch):
    monkeypatch.setattr(Path, "home", lambda: tmp_path)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "runs").mkdir()
    shutil.copytree(home.folder, tmp_path / "runs" / "near")
    found = looked(look({"a": OWN}, "runs/mine", device="cpu"))
    assert found is not None and found.about["run"] == "near"
