"""Features followed from run to run: on common proteins alone, against dense activations."""

import shutil
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from interplm_nb.activations import FeatureActivations
from interplm_nb.cli import main as cli
from interplm_nb.features.fates import FATES, STEPS, across_layers
from interplm_nb.pipeline.errors import PipelineError
from interplm_nb.pipeline.run import Run
from interplm_nb.proteins import Proteins
from interplm_nb.questions.follow import follow_runs


class Elsewhere(Run):
    """A run on a protein that no other run has."""

    def proteins(self) -> Proteins:
        return Proteins.from_sequences({"Q1": "MKVLAGST"})


def test_two_models_are_compared_on_the_proteins_that_both_runs_have(tiny_run: Run) -> None:
    runs = Run.shipped(), tiny_run
    one, other = (
        dict(zip(r.proteins().accessions, r.proteins().sequences, strict=True)) for r in runs
    )
    common = Proteins.from_sequences({a: s for a, s in one.items() if other.get(a) == s})
    assert 0 < len(common) < len(tiny_run.proteins())
    made = {}
    for source in ("sae", "random_sae"):
        made[source] = {
            i: FeatureActivations.from_dense(
                np.vstack([run.activations(source).of(a).toarray() for a in common.accessions]),
                common,
            )
            for i, run in enumerate(runs)
        }
    expected = across_layers(made["sae"], made["random_sae"])
    found = follow_runs(*runs)
    assert found.features.columns == ["run", *list(FATES)[1:]]
    assert found.steps.columns == ["run", "next_run", *list(STEPS)[2:]]
    names = [run.folder.name for run in runs]
    assert found.steps["run"].unique().to_list() == names[:1]
    assert found.features.drop("run").equals(expected.features.drop("layer"))
    assert found.steps.drop("run", "next_run").equals(expected.steps.drop("layer", "next_layer"))
    for text in (f"{len(common)} proteins are in all 2 runs", "unirep-1900", "esm2-mini, layer 1"):
        assert text in found.words


def test_a_run_beside_itself_keeps_what_is_unlike_all_else(tiny_run: Run, tmp_path: Path) -> None:
    folder = tmp_path / tiny_run.folder.name
    shutil.copytree(tiny_run.folder, folder)
    found = follow_runs(tiny_run, Run.open(folder))
    assert found.features["run"].unique(maintain_order=True).to_list() == [
        str(tiny_run.folder),
        str(folder),
    ], "two folders of one name are distinguished"
    own = found.steps.filter(next="SAE").row(0, named=True)
    assert own["lost"] == own["born"] == 0 and own["similarity"] == pytest.approx(1)
    assert found.steps["next"].to_list() == ["SAE", "random SAE", "shifted"]


def test_one_run_and_runs_without_a_common_protein_are_refused(tiny_run: Run) -> None:
    with pytest.raises(PipelineError, match="give two runs or more, not 1"):
        follow_runs(tiny_run)
    with pytest.raises(PipelineError, match=r"have no common protein .*run them on the same file"):
        follow_runs(tiny_run, Elsewhere(tiny_run.folder))


def test_the_command_prints_the_steps_and_writes_every_fate(
    tiny_run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "fates.tsv"
    runs = [str(Run.shipped().folder), str(tiny_run.folder)]
    assert cli.main(["follow", *runs, "--out", str(out)]) == 0
    said = capsys.readouterr().out
    assert "random SAE" in said and f"written: {out}" in said
    written = pl.read_csv(out, separator="\t")
    assert set(written["run"]) == {Path(run).name for run in runs}
    assert set(written["fate"].drop_nulls()) <= {"kept", "split", "merged", "lost"}
    assert cli.main(["follow", runs[0]]) == 2
    assert "give two runs or more, not 1" in capsys.readouterr().err
