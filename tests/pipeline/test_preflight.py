"""What cannot work is refused before a run's folder is made, or before its first stage."""

import gzip
import os
from pathlib import Path

import pytest

from interplm_nb.pipeline import runner
from interplm_nb.pipeline.errors import PipelineError
from interplm_nb.pipeline.model_choice import completed
from interplm_nb.pipeline.preflight import check_batches, check_device, check_files, check_fits
from interplm_nb.pipeline.profiles import load
from interplm_nb.pipeline.run_model import RunModel
from interplm_nb.plm.record import ModelRecord
from interplm_nb.proteins import Proteins
from interplm_nb.readers.label_files import ENDINGS, read_labels
from interplm_nb.readers.report import InputError

MODEL = RunModel("m", "m", ModelRecord("m", "1", (8,) * 5, 100, "ACD", "masked", True, False, ""))
FASTA = b">P1\nMKVLAA\n"


def fits(*settings, model=MODEL):
    stages = load("demo", ["embed.layer=2", *settings]).stages
    check_fits(model, {name: completed(params, model) for name, params in stages.items()})


@pytest.mark.parametrize(
    "settings",
    [
        [],
        ["train.recipe=gated", "train.l1=0.1"],
        ["train.recipe=gated", "train.d_sae=8"],  # k counts for nothing there
        ["train.k=256", "train.d_sae=256"],
        ["train.k=300", "activations.max_l0=300"],
        ["compare.layers=[0, 4]"],
        ["embed.joined=[1, 2]", "train.target=4"],
        ["train.target=0"],
        ['compare.recipes=["topk", "gated"]', "compare.l1s=[0.1]", "compare.sparsities=[8]"],
        ['compare.recipes=["gated"]', "compare.d_sae=8"],
    ],
)
def test_settings_that_go_together_are_accepted(settings):
    fits(*settings)


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        (["embed.layer=5"], r"^embed\.layer = 5: m has no layer 5; its layers are 0 .* to 4$"),
        (
            ["embed.layer=-1", "embed.joined=[1, 7]"],
            r"^embed\.joined = 7: m has no layer 7; its layers are 0",
        ),
        (["train.target=9"], r"^train\.target = 9: m has no layer 9; its layers are 0"),
        (
            ["embed.joined=[1, 2]", "train.target=1"],
            r"^train\.target = 1 is a layer that the SAE reads \(1, 2\); name another one",
        ),
        (["compare.layers=[1, 7]"], r"^compare\.layers = 7: m has no layer 7; its layers are 0"),
        (
            ["train.d_sae=16"],
            r"^train\.k = 32: an SAE of train\.d_sae = 16 features cannot have more of them "
            r"active; lower train\.k, or raise train\.d_sae$",
        ),
        (["train.recipe=jumprelu", "train.k=9", "train.d_sae=8"], r"^train\.k = 9: an SAE of"),
        (["train.recipe=matryoshka", "train.k=9", "train.d_sae=8"], r"^train\.k = 9: an SAE of"),
        (
            ["train.k=257"],
            r"^train\.k = 257: stage 'activations' refuses .* activations\.max_l0 = 256 active",
        ),
        (
            ["train.l1=0.1"],
            r"^train\.l1 = 0\.1: recipe topk has no L1 term, train\.k sets its sparsity; set "
            r"train\.l1 to 0, or take interplm-paper, interplm-v1 or gated$",
        ),
        (
            ["compare.l1s=[0.1]"],
            r"^compare\.l1s = \[0\.1\]: none of the recipes topk has an L1 term; leave it empty",
        ),
        (
            ['compare.recipes=["gated"]', "compare.sparsities=[8]"],
            r"^compare\.sparsities = \[8\]: the recipes gated are sparse by their L1 term; leave",
        ),
        (
            ["compare.sparsities=[8, 64]", "compare.d_sae=32"],
            r"^compare\.sparsities = 64: an SAE of compare\.d_sae = 32 features cannot",
        ),
        (
            ["compare.seeds=[0]", "compare.d_sae=16"],
            r"^compare\.sparsities = 32 \(the recipe's own\): an SAE of compare\.d_sae = 16",
        ),
    ],
)
def test_settings_that_contradict_one_another_are_refused(settings, text):
    with pytest.raises(PipelineError, match=text):
        fits(*settings)


