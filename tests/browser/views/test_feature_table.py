"""The table as a person uses it.

Keys and clicks select, a search and filters narrow, headings sort; few of many rows are in the
page.
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
from interplm_nb.pipeline.run import Run
from interplm_nb.proteins import Proteins
from interplm_nb.widgets import assets
from interplm_nb.widgets.feature_data import FeatureData
from interplm_nb.widgets.feature_table import FeatureTable
from tests import shipped
from tests.browser.views.conftest import HOSTILE, Shown, save
from tests.widgets.small_run import make_run

pytestmark = pytest.mark.browser

ROWS = ".iplm-features tbody tr[data-feature]"
AXE = assets.CLONE / "node_modules" / "axe-core" / "axe.min.js"
FAULTS = """async () => (await axe.run(document.querySelector('main'))).violations
  .filter(v => ['serious', 'critical'].includes(v.impact))
  .map(v => `${v.id}: ${v.nodes.map(n => n.html.slice(0, 120)).join(' | ')}`)"""


@pytest.fixture
def data(demo_data: FeatureData) -> FeatureData:
    demo_data.selection.update(
        {
            "feature": shipped.best(),
            "brush": [0.1, 0.2],
            "accession": "",
            "position": None,
            "pinned": [],
            "accessions": [],
            "listed": {},
        }
    )
    return demo_data


@pytest.fixture
def shown(show: Callable, data: FeatureData) -> Any:
    shown = show(FeatureTable(data))
    shown.page.locator(ROWS).first.wait_for()
    return shown


def features(shown: Shown) -> list[int]:
    """The features in the page, from the top."""
    return shown.page.locator(ROWS).evaluate_all(
        "rows => rows.map(row => Number(row.dataset.feature))"
    )


def saved(shown: Shown) -> list[dict[str, str]]:
    """The rows that the button CSV saves."""
    with shown.page.expect_download() as download:
        save(shown.page, "Save Features as CSV")
    return list(
        csv.DictReader(io.StringIO(Path(download.value.path()).read_text(encoding="utf-8")))
    )


def in_sight(shown: Shown, feature: int) -> bool:
    row = shown.page.locator(f"tr[data-feature='{feature}']").bounding_box()
    box = shown.page.locator(".iplm-features .iplm-scroll").bounding_box()
    return (
        box["y"] + 26 <= row["y"] + 0.5
        and row["y"] + row["height"] <= box["y"] + box["height"] + 0.5
    )


def test_keys_select_and_follow(shown: Any, data: FeatureData) -> None:
    order = FeatureTable(data).rows()["feature"].to_list()
    shown.page.get_by_role("grid").focus()
    for key, place in [
        ("ArrowDown", 1),
        ("ArrowDown", 2),
        ("ArrowUp", 1),
        ("End", len(order) - 1),
        ("Home", 0),
    ]:
        shown.page.keyboard.press(key)
        shown.settled()
        assert shown.selected("feature") == order[place]
        assert in_sight(shown, order[place])
        assert shown.page.locator("tr[aria-selected='true']").get_attribute("aria-rowindex") == str(
            place + 2
        )
    assert shown.selected("brush") == []  # of the feature that was selected before
    active = shown.page.get_by_role("grid").get_attribute("aria-activedescendant")
    assert shown.page.locator(f"[id='{active}']").get_attribute("data-feature") == str(order[0])
    shown.page.keyboard.press("PageDown")
    shown.page.keyboard.press("PageUp")
    assert shown.selected("feature") == order[0]
    shown.page.keyboard.press("]")
    assert shown.selected("feature") == order[1]


def test_a_click_selects_and_a_selection_elsewhere_is_scrolled_to(
    shown: Any, data: FeatureData
) -> None:
    shown.page.locator(ROWS).nth(4).click()
    order = FeatureTable(data).rows()["feature"].to_list()
    assert shown.selected("feature") == order[4]
    shown.select(feature=order[500])
    shown.settled()
    assert in_sight(shown, order[500])
    assert "row 501" in shown.page.locator(".iplm-say").inner_text()


def listing(data: FeatureData, **listed: Any) -> pl.DataFrame:
    """The rows that Python lists so, in the table's own order."""
    data.selection.listed = listed
    rows = FeatureTable(data).rows()
    data.selection.listed = {}
    return rows


