"""The logo as a person uses it.

What it draws is what Python computes; pointer and keys find columns and select residues.
"""

import csv
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from interplm_nb.features.logos import AMINO_ACIDS, BACKGROUND, UNIFORM, position_weights
from interplm_nb.widgets.feature_data import FeatureData
from interplm_nb.widgets.histogram import ActivationHistogram
from interplm_nb.widgets.packing import unpack
from interplm_nb.widgets.sequence_logo import SequenceLogo, centres
from tests import shipped
from tests.browser.views.conftest import save

pytestmark = pytest.mark.browser

AXE = Path(__file__).parents[3] / "widgets" / "node_modules" / "axe-core" / "axe.min.js"
CANVAS = ".iplm-logo canvas"
NOTHING = {"brush": [], "accession": "", "position": None, "accessions": [], "pinned": []}
BITS = (
    "([x, y, w, h]) => document.querySelector('.iplm-logo canvas')"
    ".getContext('2d').getImageData(x, y, w, h).data.join()"
)


@pytest.fixture
def open_logo(show: Callable, demo_data: FeatureData) -> Callable[..., Any]:
    def open_page(
        settings: dict[str, Any] | None = None, page: dict[str, Any] | None = None, **selected: Any
    ) -> Any:
        demo_data.selection.update({"feature": shipped.motif(), **NOTHING, **selected})
        shown = show(SequenceLogo(demo_data, **(settings or {})), **{"width": 700, **(page or {})})
        shown.page.locator(f"{CANVAS}[data-drawn]").wait_for()
        return shown

    return open_page


def firing() -> int:
    """In how many proteins the feature fires."""
    return shipped.pages().top(shipped.motif(), 1_000).height


def table(page: Any) -> list[dict[str, str]]:
    with page.expect_download() as download:
        save(page, "Save Sequence logo as CSV")
    return list(
        csv.DictReader(io.StringIO(Path(download.value.path()).read_text(encoding="utf-8")))
    )


def said(page: Any) -> str:
    return page.locator(".iplm-logo .iplm-say").inner_text()


def point_at(shown: Any, column: int, n: int = 21) -> None:
    """The pointer over a column of the first logo, which has one line."""
    box = shown.page.locator(CANVAS).first.bounding_box()
    width = (box["width"] - 52) / n  # margins of 44 and 8 points
    shown.page.mouse.move(box["x"] + 44 + (column + 0.5) * width, box["y"] + 90)
    shown.settled()


@pytest.mark.parametrize(
    ("settings", "selected"),
    [
        ({"flank": 20}, {"brush": [0.5, 0.8]}),
        ({"background": "uniform", "flank": 0}, {"brush": [0.6, 2.0]}),
        ({"alignment": ["ACDe-", "ACEWX", "-CDW-"] * 9, "first": 40}, {}),
    ],
)
def test_its_heights_are_those_of_python(
    open_logo: Callable, demo_data: FeatureData, settings: dict, selected: dict
) -> None:
    shown = open_logo(settings, **selected)
    logo = SequenceLogo(demo_data, **settings)
    rows = logo.windows()
    assert len(rows) > 9
    weights = position_weights(
        rows, UNIFORM if settings.get("background") == "uniform" else BACKGROUND
    )
    found = table(shown.page)
    assert list(found[0]) == ["position", "letter", "frequency", "bits", "n"]
    first = settings["first"] if "first" in settings else -settings.get("flank", 10)
    assert [(int(row["position"]), row["letter"]) for row in found] == [
        (first + i, a) for i in range(len(weights.n)) for a in AMINO_ACIDS
    ]
    for name, expected in (
        ("frequency", weights.frequencies),
        ("bits", weights.heights),
        ("n", np.repeat(weights.n, 20)),
    ):
        np.testing.assert_allclose(
            [float(row[name]) for row in found], expected.ravel(), rtol=1e-9, atol=1e-12
        )
    assert logo.caption() in shown.page.locator(CANVAS).get_attribute("aria-label")
    assert shown.page.get_by_label("Residues on each side").is_visible() == (
        "alignment" not in settings
    )


