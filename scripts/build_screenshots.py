"""Make every picture of docs/images, and the two films, from the run that ships.

    python scripts/build_screenshots.py [NAME ...]

Each picture is what headless Chromium shows of a page without a kernel, at a fixed size; its
feature is the best of a concept. Playwright and a Chromium are needed, as for the browser tests;
the playground runs the model of the run, whose weights are fetched where they are not here. Look at
the pictures before they are committed.
"""

import argparse
import io
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from PIL import Image
from playwright.sync_api import sync_playwright

from interplm_nb.pipeline.run import Run
from interplm_nb.widgets.concept_panel import ConceptPanel
from interplm_nb.widgets.feature_atlas import FeatureAtlas
from interplm_nb.widgets.feature_data import FeatureData
from interplm_nb.widgets.feature_table import FeatureTable
from interplm_nb.widgets.histogram import ActivationHistogram
from interplm_nb.widgets.packing import unpack
from interplm_nb.widgets.page import write_page
from interplm_nb.widgets.playground.sequence_playground import SequencePlayground
from interplm_nb.widgets.residue_tracks import ResidueTracks
from interplm_nb.widgets.sequence_logo import SequenceLogo
from interplm_nb.widgets.steering.steering_panel import SteeringPanel
from interplm_nb.widgets.structure.structure_view import StructureView
from interplm_nb.widgets.workbench import Workbench, compare
from scripts.first_visit import PATH
from tests.browser.conftest import FLAGS, find_chromium, serving_app

IMAGES = Path(__file__).resolve().parents[1] / "docs" / "images"
SCREEN, NARROW = (1440, 900), 760
TURN, FINGER, MEMBRANE = "DNA binding_H-T-H motif", "Zinc finger_any", "Transmembrane_any"
"""Concepts whose best features are shown."""
FILM_WIDTH, FILM_MS = 1100, 110
STYLE = "h1 { display: none } body { padding: 10px }"
FILM_LAYOUT = """
main { display: grid; grid-template-columns: 7fr 6fr 6fr; gap: 8px; background: #fff }
.iplm-shown { margin: 0; display: grid; min-width: 0 } .iplm-saves { display: none }
.iplm-shown:nth-of-type(3) { grid-column: 1 / 3; grid-row: 2 }
.iplm-shown:nth-of-type(4) { grid-column: 3; grid-row: 1 / 3 }"""
VISIT, STILL = (1200, 820), 9
VISIT_STYLE = ".iplm-saves { display: none }"
MOST_BYTES = 4e6
MOST_FILM_BYTES = {"brush.gif": 2.5e6, "first_visit.webp": 1.5e6}
QUIET = """() => new Promise(done => {
  let last = performance.now();
  const watch = new MutationObserver(() => { last = performance.now(); });
  watch.observe(document, {
    subtree: true, childList: true, characterData: true,
    attributes: true, attributeFilter: ['data-drawn'],
  });
  const timer = setInterval(() => {
    if (performance.now() - last > 700) { clearInterval(timer); watch.disconnect(); done(); }
  }, 50);
})"""
# A screenshot has no pointer.
POINTER = """([x, y, pressed]) => {
  let dot = document.querySelector('#pointer');
  if (!dot) {
    dot = document.body.appendChild(document.createElement('div'));
    dot.id = 'pointer';
    dot.style.cssText = 'position:fixed;width:14px;height:14px;margin:-7px;border-radius:50%;'
      + 'border:2px solid #1a1a1a;pointer-events:none;z-index:99';
  }
  dot.style.left = `${x}px`;
  dot.style.top = `${y}px`;
  dot.style.background = pressed ? '#c04e00' : 'rgba(255,255,255,.6)';
}"""
# As with a kernel: what a person sets is there, and nothing answers.
CONNECTED = """() => {
  const model = [...window.iplmModels.values()].find(m => 'keep_error' in m.state);
  Object.assign(model, { static: false, send: () => {} });
  for (const text of ['Loading', '']) model.set('progress', text);
}"""
FRAME = """() => new Promise(done => {
  requestAnimationFrame(() => requestAnimationFrame(() => setTimeout(done, 60)));
})"""


class Studio:
    """A browser, and the data that the pictures show."""

    def __init__(self, browser: Any, folder: Path) -> None:
        self.browser, self.folder = browser, folder
        self.data = FeatureData(Run.shipped())

    def best_of(self, concept: str) -> int:
        """The feature that matches a concept best on validation, or the best one of the run."""
        rows = self.data.pages.ranked
        found = [
            feature
            for name, feature in rows.select("concept", "feature").iter_rows()
            if name == concept
        ]
        return found[0] if found else int(rows["feature"][0])

    @contextmanager
    def page(
        self,
        widgets: Sequence[Any],
        width: int,
        height: int = 900,
        scheme: str = "light",
        scale: float = 1.5,
        style: str = "",
    ) -> Iterator[Any]:
        """A page with these widgets, once it has come to rest."""
        path = write_page(widgets, self.folder / "page.html", "")
        path.write_text(
            path.read_text(encoding="utf-8").replace(
                "</head>", f"<style>{STYLE}{style}</style></head>", 1
            ),
            encoding="utf-8",
        )
        page = self.browser.new_page(
            viewport={"width": width, "height": height},
            color_scheme=scheme,
            device_scale_factor=scale,
        )
        page.goto(path.as_uri())
        page.evaluate(QUIET)
        yield page
        page.close()

    def view(
        self,
        name: str,
        made: type,
        width: int = NARROW,
        act: Callable[[Any], None] | None = None,
        **selected: Any,
    ) -> None:
        """One view with this selection, as `<name>.png`."""
        none = {"brush": [], "accession": "", "position": None, "pinned": [], "accessions": []}
        self.data.selection.update({**none, "feature": self.best_of(TURN), **selected})
        with self.page([made(self.data)], width) as page:
            if act:
                act(page)
                page.evaluate(QUIET)
            save(opened(page.locator("section.iplm-view").first.screenshot()), name)


