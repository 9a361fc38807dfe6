"""The panel on a page: predictions are read with mouse and keys, without a kernel it says so, with
one it asks once for what was set last, and shows nothing older."""

import base64
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from interplm_nb.pipeline.run import Run
from interplm_nb.widgets.feature_data import FeatureData
from interplm_nb.widgets.packing import pack
from interplm_nb.widgets.steering.steered import Settings, Steered, packed_steered
from interplm_nb.widgets.steering.steering_panel import SteeringPanel
from interplm_nb.widgets.workbench import Workbench
from tests.browser.views.conftest import HOSTILE, save
from tests.browser.views.test_sequence_playground import AXE, serious
from tests.browser.workbench import wait_until_drawn

pytestmark = pytest.mark.browser

SEQUENCE = "MKTAYIAKQRQISFVKSHFSRQ" * 3
MODEL = "[...window.iplmModels.values()].find(m => 'keep_error' in m.state)"
CONNECTED = f"""() => {{
  window.sent = [];
  Object.assign({MODEL}, {{ static: false, send: question => window.sent.push(question) }});
  for (const text of ["Loading", ""]) {MODEL}.set("progress", text);
}}"""
ANSWER = f"""packed => {{
  const bytes = Uint8Array.from(atob(packed), c => c.charCodeAt(0));
  {MODEL}.set("result", new DataView(bytes.buffer));
  for (const listener of {MODEL}.listeners.get("msg:custom")) listener({{ done: true }});
}}"""
ASKED = "n => window.sent.length >= n"


def packed(request: int | None = None, accession: str = "", names: Any = None, **settings) -> bytes:
    """Predictions that lean to A, unsteered, and to C at residue 9, steered."""
    n = len(SEQUENCE)
    rng = np.random.default_rng(0)
    unsteered, control = (rng.dirichlet(np.ones(20), n).astype(np.float32) for _ in range(2))
    steered = unsteered.copy()
    steered[8] = np.eye(20, dtype=np.float32)[1]
    one = Settings((1,), (9,), (), "clamp", 1.0, "output", True, "feature", 0)
    one = Settings(**{**one.__dict__, **settings})
    active = np.linspace(0, 1, n, dtype=np.float32)[None]
    found = Steered(SEQUENCE, 1, one, (2,), unsteered, steered, control, active)
    record, arrays = packed_steered(found, names or {1: "Helix"})
    own = {"request": request, "name": "mine", "accession": accession, "snippet": "p = 1\n"}
    return pack({**record, **own}, arrays)


@pytest.fixture
def panel(demo_data: FeatureData) -> SteeringPanel:
    demo_data.selection.update({"feature": 1, "brush": [], "accession": "", "position": None})
    made = SteeringPanel(demo_data, positions=[9])
    made.result = packed()
    return made


@pytest.fixture
def shown(show: Callable, panel: SteeringPanel) -> Any:
    shown = show(panel, width=900, height=900)
    shown.page.locator(".iplm-steering canvas[data-drawn]").first.wait_for()
    shown.settled()
    return shown


def text(shown: Any, part: str) -> str:
    shown.settled()
    return shown.page.locator(f".iplm-steering .{part}").inner_text()


def heat(shown: Any) -> Any:
    return shown.page.locator(".iplm-steering canvas[aria-label^='Heat maps of ']")


def test_a_page_without_a_kernel_shows_what_was_steered_and_says_why_no_more(shown: Any) -> None:
    words = shown.page.locator(".iplm-steering .iplm-body > .iplm-words").inner_text()
    assert words == (
        "Steering needs the model, and this page has no kernel. It shows what was steered last. "
        "Run the notebook to steer."
    )
    assert shown.page.get_by_role("slider").count() == 0, "nothing can be set"
    assert text(shown, "iplm-effect").startswith(
        "Feature 1 (Helix) set to 1 × its maximum at 1 residue moves the predictions by 0.0"
    )
    assert text(shown, "iplm-effect").endswith("→ 1.00.")