def concepts(shown: Shown) -> list[str]:
    """The concept cell of each row in the page."""
    place = shown.page.locator(".iplm-features thead th").all_inner_texts().index("concept")
    return shown.page.locator(ROWS).evaluate_all(
        f"rows => rows.map(row => row.cells[{place}].textContent)"
    )


def test_a_search_narrows_as_it_is_typed(shown: Any, data: FeatureData) -> None:
    shown.page.get_by_role("grid").focus()
    shown.page.keyboard.press("/")
    shown.page.keyboard.type("zinc")
    found = listing(data, search="zinc")["feature"].to_list()
    assert 200 < len(found) < 1000
    assert [int(row["feature"]) for row in saved(shown)] == found
    assert f"{len(found)} of" in shown.page.locator(".iplm-sub").inner_text()
    box = shown.page.get_by_role("searchbox")
    box.press("Enter")
    assert shown.selected("feature") == found[0] == shipped.best("Zinc finger_any")
    box.press("Escape")
    assert box.input_value() == ""
    assert len(saved(shown)) > len(found)
    box.fill("no such thing")
    assert shown.page.locator(ROWS).count() == 0
    shown.page.get_by_role("button", name="Show all features").click()
    assert shown.page.locator(ROWS).count() > 5
    assert box.input_value() == ""


@pytest.mark.parametrize("word", ["disulfide", "zinc", "phosphoserine"])
def test_a_row_shows_the_pair_that_matched(shown: Any, data: FeatureData, word: str) -> None:
    """Of every pair with a score: no feature has "Disulfide bond" as its best label."""
    ranked = data.pages.ranked
    concepts_of_word = ranked.filter(pl.col("concept").str.to_lowercase().str.contains(word))
    shown.page.get_by_role("searchbox").fill(word)
    rows = [row for row in saved(shown) if row["concept"]]  # the others are found by their words
    firing = set(data.pages.alive.tolist())
    assert {int(r["feature"]) for r in rows} == set(concepts_of_word["feature"]) & firing
    f1 = [float(row["validation_f1_per_domain"]) for row in rows]
    assert f1 == sorted(f1, reverse=True)
    for row in rows[:40]:
        assert word in row["concept"].lower()
        (pair,) = ranked.filter(feature=int(row["feature"]), concept=row["concept"]).to_dicts()
        assert float(row["f1_per_domain"]) == pytest.approx(pair["f1_per_domain"], rel=1e-5)
    assert all(word in text.lower() for text in concepts(shown))


def test_the_order_mixes_concepts_and_names_are_words(shown: Any, data: FeatureData) -> None:
    texts = concepts(shown)[:8]
    assert len(set(texts)) == len(texts)
    assert "Zinc finger, any kind" in texts and "DNA binding: H-T-H motif" in texts
    assert "Zinc finger_any" not in shown.page.locator(".iplm-features").inner_text()
    cell = shown.page.locator(ROWS).get_by_text("Zinc finger, any kind").first
    assert "every annotated residue of category Zinc finger" in cell.get_attribute("title")
    assert "Zinc finger_any" in {row["concept"] for row in saved(shown)}  # as it is scored
    header = shown.page.get_by_role("columnheader", name="rank")
    assert header.get_attribute("aria-sort") == "ascending"
    why = shown.page.get_by_role("group", name="Which features are listed")
    assert "The best feature of each concept" in why.inner_text()


