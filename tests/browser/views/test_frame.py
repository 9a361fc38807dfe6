"""What all views share: the line that says what is selected, the keys, the address."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from interplm_nb.pipeline.run import Run
from interplm_nb.widgets.feature_data import FeatureData
from interplm_nb.widgets.histogram import ActivationHistogram
from interplm_nb.widgets.residue_tracks import ResidueTracks
from interplm_nb.widgets.workbench import Workbench
from tests.browser.views.conftest import save

pytestmark = pytest.mark.browser

SPOKEN = """() => {
  window.spoken = [];
  for (const region of document.querySelectorAll('[role=status]')) {
    new MutationObserver(() => window.spoken.push(region.textContent))
      .observe(region, { childList: true, characterData: true, subtree: true });
  }
}"""


@pytest.fixture(scope="module")
def data() -> FeatureData:
    return FeatureData(Run.shipped())


@pytest.fixture(scope="module")
def bench() -> Workbench:
    bench = Workbench(Run.shipped())
    bench.data.keep(
        bench.data.pages.ranked["feature"].unique(maintain_order=True).head(2), 5, structures=False
    )
    return bench


def listening(shown: Any) -> Any:
    """From here on what screen readers hear goes to `window.spoken`."""
    shown.page.wait_for_function(
        "() => [...document.querySelectorAll('[role=status]')].every(region => region.textContent)"
    )
    shown.page.evaluate(SPOKEN)
    return shown.page


def test_a_drag_is_seen_at_once_and_spoken_when_it_rests(show: Callable, data: FeatureData) -> None:
    shown = show(ActivationHistogram(data), ResidueTracks(data))
    page = listening(shown)
    page.locator(".iplm-histogram canvas").focus()
    box = page.locator(".iplm-histogram canvas").bounding_box()
    y = box["y"] + 60
    page.mouse.move(box["x"] + 300, y)
    page.mouse.down()
    seen = set()
    for x in range(320, 620, 10):
        page.mouse.move(box["x"] + x, y)
        shown.settled()
        seen.add(page.locator(".iplm-histogram .iplm-say").inner_text())
    page.mouse.up()
    assert len(seen) == 30
    page.wait_for_function("() => window.spoken.length > 0")
    page.wait_for_timeout(700)
    spoken = page.evaluate("() => window.spoken")
    last = page.locator(".iplm-histogram .iplm-say").inner_text()
    assert spoken[-1] == last and last.startswith("Brushed")
    assert len(spoken) <= 3  # a slow machine may pause within the drag


def test_one_view_speaks_of_a_change_the_one_with_the_focus(
    show: Callable, data: FeatureData
) -> None:
    page = listening(show(ActivationHistogram(data), ResidueTracks(data)))
    page.locator(".iplm-tracks canvas").focus()
    page.keyboard.press("ArrowDown")
    page.locator(".iplm-histogram canvas").focus()
    page.keyboard.press("ArrowRight")
    page.wait_for_function("() => window.spoken.length > 0")
    page.wait_for_timeout(700)
    assert page.evaluate("() => window.spoken") == [
        page.locator(".iplm-histogram .iplm-say").inner_text()
    ]
    assert page.locator(".iplm-tracks .iplm-say").inner_text() != ""


def test_brackets_step_and_leave_commands_to_the_browser(show: Callable, bench: Workbench) -> None:
    shown = show(bench, width=1300)
    first, second = list(map(int, bench.data.kept))
    bar, canvas = (
        shown.page.get_by_role("button", name="Next feature"),
        shown.page.locator(".iplm-histogram canvas"),
    )
    canvas.wait_for()
    for place in (bar, canvas):
        place.focus()
        for command in ("Control+]", "Meta+]"):
            shown.page.keyboard.press(command)
            assert shown.selected("feature") == first
        shown.page.keyboard.press("Alt+]")  # as some keyboards write a bracket
        shown.page.wait_for_function(
            "f => [...window.iplmModels.values()].some(m => m.state.feature === f)", arg=second
        )
        shown.page.keyboard.press("[")
        shown.page.wait_for_function(
            "f => [...window.iplmModels.values()].some(m => m.state.feature === f)", arg=first
        )


@pytest.mark.parametrize(
    "hash",
    [
        "#brush=NaN",
        "#brush=0.5",
        "#__proto__=3",
        "#feature=abc",
        "#pinned=x&position=-4",
        "#%E0%A4%A",
    ],
)
def test_an_address_that_says_nothing_changes_nothing(
    show: Callable, data: FeatureData, tmp_path: Path, hash: str
) -> None:
    shown = show(ActivationHistogram(data), ResidueTracks(data))
    before = shown.page.locator(".iplm-say").all_inner_texts()
    assert before[0]
    shown.page.goto("about:blank")
    shown.page.goto((tmp_path / "page_0.html").as_uri() + hash)
    shown.page.locator(".iplm-histogram .iplm-say").filter(has_text="Drag to brush").wait_for()
    assert shown.page.locator(".iplm-say").all_inner_texts() == before


def test_a_file_is_named_after_the_source_of_the_data(show: Callable, data: FeatureData) -> None:
    shown = show(ActivationHistogram(data))
    shown.select(source="../<b>")
    with shown.page.expect_download() as download:
        save(shown.page, "Save Activations as CSV")
    assert (
        download.value.suggested_filename == f"histogram_sae_feature_{data.selection.feature}.csv"
    )
