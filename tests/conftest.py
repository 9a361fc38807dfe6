"""Settings of the whole suite, and one tiny run, made once for all tests that look at results."""

import os

# One thread a process: the tests' tensors are small, and threads that wait for one another make a
# busy machine many times slower.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import shutil
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

from interplm_nb.pipeline import manifest
from interplm_nb.pipeline.run import Run
from interplm_nb.pipeline.stage_table import STAGES
from interplm_nb.saving import remove
from interplm_nb.stages.compare import CompareStage, compare
from tests.pipeline.tiny import tiny_compare, tiny_parameters

# A first example may take long on a shared machine (imports, caches): with a time limit per
# example, results would depend on the load.
settings.register_profile("project", deadline=None, max_examples=30, derandomize=True)
settings.load_profile("project")


@pytest.fixture
def progress_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    """Progress is written at once, where a pipe would see a line a minute."""
    monkeypatch.setattr("interplm_nb.progress.MINUTE", 0.0)


@pytest.fixture(scope="session")
def tiny_run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A whole run by the stage functions, without notebooks; do not change it."""
    folder = Path(tmp_path_factory.mktemp("tiny")) / "run"
    run = Run.create(folder, "tiny")
    for stage, params in tiny_parameters(folder).items():
        STAGES[stage].call(run, params)
        manifest.write(run, params, manifest.key(run, params), {"device": "cpu"})
        remove(
            run.work(stage)
        )  # as the runner does: a stage that is called again is current, and reads
    return run


@pytest.fixture(scope="session")
def compared(
    tiny_run: Run, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Run, CompareStage, list[Any]]:
    """A copy of the tiny run after stage `compare`, its result, and its log; do not change it."""
    folder = Path(tmp_path_factory.mktemp("compared")) / "run"
    shutil.copytree(tiny_run.folder, folder)
    lines: list[Any] = []
    return (
        Run.open(folder),
        compare(Run.open(folder), tiny_compare(folder), log=lines.append),
        lines,
    )
