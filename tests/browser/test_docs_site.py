"""The site as `make docs` builds it: every link leads somewhere, nothing comes from the network,
and typical pages pass axe-core's serious and critical rules in both themes."""

import subprocess
import sys
import threading
from collections.abc import Iterator
from functools import partial
from html.parser import HTMLParser
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import nbformat
import pytest

from interplm_nb.widgets import assets
from scripts import build_docs as built

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.timeout(900)]

AXE = assets.CLONE / "node_modules" / "axe-core" / "axe.min.js"
FAULTS = """async () => (await axe.run(document)).violations
  .filter(v => ['serious', 'critical'].includes(v.impact))
  .map(v => `${v.id}: ${v.nodes.map(n => n.html.slice(0, 150)).join(' | ')}`)"""
TYPICAL = ("index", "notebooks/05_concepts", "api/interplm_nb.Run", "results")


@pytest.fixture(scope="module")
def site() -> Path:
    if find_spec("sphinx") is None:
        pytest.skip("Sphinx is not installed: make docs brings it")
    script = built.ROOT / "scripts" / "build_docs.py"
    done = subprocess.run(
        [sys.executable, str(script)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return built.SITE


def html(site: Path) -> list[Path]:
    """The site's pages, without the theme's own files."""
    return [path for path in sorted(site.resolve().rglob("*.html")) if "_static" not in path.parts]


class Page(HTMLParser):
    """The addresses that a page names, and the places in it that can be named."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.links: list[str] = []
        self.places: set[str] = set()
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if name in ("href", "src") and value:
                self.links.append(value)
            if name in ("id", "name") and value:
                self.places.add(value)


def test_every_link_inside_leads_somewhere(site: Path) -> None:
    pages = {path: Page(path) for path in html(site)}
    assert len(pages) > 80
    lost, checked = [], 0
    for path, page in pages.items():
        for link in page.links:
            parts = urlsplit(link)
            if parts.scheme or parts.netloc or path.name == built.LIVE_PAGE:
                continue
            checked += 1
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            if not target.is_file() or (
                parts.fragment
                and "=" not in parts.fragment  # a view of the workbench, not a place
                and target in pages
                and unquote(parts.fragment) not in pages[target].places
            ):
                lost.append(f"{path.relative_to(site)}: {link}")
    assert checked > 5000
    assert lost == []


def test_lessons_have_their_outputs(site: Path) -> None:
    lessons = [nbformat.read(path, 4) for path in sorted((built.SOURCE / "notebooks").glob("*"))
               if path.suffix == ".ipynb"]  # fmt: skip
    shown = [any(cell.get("outputs") for cell in lesson.cells) for lesson in lessons]
    reasons = [built.NOT_RUN[:30] in lesson.cells[0].source for lesson in lessons]
    assert all(has != says for has, says in zip(shown, reasons, strict=True))
    assert sum(shown) >= 11


def foreign(url: str, host: str) -> list[str]:
    """The address, if it is on no page of `host`."""
    return [] if url.startswith((f"{host}/", "data:", "blob:")) else [url[:200]]


class Quiet(SimpleHTTPRequestHandler):
    """Serves files and logs nothing."""

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def address(site: Path) -> Iterator[str]:
    """The site on a web host of this machine."""
    handler = partial(Quiet, directory=str(site))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()


@pytest.fixture
def opened(address: str, chromium: Any) -> Iterator[Any]:
    """`opened(name, scheme, width, host)`: a page, on which nothing went wrong and nothing was
    fetched from anywhere but `host`."""
    wrong: list[str] = []
    pages = []

    def open_page(name: str, scheme: str = "light", width: int = 1440, host: str = address) -> Any:
        page = chromium.new_page(viewport={"width": width, "height": 1000}, color_scheme=scheme)
        pages.append(page)
        page.on("pageerror", lambda error: wrong.append(f"page error: {error}"))
        page.on("console", lambda m: wrong.append(m.text) if m.type == "error" else None)
        page.on("requestfailed", lambda request: wrong.append(f"failed: {request.url[:200]}"))
        page.on("request", lambda request: wrong.extend(foreign(request.url, host)))
        page.goto(f"{host}/{name}.html")
        page.wait_for_load_state("networkidle")
        return page

    yield open_page
    for page in pages:
        page.close()
    assert wrong == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("name", TYPICAL)
def test_a_typical_page_has_no_serious_fault(opened: Any, name: str, scheme: str) -> None:
    if not AXE.exists():
        pytest.skip("axe-core is not installed: npm ci in widgets/ (make install) brings it")
    page = opened(name, scheme)
    page.evaluate(AXE.read_text(encoding="utf-8"))
    assert page.evaluate(FAULTS) == []


def test_no_page_fetches_anything_or_is_wider_than_a_phone(opened: Any, site: Path) -> None:
    wide = []
    for path in html(site):
        name = path.relative_to(site).with_suffix("").as_posix()
        page = opened(name, width=390, host=site.resolve().as_uri())
        if page.evaluate("document.documentElement.scrollWidth") > 390:
            wide.append(name)
        page.close()
    assert wide == []


def test_the_start_page_shows_a_feature_alive(opened: Any) -> None:
    page = opened("start")
    frame = page.frame_locator("iframe.ipn-live")
    frame.locator(".iplm-histogram canvas[data-drawn]").wait_for()
    frame.locator(".iplm-structure canvas").first.wait_for()


def test_the_search_finds_a_page(opened: Any) -> None:
    page = opened("search")
    page.goto(f"{page.url}?q=crosscoder")
    page.locator("#search-results li a").first.wait_for()
    assert page.locator("#search-results li a").filter(has_text="Glossary").count() > 0
