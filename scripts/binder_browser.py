"""00_explore in JupyterLab and Chromium, as the badge opens it: what a visitor of Binder meets.

`scripts/binder_steps.py --browser` calls this. JupyterLab and the kernel are those of Binder's
environment; Playwright, psutil and Chromium are those of whoever runs the steps.
"""

import json
import os
import re
import shutil
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psutil
from playwright.sync_api import Page, sync_playwright

from scripts.binder_limits import MOST_MEMORY, MOST_SECONDS

OPENS = "lab/tree/notebooks/00_explore.ipynb"
"""What the badge asks Binder to open (`FIRST` in `scripts/fill_badges.py`)."""
VIEWS = ("features", "histogram", "tracks", "structure")
"""The views that the workbench opens with; the class of each is `iplm-<view>`."""
WAIT_MS = 120_000


@contextmanager
def jupyterlab(
    start: Path, folder: Path, environment: Mapping[str, str]
) -> Iterator[tuple[str, psutil.Process]]:
    """The address and the process of a JupyterLab that Binder's `start` starts."""
    command = [start, "jupyter", "lab", "--no-browser", "--allow-root", "--port=0"]
    command.append("--IdentityProvider.token=")
    with subprocess.Popen(
        command,
        cwd=folder,
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    ) as server:
        assert server.stderr is not None
        said = (re.search(r"http://127\.0\.0\.1:\d+/", line) for line in server.stderr)
        address = next(found[0] for found in said if found)
        # The pipe is read on, or the server would stop when it is full.
        threading.Thread(target=server.stderr.read, daemon=True).start()
        try:
            yield address, psutil.Process(server.pid)
        finally:
            server.terminate()
            server.wait(30)


@contextmanager
def browser_page() -> Iterator[Page]:
    """A page of a headless Chromium: `INTERPLM_NB_CHROMIUM`, the PATH's or Playwright's own."""
    named = os.environ.get("INTERPLM_NB_CHROMIUM") or shutil.which("chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=named, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1400, "height": 1000})
        page.set_default_timeout(WAIT_MS)
        yield page
        browser.close()


def watch(page: Page) -> list[str]:
    """What goes wrong from now on: errors in the console, failed scripts, requests to elsewhere."""
    wrong: list[str] = []

    def refuse(route: Any) -> None:
        wrong.append(f"request: {route.request.url[:200]}")
        route.abort()

    page.on("console", lambda said: wrong.append(said.text) if said.type == "error" else None)
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.route(lambda url: urlsplit(url).hostname not in ("127.0.0.1", None), refuse)
    return wrong


def cells_to_workbench(notebook: Path) -> int:
    """How many cells a visitor runs until the workbench is there."""
    cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    sources = ["".join(cell["source"]).rstrip() for cell in cells]
    return 1 + next(i for i, source in enumerate(sources) if source.endswith("\nbench"))


def drawn(page: Page) -> None:
    """Until the workbench's views are there, and what is drawn in them."""
    for view in VIEWS:
        page.locator(f".iplm-{view}[data-state=ready]").first.wait_for(state="attached")
    for view in ("histogram", "tracks"):
        page.locator(f".iplm-{view} canvas[data-drawn]").first.wait_for()


def run_the_rest(page: Page) -> list[str]:
    """Run > Run All Cells, to the end; the errors of cells."""
    page.locator("#jp-MainMenu").get_by_text("Run", exact=True).click()
    page.locator(".lm-Menu-itemLabel").get_by_text("Run All Cells", exact=True).click()
    page.locator("#jp-main-statusbar").get_by_text("| Busy").wait_for()
    page.locator("#jp-main-statusbar").get_by_text("| Idle").wait_for()
    return page.locator("[data-mime-type='application/vnd.jupyter.error']").all_inner_texts()


def held(server: psutil.Process) -> float:
    """Bytes of JupyterLab's server and of the kernels that it has started."""
    return sum(p.memory_info().rss for p in (server, *server.children(recursive=True)))


def visit(start: Path, folder: Path, environment: Mapping[str, str], picture: Path) -> str:
    """Open the lesson, run it, look: what was measured. SystemExit where it falls short.

    Seconds are from the start of the kernel's process, which JupyterLab starts while it opens the
    notebook, to a workbench that is drawn; memory is that of this moment. Then all cells are run,
    since the page must stay without errors to the end.
    """
    with jupyterlab(start, folder, environment) as (address, server), browser_page() as page:
        wrong = watch(page)
        page.goto(f"{address}{OPENS}")
        # Without a kernel, JupyterLab would ask which one is meant.
        page.locator("#jp-main-statusbar").get_by_text("| Idle").wait_for()
        page.locator(".jp-MarkdownCell:visible").first.click()
        for _ in range(cells_to_workbench(folder / "notebooks" / "00_explore.ipynb")):
            page.keyboard.press("Shift+Enter")
        drawn(page)
        ended = time.time()
        kernel = next(p for p in server.children(recursive=True) if "ipykernel" in str(p.cmdline()))
        seconds, memory = ended - kernel.create_time(), held(server)
        page.locator(".iplm-bench").first.scroll_into_view_if_needed()
        page.screenshot(path=picture)
        wrong += run_the_rest(page)
        memory_at_end = held(server)
    said = (
        f"in Chromium: the workbench is drawn {seconds:.1f} s after the kernel's start; memory of "
        f"server and kernel: {memory / 1e6:.0f} MB then, {memory_at_end / 1e6:.0f} MB at the end "
        f"of the lesson; {picture}"
    )
    if wrong:
        raise SystemExit(f"{said}\nwhat went wrong in the page: {wrong}")
    if seconds > MOST_SECONDS or memory > MOST_MEMORY:
        raise SystemExit(f"{said}\nat most {MOST_SECONDS} s and {MOST_MEMORY / 1e6:.0f} MB")
    return said
