"""A run that somebody sent: nothing in it, not even its name, runs or leads elsewhere."""

import ast
import logging
import os
import shutil
import sys
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell
from traitlets.config import Config

from interplm_nb.pipeline import explore_run, lab_log, runner
from interplm_nb.pipeline.errors import PipelineError, StageError
from interplm_nb.pipeline.explore_run import app_notebook, explored, open_lab, prepare
from interplm_nb.pipeline.lock import locked
from interplm_nb.pipeline.run import Run
from interplm_nb.pipeline.verification import verify
from tests.pipeline.fakes import write_fakes

NAMES = [
    "a 'quoted' name",
    'a "quoted" name',
    '"; raise SystemExit(9)  # "',
    "back\\slash\\",
    "two\nlines",
    "tab\tand {braces} # %",
    "\x1b[2J\u202eesc",
    "größe 🧬",
]
EVIL = "open({marker!r}, 'w').close()\nraise SystemExit(9)\n"


def run_parameter(notebook: nbformat.NotebookNode) -> object:
    """What the parameters cell sets `run` to: read, not run."""
    (cell,) = [c for c in notebook.cells if "parameters" in c.metadata.get("tags", [])]
    for line in ast.parse(cell.source).body:
        assert isinstance(line, ast.AnnAssign) and isinstance(line.target, ast.Name)
        if line.target.id == "run":
            assert line.value is not None
            return ast.literal_eval(line.value)
    raise AssertionError


@pytest.mark.parametrize("name", NAMES)
def test_no_name_of_a_folder_becomes_code(tmp_path, name):
    run = Run.create(tmp_path / name, "demo")
    assert run_parameter(app_notebook(run)) == str(run.folder.resolve())
    assert run_parameter(nbformat.read(prepare(run.folder), as_version=4)) == "."


@pytest.fixture
def lab(monkeypatch):
    """Where JupyterLab would start, and with what."""
    asked = {}

    def start(command, cwd):
        config = Path(command[-2].removeprefix("--config="))
        asked.update(command=command, cwd=cwd, config=config.read_text(encoding="utf-8"))
        return 0

    monkeypatch.setattr(explore_run, "foreground", start)
    return asked


@pytest.mark.parametrize("name", NAMES)
def test_jupyterlab_works_outside_the_run(tmp_path, lab, name):
    import json

    run = Run.create(tmp_path / name, "demo")
    with explored(run.folder) as notebook:
        assert open_lab(notebook, browser=False) == 0
    assert lab["command"][:3] == [sys.executable, "-m", "jupyterlab"]
    assert lab["command"][3] == str(run.folder.resolve() / "00_explore.ipynb")
    assert not lab["cwd"].is_relative_to(run.folder) and not lab["cwd"].exists()
    server = json.loads(lab["config"])["ServerApp"]
    assert server == {"root_dir": str(run.folder.resolve()), "logging_config": lab_log.SETTINGS}


def test_jupyterlab_logs_plain_text():
    """By its own settings, in which only the class that writes a line is ours."""
    from jupyter_server.serverapp import ServerApp

    server = ServerApp(config=Config(ServerApp={"logging_config": lab_log.SETTINGS}))
    (handler,) = server.log.handlers
    name = ("odd\u202e\x1b[2Jname",)
    record = logging.LogRecord("x", logging.INFO, "f", 1, "from %s", name, None)
    line = handler.format(record)
    assert r"from odd\u202e\u001b[2Jname" in line and "\u202e" not in line
    assert record.args == name


def test_a_notebook_with_other_code_is_warned_of_until_it_is_signed(tmp_path, caplog):
    run = Run.create(tmp_path / "run", "demo")
    path = prepare(run.folder)
    with explored(run.folder) as shown:
        assert shown == path
    assert caplog.messages == []
    notebook = nbformat.read(path, as_version=4)
    notebook.cells.append(new_code_cell("import this"))
    nbformat.write(notebook, path)
    with caplog.at_level(logging.WARNING), explored(run.folder):
        pass
    (said,) = caplog.messages
    assert said.startswith(f"{path} holds code that was not saved on this computer")
    explore_run.sign(nbformat.read(path, as_version=4), path)
    caplog.clear()
    with explored(run.folder):
        pass
    assert caplog.messages == []


