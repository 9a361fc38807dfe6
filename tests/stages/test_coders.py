"""A crosscoder and a transcoder through the stages, from embeddings to scored concepts."""

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from interplm_nb.pipeline import manifest
from interplm_nb.pipeline.encoder import Encoder
from interplm_nb.pipeline.errors import PipelineError
from interplm_nb.pipeline.nearest_run import RunToRead
from interplm_nb.pipeline.parameters import EmbedParameters, StageParameters, TrainParameters
from interplm_nb.pipeline.run import Run
from interplm_nb.pipeline.stage_table import STAGES
from interplm_nb.saving import remove
from interplm_nb.stages.train import TrainStage, train
from tests.pipeline.tiny import tiny_parameters

AFTER = ("train", "activations", "concepts")
LAYERS = [1, 2]


def call(run: Run, params: StageParameters) -> None:
    STAGES[params.stage].call(run, params)
    manifest.write(run, params, manifest.key(run, params), {"device": "cpu"})
    remove(run.work(params.stage))


@pytest.fixture(scope="module")
def begun(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """The tiny run after stage `proteins`."""
    folder = Path(tmp_path_factory.mktemp("coders")) / "begun"
    run = Run.create(folder, "tiny")
    call(run, tiny_parameters(folder)["proteins"])
    return run


def made(begun: Run, folder: Path, embed: EmbedParameters, **changes: object) -> Run:
    shutil.copytree(begun.folder, folder)
    run, params = Run.open(folder), tiny_parameters(folder)
    call(run, embed)
    for stage in AFTER:
        own = params[stage]
        call(run, own.model_copy(update=changes) if stage == "train" else own)
    return run


def read(run: Run) -> TrainStage:
    return train(RunToRead.open(run.folder), tiny_parameters(run.folder)["train"])


@pytest.fixture(scope="module")
def crosscoder(begun: Run, tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder = Path(tmp_path_factory.mktemp("crosscoder")) / "run"
    embed = EmbedParameters(plm="esm2-mini", joined=LAYERS, run=str(folder), device="cpu")
    return made(begun, folder, embed)


@pytest.fixture(scope="module")
def transcoder(begun: Run, tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder = Path(tmp_path_factory.mktemp("transcoder")) / "run"
    embed = EmbedParameters(plm="esm2-mini", layer=2, run=str(folder), device="cpu")
    return made(begun, folder, embed, target=3)


@pytest.mark.slow
def test_joined_layers_are_scaled_by_their_variance_on_train(crosscoder):
    embeddings = crosscoder.embeddings()
    assert embeddings.joined.layers == tuple(LAYERS) and embeddings.d_in == 2 * 192
    assert crosscoder.layers() == [], "no layer is embedded by itself"
    assert (crosscoder.folder / "embeddings/joined_01+02/about.json").is_file()
    rows = crosscoder.proteins().rows_of(crosscoder.accessions("train"))
    for part in embeddings.joined.parts(embeddings[rows]).values():
        # exact on the sample of 20,000 residues; here that is nearly all of train
        assert part.astype(np.float64).var(axis=0).sum() == pytest.approx(1, rel=0.1)
    shuffled = crosscoder.embeddings(shuffled=True)
    assert shuffled.joined.layers == embeddings.joined.layers
    assert shuffled.joined.scales != embeddings.joined.scales, "the control has its own"


@pytest.mark.slow
def test_a_crosscoder_goes_through_every_stage_with_its_controls(crosscoder):
    result = read(crosscoder)
    sources = ["sae", "shuffled_sae", "random_sae"]
    assert result.quality["source"].to_list()[:3] == sources
    layers = result.layers.filter(source="sae")
    assert layers["layer"].to_list() == LAYERS
    overall = result.quality.filter(source="sae").row(0, named=True)
    assert layers["fvu"].min() <= overall["fvu"] <= layers["fvu"].max()
    assert set(result.layers["source"]) >= set(sources)
    assert result.norms["feature"].n_unique() == 64
    assert result.fidelity.is_empty() and "a crosscoder has none of one layer" in result.why_absent
    table = crosscoder.table("concepts", "comparison")
    assert {"sae", "random_sae", "neurons", "pca"} <= set(table["source"])
    assert crosscoder.links().table.height > 0


@pytest.mark.slow
def test_new_sequences_are_encoded_as_the_run_encoded_them(crosscoder, transcoder):
    for run in (crosscoder, transcoder):
        some = run.proteins().accessions[:3]
        found = Encoder(run, device="cpu").activations(run.proteins().select(some))
        stored = run.activations().relative_to(run.maxima().train)
        for accession in some:
            np.testing.assert_allclose(
                found.of(accession).toarray(), stored.of(accession).toarray(), rtol=1e-3, atol=1e-4
            )


@pytest.mark.slow
def test_a_transcoder_goes_through_every_stage_with_its_controls(transcoder):
    result = read(transcoder)
    about, sae = transcoder.about("sae"), transcoder.sae()
    assert (about["layer"], about["target"]) == (2, 3)
    assert sae.about.target == 3 and sae.transcodes
    assert transcoder.sae("shuffled_sae").transcodes
    assert not transcoder.sae("random_sae").transcodes, "a control of what it reads"
    assert result.layers.is_empty() and result.norms.is_empty()
    assert "a transcoder has none of one layer" in result.why_absent
    assert transcoder.layers() == [2], "the target is read in training alone"
    assert not transcoder.work("train").exists()
    assert transcoder.links().table.height > 0
    assert about["quality"]["fvu"] < 1


@pytest.mark.slow
@pytest.mark.parametrize(
    ("target", "message"),
    [
        (2, r"train.target = 2 is a layer that the SAE reads \(2\)"),
        (9, "train.target = 9: esm2-mini has no layer 9"),
    ],
)
def test_a_target_that_makes_no_sense_is_refused(transcoder, tmp_path, target, message):
    folder = tmp_path / "run"
    shutil.copytree(transcoder.folder, folder)
    params = tiny_parameters(folder)["train"].model_copy(update={"target": target})
    with pytest.raises(PipelineError, match=message):
        train(Run.open(folder), params)


def test_a_target_needs_a_model(begun, tmp_path):
    folder = tmp_path / "run"
    shutil.copytree(begun.folder, folder)
    run, proteins = Run.open(folder), begun.proteins()
    rng = np.random.default_rng(0)
    arrays = {
        a: rng.normal(size=(n, 8)).astype(np.float32)
        for a, n in zip(proteins.accessions, proteins.lengths.tolist(), strict=True)
    }
    np.savez(tmp_path / "own.npz", **arrays)
    place: dict[str, Any] = {"run": str(folder), "device": "cpu"}
    call(run, EmbedParameters(arrays=str(tmp_path / "own.npz"), layer=1, **place))
    params = TrainParameters(d_sae=16, steps=2, k=2, batch_size=256, target=2, **place)
    with pytest.raises(PipelineError, match="these embeddings came from arrays"):
        train(run, params)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"joined": [3]}, r"joined \[3\] must be two or more different layers"),
        ({"joined": [3, 2]}, r"joined \[3, 2\] must be two or more .* in ascending order"),
        ({"joined": [1, 2], "layer": 1}, "so layer 1 does not fit; leave layer at -1"),
        ({"joined": [1, 2], "arrays": "x.npz"}, "leave one of the two empty"),
    ],
)
def test_layers_that_cannot_be_joined_are_refused(values, message):
    with pytest.raises(PipelineError, match=message):
        EmbedParameters.checked(values, "here")
