"""`interplm-nb annotate`: what it writes and prints, and what it refuses."""

import argparse
import csv
import json

import pytest

from interplm_nb.cli.annotate import add_annotate_command
from interplm_nb.pipeline.errors import PipelineError
from interplm_nb.pipeline.run import Run
from interplm_nb.scale.errors import ClusterError
from tests.pipeline.asked import with_links


@pytest.fixture(scope="module")
def run(tiny_run, tmp_path_factory) -> Run:
    return with_links(tiny_run, tmp_path_factory.mktemp("asked") / "run")


@pytest.fixture
def fasta(run, tmp_path):
    sequences = run.proteins().sequences
    path = tmp_path / "mine.fasta"
    path.write_text(f">sp|P1|ONE first\n{sequences[0]}\n>two\n{sequences[1]}\n>bad\nAC1\n")
    return path


def ask(*words: object) -> list[str]:
    """What the command says on standard output."""
    parser, said = argparse.ArgumentParser(prog="interplm-nb"), []
    add_annotate_command(
        parser.add_subparsers(),
        lambda parts, name, summary, epilog: parts.add_parser(name, epilog=epilog),
        said.append,
    )
    options = parser.parse_args(["annotate", *map(str, words)])
    options.do(options)
    return said


def test_help_explains_itself(capsys):
    with pytest.raises(SystemExit) as ended:
        ask("--help")
    assert ended.value.code == 0
    said = capsys.readouterr().out
    assert "usage: interplm-nb annotate" in said and "examples:" in said


def test_the_answer_is_on_standard_output_and_the_rest_on_standard_error(run, fasta, capsys):
    (text,) = ask(fasta, "--run", run.folder, "--min-confidence", "0.1", "--top", "2")
    rows = list(csv.DictReader(text.splitlines(), delimiter="\t"))
    assert {row["accession"] for row in rows} == {"P1", "two"}
    assert all(float(row["confidence"]) >= 0.1 for row in rows if row["concept"])
    said = capsys.readouterr()
    assert said.out == ""
    assert "2 proteins kept" in said.err and "digit in the sequence (bad" in said.err
    assert (
        "named stretches with confidence >= 0.1; no named concept in" in said.err
        and "It is not ESM-2" in said.err
    )


def test_a_file_is_written_by_its_suffix_and_summed_up(run, fasta, tmp_path):
    (text,) = ask(
        fasta,
        "--run",
        run.folder,
        "--out",
        tmp_path / "a.json",
        "--concepts",
        "Transmembrane_any",
        "--min-confidence",
        "0",
    )
    record = json.loads((tmp_path / "a.json").read_text())
    assert record["type"] == "AnnotatedSequences" and record["about"]["concepts"] == [
        "Transmembrane_any"
    ]
    assert {c["concept"] for s in record["sequences"] for c in s["concepts"]} <= {
        "Transmembrane_any"
    }
    assert text.splitlines()[-1] == f"written: {tmp_path / 'a.json'}" and "2 proteins kept" in text
    ask(fasta, "--run", run.folder, "--out", tmp_path / "a", "--format", "gff3")
    assert (tmp_path / "a").read_text().startswith("##gff-version 3\n")


def test_a_family_with_its_picture(run, tmp_path):
    rows = "".join(
        f"m{i} {'-' * i}{s[: 30 - i]}\n" for i, s in enumerate(run.proteins().sequences[:4])
    )
    (tmp_path / "f.sto").write_text(f"# STOCKHOLM 1.0\n{rows}//\n")
    (text,) = ask(
        tmp_path / "f.sto",
        "--run",
        run.folder,
        "--family",
        "--out",
        tmp_path / "f.tsv",
        "--picture",
        tmp_path / "f.png",
    )
    assert "4 members" in text and f"drawn: {tmp_path / 'f.png'}" in text
    table = list(csv.DictReader((tmp_path / "f.tsv").read_text().splitlines(), delimiter="\t"))
    assert {"feature", "share", "background_share", "q_count", "q_rank", "concept"} <= set(table[0])
    assert (tmp_path / "f.png").read_bytes().startswith(b"\x89PNG")
    (text,) = ask(tmp_path / "f.sto", "--run", run.folder, "--family", "--format", "json")
    assert json.loads(text)["type"] == "Family"


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["--picture", "a.png"], "--picture draws a family; add --family"),
        (["--family", "--picture", "a.bmp"], "name it .png, .svg or .pdf"),
        (["--family", "--out", "a.gff3"], "a family is written as json or tsv"),
        (["--family", "--scheduler", "local:1"], "a family is read in one process; leave --sched"),
        (["--scheduler", "here"], "--scheduler here: give local:N for N processes"),
        (["--out", "a.docx"], "no format has the suffix '.docx'"),
        (["--run", "nowhere"], "nowhere is not a run"),
    ],
)
def test_what_makes_no_sense_is_refused_before_anything_is_loaded(
    tmp_path, monkeypatch, words, text
):
    monkeypatch.chdir(tmp_path)
    with pytest.raises((PipelineError, ClusterError)) as raised:
        ask("mine.fasta", *words)
    assert text in str(raised.value)
    assert list(tmp_path.iterdir()) == []