def test_a_brush_changes_the_letters_and_never_the_axis(open_logo: Callable) -> None:
    shown = open_logo()
    axis = [0, 20, 43, 140]
    before = shown.page.evaluate(BITS, axis)
    every = table(shown.page)
    heights = shown.page.locator(CANVAS).bounding_box()["height"]
    for brush in ([0.5, 1], [0.8, 1], [0.9, 1]):
        shown.select(brush=brush)
        shown.settled()
        assert shown.page.evaluate(BITS, axis) == before
        assert shown.page.locator(CANVAS).bounding_box()["height"] == heights
    assert table(shown.page) != every
    strength = shipped.pages().top(shipped.motif(), 1_000)["maximum"]
    n, of = (strength >= 0.9).sum(), firing()
    words = f"Brushed 0.90 to 1.00: windows of {n} of {of} proteins shown"
    assert said(shown.page).startswith(words)


def test_fewer_than_two_windows_are_said(open_logo: Callable) -> None:
    shown = open_logo(brush=[0.9999, 1.5])
    assert said(shown.page) == "A logo needs windows of 2 or more proteins; the brush leaves none"
    shown.page.locator(CANVAS).focus()
    shown.page.keyboard.press("Enter")
    shown.page.keyboard.press("Escape")
    assert "aligned on each protein's maximum" in shown.page.locator(CANVAS).get_attribute(
        "aria-label"
    )


def test_the_pointer_finds_a_column_and_a_click_selects_its_residue(
    open_logo: Callable, demo_data: FeatureData
) -> None:
    shown = open_logo()
    point_at(shown, 12)
    weights = position_weights(SequenceLogo(demo_data).windows(), BACKGROUND)
    heights, share = weights.heights[12], weights.frequencies[12]
    first = AMINO_ACIDS[int(heights.argmax())]
    words = f"Column +2: {heights.sum():.2f} bits, n = {weights.n[12]:g}, {first} "
    assert said(shown.page).startswith(words)
    percent = float(said(shown.page).removeprefix(words).split()[0])
    assert percent == pytest.approx(100 * share[AMINO_ACIDS.index(first)], abs=0.51)
    shown.page.mouse.down()
    shown.page.mouse.up()
    strongest = demo_data.pages.top(shipped.motif(), 1).row(0, named=True)
    assert (shown.selected("accession"), shown.selected("position")) == (
        strongest["accession"],
        strongest["position"] + 2,
    )
    shown.page.mouse.move(2, 2)
    shown.settled()
    assert said(shown.page).endswith(
        f"Selected: {strongest['accession']} {strongest['position'] + 2}, in column +2"
    )


def test_keys_move_along_the_columns_and_select(
    open_logo: Callable, demo_data: FeatureData
) -> None:
    weaker = demo_data.pages.top(shipped.motif(), 5).row(4, named=True)
    shown = open_logo(accession=weaker["accession"])
    shown.page.locator(CANVAS).focus()
    for key, column in (
        ("ArrowRight", "0"),
        ("ArrowRight", "+1"),
        ("ArrowLeft", "0"),
        ("Home", "-10"),
        ("ArrowLeft", "-10"),
        ("End", "+10"),
    ):
        shown.page.keyboard.press(key)
        assert said(shown.page).startswith(f"Column {column}: ")
    shown.page.keyboard.press("ArrowLeft")
    shown.page.keyboard.press("Enter")
    assert (shown.selected("accession"), shown.selected("position")) == (
        weaker["accession"],
        weaker["position"] + 9,
    )
    shown.page.keyboard.press("Escape")
    assert (
        shown.selected("position") is None
        and said(shown.page) == f"Windows of {firing()} of {firing()} proteins shown"
    )


def test_a_residue_that_is_hovered_elsewhere_marks_its_column(
    show: Callable, demo_data: FeatureData
) -> None:
    demo_data.selection.update({"feature": shipped.motif(), **NOTHING})
    shown = show(SequenceLogo(demo_data), SequenceLogo(demo_data), width=700)
    shown.page.locator(f"{CANVAS}[data-drawn]").nth(1).wait_for()
    column = [
        44 + round(12.5 * (shown.page.locator(CANVAS).first.bounding_box()["width"] - 52) / 21),
        25,
        1,
        80,
    ]
    second = (
        "a => { const c = document.querySelectorAll('.iplm-logo canvas')[1]; return "
        "c.getContext('2d').getImageData(...a).data.join(); }"
    )
    plain = shown.page.evaluate(second, column)
    point_at(shown, 12)
    marked = shown.page.evaluate(second, column)
    assert marked != plain
    shown.page.mouse.move(2, 2)
    shown.settled()
    assert shown.page.evaluate(second, column) == plain


