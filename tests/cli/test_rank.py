"""`interplm-nb rank`: what it shows, writes and saves, and what it refuses."""

from pathlib import Path

import polars as pl
import pytest

from interplm_nb.cli import main as cli
from interplm_nb.concepts.by_protein import controls
from interplm_nb.concepts.by_protein.classifier import LabelClassifier
from interplm_nb.pipeline.errors import PipelineError
from interplm_nb.pipeline.run import Run
from interplm_nb.questions.rank import rank_run
from interplm_nb.readers.protein_labels import ProteinLabels, read_protein_labels


@pytest.fixture(autouse=True)
def no_search(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(controls, "nearest", lambda proteins, splits: {})


@pytest.fixture
def table(tiny_run: Run, tmp_path: Path) -> Path:
    """Classes by the share of leucine, which every split has both of, and a number."""
    proteins = tiny_run.proteins()
    share = [s.count("L") / len(s) for s in proteins.sequences]
    middle = sorted(share)[len(share) // 2]
    columns = {
        "accession": proteins.accessions,
        "label": ["rich" if s > middle else "none" for s in share],
        "leucine": share,
    }
    pl.DataFrame(columns).write_csv(tmp_path / "own.tsv", separator="\t")
    return tmp_path / "own.tsv"


def ask(capsys: pytest.CaptureFixture[str], *words: object) -> tuple[int, str, str]:
    code = cli.main(["rank", *map(str, words)])
    said = capsys.readouterr()
    return code, said.out, said.err


def test_classes_are_ranked_written_and_saved(
    tiny_run: Run, table: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out, saved = table.with_name("ranked.tsv"), table.with_name("classifier.json")
    code, said, _ = ask(capsys, tiny_run.folder, table, "--out", out, "--save", saved, "--top", 3)
    assert code == 0
    for text in ("own.tsv: 40 proteins kept", "test proteins in", "letters", "classifier, "):
        assert text in said
    assert f"written: {out}" in said and "It is not ESM-2" in said
    written = pl.read_csv(out, separator="\t")
    assert set(written["source"]) >= {"sae", "neurons", "random_sae", "letters", "length"}
    assert written.filter(source="sae", model="feature").height == 3
    letter = written.filter(source="letters", model="feature").row(0, named=True)
    assert letter["validation"] == 1  # leucine's share says it all
    assert LabelClassifier.load(saved).rules.keys() == {"rich"}


def test_numbers_are_ranked(tiny_run: Run, table: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, said, _ = ask(capsys, tiny_run.folder, table, "--column", "leucine", "--how", "share")
    assert code == 0 and "rank correlation" in said and "1.000 [1.000, 1.000]" in said
    assert "neurons" not in said  # they are never silent
    code, _, said = ask(
        capsys, tiny_run.folder, table, "--column", "leucine", "--save", table.with_name("c.json")
    )
    assert code == 2 and "--save writes a classifier, and these labels are numbers" in said


def test_what_it_refuses_is_a_sentence(
    tiny_run: Run, table: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, _, said = ask(capsys, tiny_run.folder, table, "--column", "wrong")
    assert code == 2 and "wanted a table with the columns accession and wrong" in said
    code, _, said = ask(capsys, tiny_run.folder, table.with_name("gone.tsv"))
    assert code == 2 and "no such file" in said
    train = tiny_run.accessions("train")
    few = pl.DataFrame({"accession": train, "label": ["a"] * len(train)})
    with pytest.raises(PipelineError, match="none of them in validation and test"):
        rank_run(tiny_run, read_protein_labels(few).labels)


def test_any_source_can_be_ranked(tiny_run: Run, table: Path) -> None:
    labels: ProteinLabels = read_protein_labels(table).labels
    found = rank_run(tiny_run, labels, source="neurons", top=2, n_resamples=10, controls=["sae"])
    assert found.source == "neurons"
    assert found.table.filter(source="neurons", model="feature").height == 2
    assert found.table.filter(source="sae", model="feature").height == 1
