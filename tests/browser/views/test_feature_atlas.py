"""The map of features as a person uses it.

Click, lasso, key, arrows, zoom and drag; what it says; what it does with strange data.
"""

import html
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from interplm_nb.pipeline.run import Run
from interplm_nb.widgets import assets
from interplm_nb.widgets.concept_names import concept_name
from interplm_nb.widgets.feature_atlas import FeatureAtlas, mapped
from interplm_nb.widgets.feature_data import FeatureData
from interplm_nb.widgets.feature_page import FeaturePages
from interplm_nb.widgets.feature_table import FeatureTable
from interplm_nb.widgets.lists import Lists
from tests import shipped
from tests.browser.views.conftest import HOSTILE, LONG, RIGHT_TO_LEFT, save

pytestmark = pytest.mark.browser

EDGE = 18  # points that the map keeps free
AXE = assets.CLONE / "node_modules" / "axe-core" / "axe.min.js"
FAULTS = """async () => (await axe.run(document.querySelector('main'))).violations
  .filter(v => ['serious', 'critical'].includes(v.impact))
  .map(v => [v.id, v.nodes.map(n => n.html)])"""
MODEL = "[...window.iplmModels.values()].find(m => 'colour' in m.state)"


class Map:
    """The map on a page.

    `at(feature)` is where a feature is on the screen while all of the map is seen.
    """

    def __init__(self, shown: Any, features: pl.DataFrame) -> None:
        self.shown, self.page, self.n = shown, shown.page, features.height
        self.table = mapped(features)
        self.canvas = self.page.locator(".iplm-atlas canvas[data-drawn]")
        self.canvas.wait_for()
        self.box = (
            self.canvas.bounding_box()
        )  # words about what a page cannot show come below it, and move nothing
        self.body = self.page.locator(".iplm-atlas .iplm-body")

    def at(self, feature: int) -> tuple[float, float]:
        low, high = (self.table.select(end("x"), end("y")).row(0) for end in (pl.min, pl.max))
        span = [b - a or 1e-6 for a, b in zip(low, high, strict=True)]
        scale = min(
            (self.box["width"] - 2 * EDGE) / span[0], (self.box["height"] - 2 * EDGE) / span[1]
        )
        x, y = self.table.filter(pl.col("feature") == feature).select("x", "y").row(0)
        across, down = (x - (low[0] + high[0]) / 2) * scale, (y - (low[1] + high[1]) / 2) * scale
        return self.box["x"] + self.box["width"] / 2 + across, self.box["y"] + self.box[
            "height"
        ] / 2 - down

    def lasso(self, corners: list[tuple[float, float]]) -> None:
        self.page.keyboard.down("Shift")
        self.drag(corners)
        self.page.keyboard.up("Shift")

    def drag(self, corners: list[tuple[float, float]]) -> None:
        self.page.mouse.move(*corners[0])
        self.page.mouse.down()
        for corner in corners[1:]:
            self.page.mouse.move(*corner, steps=3)
        self.page.mouse.up()

    def click(self, at: tuple[float, float]) -> int:
        self.page.mouse.click(*at)
        return self.shown.selected("feature")

    def chosen(self) -> list[int]:
        return self.shown.selected("listed").get("among", [])

    def of(self, category: str) -> list[int]:
        return self.table.filter(pl.col("category") == category)["feature"].to_list()

    def categories(self) -> list[str]:
        """The largest first, as in the legend."""
        sizes = self.table["category"].drop_nulls().value_counts()
        return sizes.sort(["count", "category"], descending=[True, False])["category"].to_list()

    def said(self) -> str:
        self.shown.settled()
        return self.page.locator(".iplm-atlas .iplm-say").inner_text()


@pytest.fixture(scope="module")
def other_data() -> FeatureData:
    """For `made_up`, so that the shared one keeps its features."""
    return FeatureData(Run.shipped(), structures={})


