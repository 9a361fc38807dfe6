"""The panel of concepts on a page.

Its numbers are the bundle's, its pictures are its numbers, its links are of checked accessions
alone.
"""

import csv
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from interplm_nb.annotations import Annotations
from interplm_nb.pipeline.model_note import model_note
from interplm_nb.pipeline.scored_sources import SOURCES
from interplm_nb.proteins import Proteins
from interplm_nb.widgets.concept_names import concept_name
from interplm_nb.widgets.concept_panel import ConceptPanel
from interplm_nb.widgets.concept_rows import concept_rows
from interplm_nb.widgets.feature_data import FeatureData
from tests import shipped
from tests.browser.views.conftest import HOSTILE, save
from tests.browser.views.test_feature_table import AXE, FAULTS
from tests.widgets.small_run import make_run

pytestmark = pytest.mark.browser

PANEL = ".iplm-concepts"
PROBE = " (trained on the labels)"
# The last column of a row's picture in which a pixel of the bar's height is of the bar's colour, as
# F1; the axis leaves 8 points at either end.
BAR_ENDS = """canvases => canvases.map(canvas => {
  const ratio = canvas.width / canvas.clientWidth;
  const line = canvas.getContext('2d').getImageData(0, Math.round(21 * ratio), canvas.width, 1)
    .data;
  let last = 0;
  for (let i = 0; i < canvas.width; i++)
    if (line[4 * i] === 0 && line[4 * i + 1] === 0x72 && line[4 * i + 2] === 0xb2) last = i;
  return ((last + 1) / ratio - 8) / (canvas.clientWidth - 16);
})"""


@pytest.fixture
def data(demo_data: FeatureData) -> FeatureData:
    demo_data.selection.update(
        {"feature": shipped.best(), "brush": [], "accession": "", "position": None, "pinned": []}
    )
    return demo_data


@pytest.fixture
def shown(show: Callable, data: FeatureData) -> Any:
    shown = show(ConceptPanel(data))
    shown.page.locator(f"{PANEL} tbody tr").first.wait_for()
    shown.settled()
    return shown


def test_numbers_and_bars_are_the_bundles(shown: Any, data: FeatureData) -> None:
    rows = concept_rows(data.pages, shipped.best())
    cells = shown.page.locator(f"{PANEL} tbody tr").evaluate_all(
        "rows => rows.map(row => [...row.cells].map(cell => cell.textContent))"
    )
    assert [cell[0] for cell in cells] == [
        concept_name(row["concept"], row["category"]) for row in rows
    ]
    assert [cell[2] for cell in cells] == [f"{row['f1_per_domain']:.2f}" for row in rows]
    assert cells[0][3] == f"{rows[0]['low']:.2f} to {rows[0]['high']:.2f}"
    ends = shown.page.locator(f"{PANEL} tbody canvas").evaluate_all(BAR_ENDS)
    assert ends == pytest.approx([row["f1_per_domain"] for row in rows], abs=0.01)
    said = shown.page.locator(f"{PANEL} tbody canvas").first.get_attribute("aria-label")
    assert f"neurons {rows[0]['controls']['neurons']:.2f}" in said
    assert shown.page.locator(f"{PANEL} .iplm-legend li").all_inner_texts()[1:] == [
        SOURCES[source].name for source in SOURCES if source in rows[0]["controls"]
    ]


def test_a_feature_that_fires_near_the_ends_is_said_to_be_so(
    show: Callable, ends_data: FeatureData
) -> None:
    ends_data.selection.feature = 0
    page = show(ConceptPanel(ends_data)).page
    assert page.locator(f"{PANEL} .iplm-ends").inner_text() == (
        "Near the ends: 62 % of its maxima lie within 5 residues of an end of the protein "
        "(by chance 25 %). It may mark the end of a chain, not a motif."
    )
    ends_data.selection.feature = 1
    page = show(ConceptPanel(ends_data)).page
    page.locator(f"{PANEL} .iplm-facts").wait_for()
    assert page.locator(f"{PANEL} .iplm-ends").is_hidden()


def beaten(row: dict[str, Any]) -> list[str]:
    """The controls that reach more than the feature, the highest first."""
    controls = row["controls"]
    return sorted(
        (name for name in controls if controls[name] > row["f1_per_domain"]),
        key=lambda name: -controls[name],
    )


def test_it_says_what_the_controls_say(shown: Any, data: FeatureData) -> None:
    text = shown.page.locator(f"{PANEL} .iplm-honest").inner_text()
    first, *others = concept_rows(data.pages, shipped.best())
    name = concept_name(first["concept"], first["category"])
    if not beaten(first):
        assert f"On {name} no control reaches more than this feature." in text
    else:
        assert f"On {name} these reach more than this feature: " in text
    note = {c: PROBE if SOURCES[c].kind == "probe" else "" for c in SOURCES}
    places = [
        text.index(f"{SOURCES[c].name}{note[c]} {first['controls'][c]:.2f}") for c in beaten(first)
    ]
    assert places == sorted(places)
    n = sum(map(bool, map(beaten, others)))
    assert f"A control reaches more on {n} of {len(others)} other concepts shown." in text
    note = shown.page.locator(f"{PANEL} .iplm-note").inner_text()
    assert note == model_note("unirep-1900")
    n_active = int(data.pages.activations.n_active()[shipped.best()])
    facts = shown.page.locator(f"{PANEL} .iplm-facts").inner_text()
    assert f"{n_active:,} of {data.pages.proteins.n_residues:,} residues" in facts


