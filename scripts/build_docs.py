"""Build the documentation site into docs/_build/html.

    python scripts/build_docs.py

Pages lie in docs/ as they are read on GitHub. Here they are laid out for Sphinx, with the lessons,
each executed on the run that ships; links follow their targets. Executed lessons are kept until the
lesson or the package changes. Warnings are errors.
"""

import hashlib
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import nbformat
from nbclient.exceptions import CellExecutionError

from interplm_nb.pipeline.kernel import RunKernelManager, kernel_settings
from interplm_nb.pipeline.notebooks import clean
from interplm_nb.pipeline.run import Run
from interplm_nb.saving import atomic_path
from interplm_nb.scratch import scratch_folder

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"
BUILD = DOCS / "_build"
SOURCE, LESSONS, SITE = BUILD / "source", BUILD / "lessons", BUILD / "html"
SECTIONS = ("index", "start", "tutorials", "howto", "reference", "explanation", "measured")
"""Pages whose lists of links are the site's contents."""

LINK = re.compile(r"(?<=\]\()([^)\s#]*)(#[^)\s]*)?(?=\))")
ENTRY = re.compile(r"^- \[[^\]]+\]\(([^)#]+)\)", re.MULTILINE)
WIDGET = "application/vnd.jupyter.widget-view+json"
PLOTLY = "application/vnd.plotly.v1+json"
ALIVE = '<p class="ipn-alive">Here a live view appears when the lesson is run.</p>'
NOT_RUN = "> **Shown without its outputs.** On the run that ships, this lesson says: {why}\n\n"
EXPORTS = "exports"
"""Where a lesson writes pages of its own, which its outputs link to."""
LIVE, LIVE_PAGE = "<!-- the workbench -->", "live_workbench.html"
FRAME = f'<iframe class="ipn-live" src="{LIVE_PAGE}" title="The workbench, alive"></iframe>'
ORPHAN = "---\norphan: true\n---\n"
"""Heads a page that only links lead to, such as a model card."""
N_LIVE = 8
"""Features of the live workbench: each the best of a concept."""


def main() -> None:
    """Lay out, execute what changed, and run Sphinx."""
    began = time.perf_counter()
    lay_out()
    laid_out = time.perf_counter()
    command = [sys.executable, "-m", "sphinx", "-b", "html", "-W", "--keep-going", "-q"]
    places = ["-c", str(DOCS), "-d", str(BUILD / "doctrees"), str(SOURCE), str(SITE)]
    done = subprocess.run([*command, *places], check=False)
    write_workbench(SITE / LIVE_PAGE)
    shutil.copytree(LESSONS / EXPORTS, SITE / "notebooks" / EXPORTS, dirs_exist_ok=True)
    ended = time.perf_counter()
    print(f"{SITE / 'index.html'}: pages {laid_out - began:.0f} s, Sphinx {ended - laid_out:.0f} s")
    raise SystemExit(done.returncode)


def lay_out() -> None:
    """Every page, picture and lesson of the site, where Sphinx reads it."""
    wanted = dict(pages())
    for place, content in wanted.items():
        if not place.is_file() or place.read_bytes() != content:  # Sphinx goes by the time
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(content)
    for old in (path for path in SOURCE.rglob("*") if path.is_file()):
        if old not in wanted and "api" not in old.relative_to(SOURCE).parts:
            old.unlink()


def pages() -> Iterator[tuple[Path, bytes]]:
    """Place and content of each file, beginning with docs/ and following links."""
    waiting = [*sorted(DOCS.rglob("*.md")), *sorted((DOCS / "images").iterdir())]
    waiting = [path for path in waiting if BUILD not in path.parents]
    sections = [DOCS / f"{name}.md" for name in SECTIONS]
    seen = set(waiting)
    while waiting:
        page = waiting.pop()
        text, linked = "", []
        if page.suffix == ".ipynb":
            notebook = executed(page)
            for cell in notebook.cells:
                if cell.cell_type == "markdown":
                    cell.source, found = followed(cell.source, page)
                    linked += found
            text = nbformat.writes(notebook)
        elif page.suffix == ".md":
            text, linked = followed(page.read_text(encoding="utf-8"), page)
            text = text.replace(LIVE, FRAME)
            if page in sections:
                text += contents(text)
            elif page.parent not in (DOCS, ROOT) and DOCS not in page.parents:
                text = ORPHAN + text
        yield place_of(page), text.encode() if text else page.read_bytes()
        new = [path for path in linked if path not in seen]
        waiting += new
        seen.update(new)