def made_up(data: FeatureData, n: int, **columns: Any) -> FeatureData:
    """The data with `n` features instead of its own, in a square, none with a concept."""
    random = np.random.default_rng(1)
    numbers = {"maximum": 1.0, "n_active": 5, "density": 0.01, "n_proteins": 3, "mean_active": 0.5}
    table = pl.DataFrame(
        {"feature": np.arange(n, dtype=np.uint32), "x": random.random(n), "y": random.random(n)}
    ).with_columns(
        **{name: pl.lit(value) for name, value in numbers.items()},
        cluster=pl.lit(-1, pl.Int32),
        concept=pl.lit(None, pl.String),
        category=pl.lit(None, pl.String),
        validation_f1_per_domain=pl.lit(None, pl.Float64),
        f1_per_domain=pl.lit(None, pl.Float64),
    )
    data.features = table.with_columns(
        **{name: pl.Series(values) for name, values in columns.items()}
    )
    data.lists = Lists.shared(data.features, data.concept_pairs, data.pages.proteins)
    return data


@pytest.fixture
def atlas(show: Callable, demo_data: FeatureData) -> Map:
    demo_data.selection.update(
        {
            "feature": shipped.best(),
            "brush": [0.5, 1],
            "accession": "",
            "position": None,
            "pinned": [],
            "accessions": [],
            "listed": {},
        }
    )
    return Map(show(FeatureAtlas(demo_data), width=760, height=800), demo_data.features)


@pytest.fixture(scope="module")
def lonely(demo_data: FeatureData) -> list[int]:
    """Features by the distance to their nearest neighbour, the loneliest first."""
    table = mapped(demo_data.features)
    places = table.select("x", "y").to_numpy().astype(float)
    away = np.linalg.norm(places[:, None] - places[None], axis=2) + 9 * np.eye(len(places))
    return table["feature"].to_numpy()[np.argsort(-away.min(axis=1))].tolist()


def test_a_click_selects_the_feature_under_it(atlas: Map, lonely: list[int]) -> None:
    x, y = atlas.at(lonely[0])
    assert atlas.click((x + 4, y - 4)) == lonely[0]
    assert atlas.shown.selected("brush") == []
    assert atlas.said().startswith(f"Feature {lonely[0]}, ")
    assert (
        atlas.click((atlas.box["x"] + 5, atlas.box["y"] + 5)) == lonely[0]
    )  # where nothing is, nothing is selected


def test_the_pointer_is_told_what_it_is_on(atlas: Map, demo_data: FeatureData) -> None:
    feature = shipped.best()
    best = demo_data.pages.best[feature]
    atlas.page.mouse.move(*atlas.at(feature))
    tip = atlas.page.locator(".iplm-tip")
    lines = tip.inner_text().splitlines()
    assert lines[:3] == [
        f"Feature {feature}",
        concept_name(best["concept"], best["category"]),
        f"F1 {best['f1_per_domain']:.2f} on test",
    ]
    assert re.fullmatch(r"active on [\d.]+ % of residues", lines[3])
    for feature in (atlas.table.sort(axis)["feature"][end] for axis in "xy" for end in (0, -1)):
        atlas.page.mouse.move(*atlas.at(feature))
        box, body = tip.bounding_box(), atlas.body.bounding_box()
        assert box["x"] >= body["x"] and box["x"] + box["width"] <= body["x"] + body["width"]
        assert box["y"] >= body["y"] and box["y"] + box["height"] <= body["y"] + body["height"]
    atlas.page.mouse.move(1, 1)
    assert tip.is_hidden()


def test_a_lasso_picks_out_what_is_inside_and_the_brackets_step_through_it(
    atlas: Map, demo_data: FeatureData
) -> None:
    x, y = atlas.box["x"] + 0.4 * atlas.box["width"], atlas.box["y"] + 0.4 * atlas.box["height"]
    atlas.lasso([(x, y), (x + 90, y), (x + 90, y + 70), (x, y + 70)])
    inside = [
        f
        for f in atlas.table["feature"]
        if x < atlas.at(f)[0] < x + 90 and y < atlas.at(f)[1] < y + 70
    ]
    assert len(inside) > 10
    assert atlas.chosen() == inside
    assert atlas.shown.selected("listed")["why"] == "lasso on the map"
    demo_data.selection.listed = {"among": inside}
    order = FeatureTable(demo_data).rows()["feature"].to_list()
    demo_data.selection.listed = {}
    assert atlas.said().startswith(
        f"{len(order)} features listed; [ and ] step through them, Escape clears the choice."
    )
    atlas.canvas.focus()
    atlas.page.keyboard.press("]")
    at = order.index(shipped.best()) + 1 if shipped.best() in order else 0
    assert atlas.shown.selected("feature") == order[at % len(order)]
    atlas.page.keyboard.press("]")
    assert atlas.shown.selected("feature") == order[(at + 1) % len(order)]
    atlas.page.keyboard.press("Escape")
    assert atlas.chosen() == []
    everything = FeatureTable(demo_data).rows()["feature"].to_list()
    here = everything.index(atlas.shown.selected("feature"))
    atlas.page.keyboard.press("]")
    assert atlas.shown.selected("feature") == everything[(here + 1) % len(everything)]


