"""Every view passes axe-core's serious and critical rules.

In both themes, wide and narrow, with what a person may have opened or chosen.
"""

from collections.abc import Callable

import pytest

from interplm_nb.pipeline.run import Run
from interplm_nb.widgets import assets
from interplm_nb.widgets.feature_data import FeatureData
from interplm_nb.widgets.playground.sequence_playground import SequencePlayground
from interplm_nb.widgets.workbench import Comparison, Workbench
from tests.browser.views.conftest import Shown
from tests.browser.workbench import KINDS, wait_until_drawn

pytestmark = [pytest.mark.browser, pytest.mark.slow]

AXE = assets.CLONE / "node_modules" / "axe-core" / "axe.min.js"
FAULTS = """async () => (await axe.run(document)).violations
  .filter(v => ['serious', 'critical'].includes(v.impact))
  .map(v => `${v.id}: ${v.nodes.map(n => n.html.slice(0, 150)).join(' | ')}`)"""
# Controls that the pointer hits; what is inline in a text and what the browser draws itself are
# excepted by WCAG 2.2, 2.5.8.
SMALL = """() => [...document.querySelectorAll(
  '.iplm-bench :is(button, select, input, summary)')].filter(e => !e.closest('.iplm-skips'))
  .filter(e => e.offsetParent).map(e => [e.getBoundingClientRect(), e])
  .filter(([box]) => box.width < 24 || box.height < 24)
  .map(([box, e]) => `${box.width} x ${box.height}: ${e.outerHTML.slice(0, 100)}`)"""
UNNAMED = """() => [...document.querySelectorAll(
  'canvas, [role=application], [role=img], [role=region]')]
  .filter(e => !e.closest('[aria-hidden=true]'))
  .filter(e => !e.parentElement.closest('[role=application][aria-label]'))
  .filter(e => !e.ariaLabel && !e.getAttribute('aria-labelledby'))
  .map(e => e.outerHTML.slice(0, 100))"""


@pytest.fixture(scope="module")
def bench() -> Workbench:
    bench = Workbench(Run.shipped())
    bench.selection.pinned = [
        next(f for f in bench.data.pages.ranked["feature"] if f != bench.selection.feature)
    ]
    return bench


def faults(shown: Shown) -> list[str]:
    if not AXE.exists():
        pytest.skip("axe-core is not installed: npm ci in widgets/ (make install) brings it")
    shown.page.evaluate(AXE.read_text(encoding="utf-8"))
    return shown.page.evaluate(FAULTS)


@pytest.mark.parametrize(
    ("width", "scheme"), [(1400, "light"), (1400, "dark"), (320, "light"), (320, "dark")]
)
def test_the_workbench_has_no_serious_fault(
    show: Callable, bench: Workbench, width: int, scheme: str
) -> None:
    shown = show(bench, width=width, height=1800, scheme=scheme)
    wait_until_drawn(shown.page)
    shown.page.locator(".iplm-keys summary").click()
    accession = bench.structure.accession
    shown.select(brush=[0.4, 0.9], accession=accession, position=20)
    shown.page.locator(".iplm-tracks .iplm-say").filter(has_text=accession).wait_for()
    assert faults(shown) == []
    shown.page.locator(".iplm-keys summary").click()  # it covers the tabs
    for tabs in (("Table", "Histogram"), ("Map", "Logo"), ("Map", "Concepts"), ("Map", "Steering")):
        for name in tabs:
            shown.page.get_by_role("tab", name=name, exact=True).click()
        shown.settled()
        assert faults(shown) == []
        assert shown.page.evaluate(SMALL) == []
        assert shown.page.evaluate(UNNAMED) == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_views_without_data_have_no_serious_fault(
    show: Callable, bench: Workbench, scheme: str
) -> None:
    shown = show(bench, width=900, height=1800, scheme=scheme)
    wait_until_drawn(shown.page)
    shown.select(feature=bench.selection.feature + 1)
    shown.page.locator(".iplm-lack").filter(has_text="saved without feature").wait_for()
    assert faults(shown) == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_playground_has_no_serious_fault(
    show: Callable, demo_data: FeatureData, scheme: str
) -> None:
    assert faults(show(SequencePlayground(demo_data), width=700, scheme=scheme)) == []


def test_a_comparison_has_no_serious_fault(show: Callable, bench: Workbench) -> None:
    shown = show(Comparison(bench, Workbench(Run.shipped(), feature=0)), width=1600, height=1800)
    shown.page.locator(".iplm-right .iplm-tracks canvas[data-drawn]").wait_for()
    assert faults(shown) == []


def test_keys_reach_every_view_and_leave_it_again(show: Callable, bench: Workbench) -> None:
    shown = show(bench, width=1900, height=1200)  # room for all views
    wait_until_drawn(shown.page)
    seen, kind = (
        [],
        "e => (e.closest('section.iplm-view')?.className.match(/iplm-(?!view|dark)\\w+/) "
        "?? [''])[0]",
    )
    for _ in range(200):
        shown.page.keyboard.press("Tab")
        found = shown.page.evaluate(f"() => ({kind})(document.activeElement)")
        if found and found not in seen:
            seen.append(found)
        if len(seen) == len(KINDS):
            break
    assert set(seen) == {f"iplm-{kind}" for kind in KINDS}
