"""An SAE to and from the Hub with its card and its table of features and concepts."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING

from interplm_nb.concepts.exported import read_exported
from interplm_nb.figures.sae_card import sae_card
from interplm_nb.pipeline.errors import PipelineError
from interplm_nb.pipeline.run import Run
from interplm_nb.pipeline.run_files import RECORD, source_file
from interplm_nb.questions.export import export_links
from interplm_nb.scratch import scratch_folder

if TYPE_CHECKING:
    from interplm_nb.sae.importers.given import Given
    from interplm_nb.sae.model import SAE


def publish(path: Path, repository: str, run: Path | None = None, private: bool = False) -> str:
    """Upload an SAE; returns a text with the address of the commit.

    path: the folder of an SAE, or of a run, whose trained SAE is meant. With a run (path, the one
    that the SAE lies in, or `run`) the card states its scores and controls, and the table of
    features and concepts goes along. PipelineError where the run's SAE is another one.
    """
    from interplm_nb.sae import hub

    owner = _owner(path, run)
    folder = owner.source("sae") if owner and (path / RECORD).is_file() else path
    with _table(folder, owner) as table:
        card = sae_card(owner, repository) if owner else None
        address = hub.push(folder, repository, card=card, table=table, private=private)
    if table is None:
        return (
            f"published: {address}\nNot scored: give the run, with --run RUN, to publish it with "
            "its scores, controls and table of features"
        )
    return f"published: {address}"


def download(
    repository: str,
    out: Path,
    given: "Given",
    revision: str | None = None,
    file: str | None = None,
    sha256: str | None = None,
) -> str:
    """Save an SAE of the Hub in the folder `out`, with the table of its features if the repository
    has one; returns a text that says what was read and written.

    ValueError for a folder that is not empty and for the table of another SAE.
    """
    from interplm_nb.sae import checkpoint, convert, hub

    convert.check_out(out)
    sae = hub.get(repository, given, revision=revision, file=file, sha256=sha256)
    table = hub.table_of(sae)
    pairs = None if table is None else read_exported(table, sae.weight_hash).table.height
    said = convert.written(sae, out)
    if table is None:
        return said
    shutil.copyfile(table, out / checkpoint.TABLE)
    return f"{said}\n{out / checkpoint.TABLE}: {pairs:,} pairs of feature and concept"


def _owner(path: Path, run: Path | None) -> Run | None:
    """The run whose trained SAE is meant."""
    if (path / RECORD).is_file() and run is not None:
        raise PipelineError(
            f"{path} is a run, and --run names {run}: give the run whose SAE is to be published"
        )
    if (path / RECORD).is_file() or run is not None:
        return Run.open(run or path)
    root = path.resolve().parent.parent
    is_its = path.resolve() == root / Path(source_file("sae", "sae")).parent
    return Run.open(root) if is_its and (root / RECORD).is_file() else None


@contextmanager
def _table(folder: Path, owner: Run | None) -> "Iterator[Path | None]":
    """The table of the SAE's features: the folder's own, or made from the run."""
    from interplm_nb.sae import checkpoint

    sae, own = checkpoint.load(folder), folder / checkpoint.TABLE
    if owner is not None:
        _check_same(folder, sae, owner)
    if own.is_file():
        read_exported(own, sae.weight_hash)
        yield own
    elif owner is None:
        yield None
    else:
        with scratch_folder() as scratch:
            export_links(owner, "sae", "strict", scratch / checkpoint.TABLE)
            yield scratch / checkpoint.TABLE


def _check_same(folder: Path, sae: "SAE", run: Run) -> None:
    scored = run.about("sae")["weights"]
    if scored != sae.weight_hash:
        own = f"interplm-nb models push {quote(str(run.folder))} OWNER/NAME"
        raise PipelineError(
            f"{run.folder} scored the SAE with the weights {scored}, and {folder} holds "
            f"{sae.weight_hash}: its scores are not of this SAE. Publish the run's own ({own}), "
            "or this one without --run"
        )
