"""What a visitor of Binder gets: size, time to the first widget, memory, and which notebooks run.

Runs inside Binder's environment (`scripts/binder_steps.py`), in a copy of the repository, and
imports only what that environment has. A notebook has to run, or to stop with the one sentence of
`binder/absent.py`.
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

ALWAYS = ("00_explore", "09_gallery")
"""Notebooks that have to run in every environment."""
SHOWS = "bench"
"""The name of the widget that the first notebook shows first."""
SENTENCES = ("This lesson needs ", "this lesson needs a run ")
"""How a notebook begins to say why it stops: what is left out, or a run that nobody has made."""
BASE = ("jupyterlab", "notebook", "ipywidgets", "pip")
"""What repo2docker's image has before `environment.yml` is read, with all that these require."""
MOST_MEMORY = 500e6
MOST_SIZE = 2**30
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
    """Bytes of the installed packages that the base image does not have."""
    installed = {canonicalize_name(d.metadata["Name"]): d for d in distributions()}
    base: set[str] = set()
    waiting = [canonicalize_name(name) for name in BASE]
    while waiting:
        name = waiting.pop()
        base.add(name)
        asked = [Requirement(text) for text in installed[name].requires or []]
        waiting += [
            other
            for r in asked
            if (other := canonicalize_name(r.name)) in installed and other not in base
            if r.marker is None or r.marker.evaluate({"extra": ""})
        ]
    files = {
        Path(str(file.locate()))
        for name, package in installed.items()
        if name not in base
        for file in package.files or []
    }
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
        if len(said) == 1 and said[0].startswith(SENTENCES) and "\n" not in said[0]:
            return said[0]
        raise
    return "runs"


def main() -> None:
    size = beyond_base()
    notebooks = sorted(Path("notebooks").glob("*.ipynb"))
    first = first_widget(Path("notebooks/00_explore.ipynb"))
    print(
        f"beyond the base image: {size / 1e6:.0f} MB; first widget {first['seconds']:.1f} s after "
        f"the kernel's start; memory then, server and kernel: {first['bytes'] / 1e6:.0f} MB"
    )
    for notebook in notebooks:
        began = time.monotonic()
        found = outcome(notebook)
        print(f"{notebook.stem}: {found} ({time.monotonic() - began:.0f} s)", flush=True)
        if notebook.stem in ALWAYS and found != "runs":
            sys.exit(f"{notebook.stem} has to run on every Binder")
    is_light = importlib.util.find_spec("torch") is None
    if is_light and (first["bytes"] > MOST_MEMORY or size > MOST_SIZE):
        sys.exit(
            f"the light Binder may take {MOST_SIZE / 1e6:.0f} MB (1 GiB) of disk and "
            f"{MOST_MEMORY / 1e6:.0f} MB of memory"
        )


if __name__ == "__main__":
    main()