def test_proteins_are_found_and_list_what_they_have_in_common(
    show: Callable, data: FeatureData
) -> None:
    names = ["cytochrome c isoform", "yeast"]
    two = ["P00044", "P00045"]
    data.selection.accessions = two  # so that the page holds which features fire where
    expected = FeatureTable(data).rows()
    data.selection.accessions = []
    shown = show(FeatureTable(data))
    shown.page.locator(ROWS).first.wait_for()
    box = shown.page.get_by_role("searchbox")
    box.fill(names[0])
    why = shown.page.get_by_role("group", name="Which features are listed")
    assert "P00044 Cytochrome c isoform 1" in why.inner_text()
    assert "2 proteins found too" in shown.page.locator(".iplm-say").inner_text()
    box.press("Tab")
    while "all 2" not in (shown.page.evaluate("document.activeElement.textContent") or ""):
        shown.page.keyboard.press("Tab")  # over the other controls
    shown.page.keyboard.press("Enter")
    shown.settled()
    assert shown.selected("accessions") == two and shown.selected("listed") == {}
    assert shown.page.evaluate("document.activeElement.type") == "search"
    rows = saved(shown)
    assert [int(row["feature"]) for row in rows] == expected["feature"].to_list()
    for name in ("members", "background", "p_count", "q_count"):
        assert [float(row[name]) for row in rows] == pytest.approx(expected[name].to_list())
    said = why.inner_text()
    sure = expected.filter(pl.col("q_count") <= 0.05).height
    others = len(data.pages.proteins) - 2
    assert f"in both proteins, and in a smaller share of the {others} others" in said
    assert f"{sure} with q ≤ 0.05" in said
    heads = shown.page.locator(".iplm-features thead th").all_inner_texts()
    assert heads[1:5] == ["feature", "chosen", "others", "q"]
    shown.page.get_by_role("button", name="Take back: 2 proteins").click()
    assert shown.selected("accessions") == []
    assert len(saved(shown)) > len(rows)


def test_a_page_without_what_fires_where_says_so(show: Callable, data: FeatureData) -> None:
    data.firing, kept = b"", data.firing
    shown = show(FeatureTable(data))
    data.firing = kept
    shown.page.locator(ROWS).first.wait_for()
    shown.select(accessions=["P00044"])
    why = shown.page.get_by_role("group", name="Which features are listed")
    assert "This page does not hold what these proteins have in common" in why.inner_text()
    shown.select(accessions=["NOPE"])
    assert "This run has no protein NOPE" in why.inner_text()
    assert len(saved(shown)) > 1000


def test_what_is_listed_is_in_the_address_and_comes_back(shown: Any, data: FeatureData) -> None:
    shown.page.get_by_role("searchbox").fill("zinc")
    shown.page.get_by_role("combobox", name="category").select_option("Zinc finger")
    shown.page.get_by_label("Least F1 on test").fill("0.5")
    shown.page.wait_for_url(lambda url: "least_f1=0.5" in url)
    rows = [int(row["feature"]) for row in saved(shown)]
    expected = listing(data, search="zinc", category="Zinc finger", least_f1=0.5)
    assert rows == expected["feature"].to_list() and rows
    shown.page.reload()
    shown.page.locator(ROWS).first.wait_for()
    assert [int(row["feature"]) for row in saved(shown)] == rows
    assert shown.page.get_by_role("searchbox").input_value() == "zinc"
    shown.page.get_by_role("grid").focus()
    for feature in (rows[0], rows[1]):
        shown.page.keyboard.press("]") if feature != rows[0] else shown.page.keyboard.press("Home")
        assert shown.selected("feature") == feature


def test_a_heading_sorts_and_sorts_back(shown: Any, data: FeatureData) -> None:
    for heading, column, first in [
        ("F1 test", "f1_per_domain", True),
        ("concept", "concept", False),
        ("maximum", "maximum", True),
    ]:
        for descending in (first, not first):
            shown.page.get_by_role("columnheader", name=heading).get_by_role("button").click()
            shown.page.locator(
                f"th[aria-sort='{'descending' if descending else 'ascending'}']", has_text=heading
            ).wait_for()
            assert [int(row["feature"]) for row in saved(shown)] == FeatureTable(
                data, sort=column, descending=descending
            ).rows()["feature"].to_list()
    shown.page.get_by_role("columnheader", name="maximum").get_by_role("button").click()
    assert saved(shown)[0]["feature"] == str(FeatureTable(data).rows()["feature"][0])


