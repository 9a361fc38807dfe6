"""Keys and manifests: what is skipped, what is resumed, what is thrown away."""

from dataclasses import replace

import pytest

from interplm_nb.pipeline import manifest
from interplm_nb.pipeline.errors import PipelineError
from interplm_nb.pipeline.parameters import EmbedParameters, ProteinsParameters
from interplm_nb.pipeline.run import Run
from interplm_nb.pipeline.run_model import RunModel
from interplm_nb.plm.record import ModelRecord
from tests.pipeline.fakes import work_like


@pytest.fixture
def run(tmp_path):
    run = Run.create(tmp_path / "run", "demo")
    work_like("proteins", run, "first")
    return run


def end(run, params):
    manifest.write(run, params, manifest.key(run, params), {"seconds": 0.0})


def current(run, params):
    return manifest.is_current(run, params, manifest.key(run, params))


def test_an_ended_stage_is_current_until_its_parameters_its_inputs_or_its_outputs_change(run):
    params = EmbedParameters(layer=2)
    assert not current(run, params)
    work_like("embed", run, "vectors")
    end(run, params)
    assert current(run, params)
    assert current(run, EmbedParameters(layer=2, device="cuda", run="elsewhere"))
    assert not current(run, EmbedParameters(layer=3))
    work_like("proteins", run, "second")
    assert not current(run, params)
    work_like("proteins", run, "first")
    assert current(run, params)
    work_like("embed", run, "veCtors")
    assert not current(run, params)
    (run.folder / "embeddings/layer_02/part.bin").unlink()
    assert not current(run, params)


def test_a_manifest_says_what_went_in_and_out(run):
    params = EmbedParameters(layer=2)
    record = ModelRecord("m", "sha256:1", (8, 8, 8), 1022, "ACD", "masked", True, False, "MIT")
    run.note_model(RunModel("m", "m", record))
    work_like("embed", run, "vectors")
    end(run, params)
    assert current(run, params)
    run.note_model(RunModel("m", "m", replace(record, revision="sha256:2")))
    assert not current(run, params)
    run.note_model(RunModel("m", "m", record))
    about = run.manifest("embed")
    assert about["params"]["layer"] == 2
    assert about["inputs"]["model"] == "sha256:1"  # a model is known by its revision
    assert set(about["inputs"]) == {"proteins", "model"}
    assert list(about["outputs"]) == ["embeddings/layer_02/part.bin"]
    assert about["outputs"]["embeddings/layer_02/part.bin"]["bytes"] == 7
    assert {"python", "torch", "numpy", "polars", "interplm-nb"} <= set(about["versions"])
    with pytest.raises(PipelineError, match=r"no 03_train/manifest\.json: run stage 'train' first"):
        run.manifest("train")


def test_a_stage_needs_what_it_reads(tmp_path):
    with pytest.raises(PipelineError, match="has no results of stage 'proteins'; run it first"):
        manifest.key(Run.create(tmp_path / "new", "demo"), EmbedParameters())


def test_a_file_counts_by_its_content_not_its_name(run, tmp_path):
    (tmp_path / "a.fasta").write_text(">a\nACD\n")
    (tmp_path / "b.fasta").write_text(">a\nACD\n")
    (tmp_path / "c.fasta").write_text(">a\nACE\n")
    a, b, c = (
        manifest.key(run, ProteinsParameters(path=str(tmp_path / f"{n}.fasta"))).hash for n in "abc"
    )
    assert a == b != c
    with pytest.raises(PipelineError, match=r"proteins\.path: no file .*none\.fasta"):
        manifest.key(run, ProteinsParameters(path=str(tmp_path / "none.fasta")))
    with pytest.raises(PipelineError, match=r"is a folder; give a file"):
        manifest.key(run, ProteinsParameters(path=str(tmp_path)))


def test_beginning_keeps_what_the_same_key_left_and_removes_what_another_left(run):
    manifest.begin(run, EmbedParameters(layer=2))
    work_like("embed", run, "half")
    manifest.begin(run, EmbedParameters(layer=2))
    assert [f.read_text() for f in run.outputs("embed")] == ["half"]
    manifest.begin(run, EmbedParameters(layer=3))
    assert run.outputs("embed") == []


def test_beginning_keeps_a_result_that_is_current(run):
    work_like("embed", run, "vectors")
    end(run, EmbedParameters(layer=2))
    manifest.begin(run, EmbedParameters(layer=2))
    assert current(run, EmbedParameters(layer=2))
