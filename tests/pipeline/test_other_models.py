"""Whole runs on what is not ESM-2: a recurrent model, and embeddings without a model."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch

from interplm_nb.figures.tables import fidelity as fidelity_table
from interplm_nb.pipeline.errors import PipelineError
from interplm_nb.pipeline.parameters import EmbedParameters, ProteinsParameters
from interplm_nb.pipeline.run import Run
from interplm_nb.pipeline.scored_sources import SOURCES
from interplm_nb.pipeline.stage_table import STAGES
from interplm_nb.plm.unirep_weights import shapes
from interplm_nb.readers.report import InputError
from tests.pipeline.tiny import tiny_parameters


def staged(folder: Path, **embed: object) -> Run:
    """The tiny run by its stage functions, with other settings of stage `embed`."""
    run = Run.create(folder, "tiny")
    parameters = tiny_parameters(folder)
    parameters["embed"] = parameters["embed"].model_copy(update=embed)
    for stage, params in parameters.items():
        STAGES[stage].call(run, params)
    return run


def write_unirep(path: Path, units: int = 24, n_layers: int = 2) -> Path:
    generator = np.random.default_rng(0)
    arrays = {
        name: generator.normal(0, 0.6, shape).astype(np.float32)
        for name, shape in shapes(units, n_layers).items()
    }
    np.savez(path, **arrays)
    return path


@pytest.fixture(scope="module")
def recurrent(tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder = tmp_path_factory.mktemp("recurrent")
    return staged(folder / "run", plm=str(write_unirep(folder / "own.npz")), stored="bfloat16")


def test_a_recurrent_model_goes_all_the_way(recurrent: Run) -> None:
    model = recurrent.model()
    assert model is not None and model.record is not None
    assert (model.record.name, model.record.widths) == ("own", (10, 24, 24))
    assert recurrent.embeddings(1).stored == "bfloat16"
    assert recurrent.about("shuffled_sae")["plm"] == "own-shuffled-42"
    measured = recurrent.table("train", "fidelity")
    assert measured.filter(pl.col("source") == "sae")["measure"].to_list() == [
        "next residue, recurrence",  # layer 1 of 2: the headline goes through the recurrence
        "next residue, output",
    ]
    scored = recurrent.table("concepts", "comparison")
    assert scored.filter(pl.col("convention") == "strict").height == len(SOURCES)


def test_its_embeddings_are_the_models(recurrent: Run) -> None:
    proteins, plm = recurrent.proteins(), recurrent.plm("cpu")
    accession = proteins.accessions[3]
    tokens = plm.tokens([proteins.sequence(accession)])
    with torch.inference_mode():
        own = plm.forward(tokens, [1]).representations[1][0, 1:]
    stored = recurrent.embeddings(1)[proteins.rows(accession)]
    np.testing.assert_allclose(stored, own.numpy(), atol=1e-2)


@pytest.fixture(scope="module")
def own(tiny_run: Run, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """The tiny run's own embeddings, as arrays of a person who has no model here."""
    folder = tmp_path_factory.mktemp("own")
    proteins, embeddings = tiny_run.proteins(), tiny_run.embeddings()
    arrays = {a: embeddings[proteins.rows(a)] for a in proteins.accessions}
    np.savez(folder / "mine.npz", **arrays)
    return staged(folder / "run", arrays=str(folder / "mine.npz"))


@pytest.mark.slow
def test_arrays_give_what_the_model_gave(own: Run, tiny_run: Run) -> None:
    assert np.array_equal(own.embeddings()[:], tiny_run.embeddings()[:])
    own_scores, scores = (r.scores("sae", "test", "strict") for r in (own, tiny_run))
    np.testing.assert_array_equal(own_scores.tp, scores.tp)
    np.testing.assert_array_equal(own_scores.active, scores.active)


@pytest.mark.slow
def test_what_needs_a_model_is_absent_and_said(own: Run) -> None:
    assert "shuffled_sae" not in own.sources()
    assert "shuffled_sae" not in own.table("concepts", "comparison")["source"].to_list()
    assert own.table("train", "fidelity").is_empty()
    result = STAGES["train"].call(own, tiny_parameters(own.folder)["train"])
    assert repr(fidelity_table(result.fidelity, result.why_absent)) == (
        "fidelity is absent: the embeddings came from arrays, so there is no model whose "
        "predictions an SAE could keep"
    )
    with pytest.raises(PipelineError, match=r"came from arrays .mine., so it has no model"):
        own.plm()


def test_a_protein_that_the_arrays_lack_is_named_and_nothing_is_written(
    own: Run, tmp_path: Path
) -> None:
    proteins = own.proteins()
    lacking = proteins.accessions[5]
    arrays = {a: own.embeddings()[proteins.rows(a)] for a in proteins.accessions if a != lacking}
    np.savez(tmp_path / "few.npz", **arrays)
    with pytest.raises(InputError, match=lacking):
        staged(tmp_path / "run", arrays=str(tmp_path / "few.npz"))
    assert not (tmp_path / "run" / "embeddings" / "layer_01").exists()


def test_long_proteins_are_read_in_windows(tiny_run: Run, tmp_path: Path) -> None:
    letters = np.random.default_rng(0).choice(list("ACDEFGHIKLMNPQRSTVWY"), (12, 1100))
    text = "".join(f">P{i}\n{''.join(row[: 1100 - 9 * i])}\n" for i, row in enumerate(letters))
    (tmp_path / "long.fasta").write_text(text)
    run = Run.create(tmp_path / "run", "x")
    place = {"run": str(run.folder), "device": "cpu"}
    params = ProteinsParameters(path=str(tmp_path / "long.fasta"), too_long="window", **place)
    model = tiny_run.model()
    assert model is not None
    run.note_model(model)
    kept = STAGES["proteins"].call(run, params).proteins
    assert kept.lengths.max() == 1100
    found = STAGES["embed"].call(run, EmbedParameters(plm="esm2-mini", layer=1, **place)).embeddings
    assert found.n_residues == kept.n_residues
    plm = run.plm("cpu")
    batch = next(iter(plm.embed(kept.select(["P0"]), [1], progress=False, long="window")))
    rows = kept.rows("P0").start + batch.rows
    np.testing.assert_allclose(found[rows], batch.layers[1].numpy(), atol=1e-5)