def test_filters_by_category_strength_and_life(shown: Any, data: FeatureData) -> None:
    shown.page.get_by_role("combobox", name="category").select_option("Domain")
    shown.page.get_by_label("Least F1 on test").fill("0.38")
    expected = listing(data, category="Domain", least_f1=0.38)
    rows = saved(shown)
    assert [int(row["feature"]) for row in rows] == expected["feature"].to_list()
    assert [float(row["f1_per_domain"]) for row in rows] == pytest.approx(
        expected["f1_per_domain"].to_list(), rel=1e-5
    )
    assert list(rows[0]) == [*data.features.columns, "rank"]
    shown.page.get_by_role("combobox", name="category").select_option("all")
    shown.page.get_by_label("Least F1 on test").fill("")
    shown.page.get_by_role("button", name="Show silent features too").click()
    assert len(saved(shown)) == data.features.height


ENDS = "62 % of its maxima lie within 5 residues of an end of the protein (by chance 25 %)"


def test_a_feature_that_fires_near_the_ends_is_marked_in_words(
    show: Callable, ends_data: FeatureData
) -> None:
    ends_data.selection.feature = 1
    shown = show(FeatureTable(ends_data), width=320)
    shown.page.locator(ROWS).first.wait_for()
    mark = shown.page.locator(".iplm-ends")
    assert mark.count() == 1  # of two features
    assert mark.get_attribute("title") == ENDS
    assert mark.locator("[aria-hidden]").inner_text() == "ends"
    marked = shown.page.get_by_role("row", name=ENDS)  # what a screen reader reads of the row
    assert marked.get_attribute("data-feature") == "0"
    if AXE.is_file():
        shown.page.evaluate(AXE.read_text(encoding="utf-8"))
        assert shown.page.evaluate(FAULTS) == []
    table, box = (
        shown.page.locator(f".iplm-features {part}").bounding_box()
        for part in (".iplm-scroll", ".iplm-ends > :first-child")
    )
    assert box["x"] + box["width"] <= table["x"] + table["width"]  # in sight at 320 pixels
    shown.page.get_by_role("columnheader", name="near ends").get_by_role("button").click()
    assert [float(row["share_near_ends"]) for row in saved(shown)] == pytest.approx([13 / 21, 0])
    shown.page.get_by_role("grid").focus()
    shown.page.keyboard.press("Home")
    shown.settled()
    assert shown.page.locator(".iplm-say").inner_text().endswith(ENDS)
    with shown.page.expect_download() as download:
        save(shown.page, "Save Features as SVG")
    assert Path(download.value.path()).read_text().count(">ends<") == 1


def choose(shown: Shown, *labels: str) -> None:
    """Press columns in the menu, which stays open, and close it."""
    menu = shown.page.locator(".iplm-columns")
    menu.locator("summary").click()
    for label in labels:
        menu.get_by_label(label, exact=True).click()
    shown.page.keyboard.press("Escape")
    assert menu.get_attribute("open") is None


def test_columns_are_chosen_and_sorted_by(shown: Any, data: FeatureData) -> None:
    def heads() -> list[str]:
        return shown.page.locator(".iplm-features thead th").all_inner_texts()

    before = heads()
    assert not {"class", "motif bits", "r"} & set(before)
    choose(shown, "class", "motif bits", "density", "rank")
    assert set(before) - set(heads()) == {"density", "rank"}
    assert set(heads()) - set(before) == {"class", "motif bits"}
    shown.page.get_by_role("columnheader", name="motif bits").get_by_role("button").click()
    expected = FeatureTable(data, sort="motif_information").rows()
    rows = saved(shown)
    assert [int(row["feature"]) for row in rows] == expected["feature"].to_list()
    bits = [row["motif_information"] for row in rows if row["motif_information"]]
    assert [float(value) for value in bits] == pytest.approx(
        expected["motif_information"].drop_nulls().to_list(), rel=1e-5
    )
    assert {row["density_class"] for row in rows} == set(expected["density_class"])
    assert list(rows[0]) == [*data.features.columns, "rank"]  # files hold every column


