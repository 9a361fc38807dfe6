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
from interplm_nb.widgets.feature_words import feature_words
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
    assert (
        shown.page.locator(f"{PANEL} .iplm-protein h4").inner_text()
        == f"Strongest protein here: {strongest}"
    )
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


def described() -> int:
    """The feature with the best predicted description."""
    columns = shipped.pages().tables.columns
    return int(columns.sort("description_r", descending=True, nulls_last=True)["feature"][0])


def test_a_description_has_its_score_beside_the_null(show: Callable, data: FeatureData) -> None:
    data.selection.feature = described()
    page = show(ConceptPanel(data)).page
    words = feature_words(data.pages.tables, described())
    (said,) = words["descriptions"]
    place = page.locator(f"{PANEL} .iplm-described")
    assert place.locator(".iplm-summary").inner_text() == said["summary"]
    null = said["nulls"]["another description"]["pearson"]
    head = place.locator("summary")
    assert head.inner_text().startswith(
        f"By statistical, r {said['score']['pearson']:.2f} (95\u00a0% "
    )
    assert head.inner_text().endswith(f"; other features' descriptions (5) {null:.2f}")
    how, support = place.locator(".iplm-small").all()
    assert support.is_hidden()
    head.click()
    assert how.inner_text().startswith("Described by statistical, without a language model, from ")
    assert support.inner_text() == f"Support: {said['description']}"
    further = page.locator(f"{PANEL} .iplm-further").inner_text()
    statistics = words["statistics"]
    assert f"{statistics['mean_run']:.1f} residues on average" in further
    assert f"{words['motif']['information']:.1f} bits" in further
    assert page.locator(f"{PANEL} .iplm-lacking").is_hidden()


def test_features_alike_are_selected_by_a_press(show: Callable, data: FeatureData) -> None:
    best = shipped.best()
    near = feature_words(data.pages.tables, best)["nearest"]
    data.keep([near["activation"][1][0]], n_proteins=2, structures=False)
    try:
        shown = show(ConceptPanel(data))
    finally:
        data.kept = {}
    lines = shown.page.locator(f"{PANEL} .iplm-near")
    lines.first.wait_for()
    assert lines.count() == 3
    line = lines.filter(has_text="by activation")
    names = line.locator("button b").all_inner_texts()
    assert names == [str(number) for number, _ in near["activation"]]
    button = line.locator("button").nth(1)
    number, similarity = near["activation"][1]
    assert button.inner_text() == f"{number} {similarity:.2f}"
    row = data.features.row(number, named=True)
    concept = concept_name(row["concept"], row["category"]) if row["concept"] else "no concept"
    assert concept in button.get_attribute("title")
    button.click()
    shown.page.locator(".iplm-say", has_text=f"Feature {number}").wait_for()
    assert shown.selected("feature") == number


def test_a_run_without_the_tables_says_which_command_makes_them(
    show: Callable, ends_data: FeatureData
) -> None:
    page = show(ConceptPanel(ends_data)).page
    lacking = page.locator(f"{PANEL} .iplm-lacking").inner_text()
    assert "interplm-nb interpret --run RUN" in lacking
    assert "interplm-nb run PROFILE --out RUN" in lacking
    assert page.locator(f"{PANEL} .iplm-further").inner_text() == ""


def test_a_page_shows_notes_and_takes_none(show: Callable, data: FeatureData) -> None:
    note = {"note": HOSTILE, "comment": "two\nlines", "note_author": "Ada"}
    data.notes = {str(shipped.best()): note | {"note_date": "2026-11-30T09:05:00Z"}}
    try:
        shown = show(ConceptPanel(data))
    finally:
        data.notes = {}
    said = shown.page.locator(f"{PANEL} .iplm-note-said")
    assert said.inner_text().splitlines()[0] == "A person's note by Ada, 2026-11-30"
    assert said.locator(".iplm-noted").all_inner_texts() == [HOSTILE, "two\nlines"]
    assert shown.page.get_by_role("button", name="Edit the note").is_hidden()
    assert shown.page.get_by_role("button", name="Write a note").is_hidden()


