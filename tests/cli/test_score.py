"""`interplm-nb score`: a run, several runs, an export, and SAEs on a run; errors are sentences.

Here, next to the tiny run, so that it is not made once more.
"""

import argparse
import shutil

import pytest

from interplm_nb.cli import main as cli
from interplm_nb.cli.score import add_score_command
from interplm_nb.concepts.exported import read_exported
from interplm_nb.concepts.intervals import COVERS
from interplm_nb.pipeline.errors import PipelineError
from interplm_nb.pipeline.run import Run
from interplm_nb.stages.concepts import concepts
from tests.pipeline.tiny import tiny_parameters


def said(*words) -> str:
    texts: list[str] = []
    parser = argparse.ArgumentParser()
    add_score_command(parser.add_subparsers(), cli._add, texts.append)
    options = parser.parse_args(["score", *map(str, words)])
    options.do(options)
    return "\n".join(texts)


def test_one_run_shows_its_tables(tiny_run):
    text = said(tiny_run.folder)
    assert all(
        source in text
        for source in ("sae", "neurons", "shuffled_sae", "random_sae", "It is not ESM-2")
    )
    text = said(tiny_run.folder, "--source", "neurons", "--convention", "published", "--tsv")
    assert text.splitlines()[0].startswith("concept\tcategory\t")


def test_two_runs_are_compared(tiny_run):
    text = said(tiny_run.folder, tiny_run.folder)
    assert "0 gained, 0 lost." in text and f"(+0.000; +0.000 to +0.000, {COVERS})" in text
    assert said(tiny_run.folder, tiny_run.folder, "--tsv").startswith(
        "first\tsecond\tconcept\tcategory\t"
    )


def test_an_export_says_how_many_pairs_it_holds(tiny_run, tmp_path):
    text = said(tiny_run.folder, "--export", tmp_path / "t.tsv", "--source", "neurons")
    table = read_exported(tmp_path / "t.tsv").table
    assert text == f"{tmp_path / 't.tsv'}: {table.height:,} pairs of feature and concept"
    with pytest.raises(PipelineError, match="one run; got 2"):
        said(tiny_run.folder, tiny_run.folder, "--export", tmp_path / "t.tsv")


def test_a_limit_that_no_concept_reaches_is_named(tiny_run, tmp_path):
    shutil.copytree(tiny_run.folder, tmp_path / "run")
    concepts(
        Run.open(tmp_path / "run"),
        tiny_parameters(tmp_path / "run")["concepts"].model_copy(update={"min_instances": 1234}),
    )
    why = (
        r"no concept of .*run has at least 1234 instances in validation and in test, "
        r"and at least 1 homology clusters in test, "
        r"so '\w+' has no strict scores: .*concepts.min_instances=N"
    )
    for words in (
        [],
        ["--source", "linear_probe"],
        ["--tsv"],
        ["--export", tmp_path / "t.tsv"],
        [tmp_path / "run"],
    ):
        with pytest.raises(PipelineError, match=why):
            said(tmp_path / "run", *words)


def test_saes_are_scored_on_a_run(tiny_run, tmp_path):
    shutil.copytree(tiny_run.folder, tmp_path / "run")
    run = Run.open(tmp_path / "run")
    words = (run.source("sae"), run.source("random_sae"), "--run", run.folder, "--device", "cpu")
    text = said(*words)
    assert (
        "sources/sae" in text
        and "sources/random_sae" in text
        and text.startswith("strict convention, ")
    )
    assert said(*words, "--tsv").startswith("sae\tof\tlayer\tconvention\t")


def test_an_sae_that_is_kept_is_said_to_be_a_source(tiny_run, tmp_path):
    shutil.copytree(tiny_run.folder, tmp_path / "run")
    run = Run.open(tmp_path / "run")
    words = (run.source("random_sae"), "--run", run.folder, "--device", "cpu")
    text = said(*words, "--keep-activations")
    (source,) = [name for name in run.with_activations() if name.startswith("sources-random_sae-")]
    assert f"sources/random_sae is source {source} of {run.folder}: Workbench(" in text
    assert f"interplm-nb look mine.fasta --run {run.folder} --source {source} --out" in text
    assert run.activations(source).n_features == run.sae("random_sae").d_sae


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["nowhere"], "nowhere is not a run"),
        (
            ["nowhere", "--layer", "4"],
            "--layer is about SAEs, and SAEs are scored on a run; add --run RUN",
        ),
        (["nowhere", "--input-scale", "1"], "--input-scale is about SAEs"),
        (["a.pt", "--run", "nowhere"], "nowhere is not a run"),
        (["a.pt", "--keep-activations"], "--keep-activations is about SAEs, .*; add --run RUN"),
        (["a.pt", "--published", "--run", "x"], "--published scores every .* and a.pt is one more"),
        (["--published"], "--published is about SAEs, and SAEs are scored on a run; add --run RUN"),
        ([], "nothing to score; give the folder of a run, or SAEs with --run RUN"),
    ],
)
def test_errors_say_what_to_do(tmp_path, monkeypatch, words, text):
    monkeypatch.chdir(tmp_path)
    with pytest.raises((PipelineError, ValueError), match=text):
        said(*words)
    assert list(tmp_path.iterdir()) == []
