"""JupyterLab and a headless Chromium, for tests that open notebooks as a person would.

No sleeps: each step waits for what it needs.
"""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import nbformat
import pytest

from interplm_nb.pipeline.run import Run

playwright_api = pytest.importorskip(
    "playwright.sync_api", reason="browser tests need playwright (pip install -e '.[dev]')"
)

VARIABLE = "INTERPLM_NB_CHROMIUM"
NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
FLAGS = [
    "--no-sandbox",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-quic",
    "--no-first-run",
]
# Tall: JupyterLab draws outputs as they come into view.
VIEWPORT = {"width": 1300, "height": 2400}

CONFIG = """
c.ServerApp.ip = "127.0.0.1"
c.ServerApp.port = {port}
c.ServerApp.port_retries = 0
c.ServerApp.open_browser = False
c.ServerApp.allow_root = True
c.ServerApp.root_dir = {root!r}
c.IdentityProvider.token = ""
c.ServerApp.password = ""
c.ServerApp.disable_check_xsrf = True
c.LabApp.expose_app_in_browser = True
c.JupyterNotebookApp.expose_app_in_browser = True
c.LabApp.extension_manager = "readonly"
c.LabApp.check_for_updates_class = "jupyterlab.NeverCheckForUpdate"
"""
# The "Jupyter news" pop-up asks for the network and covers the page.
PAGE_CONFIG = {"disabledExtensions": {"@jupyterlab/apputils-extension:announcements": True}}
# Without windowing every cell is drawn, also one that is off screen.
TRACKER = {"windowingMode": "none"}
# As a person sets it who wants to see widgets again in a notebook that is not run.
WIDGETS = {"saveState": True}

RESTORED = "() => window.jupyterapp && window.jupyterapp.restored"
# Started here and waited for there, since an evaluation has no time limit of its own.
RUN_ALL = """() => {
  window.allCellsRun = (async () => {
    const panel = window.jupyterapp.shell.currentWidget;
    await panel.context.ready;
    await panel.sessionContext.ready;
    await window.jupyterapp.commands.execute('notebook:run-all-cells');
  })().then(() => { window.allCellsEnded = true; });
}"""
ENDED = "() => window.allCellsEnded"
ERRORS = """() => [...window.jupyterapp.shell.currentWidget.content.model.cells]
  .flatMap((cell, place) =>
  cell.type !== 'code' ? [] : cell.outputs.toJSON().filter(output => output.output_type === 'error')
    .map(output => `cell ${place + 1}: ${output.ename}: ${output.evalue}`))"""
NOT_RUN = """() => [...window.jupyterapp.shell.currentWidget.content.model.cells]
  .flatMap((cell, place) => cell.type === 'code' && cell.sharedModel.source.trim() &&
    !cell.executionCount ? [`cell ${place + 1}`] : [])"""


@dataclass
class OpenNotebook:
    """A notebook that is open in JupyterLab, and what went wrong so far."""

    page: Any
    folder: Path
    foreign: list[str] = field(default_factory=list)
    page_errors: list[str] = field(default_factory=list)

    def check(self) -> None:
        """No cell failed or was left out, no request left this machine, no script failed."""
        assert self.page.evaluate(ERRORS) == []
        assert self.page.evaluate(NOT_RUN) == []
        assert self.foreign == []
        assert self.page_errors == []

    def refuse(self, route: Any) -> None:
        """Abort a request to elsewhere, and remember it."""
        self.foreign.append(route.request.url)
        route.abort()

    def screenshot(self, name: str) -> Path:
        path = self.folder / f"{name}.png"
        self.page.screenshot(path=path)
        return path


@pytest.fixture(scope="session")
def chromium() -> Iterator[Any]:
    """A running headless Chromium; skips, and says so, if absent."""
    with playwright_api.sync_playwright() as playwright:
        found = find_chromium(playwright.chromium.executable_path)
        if found is None:
            pytest.skip(
                f"no Chromium: set {VARIABLE}, put one of {', '.join(NAMES)} on the PATH, "
                "or run `playwright install chromium`"
            )
        browser = playwright.chromium.launch(executable_path=found, args=FLAGS)
        yield browser
        browser.close()


