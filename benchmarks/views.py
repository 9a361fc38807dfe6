"""Linked views in headless Chromium, compared with plotly's tracks and SAEDashboard.

Measured: a brush, a feature, the first paint, sizes, and panning the map.

Chromium draws WebGL in software here, so that times of the structure view are upper bounds. The
large store has 350,000 residues, or the millions named in the environment: `VIEWS_SCALE=3.5 make
bench BENCH=views`, which takes a few minutes more.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.harness import Figure
from benchmarks.views_browser import arrives, chromium, moves, opened, panned, typed
from benchmarks.views_data import (
    LENGTH,
    N_PROTEINS,
    WITH_STRUCTURE,
    described,
    large,
    many_pairs,
    screenful,
)
from benchmarks.views_peers import against_dashboard, against_plotly
from interplm_nb.pipeline.run import Run
from interplm_nb.readers import demo
from interplm_nb.widgets.feature_data import FeatureData
from interplm_nb.widgets.lists import Lists
from interplm_nb.widgets.page import write_page
from interplm_nb.widgets.workbench import Workbench

BRUSH_MS, STRUCTURE_MS, DEMO_MS, LARGE_MS, PAINT_S, NOTEBOOK_MB, PAGE_MB, FRAME_MS = (
    16.0,
    50.0,
    (100.0, 150.0),
    400.0,
    1.5,
    3.0,
    6.0,
    1000 / 60,
)
SEARCH_MS, N_PAIRS = 30.0, 50_000
IMPORTS_S = 0.8
TURNS = 12
"""Features selected one after another."""
ACROSS = [(0.3 + 0.6 * i / 60, 0.5) for i in range(61)]
NOTEBOOK = """import interplm_nb as ipn
ipn.Workbench(ipn.Run.shipped())"""
# In its own process, as in the first cell of a notebook.
PAINT = """import json, sys, time
begun = time.perf_counter()
from interplm_nb.pipeline.run import Run
from interplm_nb.widgets.page import write_page
from interplm_nb.widgets.workbench import Workbench
start = time.perf_counter()
bench = Workbench(Run.shipped())
made = time.perf_counter()
bench._repr_mimebundle_()
shown = time.perf_counter()
write_page([bench], __import__("pathlib").Path(sys.argv[1]), "Workbench")
print(json.dumps([start - begun, made - start, shown - made]))"""


def run() -> list[Figure]:
    """Every figure; what this machine cannot run is left out with the reason."""
    with tempfile.TemporaryDirectory() as name, chromium() as browser:
        folder = Path(name)
        full = screenful(folder / "screenful")
        shipped = Run.shipped()
        scale = float(os.environ.get("VIEWS_SCALE", "0.35"))
        store = large(folder / "large", round(scale * 1e6))
        features = (
            FeatureData(shipped, structures={})
            .pages.ranked["feature"]
            .unique(maintain_order=True)
            .to_list()[:20]
        )
        return [
            *_brush(browser, full, folder),
            *_select(browser, shipped, features[:TURNS], folder, "the demo store", DEMO_MS),
            *_select(
                browser,
                store,
                _dense(store),
                folder,
                f"{scale:g} M residues x 10,240 features",
                (LARGE_MS, LARGE_MS),
            ),
            *_paint(browser, folder),
            _notebook(folder),
            _page(shipped, features, folder),
            _pan(browser, store, folder),
            _search(browser, store, folder),
            *against_plotly(browser, full, folder, 1),
            *against_plotly(browser, full, folder, N_PROTEINS),
            *against_dashboard(browser, shipped, features, folder),
        ]


def _brush(browser: Any, full: Run, folder: Path) -> list[Figure]:
    """A brush dragged over the histogram: each mouse movement until the last view has drawn."""
    structures = {WITH_STRUCTURE: lambda: demo.structure(WITH_STRUCTURE)}
    bench = Workbench(full, feature=0, structures=structures, n_proteins=N_PROTEINS)
    flat = [bench.histogram, bench.logo, bench.tracks]
    figures = []
    for what, views, bound in (
        ("tracks, logo, histogram", flat, BRUSH_MS),
        ("the whole workbench, structure included", [bench], STRUCTURE_MS),
    ):
        with opened(
            browser, write_page(views, folder / "brush.html", "Brush"), width=1400, height=1600
        ) as (page, _):
            times = np.array(moves(page, ".iplm-histogram canvas", ACROSS, pressed=True))
        note = (
            f"{N_PROTEINS} proteins x {LENGTH} residues; 95th percentile "
            f"{np.percentile(times, 95):.1f} ms of {len(times)} movements"
        )
        figures.append(
            Figure.within(f"views: brush to {what}", float(np.median(times)), bound, "ms", note)
        )
    return figures


def _dense(store: Run) -> list[int]:
    """Features with scores, from the middle of the upper half by density."""
    data = FeatureData(store, structures={})
    order = np.argsort(-data.pages.activations.n_active())
    return [int(f) for f in order[len(order) // 4 : len(order) // 4 + TURNS]]


def _select(
    browser: Any,
    run: Run,
    features: list[int],
    folder: Path,
    what: str,
    bounds: tuple[float, float],
) -> list[Figure]:
    """A feature selected in a live workbench: Python's part, then the browser's from arrival on."""
    bench = Workbench(run, feature=features[-1])
    sent = {
        (bench.data.model_id, "bundle"): bench.data,
        (bench.structure.model_id, "first_structure"): bench.structure,
    }
    python, page_ms, size = [], [], 0
    with opened(
        browser, write_page([bench], folder / "select.html", "Select"), width=1400, height=1600
    ) as (page, _):
        for feature in features:
            start = time.perf_counter()
            bench.selection.feature = feature
            python.append(1000 * (time.perf_counter() - start))
            values = {key: bytes(getattr(widget, key[1])) for key, widget in sent.items()}
            size = max(size, sum(map(len, values.values())))
            page_ms.append(arrives(page, feature, values))
    figures = []
    for words, bound, browser_ms in zip(
        ("", ", structure included"), bounds, np.array(page_ms).T, strict=True
    ):
        total = np.array(python) + browser_ms
        note = (
            f"median of {len(features)} features, worst {total.max():.0f} ms; Python "
            f"{np.median(python):.0f} ms, browser {np.median(browser_ms):.0f} ms, at most "
            f"{size / 1e3:,.0f} kB sent; transport between them is excluded"
        )
        name = f"views: select a feature, {what}{words}"
        figures.append(Figure.within(name, float(np.median(total)), bound, "ms", note))
    return figures


def _paint(browser: Any, folder: Path) -> list[Figure]:
    """Of a new process: its imports; then `Workbench(run)`, its output, and the browser until every
    view is drawn."""
    path = folder / "paint.html"
    done = subprocess.run(
        [sys.executable, "-c", PAINT, str(path)], check=True, capture_output=True, text=True
    )
    imported, made, shown = json.loads(done.stdout.strip().splitlines()[-1])
    with opened(browser, path, width=1400, height=1600) as (_, (painted, last)):
        note = (
            f"making it {made:.2f} s, its output with the picture for GitHub {shown:.2f} s, "
            f"browser {painted / 1000:.2f} s; after the imports; the structure, which needs NGL, "
            f"{(last - painted) / 1000:.2f} s later"
        )
    total = made + shown + painted / 1000
    return [
        Figure.within("views: imports of the workbench", imported, IMPORTS_S, "s", "no torch"),
        Figure.within("views: Workbench(run) to first paint", total, PAINT_S, "s", note),
    ]


def _notebook(folder: Path) -> Figure:
    """A notebook with one workbench, run by nbclient, which stores the state of widgets."""
    import nbclient
    import nbformat

    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(NOTEBOOK)])
    nbclient.NotebookClient(notebook, kernel_name="python3", timeout=120).execute()
    path = folder / "one.ipynb"
    nbformat.write(notebook, path)
    return Figure.within(
        "views: saved notebook",
        path.stat().st_size / 1e6,
        NOTEBOOK_MB,
        "MB",
        "one workbench of the demo run, run by nbclient",
    )


def _page(shipped: Run, features: list[int], folder: Path) -> Figure:
    path = Workbench(shipped).to_html(folder / "page.html", features=features, n_proteins=20)
    return Figure.within(
        "views: offline page",
        path.stat().st_size / 1e6,
        PAGE_MB,
        "MB",
        f"{len(features)} features x 20 proteins with their structures",
    )


def _pan(browser: Any, store: Run, folder: Path) -> Figure:
    """The map of 10,240 features, dragged for two seconds."""
    from interplm_nb.widgets.feature_atlas import FeatureAtlas

    data = FeatureData(store, structures={}, n_proteins=20)
    with opened(browser, FeatureAtlas(data).to_html(folder / "atlas.html")) as (page, _):
        times = np.array(panned(page, ".iplm-atlas canvas"))
    note = (
        f"{len(data.features):,} points; 95th percentile {np.percentile(times, 95):.1f} ms of "
        f"{len(times)} frames; 16.7 ms are 60 frames/s"
    )
    return Figure.within(
        "views: panning the map, between frames",
        float(np.round(np.median(times), 1)),
        round(FRAME_MS, 1),
        "ms",
        note,
    )


def _search(browser: Any, store: Run, folder: Path) -> Figure:
    """Keystrokes in the table's search, with the map open, which fades unlisted features."""
    from interplm_nb.widgets.feature_atlas import FeatureAtlas
    from interplm_nb.widgets.feature_table import FeatureTable

    data = FeatureData(store, structures={}, n_proteins=20)
    data.features = described(data.features)
    data.concept_pairs = many_pairs(data.features, N_PAIRS)
    data.lists = Lists.shared(data.features, data.concept_pairs, data.pages.proteins)
    words = ("zinc finger", "disulfide", "domain 1", "binding atp 7")
    texts = [word[: i + 1] for word in words for i in range(len(word))]
    views = [FeatureTable(data), FeatureAtlas(data)]
    with opened(browser, write_page(views, folder / "search.html", "Search")) as (page, _):
        page.locator(".iplm-features tbody tr[data-feature]").first.wait_for()
        times = np.array(typed(page, texts))
    note = (
        f"{len(data.features):,} features with description and motif x {N_PAIRS:,} pairs of 300 "
        "concepts; median of "
        f"{len(times)} keystrokes, 95th percentile {np.percentile(times, 95):.1f} ms; until the "
        "rows are laid out"
    )
    return Figure.within(
        "views: a keystroke in the search", float(np.median(times)), SEARCH_MS, "ms", note
    )
