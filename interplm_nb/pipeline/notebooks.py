"""Notebooks: where the lessons lie, how one is executed for a stage, and what of it is kept."""

import contextlib
import logging
import re
import signal
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO

import nbformat
from nbformat import NotebookNode
from nbformat.sign import NotebookNotary

from interplm_nb.pipeline.errors import PipelineError, StageError
from interplm_nb.pipeline.kernel import RunKernelManager, kernel_settings
from interplm_nb.pipeline.parameters import StageParameters
from interplm_nb.pipeline.run import Run
from interplm_nb.plain_text import plain
from interplm_nb.saving import atomic_path

log = logging.getLogger(__name__)


def lessons() -> Path:
    """The folder of the source notebooks: in the package when installed, next to it in a clone."""
    package = Path(__file__).resolve().parents[1]
    for folder in (package / "notebooks", package.parent / "notebooks"):
        if (folder / "01_proteins.ipynb").is_file():
            return folder
    raise PipelineError(
        f"the notebooks are missing: neither {package / 'notebooks'} nor "
        f"{package.parent / 'notebooks'} has 01_proteins.ipynb"
    )


def execute(
    run: Run,
    params: StageParameters,
    source: Path,
    lock_descriptor: int,
    progress: TextIO | None = None,
) -> None:
    """Run a stage's notebook in the run's folder and keep it there, cleaned and signed, even if it
    fails.

    `progress` gets what the notebook writes to stderr while it runs: progress bars.
    """
    from nbclient.exceptions import DeadKernelError
    from papermill.exceptions import PapermillExecutionError

    target = run.notebook(params.stage)
    draft = run.work(params.stage) / "running.ipynb"
    draft.parent.mkdir(parents=True, exist_ok=True)
    failure = None
    try:
        _papermill(
            source, draft, params.model_dump() | {"run": "."}, run.folder, lock_descriptor, progress
        )
    except PapermillExecutionError as error:
        failure = _cell_failure(error, target)
    except DeadKernelError:
        failure = f"the kernel of {target} stopped: interrupted, killed, or out of memory"
    if draft.exists():
        keep(nbformat.read(draft, as_version=4), target)
        draft.unlink()
    if failure:
        raise StageError(failure)


def _papermill(
    source: Path,
    target: Path,
    values: dict[str, Any],
    folder: Path,
    lock_descriptor: int,
    progress: TextIO | None,
) -> None:
    import papermill

    for name in (
        "papermill",
        "asyncio",
    ):  # `execute` reports a stopped kernel itself, in a sentence
        logging.getLogger(name).setLevel(logging.CRITICAL)
    with _own_signals(), kernel_settings(lock_descriptor) as settings:
        papermill.execute_notebook(
            str(source).replace("{", "{{").replace("}", "}}"),  # papermill formats paths
            str(target).replace("{", "{{").replace("}", "}}"),
            parameters=values,
            kernel_name="python3",
            progress_bar=False,
            stderr_file=progress,
            cwd=str(folder),
            kernel_manager_class=RunKernelManager,
            config=settings,
            start_timeout=300,
            # A polite shutdown interrupts the kernel, which then writes to the terminal.
            shutdown_kernel="immediate",
        )


@contextmanager
def _own_signals() -> Iterator[None]:
    """Put our handlers back after the block: nbclient takes the signals over and then drops them,
    so that a later SIGTERM would end the process before its children and folders are gone."""
    before = {kind: signal.getsignal(kind) for kind in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        if threading.current_thread() is threading.main_thread():
            for kind, handler in before.items():
                signal.signal(kind, handler)


def _cell_failure(error: Any, notebook: Path) -> str:
    """One sentence for a failed cell: which one, its notebook, and the last line of its error."""
    lines = [line for line in str(error.evalue).strip().splitlines() if line.strip()]
    last = f"{error.ename}: {lines[-1].strip()}" if lines else str(error.ename)
    if error.ename in ("PipelineError", "StageError"):
        last = " ".join(line.strip() for line in lines)
    if "No space left on device" in str(error.evalue) or "Errno 28" in str(error.evalue):
        last = f"no space left on the disk that holds {notebook.parent}; free some"
    code = next(
        (line for line in error.source.splitlines() if line.strip() and not line.startswith("#")),
        "",
    )
    # papermill also counts its red marker and the injected cell; a reader counts [n] in the margin
    return f"cell [{error.exec_count}] of {notebook} failed ({code.strip()[:80]}): {last}"


def keep(notebook: NotebookNode, target: Path) -> None:
    """Write an executed notebook without traces of the machine, and sign it so that Jupyter trusts
    its outputs."""
    clean(notebook)
    with atomic_path(target) as draft:
        nbformat.write(notebook, draft)
    sign(notebook, target)


def sign(notebook: NotebookNode, path: Path) -> None:
    """Let this person's Jupyter trust a notebook; where signatures cannot be kept, say so."""
    try:
        with _notary() as notary:
            notary.sign(notebook)
    except (OSError, sqlite3.Error) as error:
        log.warning("%s is not signed (%s): Jupyter will ask whether you trust it", path, error)


def is_signed(notebook: NotebookNode) -> bool:
    """Whether this person's Jupyter trusts a notebook."""
    try:
        with _notary() as notary:
            return notary.check_signature(notebook)
    except (OSError, sqlite3.Error):
        return False


@contextmanager
def _notary() -> Iterator[NotebookNotary]:
    notary = NotebookNotary()
    try:
        yield notary
    finally:
        with contextlib.suppress(AttributeError, OSError, sqlite3.Error):
            notary.store.close()


def clean(notebook: NotebookNode) -> None:
    """Drop papermill's records (paths, times) and progress bars; keep tags and results."""
    notebook.metadata.pop("papermill", None)
    notebook.metadata.pop("widgets", None)
    for cell in notebook.cells:
        cell.metadata = NotebookNode({k: v for k, v in cell.metadata.items() if k == "tags" and v})
        if cell.cell_type == "code":
            cell.outputs = [
                output for output in map(_clean_output, cell.outputs) if output is not None
            ]


def _clean_output(output: NotebookNode) -> NotebookNode | None:
    if output.output_type == "stream":
        output.text = plain(_settled(output.text))
        return None if output.name == "stderr" and not output.text.strip() else output
    data = output.get("data", {})
    for kind in ("text/plain", "text/html", "text/markdown"):
        if isinstance(data.get(kind), str):
            data[kind] = plain(data[kind])
    if "application/vnd.jupyter.widget-view+json" in data and re.search(
        r"\d+%\|?|it/s", str(data.get("text/plain", ""))
    ):
        return None
    return output


def _settled(text: str) -> str:
    """What a terminal shows in the end, without progress bars."""
    lines = text.replace("\r\n", "\n").split("\n")
    left = (line.rpartition("\r")[2] for line in lines)  # the rest was written over
    bar = re.compile(r"\d+%\||\d+(it|\w+)/s\b|\?(it|\w+)/s\b")
    return "\n".join(line for line in left if not bar.search(line))


def cell_lines(notebook: Path) -> list[str]:
    """The source of each code cell, for messages and tests."""
    return [
        cell.source
        for cell in nbformat.read(notebook, as_version=4).cells
        if cell.cell_type == "code"
    ]
