"""The static site: opened from files, with nothing but files; every link leads somewhere."""

import re
from collections.abc import Callable, Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import polars as pl
import pytest

from interplm_nb.pipeline.run import Run
from interplm_nb.widgets.selection import Selection
from scripts.build_site import Site, slug
from tests.browser.views.test_accessibility import AXE, FAULTS
from tests.browser.workbench import shown_feature, wait_until_drawn

pytestmark = [pytest.mark.browser, pytest.mark.slow]

MOST_BYTES = 15e6
LOOKS = [(390, "light"), (390, "dark"), (1440, "light"), (1440, "dark")]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Site:
    site = Site(Run.shipped(), tmp_path_factory.mktemp("site"))
    site.write()
    return site


@pytest.fixture
def open_page(chromium: Any, site: Site) -> Iterator[Callable[..., Any]]:
    """`open_page("index.html", width=1440, scheme="light")`, with no network.

    At the end no page error, no error on the console and no request but to the site's files.
    """
    wrong: list[str] = []
    context = chromium.new_context(offline=True)

    def open_one(address: str, width: int = 1440, scheme: str = "light") -> Any:
        page = context.new_page()
        page.set_viewport_size({"width": width, "height": 900})
        page.emulate_media(color_scheme=scheme)
        page.on("pageerror", lambda error: wrong.append(f"page error: {error}"))
        page.on(
            "console",
            lambda said: wrong.append(f"console: {said.text}") if said.type == "error" else None,
        )
        page.on("requestfailed", lambda asked: wrong.append(f"failed: {asked.url[:200]}"))
        page.on(
            "request",
            lambda asked: (
                None
                if asked.url.startswith((site.folder.as_uri(), "blob:", "data:"))
                else wrong.append(f"request: {asked.url[:200]}")
            ),
        )
        page.goto(f"{site.folder.as_uri()}/{address}")
        return page

    yield open_one
    context.close()
    assert wrong == []


def pages(site: Site) -> list[str]:
    first = slug(site.concepts["concept"][0])
    return ["index.html", "gallery.html", f"concepts/{first}.html"]


@pytest.mark.parametrize(("width", "scheme"), LOOKS)
def test_every_kind_of_page_is_whole_and_accessible(
    open_page: Callable, site: Site, width: int, scheme: str
) -> None:
    for name in pages(site):
        page = open_page(name, width, scheme)
        page.locator("img").evaluate_all("all => all.forEach(i => { i.loading = 'eager'; })")
        page.wait_for_function("() => [...document.images].every(i => i.naturalWidth > 0)")
        assert page.evaluate("() => document.documentElement.scrollWidth") <= width
        if not AXE.exists():
            pytest.skip("axe-core is not installed: npm ci in widgets/ (make install) brings it")
        page.evaluate(AXE.read_text(encoding="utf-8"))
        assert page.evaluate(FAULTS) == []


def test_a_concept_is_found_opened_and_seen_in_the_workbench(
    open_page: Callable, site: Site
) -> None:
    page = open_page("index.html")
    page.get_by_role("searchbox").fill("zinc finger")
    rows = page.locator("tbody tr:visible")
    assert page.locator("output").inner_text() == f"{rows.count()} of {len(site.concepts)} concepts"
    assert all("Zinc finger" in text for text in rows.all_inner_texts())
    again = open_page("index.html" + page.evaluate("() => location.hash"))
    assert again.locator("tbody tr:visible").count() == rows.count()
    rows.first.get_by_role("link").first.click()
    feature = int(page.locator("h2").first.inner_text().rpartition(" ")[2])
    page.get_by_role("link", name=f"Open feature {feature} in the workbench").click()
    wait_until_drawn(page)
    assert shown_feature(page) == feature
    tall = "() => document.documentElement.scrollHeight - window.innerHeight"
    assert page.evaluate(tall) <= 0, "the links fit above the workbench"
    page.get_by_role("link", name="All concepts").click()
    assert page.get_by_role("searchbox").is_visible() and "index.html" in page.url


def test_a_search_without_a_match_says_where_else_to_look(open_page: Callable) -> None:
    page = open_page("index.html#search=nothing+of+the+kind")
    assert page.locator("tbody tr:visible").count() == 0
    assert page.locator("output").inner_text().startswith("No concept has these words")


class Addresses(HTMLParser):
    """What a page refers to, and the places in it that others may refer to."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.to: list[str] = []
        self.places: set[str] = set()
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        said = dict(attrs)
        self.to += [said[name] or "" for name in ("href", "src") if name in said]
        self.places |= {said["id"] or ""} if "id" in said else set()


def test_every_link_leads_to_a_file_a_place_in_it_or_a_feature_that_it_holds(site: Site) -> None:
    documents = {path.resolve(): Addresses(path) for path in site.folder.rglob("*.html")}
    bench = site.folder / "workbench.html"
    for path, document in documents.items():
        if path == bench:
            continue
        for address in document.to:
            name, _, place = address.partition("#")
            target = (path.parent / unquote(name)).resolve() if name else path
            assert target.is_file() and target.is_relative_to(site.folder), (path.name, address)
            if target == bench and place:
                assert Selection.from_fragment(place).feature in site.shown, address
            elif place:
                assert unquote(place) in documents[target].places, (path.name, address)


def test_its_figures_are_those_of_the_run(site: Site) -> None:
    """Each row of the index against the table of stage `concepts`, and no concept left out."""
    best = Run.shipped().table("concepts", "best").filter(convention="strict", source="sae")
    rows = re.findall(
        r'<tr data-words="[^"]*"><td><a href="concepts/([\w-]+)\.html">.*?>(\d+)</a></td>'
        r'<td class="number">([\d.]+)</td>',
        (site.folder / "index.html").read_text(encoding="utf-8"),
    )
    expected = best.select("concept", "feature", pl.col("f1_per_domain").fill_null(0))
    assert sorted((name, int(feature), f1) for name, feature, f1 in rows) == sorted(
        (slug(concept), feature, f"{f1:.2f}") for concept, feature, f1 in expected.iter_rows()
    )


def test_it_is_small_enough_for_a_web_host(site: Site) -> None:
    assert sum(path.stat().st_size for path in site.folder.rglob("*")) < MOST_BYTES


def test_it_names_its_licence_and_the_model(site: Site) -> None:
    text = (site.folder / "index.html").read_text(encoding="utf-8")
    assert "CC BY-NC 4.0" in text and "It is not ESM-2" in text
    assert (site.folder / "LICENSE.md").read_bytes() == (
        Run.shipped().folder / "LICENSE.md"
    ).read_bytes()