# A kernel's half of the data: it hears of notes and answers, or stays silent.
KERNEL = """answer => {
  const model = [...window.iplmModels.values()].find(m => 'notes' in m.state);
  model.static = false;
  window.sent = [];
  model.send = message => {
    window.sent.push(message);
    if (answer == null) return;
    if (!answer.problem) model.set('notes', answer.notes);
    for (const heard of model.listeners.get('msg:custom'))
      heard({ noted: message.id, problem: answer.problem ?? '' });
  };
  model.set('notes', { ...model.get('notes') });
}"""


def test_a_note_is_written_edited_and_saved(show: Callable, data: FeatureData) -> None:
    best = shipped.best()
    shown = show(ConceptPanel(data))
    page = shown.page
    page.locator(f"{PANEL} tbody tr").first.wait_for()
    notes = {str(best): {"note": "on helices", "note_author": "Ada", "note_date": "2026-11-30T"}}
    page.evaluate(KERNEL, {"notes": notes})
    page.get_by_role("button", name="Write a note").click()
    form = page.get_by_role("group", name=f"Note on feature {best}")
    said = feature_words(data.pages.tables, best)["descriptions"]
    description = form.get_by_label("Description")
    assert description.input_value() == (said[0]["summary"] if said else "")
    description.fill("on helices")
    form.get_by_label("Author").fill("Ada")
    page.keyboard.press("[")  # a letter like others
    form.get_by_label("Author").fill("Ada")
    assert shown.selected("feature") == best
    if AXE.is_file():
        page.evaluate(AXE.read_text(encoding="utf-8"))
        assert page.evaluate(FAULTS) == []
    page.get_by_role("button", name="Save note").click()
    edit = page.get_by_role("button", name="Edit the note")
    edit.wait_for()
    assert page.evaluate("window.sent[0].note") == {
        "feature": best, "description": "on helices", "comment": "", "author": "Ada"
    }  # fmt: skip
    assert "by Ada" in page.locator(f"{PANEL} .iplm-note-said").inner_text()
    assert page.evaluate("document.activeElement.textContent") == "Edit the note"
    edit.click()
    assert description.input_value() == "on helices"
    page.keyboard.press("Escape")  # as Cancel
    assert form.is_hidden()


def test_what_was_written_is_kept_when_it_cannot_be_saved(
    show: Callable, data: FeatureData
) -> None:
    best, other = shipped.best(), shipped.second()
    data.keep([other], n_proteins=2, structures=False)
    try:
        shown = show(ConceptPanel(data))
    finally:
        data.kept = {}
    page = shown.page
    page.locator(f"{PANEL} tbody tr").first.wait_for()
    page.evaluate(KERNEL, {"problem": "No space left on device"})
    page.get_by_role("button", name="Write a note").click()
    words = page.locator(f"{PANEL} .iplm-note-form .iplm-words")
    assert "This session keeps the note" in words.inner_text()  # of the run of the package
    page.get_by_label("Comment").fill("seen twice")
    page.get_by_role("button", name="Save note").click()
    page.locator(f"{PANEL} .iplm-words", has_text="No space left on device").wait_for()
    shown.select(feature=other)
    page.locator(".iplm-say", has_text=f"Feature {other}").wait_for()
    assert page.get_by_label("Comment").is_hidden()
    shown.select(feature=best)
    page.locator(".iplm-say", has_text=f"Feature {best}:").wait_for()
    assert page.get_by_label("Comment").input_value() == "seen twice"
    page.evaluate(KERNEL, None)
    page.get_by_role("button", name="Save note").click()
    page.locator(f"{PANEL} .iplm-words", has_text="No kernel answers").wait_for()
    assert page.get_by_label("Comment").input_value() == "seen twice"


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
    assert not shown.page.locator(f"{PANEL} .iplm-protein h4").is_visible()


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
