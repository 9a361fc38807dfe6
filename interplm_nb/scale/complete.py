"""A cluster's part of work that this process can also do alone."""

from typing import TYPE_CHECKING

from interplm_nb.progress import progress_bar
from interplm_nb.scale.address import workers_at
from interplm_nb.scale.shard_task import ShardTask, ThisProcess

if TYPE_CHECKING:
    from interplm_nb.scale.address import Scale


def complete_elsewhere(task: ShardTask, scale: "Scale", progress: bool = True) -> None:
    """Let a cluster make the results that a task lacks.

    Nothing happens where `scale` is this process: its caller goes through the shards in order,
    takes a result where there is one and computes it, without a file, where there is none. So a
    cluster's work can be ended by one process, and the other way round.
    """
    missing = task.missing() if scale and not isinstance(scale, ThisProcess) else []
    if not missing:
        return
    with (
        workers_at(scale) as workers,
        progress_bar(
            total=sum(map(task.residues, missing)),
            desc=f"{task.label}{workers.where}",
            unit=" residues",
            unit_scale=True,
            disable=not progress,
        ) as bar,
    ):
        workers.complete(task, bar.update)
