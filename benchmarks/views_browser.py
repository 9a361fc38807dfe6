"""A headless Chromium for the benchmark of views, and what it measures in a page.

It draws WebGL in software, so its times are upper bounds.
"""

import base64
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.browser.conftest import FLAGS, find_chromium

MEASURE = Path(__file__).with_name("views_measure.js")

MODELS = """
const bytes = text => new DataView(Uint8Array.from(atob(text), c => c.charCodeAt(0)).buffer);
const models = [...window.iplmModels.entries()];
const selection = models.map(([, m]) => m).find(m => 'brush' in m.state);
"""
ARRIVES = f"""([feature, sent]) => {{ {MODELS}
  const values = sent.map(([id, name, text]) => [window.iplmModels.get(id), name, bytes(text)]);
  for (const [, model] of models) model.static = false;
  return measure.both(() => {{
    selection.set('feature', feature);
    selection.set('brush', []);
    for (const [model, name, value] of values) model.set(name, value);
  }});
}}"""
PAN = """async ([x, y, ms]) => {
  const canvas = document.elementFromPoint(x, y);
  const times = [];
  const begin = performance.now();
  while (performance.now() - begin < ms) {
    const angle = (performance.now() - begin) / 200;
    const place = {
      clientX: x + 80 * Math.cos(angle), clientY: y + 60 * Math.sin(angle),
      pointerId: 1, buttons: 1, bubbles: true,
    };
    canvas.dispatchEvent(new PointerEvent('pointermove', place));
    times.push(await new Promise(requestAnimationFrame));
  }
  return times.slice(1).map((t, i) => t - times[i]);
}"""


SEARCH = """async texts => {
  const box = document.querySelector('.iplm-features input[type=search]');
  const list = document.querySelector('.iplm-features .iplm-scroll');
  const times = [];
  for (const text of texts) {
    const start = performance.now();
    box.value = text;
    box.dispatchEvent(new Event('input', { bubbles: true }));
    await new Promise(queueMicrotask);
    list.getBoundingClientRect(); // which lays the page out
    times.push(performance.now() - start);
    await new Promise(done => setTimeout(done, 60));
  }
  return times;
}"""


@contextmanager
def chromium() -> Iterator[Any]:
    """A running browser; RuntimeError if there is none."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        found = find_chromium(playwright.chromium.executable_path)
        if found is None:
            raise RuntimeError(
                "no Chromium: put one on the PATH or run `playwright install chromium`"
            )
        browser = playwright.chromium.launch(executable_path=found, args=FLAGS)
        yield browser
        browser.close()


@contextmanager
def opened(
    browser: Any, path: Path, width: int = 1300, height: int = 1000
) -> Iterator[tuple[Any, tuple[float, float]]]:
    """A file in its own page, offline.

    With ms from navigation until its views (without the structure) were drawn, and until the last
    change.
    """
    context = browser.new_context(viewport={"width": width, "height": height}, offline=True)
    context.add_init_script(path=MEASURE)
    page = context.new_page()
    page.set_default_timeout(180_000)
    page.goto(path.as_uri())
    yield page, tuple(page.evaluate("() => measure.settled()"))
    context.close()


def moves(
    page: Any, selector: str, places: list[tuple[float, float]], pressed: bool = False
) -> list[float]:
    """ms from each mouse movement over an element until the last view has drawn, one at a time.

    places: shares of the element's width and height.
    """
    box = page.locator(selector).first.bounding_box()
    at = [(box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in places]
    page.mouse.move(*at[0])
    if pressed:
        page.mouse.down()
    page.evaluate("() => measure.listen()")
    for n, place in enumerate(at[1:], 1):
        page.mouse.move(*place)
        page.evaluate("n => measure.sample(n)", n)
    if pressed:
        page.mouse.up()
    return page.evaluate("() => measure.sample(0)")


def answers(page: Any, selector: str, places: list[tuple[float, float]]) -> list[float]:
    """ms from each mouse movement over an element until the page's last change, however late."""
    box = page.locator(selector).first.bounding_box()
    found = []
    for x, y in places:
        page.evaluate("() => { window.answer = measure.moved(); }")
        page.mouse.move(box["x"] + x * box["width"], box["y"] + y * box["height"])
        found.append(page.evaluate("() => window.answer"))
    return found


def arrives(page: Any, feature: int, sent: Mapping[tuple[str, str], bytes]) -> tuple[float, float]:
    """ms from selecting a feature, `sent` as bytes by model and trait, to the last change outside
    the structure, and to the last one anywhere."""
    flat, last = page.evaluate(
        ARRIVES,
        [
            feature,
            [[id, name, base64.b64encode(value).decode()] for (id, name), value in sent.items()],
        ],
    )
    return flat, last


def panned(page: Any, selector: str, ms: int = 2000) -> list[float]:
    """ms between frames while an element is dragged in circles."""
    box = page.locator(selector).first.bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(x, y)
    page.mouse.down()
    found = page.evaluate(PAN, [x, y, ms])
    page.mouse.up()
    return found


def typed(page: Any, texts: list[str]) -> list[float]:
    """ms from each text in the table's search until its rows are in the page and laid out."""
    return page.evaluate(SEARCH, texts)


def changed(page: Any, act: str) -> float:
    """ms from the start of a piece of JavaScript until the page's last change."""
    return page.evaluate(f"() => measure.changed(async () => {{ {act} }})")