def test_a_search_finds_descriptions_and_motifs(shown: Any, data: FeatureData) -> None:
    pattern = max(data.features["motif_pattern"].drop_nulls(), key=len)
    box = shown.page.get_by_role("searchbox")
    box.fill(pattern.lower())
    rows = saved(shown)
    assert [int(row["feature"]) for row in rows] == listing(data, search=pattern)[
        "feature"
    ].to_list()
    assert rows and all(pattern in row["motif_pattern"] for row in rows)
    assert f"“{pattern}”" in concepts(shown)
    described = data.features.drop_nulls("description").row(0, named=True)
    words = f"{described['feature']} fires"
    box.fill(words)
    found = [int(row["feature"]) for row in saved(shown)]
    assert described["feature"] in found
    assert found == listing(data, search=words)["feature"].to_list()


def test_a_note_marks_its_row_in_words_at_every_width(show: Callable, data: FeatureData) -> None:
    first = FeatureTable(data).rows().head(2)
    best, other = first["feature"]
    (description,) = {row["description"] or "" for row in first.head(1).to_dicts()}
    data.notes = {str(best): {"note": HOSTILE}, str(other): {"comment": "dull"}}
    try:
        shown = show(FeatureTable(data), width=320)
    finally:
        data.notes = {}
    row = shown.page.locator(f"tr[data-feature='{best}']")
    row.wait_for()
    assert row.locator(".iplm-noted").get_attribute("title") == f"A person's note: {HOSTILE}"
    assert "A person's note: dull" in shown.page.locator(f"tr[data-feature='{other}']").inner_text()
    shown.page.get_by_role("searchbox").fill("onerror")
    assert features(shown) == [best]
    (found,) = saved(shown)
    assert found["note"] == HOSTILE and found["description"] == description


def test_pins_by_mouse_and_key_are_four_at_most(shown: Any) -> None:
    other = features(shown)[1]
    pin = shown.page.get_by_role("button", name=f"Pin feature {other}", exact=True)
    pin.click()
    assert (shown.selected("pinned"), shown.selected("feature")) == ([other], shipped.best())
    for _ in range(4):
        shown.page.keyboard.press("ArrowDown")  # a pin leaves the focus on the rows
    shown.page.keyboard.press("p")
    shown.settled()
    assert shown.selected("pinned") == [other, shown.selected("feature")]
    assert pin.get_attribute("aria-pressed") == "true"
    shown.select(pinned=[1, 2, 3, 4])
    shown.page.keyboard.press("p")
    assert shown.selected("pinned") == [1, 2, 3, 4]
    assert "unpin one of 1, 2, 3, 4" in shown.page.locator(".iplm-say").inner_text()
    shown.select(pinned=[])
    scroller = shown.page.locator(".iplm-features .iplm-scroll")
    scroller.evaluate(
        "box => (box.scrollTop = 5000)"
    )  # the selected row is out of sight, and stays so
    shown.settled()
    shown.page.get_by_role("button", name=f"Pin feature {features(shown)[12]}", exact=True).click()
    shown.settled()
    assert scroller.evaluate("box => box.scrollTop") == 5000


def test_a_page_lists_what_it_holds(show: Callable, data: FeatureData) -> None:
    best, weak = shipped.best(), shipped.last()
    data.keep([weak, shipped.second()], n_proteins=2, structures=False)
    try:
        shown = show(FeatureTable(data))
        shown.page.locator(ROWS).first.wait_for()
    finally:
        data.kept = {}
    shown.page.locator(
        f"tr[data-feature='{best}']"
    ).wait_for()  # the one that was selected when the page was written
    assert features(shown) == [best, shipped.second(), weak]
    shown.page.get_by_role("button", name="Show only features in this page").click()
    assert shown.page.locator(ROWS).count() > 5


