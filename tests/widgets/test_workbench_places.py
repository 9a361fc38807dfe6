"""Every view of the workbench has its place on the page, in each of its layouts."""

import re
from pathlib import Path

import anywidget

from interplm_nb.widgets.view import View
from interplm_nb.widgets.workbench import Workbench
from tests.browser.workbench import KINDS

WIDGETS = Path(__file__).parents[2] / "widgets"
VIEWS = {
    name
    for name, trait in Workbench.class_traits().items()
    if isinstance(trait, anywidget.WidgetTrait) and name not in View.class_traits()
}


def test_each_view_is_placed() -> None:
    assert len(VIEWS) > 6
    text = (WIDGETS / "workbench" / "layout.js").read_text(encoding="utf-8")
    panes = {
        name: (trait, re.findall(r'"(\w+)"', views))
        for name, trait, views in re.findall(
            r'name: "(\w+)",\s*label: "[^"]*",\s*trait: "(\w*)",\s*views: \[(.*?)\]', text
        )
    }
    placed = [view for _, views in panes.values() for view in views]
    assert len(placed) == len(set(placed)) and set(placed) == VIEWS
    for trait, views in panes.values():
        assert (trait == "") == (len(views) == 1)
        if trait:
            assert vars(Workbench.class_traits()[trait])["values"] == tuple(views)
    style = (WIDGETS / "style.css").read_text(encoding="utf-8")
    *grouped, whole = (
        set(" ".join(re.findall(r'"([a-z ]+)"', areas)).split())
        for areas in re.findall(r'grid-template-areas:((?:\s*"[a-z ]+")+);', style)
    )
    assert len(grouped) == 4 and all(areas == set(panes) for areas in grouped)
    assert whole == VIEWS


def test_the_browser_tests_and_the_documentation_know_each_view() -> None:
    assert {"table" if kind == "features" else kind for kind in KINDS} == VIEWS
    words = Workbench.__doc__ or ""
    for name in VIEWS:
        assert re.search(rf"views are attributes:[^.]*\b{name}\b", words), name