def test_the_controls_and_axe_finds_no_fault_in_them(open_logo: Callable) -> None:
    shown = open_logo()
    flank = shown.page.get_by_label("Residues on each side")
    flank.fill("3")
    assert len(table(shown.page)) == 7 * 20
    flank.press("ArrowUp")
    assert len(table(shown.page)) == 9 * 20
    flank.fill("99")  # not a window; the last one stays
    assert len(table(shown.page)) == 9 * 20
    swissprot = table(shown.page)
    shown.page.get_by_role("combobox", name="background").select_option("uniform")
    uniform = table(shown.page)
    assert [row["frequency"] for row in swissprot] == [
        row["frequency"] for row in uniform
    ] and swissprot != uniform
    shown.settled()
    before = shown.page.evaluate(BITS, [0, 20, 43, 140])
    shown.page.get_by_role("button", name="Enlarge columns next to the maximum").click()
    shown.settled()
    assert shown.page.evaluate(BITS, [0, 20, 43, 140]) != before
    assert table(shown.page) == uniform
    if AXE.is_file():  # from npm
        shown.page.evaluate(AXE.read_text(encoding="utf-8"))
        found = shown.page.evaluate(
            "async () => (await axe.run('.iplm-view')).violations.map(v => [v.id, "
            "v.impact, v.nodes[0].html])"
        )
        assert [fault for fault in found if fault[1] in ("serious", "critical")] == []


def test_pictures_are_saved_with_their_caption(open_logo: Callable) -> None:
    shown = open_logo(brush=[0.5, 1])
    with shown.page.expect_download() as download:
        save(shown.page, "Save Sequence logo as SVG")
    svg = Path(download.value.path()).read_text(encoding="utf-8")
    assert download.value.suggested_filename == f"logo_sae_feature_{shipped.motif()}.svg"
    words = " ".join(part.split("<")[0] for part in svg.split(">") if part.split("<")[0])
    assert (
        "n = " in words
        and "Swiss-Prot" in words
        and "bits" in words
        and "hydrophobic AVLIM" in words
    )
    with shown.page.expect_download() as download:
        save(shown.page, "Save Sequence logo as PNG")
    assert Path(download.value.path()).read_bytes()[:4] == b"\x89PNG"


@pytest.mark.parametrize(("width", "scheme"), [(320, "light"), (1600, "dark")])
def test_narrow_and_wide_light_and_dark(open_logo: Callable, width: int, scheme: str) -> None:
    shown = open_logo({"flank": 50}, {"width": width, "scheme": scheme}, brush=[0.5, 1])
    page = shown.page
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    lines = -(-101 * 7 // (page.locator(CANVAS).bounding_box()["width"] - 52))
    assert (page.locator(CANVAS).bounding_box()["height"] > 138 * lines) and lines == (
        4 if width == 320 else 1
    )
    page.locator(CANVAS).focus()
    page.keyboard.press("End")
    assert said(page).startswith("Column +50: ")


def test_hostile_names_long_and_short_proteins(show: Callable, hostile_data: FeatureData) -> None:
    hostile_data.selection.update({"feature": 0, **NOTHING})
    shown = show(SequenceLogo(hostile_data), ActivationHistogram(hostile_data), width=400)
    shown.page.locator(f"{CANVAS}[data-drawn]").wait_for()
    assert said(shown.page) == "Windows of 6 of 6 proteins shown"
    found = table(shown.page)
    assert {int(row["n"]) for row in found} >= {
        6
    }  # the protein of one residue counts in its own column alone
    assert sum(int(row["n"]) for row in found) / 20 == sum(
        len(window.replace("-", "")) for window in SequenceLogo(hostile_data).windows()
    )


def test_the_strongest_of_the_brush_is_selected_where_no_protein_is(
    open_logo: Callable, demo_data: FeatureData
) -> None:
    shown = open_logo(brush=[0.2, 0.5])
    made = centres(*unpack(demo_data.bundle), [0.2, 0.5], [])
    strength = {
        a: float(demo_data.pages.activations.along(a, shipped.motif())[position - 1])
        for a, position in made
    }
    shown.page.locator(CANVAS).focus()
    shown.page.keyboard.press("ArrowRight")
    shown.page.keyboard.press("Enter")
    assert (shown.selected("accession"), shown.selected("position")) == max(
        made, key=lambda centre: strength[centre[0]]
    )
