"""What an exported page forbids itself, asked of the browser."""

from pathlib import Path
from typing import Any

import pytest

from interplm_nb.widgets.feature_data import FeatureData
from interplm_nb.widgets.histogram import ActivationHistogram
from interplm_nb.widgets.page import write_page

pytestmark = pytest.mark.browser

ATTEMPTS = """async () => {
  const refused = [];
  document.addEventListener("securitypolicyviolation", (event) =>
    refused.push(event.effectiveDirective));
  const add = (name, set) =>
    document.body.append(Object.assign(document.createElement(name), set));
  window.ran = [];
  await fetch("http://127.0.0.1:9/").catch(() => {});
  add("img", { src: "http://127.0.0.1:9/x.png" });
  add("iframe", { src: "http://127.0.0.1:9/" });
  add("script", { textContent: "ran.push('script')" });
  add("script", { src: "data:text/javascript,ran.push('data')" });
  add("div", { innerHTML: "<img src='data:,' onerror='ran.push(1)'>" });
  setTimeout(() => { // later: the debugger that runs this may do what the page may not
    try { ran.push(new Function("return 'eval'")()); } catch (error) { refused.push(error.name); }
  });
  await new Promise((done) => setTimeout(done, 300));
  return { ran, refused };
}"""


def test_a_page_runs_no_text_and_reaches_nothing(
    chromium: Any, hostile_data: FeatureData, tmp_path: Path
) -> None:
    page = chromium.new_page()
    answered: list[str] = []
    page.on("requestfinished", lambda asked: answered.append(asked.url))
    path = write_page([ActivationHistogram(hostile_data)], tmp_path / "page.html", "Page")
    page.goto(path.as_uri())
    page.locator(".iplm-view").first.wait_for()
    found = page.evaluate(ATTEMPTS)
    page.close()
    assert found["ran"] == []
    wanted = {"connect-src", "img-src", "frame-src", "script-src-elem", "script-src-attr"}
    assert set(found["refused"]) >= wanted | {"EvalError"}
    page_and_what_it_holds = ("file:", "blob:", "data:")
    assert not [url for url in answered if not url.startswith(page_and_what_it_holds)]
