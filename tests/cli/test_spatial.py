"""`interplm-nb spatial` and `data structure-labels`: what they show and write, what they refuse."""

from pathlib import Path

import polars as pl
import pytest

from interplm_nb.cli import main as cli
from interplm_nb.pipeline.run import Run
from tests.readers.made_structures import pdb_lines, residues


def ask(capsys: pytest.CaptureFixture[str], *words: object) -> tuple[int, str, str]:
    code = cli.main([*map(str, words)])
    said = capsys.readouterr()
    return code, said.out, said.err


@pytest.fixture(scope="module")
def models(tiny_run: Run, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A stretched backbone of every protein of the tiny run."""
    folder = Path(tmp_path_factory.mktemp("models"))
    proteins = tiny_run.proteins()
    for accession, sequence in zip(proteins.accessions, proteins.sequences, strict=True):
        if set(sequence) <= set("ACDEFGHIKLMNPQRSTVWY"):
            lines = [*pdb_lines(residues(sequence)), "END", ""]
            (folder / f"{accession}.pdb").write_text("\n".join(lines))
    return folder


def test_features_are_tested_beside_the_controls(
    tiny_run: Run, models: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "t.tsv"
    code, said, _ = ask(
        capsys,
        *("spatial", tiny_run.folder, "--structures", models, "--out", out),
        *("--min-proteins", 5, "--convention", "published"),
    )
    assert code == 0 and "complete structures; features are tested that fire in" in said
    assert f"written: {out}" in said and "random_sae" in said and "It is not ESM-2" in said
    table = pl.read_csv(out, separator="\t")
    n = tiny_run.activations().n_features
    assert set(table["source"]) == {"sae", "random_sae", "shuffled_sae"}
    assert table.filter(source="sae").height == 2 * n
    # Along a stretched chain, space is the sequence: the residue on either side.
    assert "the features most arranged in space (sae):" in said


def test_no_structures(tiny_run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    code, _, said = ask(capsys, "spatial", tiny_run.folder, "--structures", empty)
    assert code == 2 and "no structure of the 40 proteins" in said
    assert "fetch them: interplm-nb data structures" in said
    code, _, said = ask(capsys, "spatial", tiny_run.folder, "--structures", tmp_path / "gone")
    assert code == 2 and f"there is no folder or table {tmp_path / 'gone'}; give" in said


def test_labels_are_scored_on_test(
    tiny_run: Run, models: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "scores.tsv"
    code, said, _ = ask(
        capsys, "spatial", tiny_run.folder, "--structures", models, "--labels", "--out", out
    )
    assert code == 0 and "chosen on train and validation, figures from test" in said
    table = pl.read_csv(out, separator="\t")
    coil = table.filter(concept="Secondary structure_Coil", source="sae").row(0, named=True)
    assert coil["f1_of_everything"] == 1  # every residue of a stretched chain


def test_labels_are_written_for_a_run(
    tiny_run: Run, models: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from interplm_nb.readers.label_files import read_labels

    out = tmp_path / "labels.tsv"
    code, said, _ = ask(
        capsys, "data", "structure-labels", tiny_run.folder, "--structures", models, "--out", out
    )
    assert code == 0 and "-p proteins.labels=" in said
    annotations, report = read_labels(out, tiny_run.proteins())
    assert "Secondary structure_Coil" in annotations.concepts and not report.counts()


@pytest.mark.slow
def test_contacts_of_a_small_model_beside_its_sae(
    tiny_run: Run, models: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    proteins = tiny_run.proteins()
    there = [a for a in proteins.accessions if (models / f"{a}.pdb").is_file()]
    shortest = min(there, key=lambda a: len(proteins.sequence(a)))
    out = tmp_path / "contacts.tsv"
    code, said, _ = ask(
        capsys,
        *("contacts", tiny_run.folder, "--structures", models, "--protein", shortest),
        *("--feature", 3, "--device", "cpu", "--out", out),
    )
    assert code == 0 and "It is not ESM-2" in said and f"written: {out}" in said
    assert "has no contacts from attention: it came without a head that reads them" in said
    table = pl.read_csv(out, separator="\t")
    assert table["layer"].to_list() == ["as it is", "reconstructed", "without feature 3"]
    assert set(table["by_chance"]) == {0.0}  # a stretched chain has no contact far away


def test_contacts_refuse_a_next_residue_model_and_a_protein_without_structure(
    tiny_run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, _, said = ask(capsys, "contacts", Run.shipped().folder)
    assert code == 2 and "unirep-1900 predicts the next residue from those before it" in said
    code, _, said = ask(capsys, "contacts", tiny_run.folder, "--structures", tmp_path)
    assert code == 2 and "has a structure that can be used; fetch them" in said