def test_a_search_fades_the_rest_and_the_table_lists_a_lasso(
    show: Callable, demo_data: FeatureData
) -> None:
    demo_data.selection.update({"feature": shipped.best(), "brush": [], "listed": {}})
    widgets = FeatureAtlas(demo_data), FeatureTable(demo_data)
    shown = show(*widgets, width=760, height=1200)
    atlas = Map(shown, demo_data.features)
    rows = shown.page.locator(".iplm-features tbody tr[data-feature]")
    rows.first.wait_for()
    shown.page.get_by_role("searchbox").fill("disulfide")
    demo_data.selection.listed = {"search": "disulfide"}
    n = FeatureTable(demo_data).rows().height
    demo_data.selection.listed = {}
    assert atlas.said().startswith(f"{n} features listed; ")
    with shown.page.expect_download() as download:
        save(shown.page, "Save Map of features as CSV")
    assert len(Path(download.value.path()).read_text().splitlines()) == n + 1
    shown.page.get_by_role("searchbox").fill("")
    shown.page.locator(".iplm-legend button").nth(2).click()
    name = atlas.categories()[2]
    assert atlas.chosen() == atlas.of(name)
    why = shown.page.get_by_role("group", name="Which features are listed")
    assert f"{len(atlas.of(name))} features: {name}" in why.inner_text()
    listed = rows.evaluate_all("rows => rows.map(row => Number(row.dataset.feature))")
    assert set(listed) <= set(atlas.of(name)) and listed
    shown.page.get_by_role("button", name="Take back: ").click()
    assert atlas.chosen() == []
    pressed = shown.page.locator(".iplm-legend button[aria-pressed=true]")
    assert pressed.count() == 0


def test_with_the_lasso_on_a_drag_needs_no_shift(atlas: Map) -> None:
    atlas.page.get_by_role("button", name="Lasso: ").click()
    x, y, w, h = (atlas.box[side] for side in ("x", "y", "width", "height"))
    atlas.drag([(x + 2, y + 2), (x + w - 2, y + 2), (x + w - 2, y + h - 2), (x + 2, y + h - 2)])
    assert atlas.chosen() == atlas.table["feature"].to_list()


def test_the_key_picks_out_the_features_of_a_colour(atlas: Map) -> None:
    button = atlas.page.locator(".iplm-legend button").first
    button.focus()
    atlas.page.keyboard.press("Enter")
    assert atlas.chosen() == atlas.of(atlas.categories()[0])
    assert button.get_attribute("aria-pressed") == "true"
    rest = atlas.page.locator(".iplm-legend select")
    label = rest.locator("option").last.inner_text()
    smallest, n = label.removesuffix(")").rsplit(" (", 1)
    assert int(n) == min(len(atlas.of(category)) for category in atlas.categories())
    rest.select_option(label=label)
    assert atlas.chosen() == atlas.of(smallest) and len(atlas.chosen()) == int(n)
    assert button.get_attribute("aria-pressed") == "false"
    button.click()
    button.click()
    assert atlas.chosen() == []


def test_arrows_go_from_feature_to_feature(atlas: Map) -> None:
    atlas.canvas.focus()
    here = atlas.at(shipped.best())
    for key, axis, sign in (
        ("ArrowLeft", 0, -1),
        ("ArrowUp", 1, -1),
        ("ArrowRight", 0, 1),
        ("ArrowDown", 1, 1),
    ):
        atlas.page.keyboard.press(key)
        there = atlas.at(atlas.shown.selected("feature"))
        assert sign * (there[axis] - here[axis]) > 0
        assert abs(there[axis] - here[axis]) >= abs(there[1 - axis] - here[1 - axis]) - 0.01
        here = there


