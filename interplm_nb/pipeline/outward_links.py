"""Links that lead out of a run's folder: a run that has one is refused."""

import os
from collections.abc import Iterator
from pathlib import Path

from interplm_nb.pipeline import run_files
from interplm_nb.pipeline.errors import PipelineError
from interplm_nb.pipeline.stage_table import STAGES


def check_links(folder: Path) -> None:
    """PipelineError for a link among the run's files that leads out of its folder.

    A run that somebody sent could else read, or write over, any file of this person's.
    """
    home = folder.resolve()
    for path in _own_paths(folder):
        if path.is_symlink() and not path.resolve().is_relative_to(home):
            raise PipelineError(
                f"{path} is a link to {path.resolve()}, out of the run's folder; a run holds its "
                "files itself: put the file there, or link the folder of the whole run"
            )


def _own_paths(folder: Path) -> Iterator[Path]:
    """All paths below `folder` that a run may read or write; links are not followed."""
    made = {name for stage in STAGES.values() for name in (*stage.outputs, stage.folder)}
    made |= {f"{stage.folder}.ipynb" for stage in STAGES.values()} | set(run_files.BESIDE_STAGES)
    for name in sorted({name.split("/")[0] for name in made}):
        yield folder / name
        for parent, folders, files in os.walk(folder / name):
            yield from (Path(parent) / inner for inner in (*folders, *files))