def test_the_protein_in_focus_has_links(shown: Any, data: FeatureData) -> None:
    strongest = data.pages.top(shipped.best())["accession"][0]
    assert shown.page.locator(f"{PANEL} h4").inner_text() == f"Strongest protein here: {strongest}"
    other = data.pages.top(shipped.best())["accession"][3]
    shown.select(accession=other)
    shown.page.locator("h4", has_text=f"Selected protein: {other}").wait_for()
    links = shown.page.locator(f"{PANEL} a").evaluate_all(
        "links => links.map(a => [a.href, a.target, a.rel, a.textContent])"
    )
    assert links[0] == [
        f"https://www.uniprot.org/uniprotkb/{other}/entry",
        "_blank",
        "noopener noreferrer",
        f"{other} in UniProt",
    ]
    assert [link[3] for link in links[1:]] == [f"{other} in AlphaFold DB", f"{other} in InterPro"]
    shown.select(accession="javascript:alert(1)")
    shown.page.locator("h4", has_text="Selected protein: javascript:alert(1)").wait_for()
    assert shown.page.locator(f"{PANEL} a").count() == 0


def test_it_saves_rows_and_picture(shown: Any, data: FeatureData) -> None:
    with shown.page.expect_download() as download:
        save(shown.page, "Save Concepts as CSV")
    (first, *_) = csv.DictReader(
        io.StringIO(Path(download.value.path()).read_text(encoding="utf-8"))
    )
    row = concept_rows(data.pages, shipped.best())[0]
    assert (first["feature"], first["concept"]) == (str(shipped.best()), row["concept"])
    assert float(first["f1_test_pca"]) == row["controls"]["pca"]
    with shown.page.expect_download() as download:
        save(shown.page, "Save Concepts as SVG")
    text = Path(download.value.path()).read_text(encoding="utf-8")
    assert f"Feature {shipped.best()} of sae" in text
    assert text.count("random SAE") == 1
    with shown.page.expect_download() as download:
        save(shown.page, "Save Concepts as PNG")
    assert Path(download.value.path()).read_bytes()[:4] == b"\x89PNG"


def test_another_feature_is_shown_when_it_is_selected(show: Callable, data: FeatureData) -> None:
    other, silent = shipped.second(), shipped.silent()[0]
    data.keep([other, silent], n_proteins=2, structures=False)
    try:
        shown = show(ConceptPanel(data))
    finally:
        data.kept = {}
    shown.select(feature=other)
    best = concept_rows(data.pages, other)[0]
    name = concept_name(best["concept"], best["category"])
    said = f"Feature {other}: {name}, F1 {best['f1_per_domain']:.2f} on test"
    shown.page.locator(".iplm-say", has_text=said).wait_for()
    shown.select(feature=silent)
    shown.page.locator(".iplm-best", has_text="This feature matches no concept with").wait_for()
    assert not shown.page.locator(f"{PANEL} table").is_visible()
    facts = shown.page.locator(f"{PANEL} .iplm-facts").inner_text()
    assert (
        facts == "Silent: it fires on no training protein, so its activations on others count as 0."
    )
    assert not shown.page.locator(f"{PANEL} h4").is_visible()


def test_names_from_data_are_text(show: Callable, tmp_path: Path) -> None:
    table = pl.DataFrame(
        {
            "accession": [f"P000{i:02}" for i in range(60)],
            "sequence": ["MKVACD"] * 60,
            "protein_name": [HOSTILE] * 60,
        }
    )
    proteins = Proteins(table)
    segment = {
        "concept": f"Domain_{HOSTILE}",
        "category": HOSTILE,
        "level": "instance",
        "start": 1,
        "end": 3,
    }
    segments = pl.DataFrame(
        [{"accession": a, **segment, "instance": i} for i, a in enumerate(proteins.accessions)]
    )
    values = np.tile(np.array([1, 2, 3, 0, 0, 0], np.float32), 60)[:, None]
    shown = show(
        ConceptPanel(
            FeatureData(
                make_run(tmp_path / "run", proteins, Annotations(segments, proteins), values),
                structures={},
            )
        )
    )
    shown.page.locator(f"{PANEL} tbody tr").first.wait_for()
    assert shown.page.locator(f"{PANEL} tbody th").inner_text() == f"Domain_{HOSTILE}"
    assert HOSTILE in shown.page.locator(f"{PANEL} .iplm-protein").inner_text()
    assert (
        "This run has no controls to compare with."
        in shown.page.locator(f"{PANEL} .iplm-honest").inner_text()
    )


@pytest.mark.parametrize("scheme, width", [("light", 320), ("dark", 1000)])
def test_no_accessibility_fault_and_nothing_beyond_the_page(
    show: Callable, data: FeatureData, scheme: str, width: int
) -> None:
    shown = show(ConceptPanel(data), scheme=scheme, width=width)
    shown.page.locator(f"{PANEL} tbody tr").first.wait_for()
    assert shown.page.evaluate("document.documentElement.scrollWidth") <= width
    if not AXE.is_file():
        pytest.skip("axe-core is not installed: make install")
    shown.page.evaluate(AXE.read_text(encoding="utf-8"))
    assert shown.page.evaluate(FAULTS) == []
