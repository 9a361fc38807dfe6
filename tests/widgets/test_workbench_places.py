"""Every view of the workbench has its place on the page, in each of the page's widths."""

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


def listed(name: str) -> set[str]:
    """The names in a list of workbench.js."""
    text = (WIDGETS / "workbench.js").read_text(encoding="utf-8")
    found = re.search(rf"^const {name} = \[(.*?)\]", text, re.MULTILINE)
    assert found
    return set(re.findall(r'"(\w+)"', found[1]))


def test_each_view_is_placed() -> None:
    assert len(VIEWS) > 6
    assert listed("MAIN") | listed("ASIDE") == VIEWS
    style = (WIDGETS / "style.css").read_text(encoding="utf-8")
    narrow, middle, wide = (
        set(" ".join(re.findall(r'"([a-z ]+)"', areas)).split())
        for areas in re.findall(r'grid-template-areas:((?:\s*"[a-z ]+")+);', style)
    )
    assert narrow == middle == VIEWS and wide == listed("MAIN")


def test_the_browser_tests_and_the_documentation_know_each_view() -> None:
    assert {"table" if kind == "features" else kind for kind in KINDS} == VIEWS
    words = Workbench.__doc__ or ""
    for name in VIEWS:
        assert re.search(rf"views are attributes:[^.]*\b{name}\b", words), name