def test_the_wheel_zooms_where_the_pointer_is_and_0_shows_all(
    atlas: Map, lonely: list[int]
) -> None:
    at = atlas.at(lonely[0])
    atlas.page.mouse.move(*at)
    for _ in range(4):
        atlas.page.mouse.wheel(0, -200)
    atlas.shown.settled()
    far = atlas.at(lonely[1])
    assert atlas.click(at) == lonely[0]
    atlas.page.mouse.click(*far)
    assert atlas.shown.selected("feature") != lonely[1]
    atlas.canvas.focus()
    atlas.page.keyboard.press("0")
    assert atlas.click(far) == lonely[1]


def test_a_drag_moves_the_map_and_a_double_click_brings_it_back(
    atlas: Map, lonely: list[int]
) -> None:
    x, y = atlas.at(lonely[0])
    corner = atlas.box["x"] + 30, atlas.box["y"] + 30
    atlas.drag([corner, (corner[0] + 60, corner[1] + 40)])
    assert atlas.click((x + 60, y + 40)) == lonely[0]
    atlas.page.mouse.dblclick(*corner)
    assert atlas.click((x, y)) == lonely[0]


def test_what_is_selected_elsewhere_comes_into_the_picture(atlas: Map, lonely: list[int]) -> None:
    atlas.canvas.focus()
    for _ in range(5):
        atlas.page.keyboard.press("+")
    left = atlas.table.sort("x")["feature"][0]
    atlas.shown.select(feature=left)
    atlas.shown.settled()
    atlas.page.mouse.move(
        atlas.box["x"] + atlas.box["width"] / 2, atlas.box["y"] + atlas.box["height"] / 2
    )
    assert atlas.page.locator(".iplm-tip").inner_text().startswith(f"Feature {left}\n")


def test_colours_of_numbers_have_a_scale_in_place_of_buttons(atlas: Map) -> None:
    atlas.page.locator(".iplm-tools select").select_option("density")
    atlas.shown.settled()
    assert atlas.page.locator(".iplm-legend").is_hidden()
    assert atlas.canvas.bounding_box()["height"] == atlas.box["height"] + 40
    assert atlas.page.evaluate(f"() => {MODEL}.get('colour')") == "density"


def ways(page: Any) -> list[str]:
    options = page.get_by_role("combobox", name="colour").locator("option")
    options.first.wait_for(state="attached")
    return options.all_inner_texts()


def test_clusters_that_do_not_recur_are_no_choice_and_words_say_why(atlas: Map) -> None:
    assert ways(atlas.page) == ["category", "density", "F1 on test"]
    caption, why = atlas.page.locator(".iplm-caption").all_inner_texts()
    assert caption.startswith("UMAP of decoder vectors; ")
    assert why == f"No colours of clusters: {FeaturePages(Run.shipped()).why_no_clusters}."
    assert "cluster" not in atlas.said()


def test_a_narrow_picture_has_all_of_its_words(show: Callable, demo_data: FeatureData) -> None:
    page = show(FeatureAtlas(demo_data), width=320).page
    with page.expect_download() as download:
        save(page, "Save Map of features as SVG")
    svg = Path(download.value.path()).read_text()
    words = " ".join(re.findall(r">([^<>]+)</text>", svg))
    assert all(
        line in html.unescape(words) for line in page.locator(".iplm-caption").all_inner_texts()
    )


def test_clusters_that_recur_are_a_choice(show: Callable, ends_data: FeatureData) -> None:
    page = show(FeatureAtlas(ends_data)).page
    assert ways(page) == ["category", "cluster", "density", "F1 on test"]
    assert page.locator(".iplm-caption").all_inner_texts() == [
        "The two principal axes of the decoder vectors, too few for a UMAP; keeps 40\u00a0% of a "
        "feature's 10 nearest by cosine (random places: 10\u00a0%)."
    ]
    page.get_by_role("combobox", name="colour").select_option("cluster")
    page.get_by_role("button", name="cluster 0").click()
    assert "1 feature listed" in page.locator(".iplm-say").inner_text()


def test_dead_features_are_not_on_the_map_and_it_says_so(atlas: Map) -> None:
    n = atlas.n
    silent = sorted(set(range(n)) - set(atlas.table["feature"]))
    assert (
        atlas.page.locator(".iplm-sub").first.inner_text()
        == f"{n - len(silent):,} of {n:,} features; {len(silent)} never active, not on the map"
    )
    atlas.shown.select(feature=silent[0])
    assert atlas.said() == f"Feature {silent[0]} is never active, so it is not on the map"


