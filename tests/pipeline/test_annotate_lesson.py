"""Every cell of the lesson `10_annotate` runs on a finished run."""

from typing import Any

import nbformat
import pytest

from interplm_nb.concepts.links import ConceptLinks
from interplm_nb.pipeline.notebooks import lessons
from interplm_nb.pipeline.run import Run
from interplm_nb.widgets.playground.sequence_playground import SequencePlayground
from tests.notebooks.lesson_cells import values_of
from tests.pipeline.asked import with_links

OWN = {"sequence": "ACDEFGHIKLMNPQRSTVWY", "family": "f.sto", "min_confidence": 0.5}
STOCKHOLM = "# STOCKHOLM 1.0\na ACDEFGHIKLMN--PQRSTVWY\nb ACDEFGHIKLMNACPQRSTVW-\n//\n"


def values_of_run(run: Run, given: dict[str, Any]) -> dict[str, Any]:
    """The value of each cell, by its id."""
    lesson = nbformat.read(lessons() / "10_annotate.ipynb", as_version=4)
    return values_of(lesson, {"run": str(run.folder), "device": "cpu", **given})


@pytest.mark.parametrize("given", [{}, OWN], ids=["as it is", "own"])
def test_every_cell_runs(given, tiny_run, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "f.sto").write_text(STOCKHOLM)
    run = with_links(tiny_run, tmp_path / "run")
    if given:  # links that were never calibrated: nothing has a name
        links = run.links()
        ConceptLinks(links.table, links.knots.clear()).save(run.source("sae"), {})
    values = values_of_run(run, {"min_confidence": 0.15, **given})
    for name in ("along", "picture"):
        assert values[name]._repr_mimebundle_()[0]["image/png"].startswith(b"\x89PNG")
    assert "background: a stretch of each of" in repr(values["family-table"])
    assert repr(values["named-table"]).startswith(
        "no named concept" if given else "the most confident names"
    )
    assert ("HTH tetR-type" in values["picture"].figure.axes[0].get_title(loc="left")) == (
        not given
    )
    assert "##gff-version 3" in capsys.readouterr().out


def test_weights_that_cannot_be_fetched_are_a_sentence_in_each_cell(
    tiny_run, tmp_path, monkeypatch, capsys
):
    def elsewhere(*_: object) -> None:
        raise ConnectionError("the weights are not here; fetch them with pip")

    monkeypatch.setattr(Run, "plm", elsewhere)
    values = values_of_run(with_links(tiny_run, tmp_path / "run"), {})
    words = "the weights are not here; fetch them with pip"
    assert values["note"].data == words
    for name in (
        "annotate",
        "named-table",
        "along",
        "others-table",
        "family",
        "picture",
        "family-table",
    ):
        assert values[name] == words
    assert capsys.readouterr().out == f"{words}\n{words}\n"
    assert isinstance(values["playground"], SequencePlayground)
