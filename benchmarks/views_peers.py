"""Peers' pages of the same residues: plotly's tracks, and SAEDashboard's HTML."""

import json
import subprocess
import tempfile
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from benchmarks.harness import PEERS_PYTHON, ROOT, Figure
from benchmarks.views_browser import answers, changed, opened
from interplm_nb.pipeline.run import Run
from interplm_nb.widgets.colours import colour
from interplm_nb.widgets.feature_data import FeatureData
from interplm_nb.widgets.residue_tracks import ResidueTracks
from interplm_nb.widgets.workbench import Workbench

DASHBOARD = (
    "sae-dashboard==0.8.0",
    "dataclasses-json==0.6.7",
    "marshmallow==3.26.2",
    "typing-inspect==0.9.0",
    "mypy_extensions==1.1.0",
)
DASHBOARD_MORE = (
    "eindex-callum==0.1.2",
    "jaxtyping==0.2.38",
    "matplotlib==3.10.7",
    "contourpy",
    "cycler",
    "kiwisolver",
    "fonttools",
    "pyparsing",
    "pillow",
)
ASKED = (("page", "MB", 1), ("first paint", "ms", 1), ("hover", "ms", 1.5), ("brush", "ms", 1))
"""Figures of a page of tracks: name, unit, goal of ours / other. Hovering takes less than a frame
on both sides."""
ALONG = [0.3 + 0.04 * i for i in range(12)]
FIRST_ROW = 0.07
"""Its place in the height of our tracks, as a share."""
OURS_BRUSHES = """const m = [...window.iplmModels.values()].find(m => 'brush' in m.state);
m.set('brush', [0.5, 1]);"""
# The reference's server reruns its page at every change; redrawing the changed figures is the
# least that it does.
PLOTLY_BRUSHES = """const grey = trace => trace.mode === 'markers' && trace.customdata[0] < 0.5
  ? { ...trace, marker: { ...trace.marker, color: '#f1f1f1' } } : trace;
await Promise.all([...document.querySelectorAll('.plotly-graph-div')].map(
  div => Plotly.react(div, div.data.map(grey), div.layout)));"""


class Page(NamedTuple):
    """A page: megabytes; ms to first paint, from mouse movement to label, from brush to drawing."""

    megabytes: float
    paint: float
    hover: float
    brush: float


def against_plotly(browser: Any, run: Run, folder: Path, n: int) -> list[Figure]:
    """Tracks of `n` proteins of 600 residues: ours, and plotly's with two traces per residue."""
    accessions = run.proteins().accessions[:n]
    data = FeatureData(run, structures={}, n_proteins=n, feature=0)
    data.selection.accessions = list(accessions)
    ours = _measured(
        browser,
        ResidueTracks(data).to_html(folder / f"ours_{n}.html"),
        ".iplm-tracks canvas",
        FIRST_ROW,
        OURS_BRUSHES,
    )
    other = _measured(
        browser,
        _plotly(data, list(accessions), folder / f"plotly_{n}.html"),
        ".plotly-graph-div .nsewdrag",
        0.5,
        PLOTLY_BRUSHES,
    )
    what = f"{n} protein{'s' if n > 1 else ''} of 600 residues"
    note = (
        "other: plotly 7.1, two traces per residue, as the reference's dashboard has them, "
        "in an offline page"
    )
    return [
        Figure.compare(f"views: {what}, {name}", a, b, unit, goal, "at most", note=note)
        for (name, unit, goal), a, b in zip(ASKED, ours, other, strict=True)
    ]


def _measured(browser: Any, path: Path, selector: str, height: float, brushes: str) -> Page:
    with opened(browser, path) as (page, (_, paint)):
        hover = float(np.median(answers(page, selector, [(x, height) for x in ALONG])))
        return Page(path.stat().st_size / 1e6, paint, hover, changed(page, brushes))