def opened(png: bytes) -> Image.Image:
    """A screenshot."""
    return Image.open(io.BytesIO(png)).convert("RGB")


def save(image: Image.Image, name: str) -> None:
    """As `<name>.png`."""
    image.save(IMAGES / f"{name}.png", optimize=True)


def workbench(studio: Studio, name: str, scheme: str) -> None:
    bench = Workbench(Run.shipped())
    with studio.page([bench], *SCREEN, scheme, scale=1) as page:
        save(opened(page.screenshot()), name)


def comparison(studio: Studio) -> None:
    both = compare(Run.shipped(), Run.shipped(), "sae", "random_sae")
    for bench in (both.left, both.right):
        bench.selection.update({"brush": [0.5, 1.0]})
    with studio.page([both], 1600, 1000, scale=1) as page:
        save(opened(page.screenshot()), "comparison")


def playground(studio: Studio) -> None:
    studio.data.selection.update(
        {"feature": studio.best_of(FINGER), "brush": [], "accession": "", "position": None}
    )
    accession = studio.data.pages.top(studio.data.selection.feature, 1)["accession"][0]
    sequence = studio.data.pages.proteins.sequence(accession)
    view = SequencePlayground(studio.data, sequence=sequence[:180])
    view.mutations = [f"{sequence[19]}20{'W' if sequence[19] != 'W' else 'A'}"]
    with studio.page([view], 900, height=1000) as page:
        save(opened(page.screenshot()), "playground")


def steering(studio: Studio) -> None:
    """The feature of H-T-H motifs at 1.5 times its maximum, with the controls of a kernel."""
    studio.data.selection.update(
        {"feature": studio.best_of(TURN), "brush": [], "accession": "", "position": None}
    )
    view = SteeringPanel(studio.data, strength=1.5)
    view.steer()
    with studio.page([view], 900, height=820) as page:
        page.evaluate(CONNECTED)
        page.evaluate(QUIET)
        save(opened(page.screenshot()), "steering")


def film(studio: Studio) -> None:
    """Brush the upper end of the histogram, narrow the brush, click a residue in the tracks."""
    data = studio.data
    data.selection.update(
        {
            "feature": studio.best_of(MEMBRANE),
            "brush": [],
            "accession": "",
            "position": None,
            "pinned": [],
        }
    )
    views = [
        ActivationHistogram(data),
        SequenceLogo(data),
        ResidueTracks(data, height=330),
        StructureView(data),
    ]
    record = unpack(data.bundle)[0]
    proteins, shown = record["proteins"], record["on_structure"]["accession"]
    row = next(i for i, protein in enumerate(proteins) if protein["accession"] == shown)
    with studio.page(views, 1260, height=785, scale=1, style=FILM_LAYOUT) as page:
        page.get_by_role("button", name="Whole sequences").click()
        frames = Film(page)
        bars = page.locator(".iplm-histogram canvas").bounding_box()
        across = [0.97 - 0.022 * i for i in range(24)] + [0.464 + 0.03 * i for i in range(11)]
        places = [(bars["x"] + x * bars["width"], bars["y"] + 0.5 * bars["height"]) for x in across]
        frames.shoot(*places[0], False, 6)
        page.mouse.down()
        for place in places:
            frames.shoot(*place, True)
        page.mouse.up()
        frames.shoot(*places[-1], False, 7)
        tracks = page.locator(".iplm-tracks canvas").bounding_box()
        left = max(90, min(230, 0.24 * tracks["width"]))
        peak = (proteins[row]["position"] - 0.5) / max(len(p["sequence"]) for p in proteins)
        at = (
            tracks["x"] + left + peak * (tracks["width"] - left - 38),
            tracks["y"] + 28 + 28 * row,
        )
        for share in (0.3, 0.6, 0.9, 1):
            (x, y), (to_x, to_y) = places[-1], at
            frames.shoot(x + (to_x - x) * share, y + (to_y - y) * share, False)
        page.mouse.click(*at)
        frames.shoot(*at, True, 2)
        frames.shoot(*at, False, 14)
    frames.save(IMAGES / "brush.gif")


