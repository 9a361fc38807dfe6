import dataclasses
import math

import numpy as np
import polars as pl
import pytest

from interplm_nb.concepts.links import ConceptLinks
from interplm_nb.pipeline.errors import PipelineError
from interplm_nb.pipeline.run import ANY_LENGTH, Run
from interplm_nb.pipeline.run_model import RunModel
from interplm_nb.proteins import Proteins
from interplm_nb.questions.annotate import (
    FIRES,
    FOUND,
    HIDDEN,
    NAMED,
    Annotator,
    annotate,
    read_sequences,
)
from interplm_nb.questions.annotate_formats import to_gff3
from interplm_nb.readers.report import InputError
from interplm_nb.saving import read_json, write_json
from tests.pipeline.asked import with_links


@pytest.fixture(scope="module")
def run(tiny_run, tmp_path_factory) -> Run:
    return with_links(tiny_run, tmp_path_factory.mktemp("asked") / "run")


@pytest.fixture(scope="module")
def annotator(run) -> Annotator:
    return Annotator(run, device="cpu")


@pytest.fixture(scope="module")
def proteins(run) -> Proteins:
    chosen = run.proteins()
    return Proteins(chosen.table[:7])


def plain_names(annotator: Annotator, proteins: Proteins, least: float) -> list[tuple]:
    """Every name, found residue by residue; columns as `NAMED`, up to mean_confidence."""
    found, rows = annotator.activations(proteins), []
    for link in annotator.links.table.filter(pl.col("n_instances") > 0).iter_rows(named=True):
        for accession in proteins.accessions:
            values = [*found.along(accession, link["feature"]), 0.0]
            inside = []
            for position, value in enumerate(values, 1):
                if value > np.float32(link["threshold"]):
                    inside.append((position, value))
                elif inside:
                    confidences = [
                        float(annotator.links.confidence(link["concept"], link["feature"], v))
                        for _, v in inside
                    ]
                    top = max(inside, key=lambda place: place[1])
                    if max(confidences) >= least:
                        where = (
                            inside[0][0],
                            inside[-1][0],
                            top[0],
                            float(top[1]),
                            max(confidences),
                            float(np.mean(confidences)),
                        )
                        rows.append((accession, link["concept"], link["feature"], *where))
                    inside = []
    return sorted(rows)


def test_activations_are_those_of_the_run(annotator, proteins, run):
    found, stored = annotator.activations(proteins), run.scored("sae", "strict")
    assert found.unit == "max" and found.n_features == stored.n_features
    for accession in proteins.accessions:
        np.testing.assert_allclose(
            found.of(accession).toarray(), stored.of(accession).toarray(), atol=1e-4
        )


@pytest.mark.parametrize("least", [0.0, 0.3])
def test_names_are_those_of_a_walk_over_all_pairs_and_residues(annotator, proteins, least):
    named = annotator(proteins, least).concepts
    columns = [
        "accession",
        "concept",
        "feature",
        "start",
        "end",
        "position",
        "maximum",
        "confidence",
        "mean_confidence",
    ]
    wanted = plain_names(annotator, proteins, least)
    assert wanted, "the tiny run names something"
    found = sorted(named.select(columns).rows())
    assert [row[:6] for row in found] == [row[:6] for row in wanted]
    np.testing.assert_allclose([row[6:] for row in found], [row[6:] for row in wanted], rtol=1e-5)


def test_beside_each_name_stands_its_pairs_control(annotator, proteins):
    named = annotator(proteins, 0).concepts
    assert dict(named.schema) == NAMED
    control = [
        "category",
        "threshold",
        "precision",
        "recall_per_domain",
        "f1",
        "f1_per_domain",
        "n_instances",
    ]
    joined = named.join(
        annotator.links.table, on=["concept", "feature"], suffix="_link", how="left"
    )
    for column in control:
        assert joined[column].equals(joined[f"{column}_link"], check_names=False)
    for _, own in named.group_by("accession", maintain_order=True):
        assert own["confidence"].is_sorted(descending=True)
    assert named["accession"].unique(maintain_order=True).to_list() == [
        a for a in proteins.accessions if a in set(named["accession"])
    ]


def test_a_pair_without_a_control_on_test_names_nothing_and_a_q_value_is_shown(
    annotator, proteins, monkeypatch
):
    table = annotator.links.table
    silent = table["concept"][0]
    changed = table.with_columns(
        pl.when(pl.col("concept") == silent)
        .then(0)
        .otherwise(pl.col("n_instances"))
        .alias("n_instances"),
        pl.lit(0.04).alias("q_value"),
    )
    assert silent in set(annotator(proteins, 0).concepts["concept"])
    monkeypatch.setattr(annotator, "links", ConceptLinks(changed, annotator.links.knots))
    named = annotator(proteins, 0).concepts
    assert silent not in set(named["concept"])
    assert named.columns == [*NAMED, "q_value"] and set(named["q_value"]) == {0.04}
    assert annotator(proteins, 0.0, max_q=0.03).concepts.is_empty(), (
        "what chance explains names nothing"
    )


