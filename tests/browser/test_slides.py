"""The workshop's slides in a browser: everything on a slide is on the screen."""

from pathlib import Path
from typing import Any

import pytest

from scripts import build_workshop_slides
from scripts.build_workshop import SOURCES

pytestmark = [pytest.mark.browser, pytest.mark.slow]

OVER = """() => {
  const slide = document.querySelector('section.shown');
  return slide.scrollHeight > slide.clientHeight || slide.scrollWidth > slide.clientWidth;
}"""


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize(
    "source", [s for s in SOURCES if s.stem[0] in "1234"], ids=lambda source: source.stem
)
def test_nothing_runs_out_of_a_slide(
    chromium: Any, source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "slides.html"
    path.write_text(build_workshop_slides.page(source), encoding="utf-8")
    for width, height in ((1280, 720), (1920, 1080), (1024, 768)):
        page = chromium.new_page(viewport={"width": width, "height": height})
        page.goto(path.as_uri())
        slides = page.locator("section").count()
        assert slides > 10
        over = []
        for at in range(slides):
            if page.evaluate(OVER):
                over.append(page.locator("section.shown").get_attribute("id"))
            if at == 0:
                assert page.locator("footer").inner_text() == f"1 / {slides}"
            page.keyboard.press("ArrowRight")
        assert over == [], (width, height)
        page.close()
