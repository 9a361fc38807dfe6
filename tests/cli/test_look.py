"""`interplm-nb look`: what it makes and prints, what it refuses, and docs/look.md."""

import re
from pathlib import Path

import pytest

from interplm_nb.cli import main as cli
from interplm_nb.pipeline.looked import looked
from interplm_nb.pipeline.run import Run
from interplm_nb.plm import fetching

PAGE = Path(__file__).parents[2] / "docs" / "look.md"


@pytest.fixture
def fasta(tiny_run, tmp_path) -> Path:
    sequences = tiny_run.proteins().sequences
    path = tmp_path / "mine.fasta"
    text = "".join(f">own{i}\n{s[::-1]}\n" for i, s in enumerate(sequences[:4]))
    path.write_text(f"{text}>bad\nMK-V\n", encoding="utf-8")
    return path


def test_it_makes_a_run_and_says_what_is_in_it(tiny_run, fasta, tmp_path, capsys):
    out = tmp_path / "mine"
    words = ["look", str(fasta), "--run", str(tiny_run.folder), "--out", str(out), "--top", "3"]
    assert cli.main([*words, "--device", "cpu"]) == 0
    said = capsys.readouterr().out
    found = looked(Run.open(out))
    assert found is not None
    assert said.startswith(f"{out}: Proteins(4 proteins, ") and "  1 gap in the sequence" in said
    table = said.split("\n\n")[1].splitlines()
    assert table[0].split() == [
        "feature",
        "best",
        "concept",
        "F1",
        "test",
        "here",
        "background",
        "q",
    ]
    first = found.enrichment["feature"].head(3).to_list()
    assert [int(line.split()[0]) for line in table[1:4]] == first
    assert found.about["names"] in said and found.about["enrichment"] in said
    assert f"interplm-nb explore {out}" in said and f"data structures {out}" in said
    assert "It is not ESM-2" in said
    assert cli.main(words) == 2
    assert "exists and is not empty" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["nowhere.fasta"], "nowhere.fasta"),
        (["P69905", "mine.fasta"], "'mine.fasta' is not an accession of UniProt"),
        (["P69905", "--offline"], "1 accessions: not in the cache .*, and offline"),
        (["{fasta}", "--strict"], "gap in the sequence"),
        (["{fasta}", "--run", "nowhere"], "nowhere is not a run"),
        (["{fasta}", "--sae", "nowhere"], "no such file"),
    ],
)
def test_mistakes_are_sentences(fasta, tmp_path, monkeypatch, capsys, words, text):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    words = [str(fasta) if word == "{fasta}" else word for word in words]
    assert cli.main(["look", *words, "--out", "mine"]) == 2
    assert re.search(text, capsys.readouterr().err)
    assert not (tmp_path / "mine").exists()


def test_the_examples_of_the_documentation_run(tmp_path, monkeypatch):
    model = Run.shipped().model()
    assert model is not None
    if fetching.to_fetch(model.weights):
        pytest.skip(f"{model.name} is not here")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(Path, "home", lambda: tmp_path)  # where the search for a run ends
    (block,) = re.findall(r"^```python\n(.*?)^```", PAGE.read_text("utf-8"), re.M | re.S)
    names: dict[str, object] = {}
    exec(compile(block, PAGE.name, "exec"), names)
    assert looked(Run.open(tmp_path / "runs" / "mine_python")) is not None


def test_the_pages_links_are_there():
    links = re.findall(r"\]\(([^)#:]+)\)", PAGE.read_text("utf-8"))
    assert [link for link in links if not (PAGE.parent / link).exists()] == []
    assert "docs/look.md" in (PAGE.parents[1] / "README.md").read_text("utf-8")