def test_a_page_with_nothing_steered_says_what_it_takes(
    show: Callable, demo_data: FeatureData
) -> None:
    empty = show(SteeringPanel(demo_data))
    words = empty.page.locator(".iplm-steering .iplm-body > .iplm-words").inner_text()
    assert words == (
        "Steering needs the model, and this page has no kernel. Run the notebook to steer."
    )
    assert empty.page.locator(".iplm-steering canvas").first.is_hidden()
    assert empty.page.locator(".iplm-steering [role=status]").first.inner_text() == words


def test_predictions_are_read_by_click_and_by_keys(shown: Any) -> None:
    assert text(shown, "iplm-say").startswith("Choose a residue")
    heat(shown).focus()
    shown.page.keyboard.press("Enter")
    said = text(shown, "iplm-say")
    assert said.startswith("Residue 9 (Q): ") and "C 1.00, A 0.00 steered" in said
    assert said.endswith("the feature is 0.12 × its maximum here unsteered")
    shown.page.keyboard.press("ArrowRight")
    assert text(shown, "iplm-say").startswith("Residue 10 (R): ")
    for key, letter in (("ArrowUp", "proline (P)"), ("ArrowDown", "proline (P)"), ("ArrowUp", "G")):
        shown.page.keyboard.press(key)
        assert letter in text(shown, "iplm-say")
    shown.page.keyboard.press("End")
    assert text(shown, "iplm-say").startswith("Residue 66 (Q): ")
    box = heat(shown).bounding_box()
    wide = (box["width"] - 2 * 18 - 12) // 2
    heat(shown).click(position={"x": 18 + wide * 8.5 / 66, "y": 22})
    assert text(shown, "iplm-say").startswith("Residue 9 (Q): aspartate (D) ")


def test_a_protein_of_the_run_is_linked_with_other_views(
    show: Callable, panel: SteeringPanel
) -> None:
    panel.result = packed(accession="P00044")
    shown = show(panel, height=900)
    heat(shown).focus()
    shown.page.keyboard.press("Enter")
    assert (shown.selected("accession"), shown.selected("position")) == ("P00044", 9)
    shown.select(position=12)
    assert text(shown, "iplm-say").startswith("Residue 12 ")


def test_what_is_set_last_is_asked_for_once_and_nothing_older_is_shown(shown: Any) -> None:
    page = shown.page
    page.evaluate(CONNECTED)
    slider = page.get_by_role("slider")
    slider.focus()
    slider.evaluate(  # at once: a busy machine types slower than the panel waits
        "s => [1.05, 1.1, 1.15, 1.2].forEach(value => {"
        " s.value = value; s.dispatchEvent(new Event('input', { bubbles: true })); })"
    )
    page.wait_for_function(ASKED, arg=1)
    (first,) = page.evaluate("window.sent")
    assert first["settings"]["strength"] == pytest.approx(1.2)
    assert first["settings"]["positions"] == [9]
    old = page.locator(".iplm-steering .iplm-stale")
    assert old.count() == 1, "what is on the page is marked as old"
    for _ in range(2):
        page.keyboard.press("ArrowRight")
    page.get_by_role("combobox", name="Change").select_option("add")
    shown.settled()
    answer = base64.b64encode(packed(first["steer"], strength=1.2)).decode()
    page.evaluate(ANSWER, answer)
    assert "set to 1 ×" in text(shown, "iplm-effect"), "a newer request is on its way"
    page.wait_for_function(ASKED, arg=2)
    second = page.evaluate("window.sent")[1]
    assert (second["settings"]["how"], second["settings"]["strength"]) == ("add", 1.3)
    newest = packed(second["steer"], strength=1.3, how="add")
    page.evaluate(ANSWER, base64.b64encode(newest).decode())
    shown.page.locator(".iplm-steering .iplm-effect", has_text="raised by 1.3 ×").wait_for()
    assert old.count() == 0 and "answered in" in text(shown, "iplm-sub")
    assert len(page.evaluate("window.sent")) == 2


