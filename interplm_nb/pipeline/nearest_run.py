"""Which run a notebook opens: the one that it names, else the nearest that is finished, else the
one that ships with the package."""

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from interplm_nb.pipeline.errors import PipelineError
from interplm_nb.pipeline.model_choice import completed, settled
from interplm_nb.pipeline.parameters import PLACE, ProteinsParameters, StageParameters
from interplm_nb.pipeline.run import Run
from interplm_nb.pipeline.run_files import (
    COMPARISON,
    EMBEDDINGS,
    LOOKED,
    RECORD,
    STEERED_TEXT,
    interpreted_folder,
    source_file,
)
from interplm_nb.pipeline.stage_table import STAGES
from interplm_nb.saving import read_json

P = TypeVar("P", bound=StageParameters)

LINKS, FEATURES = source_file("sae", "links"), source_file("sae", "matches")
DESCRIPTIONS = interpreted_folder("statistical", "sae")
"""With EMBEDDINGS and COMPARISON: what a lesson may need of a run beyond its proteins and scores,
relative to its folder."""

_SCORES = source_file("sae", "scores")

_WHAT = {
    EMBEDDINGS: "embeddings",
    COMPARISON: "a comparison of SAEs",
    LINKS: "features linked to concepts",
    FEATURES: "statistics and motifs of its features",
    DESCRIPTIONS: "descriptions of features",
    STEERED_TEXT: "sequences generated while a feature is held",
}
_MAKE = {COMPARISON: "interplm-nb run laboratory --out runs/laboratory"}


class RunToRead(Run):
    """A run that a notebook found by itself: the stages read it, and change nothing in it."""


class Opened(NamedTuple):
    """A run, and a sentence that says which one it is and how to choose another."""

    run: Run
    which: str


class Lesson(NamedTuple):
    """What a lesson on a stage works with."""

    run: Run
    params: Any
    """The stage's parameters: of the run where it is only read, else of the notebook."""
    which: str


def open_run(run: str, *needs: str) -> Opened:
    """The run that a notebook names; for "", the nearest finished run that has what is needed.

    Searched are the working folder and then its parents, up to the repository (a folder with
    `.git`) or the home folder. In each, a run is the folder itself or a folder in its `runs/`. The
    first folder with a finished run is taken, and there the run whose scores were written last.
    If there are none, it is the run that ships with the package. Nothing is made or changed.

    Parameters
    ----------
    run
        A folder, or "".
    needs
        What the run must have: EMBEDDINGS, COMPARISON, LINKS, FEATURES, DESCRIPTIONS,
        STEERED_TEXT.

    Raises
    ------
    PipelineError
        For a folder that is not a run, and where neither a run nearby nor the one that ships has
        what is needed.

    Examples
    --------
    >>> open_run(str(Run.shipped().folder)).run.proteins()
    Proteins(120 proteins, 42,866 residues)
    """
    if run:
        return Opened(Run.open(run), f"This notebook reads the run in `{run}`.")
    here = Path.cwd()
    for place in _places(here):
        if found := _finished(place, needs):
            return Opened(RunToRead.open(found[0]), _which(found, here))
    return Opened(_shipped(here, needs), _SHIPS)


def open_lesson(parameters: type[P], namespace: Mapping[str, Any], *needs: str) -> Lesson:
    """The run and the parameters of a lesson on a stage, from its `parameters` cell.

    In a run that the cell names, the stage works, with the parameters of the cell. Where `run` is
    empty, the run of `open_run` is only read. PipelineError where the cell then asks for other
    values than that run was made with.
    """
    asked = parameters.from_notebook(namespace)
    if asked.run:
        run = Run.at(asked.run) if parameters is ProteinsParameters else Run.open(asked.run)
        which = f"This notebook works in the run in `{asked.run}`."
        return Lesson(run, settled(run, asked), which)
    opened = open_run("", *needs)
    params = _of_the_run(opened.run, asked)
    only = (
        " It shows what was made there and computes nothing. To compute, name the folder of a run "
        "of your own in the first lesson, and the same folder in those that follow."
    )
    return Lesson(opened.run, params, opened.which + only)