def test_features_that_fire_with_their_stretches(annotator, proteins):
    found = annotator(proteins, 0.3)
    least = dict(
        annotator.links.table.group_by("feature").agg(pl.col("threshold").min()).iter_rows()
    )
    assert dict(found.features.schema) == FOUND
    rows = {(row["accession"], row["feature"]): row for row in found.features.iter_rows(named=True)}
    names = set(found.concepts.select("accession", "feature").iter_rows())
    wanted = set()
    for accession in proteins.accessions:
        values = found.activations.of(accession).toarray()
        for feature in range(found.activations.n_features):
            on = values[:, feature] > np.float32(least.get(feature, FIRES))
            if on.any():
                wanted.add((accession, feature))
                row = rows[accession, feature]
                assert (
                    row["n_residues"] == on.sum()
                    and row["position"] == values[:, feature].argmax() + 1
                )
                assert row["maximum"] == values[:, feature].max()
                assert [p for s in row["spans"] for p in range(s["start"], s["end"] + 1)] == (
                    np.flatnonzero(on) + 1
                ).tolist()
                assert row["named"] == ((accession, feature) in names)
    assert set(rows) == wanted
    for _, own in found.features.group_by("accession"):
        assert own["maximum"].is_sorted(descending=True)


def test_top_cuts_each_sequence(annotator, proteins):
    found = annotator(proteins, 0)
    named, others = found.top(2)
    assert named.group_by("accession").len()["len"].max() == 2
    assert named.equals(found.concepts.filter(pl.int_range(pl.len()).over("accession") < 2))
    assert not others["named"].any() and others.group_by("accession").len()["len"].max() <= 2


def test_concepts_asked_for_alone(annotator, proteins, run):
    concept = annotator.links.table["concept"][-1]
    every = annotator(proteins, 0).concepts
    assert annotator(proteins, 0, [concept]).concepts.equals(
        every.filter(pl.col("concept") == concept)
    )
    assert annotate(run, proteins, 0, [concept]).concepts.equals(
        every.filter(pl.col("concept") == concept)
    )
    with pytest.raises(
        PipelineError,
        match=f"no feature of this run is linked to the concept '{concept}x'; "
        f"did you mean .*{concept}",
    ):
        annotator(proteins, 0, [f"{concept}x"])


def test_a_sequence_in_words_or_in_a_file_is_the_same_question(annotator, proteins, tmp_path):
    text = proteins.sequences[0]
    (tmp_path / "a.fasta").write_text(f">query\n{text}\n")
    first = annotator(text, 0)
    assert first.proteins.accessions == ["query"]
    for other in (
        annotator({"query": f" {text[:9].lower()}\n{text[9:]}*"}, 0),
        annotator(tmp_path / "a.fasta", 0),
    ):
        assert other.concepts.equals(first.concepts) and other.features.equals(first.features)


def test_a_confidence_that_nothing_reaches_names_nothing(annotator, proteins, monkeypatch):
    monkeypatch.setattr(
        annotator, "links", ConceptLinks(annotator.links.table, annotator.links.knots.clear())
    )
    found = annotator(proteins, 0.5)
    assert found.concepts.is_empty() and not found.features["named"].any()
    assert "0 named stretches; 7 without a named concept with confidence >= 0.5" in repr(found)


@pytest.mark.parametrize(
    ("columns", "asked", "limit"),
    [
        ({}, {"min_confidence": 1}, "min_confidence 1"),
        ({"q_value": 0.5}, {"min_confidence": 0}, "max_q 0.05"),
        ({"n_instances": 0}, {"min_confidence": 0}, "its concept, which test lacks"),
    ],
)
def test_of_a_sequence_without_a_name_the_best_that_a_limit_hid_is_said(
    annotator, proteins, monkeypatch, columns, asked, limit
):
    table = annotator.links.table.filter(pl.col("n_instances") > 0)
    every = annotator(proteins, 0, max_q=1).concepts
    changed = table.with_columns(pl.lit(v).alias(name) for name, v in columns.items())
    monkeypatch.setattr(annotator, "links", ConceptLinks(changed, annotator.links.knots))
    found = annotator(proteins, **asked)
    assert dict(found.hidden.schema) == HIDDEN and found.hidden.height
    without = set(proteins.accessions) - set(found.concepts["accession"])
    assert set(found.hidden["accession"]) == without & set(every["accession"])
    for row in found.hidden.iter_rows(named=True):
        best = every.filter(pl.col("accession") == row["accession"])["confidence"].max()
        assert row["confidence"] == best and row["limit"].startswith(limit)
    best = math.floor(100 * found.hidden["confidence"].max() + 1e-9) / 100
    assert f"confidence {best:.2f}, hidden by {limit}" in found.best_hidden
    assert found.best_hidden in repr(found)
    assert f"hidden by {limit}" in to_gff3(found)