def test_files_hold_what_is_seen(atlas: Map) -> None:
    def saved(kind: str) -> Path:
        with atlas.page.expect_download() as download:
            save(atlas.page, f"Save Map of features as {kind}")
        return Path(download.value.path())

    svg = saved("SVG").read_text()
    names = atlas.table["category"].drop_nulls().n_unique()
    assert (
        svg.count("<circle") == atlas.table.height + names + 1 + 3
    )  # points, the legend, hollow, the ring and the point of the selected one
    assert "UMAP of decoder vectors" in svg
    assert "No colours of clusters: " in svg
    largest, next_largest = atlas.categories()[:2]
    assert f"{largest} ({len(atlas.of(largest))})" in svg
    assert saved("PNG").read_bytes()[:4] == b"\x89PNG"
    atlas.page.locator(".iplm-legend button").nth(1).click()
    rows = saved("CSV").read_text().splitlines()
    assert rows[0] == "feature,x,y,concept,category,density,f1_per_domain"
    assert [int(row.split(",")[0]) for row in rows[1:]] == atlas.of(next_largest)
    assert all(next_largest in row for row in rows[1:])


def test_names_from_data_stay_text(show: Callable, other_data: FeatureData) -> None:
    names = [HOSTILE, RIGHT_TO_LEFT, LONG]
    data = made_up(
        other_data,
        3,
        concept=names,
        category=names,
        f1_per_domain=[0.5, 0.5, 0.5],
        x=[0.0, 1.0, 2.0],
        y=[0.0, 1.0, 0.0],
    )
    data.selection.feature = 0
    atlas = Map(show(FeatureAtlas(data), width=320), data.features)
    atlas.page.mouse.move(*atlas.at(0))
    assert HOSTILE in atlas.page.locator(".iplm-tip").inner_text()
    assert HOSTILE in atlas.said()
    with atlas.page.expect_download() as download:
        save(atlas.page, "Save Map of features as SVG")
    assert "<img" not in Path(download.value.path()).read_text()
    assert atlas.page.evaluate("document.scrollingElement.scrollWidth") <= 320


@pytest.mark.parametrize("n", [0, 1, 10_240])
def test_any_number_of_features(show: Callable, other_data: FeatureData, n: int) -> None:
    data = made_up(other_data, n)
    data.selection.feature = max(0, min(n, 1024) - 1)  # the store behind it has 1,024
    shown = show(FeatureAtlas(data), width=1600, scheme="dark")
    if n == 0:
        assert (
            shown.page.locator(".iplm-body").inner_text()
            == "None of the 0 features is active on these proteins, so there is nothing to map."
        )
        assert shown.page.locator("canvas").count() == 0
        return
    atlas = Map(shown, data.features)
    assert (
        atlas.said()
        == f"Feature {data.selection.feature}, no concept, active on 1 % of residues, no cluster"
    )
    assert n > 1 or atlas.click(atlas.at(0)) == 0


def test_python_can_pick_out_features_and_a_page_keeps_them(
    show: Callable, demo_data: FeatureData
) -> None:
    listed = {"among": [5, 3, 9], "why": "my own"}
    demo_data.selection.update({"feature": shipped.best(), "brush": [], "listed": listed})
    order = FeatureTable(demo_data).rows()["feature"].to_list()
    atlas = Map(show(FeatureAtlas(demo_data)), demo_data.features)
    demo_data.selection.listed = {}
    assert atlas.said().startswith("3 features listed; ")
    atlas.canvas.focus()
    atlas.page.keyboard.press("]")
    assert atlas.shown.selected("feature") == order[0] and set(order) == {3, 5, 9}


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_no_serious_fault(show: Callable, demo_data: FeatureData, scheme: str) -> None:
    if not AXE.is_file():
        pytest.skip("axe-core is not installed: make install")
    atlas = Map(show(FeatureAtlas(demo_data), width=320, scheme=scheme), demo_data.features)
    atlas.page.locator(".iplm-legend button").first.click()
    atlas.page.evaluate(AXE.read_text(encoding="utf-8"))
    assert atlas.page.evaluate(FAULTS) == []
    sizes = atlas.page.evaluate(
        "[...document.querySelectorAll('.iplm-atlas button, .iplm-atlas select')]"
        ".map(b => b.getBoundingClientRect().height)"
    )
    assert min(sizes) >= 24