def _plotly(data: FeatureData, accessions: list[str], path: Path) -> Path:
    """A figure per protein, each residue a coloured square and a letter."""
    import plotly.io

    parts = []
    for i, accession in enumerate(accessions):
        values = data.pages.activations.along(accession, data.selection.feature)
        traces = []
        for place, (letter, value) in enumerate(
            zip(data.pages.proteins.sequence(accession), values.tolist(), strict=True)
        ):
            at = {"type": "scatter", "x": [place], "y": [0], "showlegend": False}
            square = {"size": 12, "symbol": "square", "color": colour(value)}
            traces.append(
                {
                    **at,
                    "mode": "markers",
                    "marker": square,
                    "customdata": [value],
                    "hovertext": f"{letter} {place}: {value:.3f}",
                }
            )
            traces.append(
                {
                    **at,
                    "mode": "text",
                    "text": letter,
                    "textfont": {"color": "white"},
                    "hoverinfo": "skip",
                }
            )
        figure = {
            "data": traces,
            "layout": {"title": {"text": accession}, "height": 150, "margin": {"t": 40, "b": 20}},
        }
        parts.append(
            plotly.io.to_html(figure, full_html=False, include_plotlyjs=i == 0, validate=False)
        )
    path.write_text(
        f'<!doctype html><meta charset="utf-8"><body>{"".join(parts)}</body>', encoding="utf-8"
    )
    return path


def against_dashboard(browser: Any, run: Run, features: list[int], folder: Path) -> list[Figure]:
    """The page of 20 features that SAEDashboard writes from its own data classes.

    Nothing, with the reason printed, if it does not install.
    """
    path = folder / "dashboard.html"
    problem = (
        _dashboard(run, features, path)
        if PEERS_PYTHON.exists()
        else "make peers installs what it needs"
    )
    if problem:
        print(f"views: SAEDashboard is left out: {problem}")
        return []
    with opened(browser, path) as (page, _):
        drawn = page.locator("svg.main-svg").count()
        words = page.locator(".seq .token, .half-width-container span").count()
    ours = (
        Workbench(run, feature=features[0])
        .to_html(folder / "ours_dashboard.html", features=features)
        .stat()
        .st_size
        / 1e6
    )
    note = (
        f"{len(features)} features; other: sae-dashboard 0.8.0, 70 windows of 11 residues a "
        "feature, no structures; loads d3 and plotly from a CDN: "
        f"opened offline it draws {drawn} of its 2 histograms and {words} words"
    )
    return [
        Figure.compare(
            "views: offline page beside SAEDashboard's",
            ours,
            path.stat().st_size / 1e6,
            "MB",
            6,
            "at most",
            note=note,
        )
    ]


def _dashboard(run: Run, features: list[int], path: Path) -> str:
    """Write the page and return what went wrong, "" if nothing did.

    It is installed without its requirements (transformer-lens 2, numpy 1), which exclude those of
    the other peers.
    """
    proteins = run.proteins()
    activations = FeatureData(run, structures={}).pages.activations
    tracks = {
        str(f): [activations.along(a, f).round(4).tolist() for a in proteins.accessions]
        for f in features
    }
    with tempfile.TemporaryDirectory() as name:
        home = Path(name)
        (home / "data.json").write_text(
            json.dumps({"sequences": list(proteins.sequences), "tracks": tracks}), encoding="utf-8"
        )
        install = [
            str(PEERS_PYTHON),
            "-m",
            "pip",
            "install",
            "--quiet",
            "--no-deps",
            "--target",
            str(home / "dashboard"),
            *DASHBOARD,
            *DASHBOARD_MORE,
        ]
        write = [
            str(PEERS_PYTHON),
            "-m",
            "benchmarks.peers.page_saedashboard",
            str(home / "dashboard"),
            str(home / "data.json"),
            str(path),
        ]
        for command in (install, write):
            done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
            if done.returncode:
                return done.stderr.strip().splitlines()[-1]
    return ""
