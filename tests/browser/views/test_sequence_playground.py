"""The playground on a page.

What was read is looked at with mouse and keys; without a kernel it says so; with one it asks for
what was pressed.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from interplm_nb.pipeline.run_model import RunModel
from interplm_nb.plm import fetching
from interplm_nb.plm.fetching import Fetch
from interplm_nb.plm.record import ModelRecord
from interplm_nb.widgets.feature_data import FeatureData
from interplm_nb.widgets.playground.sequence_playground import SequencePlayground
from tests.browser.views.conftest import HOSTILE, save
from tests.widgets.fake_annotator import FakeAnnotator
from tests.widgets.small_run import simple_run

pytestmark = pytest.mark.browser

SEQUENCE = "MAAPWKMAAPWK" * 5
AXE = Path(__file__).parents[3] / "widgets" / "node_modules" / "axe-core" / "axe.min.js"
MODEL = "[...window.iplmModels.values()].find(m => 'mutations' in m.state)"
CONNECTED = f"""() => {{
  const model = {MODEL};
  Object.assign(model, {{ static: false, send: question => window.sent.push(question) }});
  window.sent = [];
  for (const text of ["Loading", ""]) model.set("progress", text);
}}"""
DONE = (
    f"() => {{ const m = {MODEL}; "
    "for (const listener of m.listeners.get('msg:custom')) listener({ done: true }); }"
)


@pytest.fixture
def left_to_right(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FeatureData:
    """A run of a model that reads one way and whose weights are elsewhere."""
    table = pl.DataFrame(
        {"accession": ["P1", "P2", "P3"], "sequence": ["MAAPWK"] * 3, "protein_name": ["a"] * 3}
    )
    run = simple_run(tmp_path / "run", table)
    record = ModelRecord(
        "unirep-1900", "sha256:0", (10, 1900), 1022, "AKMPW", "next residue", True, True, ""
    )
    run.note_model(RunModel("auto", "unirep-1900", record))
    wanted = Fetch("unirep-1900", 76_992_389, "by pip", "CC BY-NC 4.0")
    monkeypatch.setattr(fetching, "to_fetch", lambda _: wanted)
    return FeatureData(run, structures={})


@pytest.fixture(scope="module")
def playground(demo_data: FeatureData) -> SequencePlayground:
    made = SequencePlayground(
        demo_data, FakeAnnotator(1024), sequence=f">mine\n{SEQUENCE}", mutations=["W5A"]
    )  # type: ignore[arg-type]
    made._show_scan(5)
    return made


@pytest.fixture
def shown(show: Callable, playground: SequencePlayground, demo_data: FeatureData) -> Any:
    demo_data.selection.update({"feature": 1, "brush": [], "accession": "", "position": None})
    shown = show(playground, width=900, height=1600)
    shown.page.locator(".iplm-playground canvas[data-drawn]").first.wait_for()
    shown.settled()
    return shown


def canvas(shown: Any, name: str) -> Any:
    return shown.page.locator(f".iplm-playground canvas[aria-label^='{name} ']")


def text(shown: Any, part: str) -> str:
    shown.settled()
    return shown.page.locator(f".iplm-playground .{part}").inner_text()


def serious(page: Any) -> list[tuple[str, str]]:
    """What axe finds wrong: the rule and the element."""
    page.evaluate(AXE.read_text(encoding="utf-8"))
    found = page.evaluate("() => axe.run('.iplm-view')")["violations"]
    return [
        (v["id"], v["nodes"][0]["html"][:200])
        for v in found
        if v["impact"] in ("serious", "critical")
    ]


def test_a_page_without_a_kernel_shows_what_was_read_and_says_why_no_more(shown: Any) -> None:
    words = shown.page.locator(".iplm-playground .iplm-body > .iplm-words").inner_text()
    assert (
        words == "Reading a sequence needs the model, and this page has no kernel. It shows what "
        "was read last. Run the notebook to read another."
    )
    assert shown.page.get_by_label("Protein sequence").input_value() == f">mine\n{SEQUENCE}"
    assert (
        shown.page.get_by_role("button", name="Read", exact=True).is_disabled()
        and shown.page.get_by_role("button", name="tryptophan").is_disabled()
    )
    assert text(shown, "iplm-effect").startswith(
        "W5A: 2 features change by more than 0.05 of their maximum; largest: feature 0"
    )
    assert "0.80 → 0.00 at residue 5." in text(shown, "iplm-effect")


def test_a_page_with_nothing_read_says_what_it_takes(
    show: Callable, demo_data: FeatureData
) -> None:
    empty = show(SequencePlayground(demo_data))
    words = empty.page.locator(".iplm-playground .iplm-body > .iplm-words").inner_text()
    assert (
        words == "Reading a sequence needs the model, and this page has no kernel. Run the "
        "notebook to read another."
    )
    assert empty.page.locator(".iplm-playground canvas").first.is_hidden()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_weights_that_are_not_here_are_fetched_by_a_button(
    show: Callable, left_to_right: FeatureData, scheme: str, tmp_path: Path
) -> None:
    shown = show(SequencePlayground(left_to_right), width=640, height=420, scheme=scheme)
    page, box = shown.page, shown.page.get_by_role("group", name="Weights of the model")
    assert box.is_hidden(), "a page without a kernel cannot fetch"
    page.evaluate(CONNECTED)
    shown.settled()
    assert box.locator("p").inner_text() == (
        "Reading a sequence needs unirep-1900, which is not here yet."
    )
    assert box.locator(".iplm-hint").inner_text() == "weights: CC BY-NC 4.0"
    page.get_by_label("Protein sequence").fill("MKV")
    button = box.get_by_role("button", name="Fetch it: 77 MB, by pip")
    while not button.evaluate("e => e.getRootNode().activeElement === e"):
        page.keyboard.press("Tab")
    assert button.evaluate("e => getComputedStyle(e).outlineStyle") == "solid", "focus is seen"
    page.screenshot(path=tmp_path / f"fetch_{scheme}.png")
    if AXE.exists():
        assert serious(page) == []
    page.keyboard.press("Enter")
    page.keyboard.press("Enter")
    assert page.evaluate("window.sent") == [{"fetch": True, "text": "MKV"}], "once is enough"
    page.evaluate(f"() => {MODEL}.set('progress', 'Fetching unirep-1900: 34 of 77 MB')")
    words = page.locator(".iplm-playground .iplm-body > .iplm-words")
    assert words.inner_text() == "Fetching unirep-1900: 34 of 77 MB …"
    assert words.get_attribute("role") == "status", "it is read out"
    assert button.get_attribute("aria-disabled") == "true"
    page.screenshot(path=tmp_path / f"fetching_{scheme}.png")
    failed = "The weights could not be fetched: no network"
    page.evaluate(f"() => {{ {MODEL}.set('progress', ''); {MODEL}.set('problem', '{failed}'); }}")
    page.evaluate(DONE)
    assert words.inner_text() == failed and button.get_attribute("aria-disabled") == "false"
    page.screenshot(path=tmp_path / f"failed_{scheme}.png")
    page.keyboard.press("Enter")
    assert len(page.evaluate("window.sent")) == 2, "the focus has stayed on the button"
    page.evaluate(f"() => {MODEL}.set('missing', {{}})")
    page.evaluate(DONE)
    shown.settled()
    assert box.is_hidden()
    area = page.get_by_label("Protein sequence")
    assert area.evaluate("e => e.getRootNode().activeElement === e"), "the focus has moved on"


def test_a_model_that_reads_one_way_says_what_a_mutation_cannot_change(
    show: Callable, left_to_right: FeatureData, tmp_path: Path
) -> None:
    made = SequencePlayground(
        left_to_right,
        FakeAnnotator(),  # type: ignore[arg-type]
        sequence="MAAPWK",
        mutations=["W5A"],
    )
    shown = show(made, width=640, height=700)
    words = "unirep-1900 reads from left to right: a mutation changes nothing before it."
    assert shown.page.get_by_text(words).is_visible()
    shown.page.screenshot(path=tmp_path / "direction.png")
    made.mutations = []
    again = show(made, width=640)
    assert again.page.get_by_text(words).is_hidden()


def test_a_residue_is_chosen_by_click_and_by_keys(shown: Any) -> None:
    letters = canvas(shown, "Sequence")
    letters.click(position={"x": 2 + 4.5 * 11, "y": 22})
    assert (
        text(shown, "iplm-here")
        == "Residue 5: alanine (A, W in the reference); feature 1: 0.00 → 0.50"
    )
    shown.page.keyboard.press("ArrowLeft")
    assert text(shown, "iplm-here") == "Residue 4: proline (P); feature 1: 0.00"
    shown.page.keyboard.press("End")
    assert text(shown, "iplm-here").startswith("Residue 60: lysine")
    shown.page.keyboard.press("Escape")
    assert text(shown, "iplm-here") == ""


def test_a_row_selects_its_feature_by_click_and_by_keys(shown: Any) -> None:
    strips = canvas(shown, "Features")
    strips.focus()
    said = []
    for _ in range(3):
        shown.page.keyboard.press("ArrowDown")
        said.append(text(shown, "iplm-say"))
    assert said[0] == "Tryptophan, named by feature 0: confidence 0.60 → 0.60"
    assert said[1].startswith("Feature 0") and said[1].endswith("0.80 → 0.00 at 5")
    assert said[2].startswith("Feature 1") and said[2].endswith("0.00 → 0.50 at 5")
    shown.page.keyboard.press("ArrowUp")
    shown.page.keyboard.press("Enter")
    assert shown.selected("feature") == 0
    strips.click(
        position={"x": 30, "y": 16 + 24 + 36 + 24 + 34 + 17}
    )  # ruler, heading, a concept, heading, a row: the second feature
    assert shown.selected("feature") == 1


def test_a_protein_of_the_run_is_linked_with_other_views(
    show: Callable, demo_data: FeatureData
) -> None:
    accession = demo_data.pages.proteins.accessions[0]
    demo_data.selection.update({"feature": 1, "brush": [], "accession": accession, "position": 7})
    asked = f">{accession}\n{demo_data.pages.proteins.sequence(accession)}"
    playground = SequencePlayground(demo_data, FakeAnnotator(1024), sequence=asked)  # type: ignore
    shown = show(playground, height=1200)
    shown.page.locator(".iplm-playground canvas[data-drawn]").first.wait_for()
    assert text(shown, "iplm-here").startswith("Residue 7: ")
    canvas(shown, "Sequence").click(position={"x": 2 + 2.5 * 11, "y": 22})
    assert (shown.selected("accession"), shown.selected("position")) == (accession, 3)
    shown.select(position=9)
    assert text(shown, "iplm-here").startswith("Residue 9: ")
    assert shown.page.get_by_role("button", name=f"Use {accession}").is_visible()


def test_letters_follow_the_selection_and_the_brush(shown: Any) -> None:
    assert text(shown, "iplm-say") == "Letters show feature 1: active on 21 of 60 residues"
    shown.select(brush=[0.6, 1.0])
    assert (
        text(shown, "iplm-say")
        == "Brushed 0.60 to 1.00: showing 10 of 21 residues on which feature 1 is active"
    )
    shown.select(feature=900, brush=[])
    assert (
        text(shown, "iplm-say")
        == "Feature 900 was not read on this sequence, so the letters show no activation"
    )


def test_a_connected_playground_asks_for_what_is_pressed(shown: Any) -> None:
    page = shown.page
    page.evaluate(CONNECTED)
    shown.settled()
    page.get_by_label("Protein sequence").fill("mk v")
    page.keyboard.press("Control+Enter")
    page.evaluate(DONE)
    canvas(shown, "Sequence").focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("w")
    page.keyboard.press("ArrowRight")
    page.get_by_role("button", name="glycine").click()  # before the first answer: both count
    page.evaluate(DONE)
    page.evaluate(DONE)
    page.get_by_role("button", name="Remove W5A").click()
    page.evaluate(DONE)
    page.get_by_role("button", name="Scan this residue").click()
    asked = page.evaluate("window.sent")
    assert asked == [
        {"text": "mk v"},
        {"mutations": ["M1W", "W5A"]},
        {"mutations": ["M1W", "A2G", "W5A"]},
        {"mutations": []},
        {"position": 2},
    ]


def test_a_scan_makes_the_mutation_that_is_chosen(shown: Any) -> None:
    page = shown.page
    page.evaluate(CONNECTED)
    canvas(shown, "Substitutions").focus()
    page.keyboard.press("ArrowDown")
    assert text(shown, "iplm-say").startswith(
        "W5D (aspartate): 1 features change by more than 0.05; of those shown feature 0"
    )
    page.keyboard.press("Enter")
    assert page.evaluate("window.sent") == [{"mutations": ["W5D"]}]


def test_what_goes_on_and_what_went_wrong_is_said(shown: Any) -> None:
    page = shown.page
    page.evaluate(CONNECTED)
    words = page.locator(".iplm-playground .iplm-body > .iplm-words")
    page.evaluate(f"() => {MODEL}.set('progress', 'Loading the model')")
    assert words.inner_text() == "Loading the model …"
    page.evaluate(
        f"() => {{ {MODEL}.set('progress', ''); "
        f"{MODEL}.set('problem', 'The playground needs torch'); }}"
    )
    assert (
        words.inner_text() == "The playground needs torch"
        and canvas(shown, "Sequence").is_visible()
    )
    page.evaluate(
        f"() => {{ {MODEL}.set('problem', ''); "
        f"{MODEL}.send = () => {{ throw new Error('the kernel has gone'); }}; }}"
    )
    page.get_by_role("button", name="Read", exact=True).click()
    assert words.inner_text().startswith("No kernel answers")


@pytest.mark.parametrize(("scheme", "width"), [("light", 320), ("dark", 1600)])
def test_it_fits_and_is_accessible(
    show: Callable, playground: SequencePlayground, scheme: str, width: int
) -> None:
    shown = show(playground, width=width, height=1200, scheme=scheme)
    shown.page.locator(".iplm-playground canvas[data-drawn]").first.wait_for()
    shown.settled()
    assert shown.page.evaluate("document.documentElement.scrollWidth") <= width
    if not AXE.exists():
        pytest.skip("axe-core is not installed: run npm ci in widgets")
    assert serious(shown.page) == []


def test_hostile_names_are_text(show: Callable, hostile_data: FeatureData) -> None:
    hostile_data.selection.update({"feature": 0, "brush": [], "accession": "", "position": None})
    made = SequencePlayground(
        hostile_data,
        FakeAnnotator(),
        sequence=f">{HOSTILE.replace(' ', '')}\nWAAPW",
        mutations=["W1A"],
    )  # type: ignore[arg-type]
    shown = show(made, width=500)
    shown.page.locator(".iplm-playground canvas[data-drawn]").first.wait_for()
    assert "<imgsrc=x" in text(shown, "iplm-sub")


def test_files_hold_what_is_seen(shown: Any) -> None:
    page = shown.page
    with page.expect_download() as svg:
        save(page, "Save Sequence playground as SVG")
    picture = Path(svg.value.path()).read_text(encoding="utf-8")
    assert (
        picture.startswith("<svg")
        and "mine, 60 residues, W5A" in picture
        and "All substitutions of W5" in picture
    )
    with page.expect_download() as csv:
        save(page, "Save Sequence playground as CSV")
    lines = Path(csv.value.path()).read_text(encoding="utf-8").splitlines()
    assert [line.split(",")[:3] for line in lines[1:]] == [
        ["mine", "W5A", "0"],
        ["mine", "W5A", "1"],
    ]
    assert lines[1].endswith(",0.8,5,0.8,11,-0.8,5,0.8,0")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_likelihood_of_a_mutant_and_its_nulls_are_read(
    show: Callable, demo_data: FeatureData, scheme: str
) -> None:
    demo_data.selection.update({"feature": 1, "brush": [], "accession": "", "position": None})
    asked: Any = FakeAnnotator(1024)
    made = SequencePlayground(demo_data, asked, sequence=SEQUENCE, mutations=["W5A"])
    words = "To esm2-mini, the mutant is less likely than the reference: ... (masked marginals)."
    made.likelihood = {"sequence": SEQUENCE, "mutations": ["W5A"], "words": words}
    row = {"feature": 7, "place": "at the site", "kind": "lost", "change": 0.5, "position": 5}
    made.nulls = {
        "sequence": SEQUENCE,
        "mutation": "W5A",
        "sentence": "W5A: features 1 lost.",
        "features": [{**row, "p_site": 1 / 19, "p_same": None}],
        "n": 1,
        "least": 0.25,
    }
    shown = show(made, width=640, height=1500, scheme=scheme)
    assert shown.page.get_by_text(words).is_visible()
    table = shown.page.locator(".iplm-nulls table")
    assert table.locator("tbody tr").all_inner_texts() == ["7\t−0.50 lost\t5, at the site\t0.05\t–"]
    assert "a change of 0.25 of the maximum or more" in text(shown, "iplm-nulls")
    if AXE.exists():
        assert serious(shown.page) == []
    table.get_by_role("button", name="7").click()
    assert shown.selected("feature") == 7


def test_nulls_are_asked_for_by_a_button_where_the_runs_model_reads(
    show: Callable, demo_data: FeatureData
) -> None:
    asked: Any = FakeAnnotator(1024)
    made = SequencePlayground(demo_data, asked, sequence=SEQUENCE, mutations=["W5A"])
    shown = show(made, width=640, height=1500)
    page, name = shown.page, "Lost and gained, with nulls"
    page.evaluate(CONNECTED)
    assert page.get_by_role("button", name=name).count() == 0, "no likelihood: not the run's model"
    said = {"sequence": SEQUENCE, "mutations": ["W5A"], "words": "likely"}
    page.evaluate(f"said => {MODEL}.set('likelihood', said)", said)
    page.get_by_role("button", name=name).click()
    assert page.evaluate("window.sent") == [{"nulls": True}]