def find_chromium(playwrights_own: str) -> str | None:
    named = os.environ.get(VARIABLE)
    if named:
        assert Path(named).exists(), f"{VARIABLE} names {named}, which is not there"
        return named
    on_path = next((path for path in map(shutil.which, NAMES) if path), None)
    return on_path or (playwrights_own if Path(playwrights_own).exists() else None)


@pytest.fixture(scope="session")
def lab_server(
    chromium: Any, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[str, Path]]:
    """Address and folder of a JupyterLab with settings, trust and kernels of its own."""
    home = tmp_path_factory.mktemp("jupyter")
    root = home / "notebooks"
    root.mkdir()
    port = free_port()
    configure(home / "config", port, root)
    environment = {
        **os.environ,
        "JUPYTER_CONFIG_DIR": str(home / "config"),
        "JUPYTER_DATA_DIR": str(home / "data"),
        "JUPYTER_RUNTIME_DIR": str(home / "runtime"),
        "IPYTHONDIR": str(home / "ipython"),
        "JUPYTER_PREFER_ENV_PATH": "1",
    }
    command = [
        sys.executable,
        "-m",
        "jupyterlab",
        "--config",
        str(home / "config/jupyter_server_config.py"),
    ]
    with serving(command, "is running at", root, environment):
        yield f"http://127.0.0.1:{port}", root


@contextmanager
def serving(
    command: Sequence[str], ready: str, folder: Path, environment: Mapping[str, str] | None = None
) -> Iterator[list[str]]:
    """A server, from the line of its output that holds `ready` on, until the end of the block.

    Gives its lines so far.
    """
    with subprocess.Popen(
        command,
        cwd=folder,
        env=environment or os.environ,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    ) as server:
        assert server.stdout is not None
        log: list[str] = []
        for line in server.stdout:
            log.append(line)
            if ready in line:
                break
        else:
            pytest.fail(f"{command} did not start:\n{''.join(log)}")
        # The pipe is read on, or the server would stop when it is full.
        drain = threading.Thread(target=log.extend, args=(server.stdout,), daemon=True)
        drain.start()
        try:
            yield log
        finally:
            stop(server)
            drain.join(30)


@contextmanager
def serving_app(run: Path, folder: Path) -> Iterator[str]:
    """The address of `interplm-nb explore RUN --app` (Voila), until the end of the block."""
    command = [sys.executable, "-m", "interplm_nb.cli.main", "explore", str(run), "--app"]
    with serving([*command, "--no-browser"], "http://127.0.0.1:", folder) as log:
        found = re.search(r"http://127\.0\.0\.1:\d+/", log[-1])
        assert found, log
        yield found[0]


@pytest.fixture
def app(chromium: Any, tmp_path: Path) -> Iterator[str]:
    """The address of the shipped run's app."""
    with serving_app(Run.shipped().folder, tmp_path) as address:
        yield address


def stop(server: subprocess.Popen[str]) -> None:
    """End a server and what it has started: it leads its own process group."""
    os.killpg(server.pid, signal.SIGTERM)
    try:
        server.wait(30)
    except subprocess.TimeoutExpired:
        os.killpg(server.pid, signal.SIGKILL)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def configure(folder: Path, port: int, root: Path) -> None:
    settings = folder / "lab/user-settings"
    notebooks, widgets = (
        settings / "@jupyterlab/notebook-extension",
        settings / "@jupyter-widgets/jupyterlab-manager",
    )
    for needed in (folder / "labconfig", notebooks, widgets):
        needed.mkdir(parents=True)
    (folder / "jupyter_server_config.py").write_text(
        CONFIG.format(port=port, root=str(root)), encoding="utf-8"
    )
    (folder / "labconfig/page_config.json").write_text(json.dumps(PAGE_CONFIG), encoding="utf-8")
    (notebooks / "tracker.jupyterlab-settings").write_text(json.dumps(TRACKER), encoding="utf-8")
    (widgets / "plugin.jupyterlab-settings").write_text(json.dumps(WIDGETS), encoding="utf-8")