def test_what_cannot_be_annotated_is_left_out_and_said():
    proteins, report = read_sequences(
        {"good": "ACDE", "long": "A" * 1023, "bad": "AC1", "empty": " "}, 1022
    )
    assert proteins.accessions == ["good"] and report.kept == 1
    assert report.counts() == {
        "over 1,022 residues": 1,
        "digit in the sequence": 1,
        "no sequence": 1,
    }
    with pytest.raises(
        InputError, match="long: over 1,022 residues: 1,023 residues; cut it into domains"
    ):
        read_sequences({"long": "A" * 1023}, 1022, strict=True)
    with pytest.raises(
        InputError,
        match=r"(?s)no sequence can be used; each needs 1 to 1,022 residues"
        r".*digit in the sequence",
    ):
        read_sequences("AC1", 1022)


def test_nucleotides_are_refused_however_they_come(tmp_path):
    gene = "ATGACCGTTAAAGGCCATTGAACGATGACC"
    (tmp_path / "genes.fasta").write_text(f">gene\n{gene}\n")
    genes = Proteins.from_sequences({"gene": gene})
    for asked in (gene, {"gene": gene.lower()}, tmp_path / "genes.fasta", genes):
        with pytest.raises(InputError, match=r"nucleotides, not residues .*translate them first"):
            read_sequences(asked, 1022)
    both = {"gene": gene, "mine": "MKTAYIAKQR"}
    for asked in (both, Proteins.from_sequences(both)):
        proteins, report = read_sequences(asked, 1022)
        assert proteins.accessions == ["mine"]
        assert report.counts() == {"nucleotides, not residues": 1}


def test_the_longest_sequence_is_what_the_runs_model_reads(tiny_run, tmp_path):
    run = with_links(tiny_run, tmp_path / "run")
    model = run.model()
    assert model is not None and model.record is not None
    assert run.max_residues() == model.record.max_residues == 1022
    run.note_model(model._replace(record=dataclasses.replace(model.record, max_residues=50)))
    annotator = Annotator(run, device="cpu")
    found = annotator({"fits": "M" * 50, "long": "M" * 51}, 0)
    assert found.proteins.accessions == ["fits"]
    assert found.report.counts() == {"over 50 residues": 1}
    with pytest.raises(InputError, match="each needs 1 to 50 residues"):
        annotator("M" * 51)
    assert Run.create(tmp_path / "bare", "tiny").max_residues() == 1022, "nothing says otherwise"


def test_a_run_made_from_arrays_cannot_be_asked(tiny_run, tmp_path):
    run = with_links(tiny_run, tmp_path / "run")
    run.note_model(RunModel("arrays mine.npz", "mine", None))
    assert run.max_residues() == ANY_LENGTH
    with pytest.raises(
        PipelineError, match=r"came from arrays \(mine\), so it has no model to run"
    ):
        Annotator(run)


def test_all_proteins_go_to_the_model_in_one_call(annotator, proteins, monkeypatch):
    calls, embed = [], annotator.plm.embed

    def counted(asked, *rest, **settings):
        calls.append(len(asked))
        return embed(asked, *rest, **settings)

    monkeypatch.setattr(annotator.plm, "embed", counted)
    annotator(proteins, 0)
    assert calls == [len(proteins)]


def test_a_confidence_is_a_probability(annotator):
    with pytest.raises(PipelineError, match="min_confidence must be from 0 to 1; got 50"):
        annotator("ACDE", 50)
    with pytest.raises(PipelineError, match="max_q must be from 0 to 1; got nan"):
        annotator("ACDE", max_q=float("nan"))


def test_a_run_without_links_says_which_stage_makes_them(run, tmp_path):
    bare = Run.create(tmp_path / "bare", "tiny")
    with pytest.raises(
        PipelineError, match=r"has no sources/sae/links\.parquet: run stage 'concepts' first"
    ):
        Annotator(bare)


def test_an_sae_of_another_plm_is_refused_with_both_names(tiny_run, tmp_path):
    run = with_links(tiny_run, tmp_path / "run")
    config = run.source("sae") / "config.json"
    write_json({**read_json(config, "SAE", 3), "plm": "other-plm"}, config)
    with pytest.raises(
        PipelineError, match=r"was trained on other-plm \(sha256:.*, not on esm2-mini"
    ):
        Annotator(run)


def test_a_run_that_ships_without_embeddings_names_its_plm(tiny_run, tmp_path, proteins, annotator):
    run = with_links(tiny_run, tmp_path / "run")
    run.clear("embed")
    found = Annotator(run, device="cpu")
    assert found.plm.revision == annotator.plm.revision
    assert found(proteins, 0).concepts.equals(annotator(proteins, 0).concepts)
