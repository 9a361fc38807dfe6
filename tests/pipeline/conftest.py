"""One tiny run, made once for all tests that look at results."""

from pathlib import Path

import pytest

from interplm_nb.pipeline import manifest, stages
from interplm_nb.pipeline.run import Run
from tests.pipeline.tiny import tiny_parameters


@pytest.fixture(scope="session")
def tiny_run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A whole run by the stage functions, without notebooks; do not change it."""
    folder = Path(tmp_path_factory.mktemp("tiny")) / "run"
    run = Run.create(folder, "tiny")
    for stage, params in tiny_parameters(folder).items():
        stages.STAGE_FUNCTIONS[stage](run, params)
        manifest.write(run, params, manifest.key(run, params), {"device": "cpu"})
    return run
