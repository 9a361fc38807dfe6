"""Every cell of the lesson `10_annotate` runs on a finished run."""

from typing import Any

import nbformat
import pytest

from interplm_nb.concepts.links import ConceptLinks
from interplm_nb.pipeline.notebooks import lessons
from tests.notebooks.lesson_cells import value_of
from tests.pipeline.asked import with_links

OWN = {"sequence": "ACDEFGHIKLMNPQRSTVWY", "family": "f.sto", "min_confidence": 0.5}
STOCKHOLM = "# STOCKHOLM 1.0\na ACDEFGHIKLMN--PQRSTVWY\nb ACDEFGHIKLMNACPQRSTVW-\n//\n"


@pytest.mark.parametrize("given", [{}, OWN], ids=["as it is", "own"])
def test_every_cell_runs(given, tiny_run, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "f.sto").write_text(STOCKHOLM)
    run = with_links(tiny_run, tmp_path / "run")
    if given:  # links that were never calibrated: nothing has a name
        links = run.links()
        ConceptLinks(links.table, links.knots.clear()).save(run.source("sae"), {})
    code = [
        cell
        for cell in nbformat.read(lessons() / "10_annotate.ipynb", as_version=4).cells
        if cell.cell_type == "code"
    ]
    names: dict[str, Any] = {}
    values = {code[0].id: value_of(code[0].source, names)}
    names |= {"run": str(run.folder), "device": "cpu", **given}
    values |= {cell.id: value_of(cell.source, names) for cell in code[1:]}
    for name in ("along", "picture"):
        assert values[name]._repr_mimebundle_()[0]["image/png"].startswith(b"\x89PNG")
    assert "background: a stretch of each of" in repr(values["family-table"])
    assert repr(values["named-table"]).startswith(
        "no named concept" if given else "the surest names"
    )
    assert ("HTH tetR-type" in values["picture"].figure.axes[0].get_title(loc="left")) == (
        not given
    )
    assert "##gff-version 3" in capsys.readouterr().out
