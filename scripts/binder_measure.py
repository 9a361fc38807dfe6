"""What a visitor of Binder gets: size, time to the first widget, memory, and which notebooks run.

Runs inside Binder's environment (`scripts/binder_steps.py`), in a copy of the repository, and
imports only what that environment has. What `binder/lessons.py` leaves in place has to run. What it
moves has to begin with a link to where it runs, and to stop with the one sentence of
`binder/absent.py`, which has a link too. The larger Binder moves nothing; a lesson may stop there
for a run that nobody has made yet.
"""

import importlib.util
import subprocess
import sys
import time
from importlib.metadata import distributions
from pathlib import Path

import nbformat
import psutil
from jupyter_client.manager import KernelManager
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from scripts.binder_limits import MOST_MEMORY, MOST_SIZE

NOTEBOOKS, MOVED = Path("notebooks"), Path("notebooks/larger_binder")
SHOWS = "bench"
"""The name of the widget that the first notebook shows first."""
NOT_HERE, NO_RUN = "This lesson needs ", "this lesson needs a run "
"""How a notebook begins to say why it stops: what is left out, or a run that nobody has made."""
LARGER = "/binder-full?urlpath=lab/tree/notebooks"
"""What a link to the larger Binder has in it."""
BASE = ("jupyterlab", "notebook", "ipywidgets", "pip", "setuptools")
"""What repo2docker's image has before `environment.yml` is read, with all that these require."""
SECONDS = 600


def first_widget(notebook: Path) -> dict[str, float]:
    """Seconds from the kernel's start to the first widget; bytes of kernel and server then."""
    cells = [c.source for c in nbformat.read(notebook, 4).cells if c.cell_type == "code"]
    upto = next(i for i, source in enumerate(cells) if source.rstrip().endswith(f"\n{SHOWS}"))
    server = subprocess.Popen(
        [sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root", "--port=0"],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        assert server.stdout is not None
        next(line for line in server.stdout if "is running at" in line)
        began = time.monotonic()
        manager = KernelManager()
        manager.start_kernel(cwd=str(notebook.parent))
        client = manager.client()
        client.start_channels()
        client.wait_for_ready(timeout=60)
        try:
            for source in cells[: upto + 1]:
                reply = client.execute_interactive(source, timeout=SECONDS, output_hook=_nothing)
                assert reply["content"]["status"] == "ok", reply["content"]
            seconds = time.monotonic() - began
            ours = psutil.Process().children(recursive=True)
            held = sum(process.memory_info().rss for process in ours)
        finally:
            manager.shutdown_kernel(now=True)
    finally:
        server.terminate()
        server.wait(30)
    return {"seconds": seconds, "bytes": held}


def _nothing(message: dict) -> None:
    """Outputs are not shown here."""


def beyond_base() -> int:
    """Bytes of the installed packages that the base image does not have, and of the repository.

    The package itself is installed in place, so it counts once, with the repository.
    """
    installed = {canonicalize_name(d.metadata["Name"]): d for d in distributions()}
    base: set[tuple[str, str]] = set()
    waiting = [(name, "") for name in map(canonicalize_name, BASE) if name in installed]
    while waiting:
        name, extra = waiting.pop()
        base.add((name, extra))
        asked = [Requirement(text) for text in installed[name].requires or []]
        waiting += [
            found
            for r in asked
            if (other := canonicalize_name(r.name)) in installed
            if r.marker is None or r.marker.evaluate({"extra": extra})
            for found in [(other, ""), *((other, wanted) for wanted in r.extras)]
            if found not in base
        ]
    files = {
        Path(str(file.locate()))
        for name, package in installed.items()
        if (name, "") not in base
        for file in package.files or []
    }
    files.update(path.resolve() for path in Path.cwd().rglob("*"))
    return sum(path.stat().st_size for path in files if path.is_file())


def outcome(notebook: Path) -> str:
    """ "runs", or the sentence that it stops with; any other error goes on."""
    content = nbformat.read(notebook, 4)
    client = NotebookClient(
        content, timeout=SECONDS, resources={"metadata": {"path": str(notebook.parent)}}
    )
    try:
        client.execute()
    except CellExecutionError:
        said = [
            "\n".join(output.traceback)
            for cell in content.cells
            for output in cell.get("outputs", [])
            if output.output_type == "error"
        ]
        if len(said) == 1 and "\n" not in said[0]:
            return said[0]
        raise
    return "runs"


def is_right(notebook: Path, found: str, is_light: bool) -> bool:
    """Whether a notebook did what it has to do where it lies."""
    if MOVED in notebook.parents:
        opens_with = nbformat.read(notebook, 4).cells[0].source
        link = f"{LARGER}/{notebook.relative_to(MOVED).as_posix()})"
        return link in opens_with and found.startswith(NOT_HERE) and LARGER in found
    return found == "runs" or (not is_light and found.startswith(NO_RUN))


def main() -> None:
    size = beyond_base()
    is_light = importlib.util.find_spec("torch") is None
    notebooks = [
        *sorted(NOTEBOOKS.glob("*.ipynb")),
        *sorted(NOTEBOOKS.glob("workshop/*.ipynb")),
        *sorted(MOVED.rglob("*.ipynb")),
    ]
    first = first_widget(NOTEBOOKS / "00_explore.ipynb")
    print(
        f"beyond the base image: {size / 1e6:,.0f} MB; first widget {first['seconds']:.1f} s after "
        f"the kernel's start; memory then, server and kernel: {first['bytes'] / 1e6:.0f} MB"
    )
    for notebook in notebooks:
        began = time.monotonic()
        found = outcome(notebook)
        name = notebook.relative_to(NOTEBOOKS).as_posix()
        print(f"{name}: {found} ({time.monotonic() - began:.0f} s)", flush=True)
        if not is_right(notebook, found, is_light):
            sys.exit(f"{name} has to run where it lies, or to say where it runs")
    if is_light and (first["bytes"] > MOST_MEMORY or size > MOST_SIZE):
        sys.exit(
            f"the light Binder may take {MOST_SIZE / 1e6:.0f} MB of disk and "
            f"{MOST_MEMORY / 1e6:.0f} MB of memory"
        )


if __name__ == "__main__":
    main()
