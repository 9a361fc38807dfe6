"""Work on the shards of a stage that `interplm-nb run --begin STAGE` began, from any number of
processes on any machines that see the run's folder."""

import shlex
from collections.abc import Callable
from pathlib import Path

from interplm_nb.embeddings import TASK
from interplm_nb.pipeline.errors import PipelineError
from interplm_nb.pipeline.run import Run
from interplm_nb.pipeline.stage_table import stage_named
from interplm_nb.progress import progress_bar
from interplm_nb.scale.claims import LEASE, ClaimWorkers


def work_command(folder: Path, stage: str) -> str:
    """The command line that does this."""
    return shlex.join(["interplm-nb", "work", str(folder), stage])


def work(run: Run, stage: str, say: Callable[[str], None], lease: float = LEASE) -> None:
    """Compute shards that a begun stage lacks, until none is missing.

    No lock is held: each process takes one shard after another by a claim (`scale.claims`). `run`
    then finishes the stage. `say` gets a line per task.

    Raises
    ------
    PipelineError
        For a stage that nobody has begun.
    ClusterError, ValueError
        For a shard that fails, and where other versions or other weights are found here.
    """
    from interplm_nb.plm.embed_shards import shared

    _ = stage_named(stage).begin  # refuses a stage without shards
    drafts = _drafts(run, stage)
    if not drafts and run.manifest_path(stage).is_file():
        say(f"{stage}: the stage has ended, no shard is missing")
    elif not drafts:
        raise PipelineError(
            f"{run.folder}: nobody has begun the stage {stage!r}; begin it with: interplm-nb run "
            f"PROFILE --out {shlex.quote(str(run.folder))} --begin {stage}"
        )
    for draft in drafts:
        task = shared(draft)
        total = sum(map(task.residues, task.missing()))
        with progress_bar(total=total, desc=task.label, unit=" residues", unit_scale=True) as bar:
            ClaimWorkers(draft, lease).complete(task, bar.update)
            mine = bar.n
        say(
            f"{task.label}: {mine:,} residues computed here, of {total:,} that were missing; no "
            "shard is missing now"
        )


def _drafts(run: Run, stage: str) -> list[Path]:
    """Folders of unfinished results in the run, each with a task."""
    found = (
        task.parent
        for name in stage_named(stage).outputs
        for task in (run.folder / name).rglob(TASK)
    )
    inside = run.folder.resolve()
    return sorted(draft for draft in found if draft.resolve().is_relative_to(inside))