def first_visit(studio: Studio) -> None:
    """The path of a first visitor in the app, at its own size, for the README."""
    with serving_app(Run.shipped().folder, studio.folder) as address:
        page = studio.browser.new_page(viewport={"width": VISIT[0], "height": VISIT[1]})
        page.set_default_timeout(120_000)  # the app starts a kernel for each page
        page.goto(address)
        page.locator(".iplm-tracks canvas[data-drawn]").wait_for()
        page.add_style_tag(content=VISIT_STYLE)
        page.evaluate(QUIET)
        frames = Film(page)
        for step in PATH:
            for place in step(page):
                frames.shoot(*place)
            frames.hold(STILL)
        frames.hold(2 * STILL)
        page.close()
    frames.save_webp(IMAGES / "first_visit.webp")


class Film:
    """The frames so far, with a drawn pointer, because a screenshot has none."""

    def __init__(self, page: Any) -> None:
        self.page = page
        self.frames: list[Image.Image] = []

    def shoot(self, x: float, y: float, pressed: bool, n: int = 1) -> None:
        """Move the mouse, wait for the views, and keep what is seen for `n` frames."""
        self.page.mouse.move(x, y)
        self.page.evaluate(POINTER, [x, y, pressed])
        self.page.evaluate(FRAME)
        image = opened(self.page.screenshot())
        height = round(FILM_WIDTH * image.height / image.width)
        self.frames.extend([image.resize((FILM_WIDTH, height), Image.Resampling.LANCZOS)] * n)

    def hold(self, n: int) -> None:
        """What was seen last, `n` frames longer."""
        self.frames += self.frames[-1:] * n

    def save_webp(self, path: Path) -> None:
        """As an animated WebP that repeats: all colours, and small."""
        first, *rest = self.frames
        first.save(
            path, save_all=True, append_images=rest, duration=FILM_MS, loop=0, quality=60, method=5
        )

    def save(self, path: Path) -> None:
        """As a GIF of one palette that repeats."""
        height = self.frames[0].height
        sample = Image.new("RGB", (FILM_WIDTH, 4 * height))
        for i, place in enumerate((0, 18, 34, -1)):
            sample.paste(self.frames[place], (0, i * height))
        palette = sample.quantize(255, Image.Quantize.MEDIANCUT, kmeans=3)
        drawn = [frame.quantize(palette=palette, dither=Image.Dither.NONE) for frame in self.frames]
        drawn[0].save(
            path, save_all=True, append_images=drawn[1:], duration=FILM_MS, loop=0, optimize=True
        )


def pictures(studio: Studio) -> dict[str, Callable[[], None]]:
    """The function that makes each picture, by name."""
    membrane, finger = studio.best_of(MEMBRANE), studio.best_of(FINGER)

    def aligned(page: Any) -> None:
        page.get_by_label("rows by").select_option("aligned")

    return {
        "workbench": lambda: workbench(studio, "workbench", "light"),
        "workbench_dark": lambda: workbench(studio, "workbench_dark", "dark"),
        "table": lambda: studio.view("table", FeatureTable, 900, pinned=[membrane]),
        "atlas": lambda: studio.view("atlas", FeatureAtlas),
        "concepts": lambda: studio.view("concepts", ConceptPanel),
        "histogram": lambda: studio.view("histogram", ActivationHistogram, brush=[0.7, 1.0]),
        "tracks": lambda: studio.view(
            "tracks", ResidueTracks, 1000, brush=[0.5, 1.0], feature=membrane
        ),
        "tracks_aligned": lambda: studio.view(
            "tracks_aligned", ResidueTracks, 1000, aligned, feature=finger
        ),
        "logo": lambda: studio.view("logo", SequenceLogo, feature=finger),
        "structure": lambda: studio.view("structure", StructureView, feature=membrane),
        "comparison": lambda: comparison(studio),
        "playground": lambda: playground(studio),
        "steering": lambda: steering(studio),
        "brush": lambda: film(studio),
        "first_visit": lambda: first_visit(studio),
    }


def main() -> None:
    """Make the named pictures, or all."""
    parser = argparse.ArgumentParser(description="Make the pictures of docs/images.")
    parser.add_argument(
        "names",
        nargs="*",
        help="such as workbench, tracks, brush and first_visit (the films); default: all",
    )
    wanted = parser.parse_args().names
    IMAGES.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=find_chromium(playwright.chromium.executable_path), args=FLAGS
        )
        made = pictures(Studio(browser, Path(folder)))
        unknown = set(wanted) - set(made)
        if unknown:
            parser.error(f"no picture {', '.join(sorted(unknown))}; there are {', '.join(made)}")
        for name in wanted or made:
            made[name]()
        browser.close()
    sizes = {path.name: path.stat().st_size for path in IMAGES.iterdir()}
    if sum(sizes.values()) > MOST_BYTES:
        raise SystemExit(f"docs/images is larger than {MOST_BYTES / 1e6:g} MB: {sizes}")
    for name, most in MOST_FILM_BYTES.items():
        if sizes.get(name, 0) > most:
            raise SystemExit(f"{name} is larger than {most / 1e6:g} MB: {sizes[name]} bytes")


if __name__ == "__main__":
    main()