def _places(folder: Path) -> Iterator[Path]:
    """A folder and its parents, up to the repository or the home folder."""
    for place in (folder, *folder.parents):
        yield place
        if (place / ".git").exists() or place == Path.home():
            return


def _finished(place: Path, needs: tuple[str, ...]) -> list[Path]:
    """The finished runs of one folder, the newest first."""
    found = [
        (scores.stat().st_mtime_ns, folder.name, folder)
        for folder in (place, *sorted((place / "runs").glob("*/")))
        if (scores := folder / _SCORES).is_file()
        and is_finished(folder)
        and all((folder / name).exists() for name in needs)
    ]
    return [folder for *_, folder in sorted(found, reverse=True)]


def is_finished(folder: Path) -> bool:
    """Whether a folder is a run with its own scores, in which no stage is at work or was cut
    off."""
    try:
        read_json(folder / RECORD, "Run", 1)
    except (OSError, ValueError):
        return False
    working = any((folder / stage.folder / "work").exists() for stage in STAGES.values())
    looked_at = (folder / LOOKED).is_dir()  # its features are named by another run
    return not working and not looked_at and (folder / _SCORES).is_file()


def _which(found: list[Path], here: Path) -> str:
    named = [os.path.relpath(folder, here) for folder in found]
    others = named[1:4]
    run = Run.open(found[0])
    model = run.model()
    made = f"{model.name}, " if model else ""
    return (
        f"This notebook reads the run in `{named[0]}` ({made}{len(run.proteins()):,} proteins), "
        + ("the newest of the finished runs there." if others else "the nearest finished run.")
        + " For another, set `run` in the cell above"
        + (f': `run = "{others[0]}"`, say.' if others else " to its folder.")
    )


_SHIPS = (
    "There is no finished run in this folder or above it, so this notebook reads the one that "
    "comes with the package: scores of the whole demo, activations of 120 of its proteins. For "
    'another, set `run` in the cell above, such as `run = "runs/demo"`, which '
    "`interplm-nb run demo --out runs/demo` makes in minutes."
)


def _shipped(here: Path, needs: tuple[str, ...]) -> Run:
    shipped = RunToRead.open(Run.shipped().folder)
    lacking = [name for name in needs if not (shipped.folder / name).exists()]
    if lacking:
        what = " and ".join(_WHAT[name] for name in lacking)
        make = _MAKE.get(lacking[0], "interplm-nb run demo --out runs/demo")
        raise PipelineError(
            f"this lesson needs a run with {what}; no finished run in {here} or above it has them, "
            f"and the run that comes with the package has none. Make one: {make}; or name yours in "
            'the cell above: run = "FOLDER"'
        )
    return shipped


def _of_the_run(run: Run, asked: P) -> P:
    """The parameters that a run was made with; PipelineError where the cell changed others."""
    usual = type(asked).checked({}, "the defaults")
    plain, made = (completed(params, run.model()) for params in (usual, asked))
    if run.manifest_path(asked.stage).is_file():
        kept = run.manifest(asked.stage)["params"]
        plain = plain.model_copy(update={n: v for n, v in kept.items() if n not in asked.files})
    changed = [
        name
        for name, value in asked.model_dump(exclude=set(PLACE)).items()
        if value != type(asked).model_fields[name].default
        and getattr(made, name) != getattr(plain, name)
    ]
    if not changed:
        return plain
    name = changed[0]
    raise PipelineError(
        f"{name} = {getattr(asked, name)!r}, but the run that was found was made with "
        f"{getattr(plain, name)!r}, and a lesson changes no run that it found. Name the run to "
        'work in: run = "runs/mine". Lesson 1 makes it, and the later lessons work in it where '
        "they name it too"
    )