def test_a_run_that_cannot_be_written_to_is_explored_elsewhere(tmp_path, monkeypatch, caplog):
    run = Run.create(tmp_path / "run", "demo")

    def refuse(folder):
        raise PermissionError(13, "Permission denied", str(folder / "00_explore.ipynb"))

    monkeypatch.setattr(explore_run, "prepare", refuse)
    with explored(run.folder) as path:
        assert not path.is_relative_to(tmp_path / "run")
        assert run_parameter(nbformat.read(path, as_version=4)) == str(run.folder.resolve())
    assert not path.exists()
    assert f"is in {path.parent} and is removed when JupyterLab ends" in caplog.text


LINKED = [
    "proteins.parquet",
    "run.json",
    ".hashes.json",
    "01_proteins",
    "02_embed.ipynb",
    "00_explore.ipynb",
    "sources",
    "sources/sae/activations/inner",
    "embeddings/layer_03",
    "rescored",
]


@pytest.mark.parametrize("name", LINKED)
@pytest.mark.parametrize("relative", [True, False])
def test_a_link_out_of_the_run_is_refused_before_anything_is_read(tmp_path, name, relative):
    run = Run.create(tmp_path / "run", "demo")
    path = run.folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    elsewhere = tmp_path / "elsewhere"
    if name == "run.json":
        shutil.move(path, elsewhere)
    path.symlink_to(os.path.relpath(elsewhere, path.parent) if relative else elsewhere)
    for opened in (Run.open, lambda folder: Run.create(folder, "demo"), prepare, verify):
        with pytest.raises(PipelineError) as refused:
            opened(run.folder)
        text = str(refused.value)
        assert f"{path} is a link to {elsewhere}, out of the run's folder" in text


def test_links_within_a_run_and_to_a_run_are_followed(tmp_path):
    run = Run.create(tmp_path / "disk" / "run", "demo")
    (run.folder / "sources").mkdir()
    (run.folder / "sources" / "again").symlink_to("../run.json")
    (run.folder / "mine").symlink_to(tmp_path)  # no file of the run
    (tmp_path / "run").symlink_to(run.folder)
    assert Run.open(tmp_path / "run").profile == "demo"


@pytest.mark.parametrize("make", [lambda p, t: p.symlink_to(t), lambda p, t: os.mkfifo(p)])
def test_a_lock_that_is_no_file_of_its_own_is_refused(tmp_path, make):
    target = tmp_path / "precious"
    target.write_text("kept")
    make(tmp_path / ".lock", target)
    with (
        pytest.raises(PipelineError, match="is a link or a special file"),
        locked(tmp_path / ".lock"),
    ):
        pass
    assert target.read_text() == "kept"


CHECK = """
import subprocess, sys
from pathlib import Path
assert Path.cwd().name == "run", Path.cwd()
try:
    import evil
except ModuleNotFoundError:
    pass
subprocess.run([sys.executable, "-c", "import json, tqdm"], check=True)
raise RuntimeError("nothing of the run was run")
"""


@pytest.mark.slow
def test_a_stage_runs_nothing_that_lies_in_the_run(tmp_path):
    marker = tmp_path / "was_run"
    folder = tmp_path / "run"
    for name in ("evil", "json", "tqdm", "runpy", "ipykernel", "interplm_nb", "sitecustomize"):
        (folder / name).mkdir(parents=True)
        (folder / name / "__init__.py").write_text(EVIL.format(marker=str(marker)))
    (folder / "ipython_kernel_config.py").write_text(EVIL.format(marker=str(marker)))
    (folder / "run.json").write_text('{"type": "Run", "version": 1, "profile": "demo"}')
    lessons = write_fakes(tmp_path / "lessons", broken="proteins", code=CHECK)
    request = runner.Request("demo", folder, ["embed.plm=esm2-mini"], notebooks=lessons)
    with pytest.raises(StageError, match="nothing of the run was run"):
        runner.run(request, lambda _: None)
    assert not marker.exists()