def test_without_a_model_any_layer_is_right_and_nothing_can_be_compared():
    arrays = RunModel("arrays", "own", None)
    fits("embed.layer=77", model=arrays)
    with pytest.raises(PipelineError, match="stage 'compare' measures a model's predictions"):
        fits("compare.seeds=[0]", model=arrays)


def test_a_batch_is_at_most_all_residues_of_train():
    stages = load("demo", ["train.batch_size=50", "compare.batch_size=60"]).stages
    check_batches(60, stages)
    with pytest.raises(
        PipelineError,
        match=r"^compare\.batch_size = 60: the train proteins have 59 residues in all; take a",
    ):
        check_batches(59, stages)
    with pytest.raises(PipelineError, match=r"^train\.batch_size = 50: the train proteins have 49"):
        check_batches(49, stages)


@pytest.mark.parametrize("device", ["auto", "cpu"])
def test_a_device_that_is_always_there(device):
    check_device(device)


@pytest.mark.parametrize("device", ["gpu", "", "cuda:99", "meta", "CPU"])
def test_a_device_that_is_not_there_is_refused(device):
    with pytest.raises(PipelineError, match=rf"^--device {device}: "):
        check_device(device)


def of(tmp_path, field, name, content):
    (tmp_path / name).write_bytes(content)
    return load("demo", [f"proteins.{field}={tmp_path / name}"]).stages


@pytest.mark.parametrize(
    ("field", "name", "content"),
    [
        ("path", "a.txt", FASTA),
        ("path", "a.fasta.gz", gzip.compress(FASTA, mtime=0)),
        ("labels", "a.tsv", b"accession\tstart\tend\tconcept\n"),
        ("labels", "a.GFF3.gz", gzip.compress(b"##gff-version 3\n", mtime=0)),
    ],
)
def test_files_that_can_be_read_are_accepted(tmp_path, field, name, content):
    check_files(of(tmp_path, field, name, content))


@pytest.mark.parametrize(
    ("field", "name", "content", "text"),
    [
        ("path", "a.pdf", b"%PDF-1.7\n", "format not recognised from its first line, '%PDF-1.7'"),
        ("path", "a.fasta", b"", "format not recognised"),
        ("path", "a.gz", gzip.compress(FASTA, mtime=0)[:-9], "truncated or damaged"),
        ("labels", "a.xlsx", b"PK\3\4", "zip"),
        ("labels", "a.docx", b"text", "the name says no format of labels; wanted .tsv, .txt, .csv"),
        ("labels", "a.tsv", b" \n", "is empty; give a file of labels, or leave it out"),
    ],
)
def test_files_of_another_kind_are_refused(tmp_path, field, name, content, text):
    with pytest.raises(PipelineError) as refused:
        check_files(of(tmp_path, field, name, content))
    assert str(refused.value).startswith(f"proteins.{field}: {tmp_path / name}")
    assert text in str(refused.value)


@pytest.mark.parametrize("field", ["path", "labels"])
def test_what_is_no_file_is_refused(tmp_path, field):
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")  # to open it would wait for ever
    for name, text in [
        ("nowhere.tsv", "no such file"),
        ("folder", "is a folder; give a file"),
        ("pipe", "is no regular file; give a file"),
    ]:
        stages = load("demo", [f"proteins.{field}={tmp_path / name}"]).stages
        with pytest.raises(PipelineError, match=rf"^proteins\.{field}: .*{name}:? {text}"):
            check_files(stages)


def test_every_ending_of_labels_is_one_that_the_reader_knows(tmp_path):
    proteins = Proteins.from_sequences({"P1": "MKVLAA"})
    for ending in (*ENDINGS, ".odt"):
        path = tmp_path / f"labels{ending}"
        path.write_bytes(b"")
        try:
            read_labels(path, proteins)
        except InputError as error:
            assert ("the name ends in" in str(error)) == (ending not in ENDINGS)


@pytest.mark.parametrize(
    "asked", [{"device": "gpu"}, {"settings": ["proteins.path=nowhere.fasta"]}, {"force": "what"}]
)
def test_a_run_that_is_refused_leaves_no_folder(tmp_path, asked):
    with pytest.raises(PipelineError):
        runner.run(runner.Request("demo", tmp_path / "run", **asked), print)
    assert not (tmp_path / "run").exists()


def test_what_stage_1_read_is_not_asked_for_again(tmp_path):
    settings = ["proteins.path=moved.fasta"]
    profile = runner.asked(runner.Request("demo", tmp_path, settings, first="embed"))
    assert profile.stages["proteins"].paths() == {"path": Path("moved.fasta")}