@pytest.fixture
def run_unchecked(
    chromium: Any, lab_server: tuple[str, Path], tmp_path: Path
) -> Iterator[Callable[..., OpenNotebook]]:
    """As `open_and_run`, without the checks: for tests of the checks."""
    address, root = lab_server
    pages = []

    def run(
        notebook: Path, parameters: Mapping[str, Any] | None = None, timeout: float = 120
    ) -> OpenNotebook:
        name = f"{len(list(root.iterdir()))}_{notebook.name}"
        nbformat.write(with_parameters(notebook, parameters or {}), root / name)
        page = chromium.new_page(viewport=VIEWPORT)
        pages.append(page)
        lab = OpenNotebook(page, tmp_path)
        page.on("pageerror", lambda error: lab.page_errors.append(str(error)))
        page.route(is_foreign, lab.refuse)
        page.set_default_timeout(timeout * 1000)
        page.goto(f"{address}/doc/tree/{quote(name)}?reset")
        page.wait_for_function(RESTORED)
        page.locator(".jp-Notebook").wait_for()
        page.evaluate(RUN_ALL)
        page.wait_for_function(ENDED)
        return lab

    yield run
    for page in pages:
        page.close()


@pytest.fixture
def open_and_run(
    run_unchecked: Callable[..., OpenNotebook],
) -> Iterator[Callable[..., OpenNotebook]]:
    """`open_and_run(notebook, parameters={}, timeout=120)`.

    A copy of the notebook, opened by itself, all its cells run, and checked.

    `parameters` are set after the cell tagged `parameters`; `timeout` is in seconds, for all cells
    together.
    """
    opened: list[OpenNotebook] = []

    def run(notebook: Path, **options: Any) -> OpenNotebook:
        lab = run_unchecked(notebook, **options)
        opened.append(lab)
        lab.check()
        return lab

    yield run
    for lab in opened:
        lab.check()


@pytest.fixture
def visit(chromium: Any) -> Iterator[Callable[..., Any]]:
    """`visit(address, views_alone=False)`.

    A page of this machine; at the end nothing was asked from elsewhere, and no script failed.

    `views_alone`: failures of the host page's own scripts do not count; those of views are modules
    of an address `blob:...`.
    """
    pages, wrong = [], []

    def open_page(address: str, views_alone: bool = False) -> Any:
        page = chromium.new_page(viewport=VIEWPORT)
        pages.append(page)
        page.on(
            "pageerror",
            lambda error: (
                None
                if views_alone and "blob:" not in (error.stack or "")
                else wrong.append(f"page error: {error}")
            ),
        )
        page.route(
            is_foreign,
            lambda route: (wrong.append(f"request: {route.request.url[:200]}"), route.abort()),
        )
        page.set_default_timeout(120_000)
        page.goto(address)
        return page

    yield open_page
    for page in pages:
        page.close()
    assert wrong == []


def is_foreign(url: str) -> bool:
    parts = urlsplit(url)
    return parts.scheme in ("http", "https", "ws", "wss") and parts.hostname not in (
        "127.0.0.1",
        "localhost",
    )


def with_parameters(notebook: Path, parameters: Mapping[str, Any]) -> nbformat.NotebookNode:
    """The notebook without outputs, its parameters set in their own cell, as by papermill."""
    content = nbformat.read(notebook, 4)
    for cell in content.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    # Without one, JupyterLab asks which kernel is meant.
    content.metadata["kernelspec"] = {
        "name": "python3",
        "display_name": "Python 3",
        "language": "python",
    }
    if parameters:
        place = next(
            (
                i
                for i, cell in enumerate(content.cells)
                if "parameters" in cell.metadata.get("tags", [])
            ),
            None,
        )
        assert place is not None, f"{notebook.name} has no cell tagged 'parameters'"
        setting = "\n".join(f"{name} = {value!r}" for name, value in parameters.items())
        content.cells.insert(
            place + 1,
            nbformat.v4.new_code_cell(setting, metadata={"tags": ["injected-parameters"]}),
        )
    return content
