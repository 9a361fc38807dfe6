"""The runs and pages of the benchmark of views are what it says they are; nothing is timed."""

import json
import re
from pathlib import Path

import numpy as np

from benchmarks import views_data, views_peers
from benchmarks.__main__ import names
from interplm_nb.widgets.feature_data import FeatureData


def test_it_is_found_and_its_parts_are_none() -> None:
    assert "views" in names()
    assert not {"views_data", "views_browser", "views_peers"} & set(names())


def test_a_screenful_fills_the_screen(tmp_path: Path) -> None:
    run = views_data.screenful(tmp_path / "run")
    lengths = run.proteins().lengths
    assert len(lengths) == 50
    assert np.count_nonzero(lengths == 600) == 49
    data = FeatureData(run, structures={}, n_proteins=50, feature=0)
    assert len(data.current[0]["proteins"]) == 50
    assert 0.25 < data.current[0]["n_active"] / run.proteins().n_residues < 0.35


def test_a_large_store_has_its_density_and_a_map(tmp_path: Path) -> None:
    run = views_data.large(tmp_path / "run", 20_000)
    assert 55 < run.activations().mean_l0() < 67
    assert run.atlas().height == views_data.N_LARGE


def test_plotlys_page_has_two_traces_per_residue(tmp_path: Path) -> None:
    data = FeatureData(views_data.screenful(tmp_path / "run"), structures={}, feature=0)
    accession = data.pages.proteins.accessions[0]
    page = views_peers._plotly(data, [accession], tmp_path / "page.html").read_text(
        encoding="utf-8"
    )
    figure = re.search(
        r"Plotly\.newPlot\(\s*\"[^\"]+\",\s*(\[.*?\]),\s*\{\"title\"", page, re.DOTALL
    )
    assert figure
    traces = json.loads(figure[1])
    assert len(traces) == 2 * len(data.pages.proteins.sequence(accession))
    assert "".join(
        t["text"] for t in traces if t["mode"] == "text"
    ) == data.pages.proteins.sequence(accession)