def place_of(page: Path) -> Path:
    """docs/ is the top of the site; everything else keeps its path in the repository."""
    return SOURCE / (page.relative_to(DOCS) if DOCS in page.parents else page.relative_to(ROOT))


def followed(text: str, page: Path) -> tuple[str, list[Path]]:
    """The text with links to where their targets are laid out, and these targets."""
    targets = []

    def link(match: re.Match[str]) -> str:
        path, anchor = match[1], slug(match[2] or "")
        if ":" in path:
            return match[0]
        target = (page.parent / path).resolve()
        if not path or not target.is_file() or ROOT not in target.parents:
            return path + anchor
        targets.append(target)
        return os.path.relpath(place_of(target), place_of(page).parent) + anchor

    return LINK.sub(link, text), targets


def slug(anchor: str) -> str:
    """The anchor of a heading on this site; Jupyter's keep capitals and colons."""
    return re.sub(r"[^\w#-]", "", anchor).lower()


def contents(text: str) -> str:
    """The list of a section as Sphinx's table of contents."""
    return "\n".join(["\n```{toctree}", ":hidden:", "", *ENTRY.findall(text), "```", ""])


def executed(lesson: Path) -> nbformat.NotebookNode:
    """The lesson with its outputs on the run that ships, or with the reason why there are none."""
    notebook = nbformat.read(lesson, as_version=4)
    if any(cell.get("outputs") for cell in notebook.cells) or "extra" in lesson.parts:
        return notebook  # the gallery has its pictures; the recipe trains a model
    kept = LESSONS / f"{lesson.stem}-{state(lesson)}.ipynb"
    if not kept.is_file():
        print(f"executing {lesson.name}", flush=True)
        (LESSONS / EXPORTS).mkdir(parents=True, exist_ok=True)
        for old in LESSONS.glob(f"{lesson.stem}-*.ipynb"):
            old.unlink()
        fill(notebook)
        with atomic_path(kept) as draft:
            nbformat.write(notebook, draft)
    return nbformat.read(kept, as_version=4)


def state(lesson: Path) -> str:
    """12 digits that change with the lesson and with the package."""
    digest = hashlib.sha256(lesson.read_bytes())
    for path in sorted((ROOT / "interplm_nb").rglob("*")):
        if path.is_file() and "__pycache__" not in path.parts:
            digest.update(path.relative_to(ROOT).as_posix().encode() + path.read_bytes())
    return digest.hexdigest()[:12]


def fill(notebook: nbformat.NotebookNode) -> None:
    """Execute it in an empty folder, where the nearest run is the one that ships."""
    from nbclient import NotebookClient

    with scratch_folder() as folder, kernel_settings(lock_descriptor=-1) as settings:
        client = NotebookClient(
            notebook,
            kernel_manager_class=RunKernelManager,
            config=settings,
            timeout=600,
            store_widget_state=False,
            resources={"metadata": {"path": str(folder)}},
        )
        try:
            client.execute()
            for page in (folder / EXPORTS).glob("*.html"):
                shutil.copy2(page, LESSONS / EXPORTS)
        except CellExecutionError as error:
            if error.ename != "PipelineError":  # the sentence of a lesson that lacks its data
                raise
            for cell in notebook.cells:
                if cell.cell_type == "code":
                    cell.outputs, cell.execution_count = [], None
            add_reason(notebook, error.evalue)
    clean(notebook)
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            still(output)


def add_reason(notebook: nbformat.NotebookNode, why: str) -> None:
    """Say below the title why a lesson has no outputs; the folder it ran in says nothing."""
    why = re.sub(r"no finished run in \S+ or above it has \w+, and ", "", " ".join(why.split()))
    title, _, rest = notebook.cells[0].source.partition("\n")
    notebook.cells[0].source = f"{title}\n\n{NOT_RUN.format(why=why)}{rest}"


def still(output: nbformat.NotebookNode) -> None:
    """Leave what shows without a kernel and without a network."""
    data = output.get("data", {})
    data.pop(PLOTLY, None)
    if WIDGET in data and not {"image/png", "image/svg+xml", "text/html"} & set(data):
        data["text/html"] = ALIVE
    data.pop(WIDGET, None)


def write_workbench(page: Path) -> None:
    """The workbench on the run that ships, as a page of its own."""
    from interplm_nb.widgets.workbench import Workbench

    bench = Workbench(Run.shipped())
    best = bench.data.pages.ranked.unique("concept", keep="first", maintain_order=True)["feature"]
    bench.to_html(page, features=best.unique(maintain_order=True).head(N_LIVE).to_list())


if __name__ == "__main__":
    main()