def test_fields_say_what_they_take(shown: Any) -> None:
    page = shown.page
    page.evaluate(CONNECTED)
    assert page.get_by_role("textbox", name="Features").get_attribute("placeholder") == "1", (
        "the selected one"
    )
    field = page.get_by_role("textbox", name="Residues", exact=True)
    field.fill("3-5, x")
    field.press("Enter")
    words = page.locator(".iplm-steering .iplm-body > .iplm-words")
    assert words.inner_text() == (
        "Residues are numbers or ranges, such as 12-20, 33; x is neither."
    )
    assert field.get_attribute("aria-invalid") == "true" and page.evaluate("window.sent") == []
    field.fill("3-5")
    field.press("Enter")
    page.wait_for_function(ASKED, arg=1)
    assert page.evaluate("window.sent[0].settings.positions") == [3, 4, 5]
    page.evaluate(f"() => {MODEL}.set('progress', 'Running esm2-mini (1 of 2)')")
    assert words.inner_text().startswith("Running esm2-mini (1 of 2) …")
    page.get_by_text("More", exact=True).click()
    page.get_by_role("button", name="Another").click()
    page.get_by_role("checkbox").uncheck()
    page.evaluate(
        f"() => {{ {MODEL}.set('progress', ''); {MODEL}.set('result', null); "
        f"{MODEL}.set('problem', 'This could not be steered: x'); }}"
    )
    page.evaluate(
        f"() => {{ for (const l of {MODEL}.listeners.get('msg:custom')) l({{ done: true }}); }}"
    )
    page.wait_for_function(ASKED, arg=2)
    asked = page.evaluate("window.sent[1].settings")
    assert (asked["seed"], asked["keep_error"]) == (1, False)
    assert heat(shown).is_hidden(), "nothing older stays"


def test_behind_its_tab_it_costs_nothing(show: Callable) -> None:
    bench = Workbench(Run.shipped())
    bench.steering.result = packed()
    bench.data.keep([1, 2], 5)
    bench.selection.feature = 1
    shown = show(bench, width=1050, height=750)
    wait_until_drawn(shown.page)
    shown.page.evaluate(CONNECTED)
    shown.select(feature=2)
    shown.page.locator(".iplm-histogram .iplm-sub", has_text="feature 2").wait_for()
    shown.page.wait_for_timeout(150)
    assert shown.page.evaluate("window.sent") == []
    shown.page.get_by_role("tab", name="Steering").click()
    shown.page.wait_for_function(ASKED, arg=1)
    assert shown.page.evaluate("window.sent[0].settings.features") == []


@pytest.mark.parametrize(("scheme", "width"), [("light", 320), ("dark", 1600)])
def test_it_fits_and_is_accessible(
    show: Callable, panel: SteeringPanel, scheme: str, width: int, tmp_path: Path
) -> None:
    shown = show(panel, width=width, height=1200, scheme=scheme)
    shown.page.locator(".iplm-steering canvas[data-drawn]").first.wait_for()
    shown.page.evaluate(CONNECTED)
    shown.page.get_by_text("More", exact=True).click()
    shown.settled()
    shown.page.screenshot(path=tmp_path / f"steering_{scheme}_{width}.png")
    assert shown.page.evaluate("document.documentElement.scrollWidth") <= width
    if not AXE.exists():
        pytest.skip("axe-core is not installed: run npm ci in widgets")
    assert serious(shown.page) == []


def test_hostile_names_are_text(show: Callable, panel: SteeringPanel) -> None:
    panel.result = packed(names={1: HOSTILE, 2: HOSTILE})
    shown = show(panel, width=500)
    assert "<img src=x" in text(shown, "iplm-effect")


def test_files_hold_what_is_seen(shown: Any) -> None:
    page = shown.page
    with page.expect_download() as svg:
        save(page, "Save Steering as SVG")
    picture = Path(svg.value.path()).read_text(encoding="utf-8")
    assert picture.startswith("<svg") and "control: feature 2" in picture
    with page.expect_download() as csv:
        save(page, "Save Steering as CSV")
    lines = Path(csv.value.path()).read_text(encoding="utf-8").splitlines()
    assert len(lines) == 1 + 20 * 66 and lines[0].startswith("position,residue,amino_acid,unst")
    assert lines[1 + 8 * 20 + 1].startswith("9,Q,C,") and lines[1 + 8 * 20 + 1].split(",")[4] == "1"
    page.get_by_text("Python that gives these numbers").click()
    with page.expect_download() as code:
        page.locator(".iplm-python").get_by_role("button", name="Save").click()
    assert Path(code.value.path()).read_text(encoding="utf-8") == "p = 1\n"
