"""Opens JupyterLab, or an app without code, on a run, and copies the lessons for you to edit."""

import json
import logging
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import nbformat

from interplm_nb.children import foreground
from interplm_nb.pipeline.errors import PipelineError
from interplm_nb.pipeline.notebooks import is_signed, lessons, sign
from interplm_nb.pipeline.run import Run
from interplm_nb.saving import atomic_path
from interplm_nb.scratch import scratch_folder

log = logging.getLogger(__name__)

EXPLORE = "00_explore.ipynb"

ADDRESS = """from interplm_nb.widgets.address import Address

Address(bench)"""

OWN_HOST = (
    "default-src 'self' 'unsafe-inline' 'unsafe-eval' blob: data:; "
    "connect-src 'self' ws://127.0.0.1:* blob: data:"
)
"""The app's page may load nothing from other hosts: Voila's template links to icon fonts on a CDN,
which the workbench does not need."""

APP_SETTINGS = {
    "Voila": {
        "ip": "127.0.0.1",
        "tornado_settings": {"headers": {"Content-Security-Policy": OWN_HOST}},
    },
    "VoilaConfiguration": {"show_tracebacks": True},
}


def prepare(folder: Path) -> Path:
    """Put a copy of `00_explore`, set to the run, into its folder; an existing copy is kept."""
    run = Run.open(folder)
    target = run.folder / EXPLORE
    if not target.exists():
        _write(_set_to("."), target)
    return target


@contextmanager
def explored(folder: Path) -> Iterator[Path]:
    """The notebook of `prepare`; of a run that cannot be written to, a copy for the block."""
    run = Run.open(folder)
    target = run.folder / EXPLORE
    if target.exists():
        _warn_if_foreign(target)
        yield target
        return
    try:
        prepare(folder)
    except OSError as error:
        log.warning("%s: %s", target, error.strerror)
    if target.exists():
        yield target
    else:
        with scratch_folder() as scratch:
            log.warning(
                "the run cannot be written to, so its notebook is in %s and is removed when "
                "JupyterLab ends; save what you change under another path",
                scratch,
            )
            _write(_set_to(str(run.folder.resolve())), scratch / EXPLORE)
            yield scratch / EXPLORE


def _set_to(run: str) -> nbformat.NotebookNode:
    notebook = _explore()
    set_parameter(notebook, "run", run)
    return notebook


def _write(notebook: nbformat.NotebookNode, target: Path) -> None:
    with atomic_path(target) as draft:
        nbformat.write(notebook, draft)
    sign(notebook, target)


def _warn_if_foreign(path: Path) -> None:
    """Say so if a notebook holds other code than the lesson and was not signed by this person."""
    notebook = nbformat.read(path, as_version=4)
    if _code(notebook) != _code(_set_to(".")) and not is_signed(notebook):
        log.warning(
            "%s holds code that was not saved on this computer; read its cells before you run them",
            path,
        )


def _code(notebook: nbformat.NotebookNode) -> list[str]:
    return [cell.source for cell in notebook.cells if cell.cell_type == "code"]


def app_notebook(run: Run) -> nbformat.NotebookNode:
    """The workbench alone: a title, the cells of `00_explore` that are tagged `parameters` or
    `app`, set to the run, and what keeps its address."""
    notebook = _explore()
    notebook.cells = [
        cell
        for cell in notebook.cells
        if {"parameters", "app"} & set(cell.metadata.get("tags", []))
    ]
    set_parameter(notebook, "run", str(run.folder.resolve()))
    notebook.cells.insert(
        0, nbformat.v4.new_markdown_cell("# Features of a protein language model")
    )
    notebook.cells.append(nbformat.v4.new_code_cell(ADDRESS, id="address"))
    return notebook


def _explore() -> nbformat.NotebookNode:
    source = lessons() / EXPLORE
    if not source.is_file():
        raise PipelineError(f"no notebook {source}")
    return nbformat.read(source, as_version=4)


def set_parameter(notebook: nbformat.NotebookNode, name: str, value: str) -> None:
    """Change a literal in the notebook's `parameters` cell: `name: type = value`."""
    from papermill.translators import PythonTranslator

    for cell in notebook.cells:
        if "parameters" in cell.metadata.get("tags", []):
            lines = cell.source.splitlines()
            places = [
                i
                for i, line in enumerate(lines)
                if line.split(":")[0].split("=")[0].strip() == name
            ]
            if places:
                head, _, rest = lines[places[0]].partition("=")
                comment = f"  # {rest.split('#', 1)[1].strip()}" if "#" in rest else ""
                literal = PythonTranslator.translate(value)
                lines[places[0]] = f"{head.rstrip()} = {literal}{comment}"
                cell.source = "\n".join(lines)
                return
    raise PipelineError(f"the notebook has no parameter {name!r} in a cell tagged 'parameters'")


def open_lab(notebook: Path, browser: bool) -> int:
    """Start JupyterLab on the notebook's folder with this Python; return its exit code.

    It does not work in that folder, whose files Jupyter and Python would run: a `jupyterlab.py`, a
    configuration.
    """
    from interplm_nb.pipeline.lab_log import SETTINGS

    root = notebook.parent.resolve()
    server = {"root_dir": str(root), "logging_config": SETTINGS}
    with scratch_folder() as scratch:
        (scratch / "config.json").write_text(json.dumps({"ServerApp": server}), encoding="utf-8")
        command = [sys.executable, "-m", "jupyterlab", str(root / notebook.name)]
        command += [f"--config={scratch / 'config.json'}"]
        return foreground([*command, *([] if browser else ["--no-browser"])], scratch)


def open_app(folder: Path, browser: bool) -> int:
    """Serve the workbench of a run with Voila on 127.0.0.1 until it is stopped; return its exit
    code.

    Voila runs on this Python and prints the address. Its kernel accepts only widget messages, so
    that a page cannot run code. PipelineError for a folder that is not a run, and for a run that is
    not scored yet.
    """
    run = Run.open(folder)
    run.scores()
    notebook = app_notebook(run)
    with scratch_folder() as home:
        nbformat.write(notebook, home / "workbench.ipynb")
        (home / "voila.json").write_text(json.dumps(APP_SETTINGS), encoding="utf-8")
        command = [sys.executable, "-m", "voila", "workbench.ipynb"]
        return foreground([*command, *([] if browser else ["--no-browser"])], home)


def copy_lessons(folder: Path) -> list[Path]:
    """Copy the source notebooks and the workshop's into a folder; an existing file is never
    overwritten."""
    folder.mkdir(parents=True, exist_ok=True)
    home = lessons()
    found = sorted([*home.glob("*.ipynb"), *home.glob("workshop/**/*.ipynb")])
    names = [source.relative_to(home) for source in found if source.parent.name[0] != "."]
    present = [str(name) for name in names if (folder / name).exists()]
    if present:
        raise PipelineError(f"{folder} already has {', '.join(present)}; give another folder")
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(home / name, folder / name)
    return [folder / name for name in names]