def test_ten_thousand_rows_are_a_few_in_the_page(show: Callable, tmp_path: Path) -> None:
    n, length = 10_240, 20
    accessions = ["P00001", "P00002", "P00003"]
    proteins = Proteins(
        pl.DataFrame({"accession": accessions, "sequence": ["MKVACDEFGHIKLMNPQRST"] * 3})
    )
    columns = {
        "accession": pl.String,
        "concept": pl.String,
        "category": pl.String,
        "level": pl.String,
    }
    none = Annotations(
        pl.DataFrame(schema=columns | {"start": pl.Int64, "end": pl.Int64, "instance": pl.Int64}),
        proteins,
    )
    values = np.zeros((3 * length, n), np.float32)
    values[np.arange(n) % len(values), np.arange(n)] = np.random.default_rng(0).random(n)
    order = np.argsort(
        -values[:length].max(axis=0), kind="stable"
    )  # by the maximum on the training protein, the first
    data = FeatureData(make_run(tmp_path / "run", proteins, none, values), structures={})
    data.selection.listed = {"silent": True}
    shown = show(FeatureTable(data, sort="maximum"))
    shown.page.locator(ROWS).first.wait_for()
    grid = shown.page.get_by_role("grid")
    assert grid.get_attribute("aria-rowcount") == str(n + 1)
    grid.focus()
    for key, place in [("End", n - 1), ("Home", 0), ("ArrowDown", 1)]:
        shown.page.keyboard.press(key)
        shown.settled()
        assert shown.page.locator(ROWS).count() < 40
        assert shown.selected("feature") == order[place]
        assert in_sight(shown, order[place])


def test_names_from_data_are_text_and_one_row_is_enough(show: Callable, tmp_path: Path) -> None:
    proteins = Proteins(
        pl.DataFrame({"accession": [f"P000{i:02}" for i in range(30)], "sequence": ["MKVACD"] * 30})
    )
    segment = {
        "concept": f"Domain_{HOSTILE}",
        "category": HOSTILE,
        "level": "instance",
        "start": 1,
        "end": 3,
    }
    table = pl.DataFrame(
        [{"accession": a, **segment, "instance": i} for i, a in enumerate(proteins.accessions)]
    )
    values = np.zeros((180, 1), np.float32)
    values[:, 0] = np.tile([1, 2, 3, 0, 0, 0], 30)
    run: Run = make_run(tmp_path / "run", proteins, Annotations(table, proteins), values)
    shown = show(FeatureTable(FeatureData(run, structures={})))
    row = shown.page.locator(ROWS)
    row.wait_for()
    assert row.count() == 1
    assert f"Domain_{HOSTILE}" in row.inner_text()
    assert row.locator("td").nth(2).get_attribute("title") == f"Domain_{HOSTILE}"


@pytest.mark.parametrize("scheme, width", [("light", 320), ("dark", 1000)])
def test_no_accessibility_fault_and_nothing_beyond_the_page(
    show: Callable, data: FeatureData, scheme: str, width: int
) -> None:
    data.selection.listed = {"search": "kinase", "silent": True, "among": [1, 2, 3]}
    shown = show(FeatureTable(data), scheme=scheme, width=width)
    data.selection.listed = {}
    shown.page.locator(".iplm-why button").nth(1).wait_for()
    shown.page.get_by_role("searchbox").fill("domain")
    shown.page.locator(ROWS).first.wait_for()
    assert shown.page.evaluate("document.documentElement.scrollWidth") <= width
    small = (
        "boxes => boxes.map(b => b.getBoundingClientRect())"
        ".filter(b => b.width < 24 || b.height < 24).length"
    )
    assert shown.page.locator(".iplm-features button").evaluate_all(small) == 0
    if not AXE.is_file():
        pytest.skip("axe-core is not installed: make install")
    shown.page.evaluate(AXE.read_text(encoding="utf-8"))
    assert shown.page.evaluate(FAULTS) == []
