"""Slurm's job scripts for what needs no Dask: shards taken by claims, and SAE training on nodes."""

import re
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

from interplm_nb.plain_text import plain_cell
from interplm_nb.scale.address import THREADS
from interplm_nb.scale.errors import ClusterError
from interplm_nb.scale.queue_file import QueueFile
from interplm_nb.scale.torchrun import FRESH_STORE

_END = "END_OF_JOB"

_ARRAY = """\
#!/bin/bash
# {what}
# as jobs of Slurm. Submit all three from a login node:  bash THIS_FILE
#
#   1  the stages before {stage}, and the list of the shards of {stage}
#   2  {workers} workers; each takes shards that nobody computes, until none is missing
#   3  the stages from {stage} on; the first of them finds its shards
#
# A job starts when the one before it ended well; else those after it are cancelled. Then read its
# log in {shared}
# and submit this file again: what is finished stays, and shards that were cut off are taken over.
set -euo pipefail
cd {here}
mkdir -p {shared}

# What every job asks for.
job=({common})

first=$(sbatch "${{job[@]}}" --job-name=interplm-nb-begin --output={shared}/begin-%j.log << '{end}'
#!/bin/bash
set -e
{setup}{threads_of_job}
{begin}
{end}
)
array=$(sbatch "${{job[@]}}" --job-name=interplm-nb-work --output={shared}/work-%A-%a.log \\
    --dependency=afterok:"$first" --array=1-{jobs} << '{end}'
#!/bin/bash
set -e
{setup}{threads_of_worker}
{work}
{end}
)
last=$(sbatch "${{job[@]}}" --job-name=interplm-nb-finish --output={shared}/finish-%j.log \\
    --dependency=afterok:"$array" << '{end}'
#!/bin/bash
set -e
{setup}{threads_of_job}
{finish}
{end}
)
echo "submitted: $first (begin), $array (workers), $last (finish); see them with: squeue --me"
"""

_SHARED_NODE = """\
# One worker for each GPU of the job, or for each part of its cores.
IFS=, read -r -a devices <<< "${{CUDA_VISIBLE_DEVICES:-}}"
for i in {{0..{last}}}; do
    CUDA_VISIBLE_DEVICES=${{devices[i]:-}} {work} &
    workers[i]=$!
done
for worker in "${{workers[@]}}"; do wait "$worker"; done"""

_TRAIN = """\
#!/bin/bash
# {what}
# on {jobs} nodes with {per_node} processes each. Submit it from a login node:  sbatch THIS_FILE
#
# Each node runs torchrun, and all meet at the first one. If a process dies, all are started again;
# if that fails {restarts} times, or a node dies, the job goes back into the queue, {restarts} times
# at most. The training resumes from its newest checkpoint: its folder must be on a disk that all
# nodes see.
#SBATCH --job-name=interplm-nb-train
#SBATCH --output={logs}/train-%j.log
#SBATCH --open-mode=append
#SBATCH --requeue
#SBATCH --nodes={jobs}
#SBATCH --ntasks-per-node=1
{directives}
set -e
cd {here}
{setup}{threads_of_worker}
export {fresh_store}  # so that processes that are started again do not wait for those that ended

first=$(scontrol show hostnames "$SLURM_JOB_NODELIST" | head -n 1)
port=$((20000 + SLURM_JOB_ID % 20000))
if ! srun --kill-on-bad-exit=1 {python} -m torch.distributed.run \\
    --nnodes="$SLURM_JOB_NUM_NODES" --nproc-per-node={per_node} --max-restarts={restarts} \\
    --rdzv-backend=c10d --rdzv-id="$SLURM_JOB_ID-${{SLURM_RESTART_COUNT:-0}}" \\
    --rdzv-endpoint="$first:$port" {script}
then
    [ "${{SLURM_RESTART_COUNT:-0}}" -ge {restarts} ] || scontrol requeue "$SLURM_JOB_ID"
    exit 1
fi
"""

_RESTARTS = 3


def array_jobs(queue: QueueFile, run_command: Sequence[str], run: Path, stage: str) -> str:
    """A bash script that submits the jobs of a run whose `stage` is computed by an array of
    workers.

    Parameters
    ----------
    run_command
        The words of `interplm-nb run ...`.
    run, stage
        The run's folder as in the command, and the stage.
    """
    python = _python(queue)
    command = [*python, "-m", "interplm_nb", *run_command[1:]]
    work = shlex.join([*python, "-m", "interplm_nb", "work", str(run), stage])
    many = queue.workers_per_job > 1
    common = ["--parsable", "--kill-on-invalid-dep=yes", "--open-mode=append", "--ntasks=1"]
    return _ARRAY.format(
        what=plain_cell(shlex.join(run_command)),
        stage=stage,
        workers=queue.workers,
        jobs=queue.jobs,
        threads_of_job=_threads(queue.cores),
        common=shlex.join([*common, *_asked(queue)]),
        begin=shlex.join([*command, "--begin", stage]),
        work=_SHARED_NODE.format(last=queue.workers_per_job - 1, work=work) if many else work,
        finish=shlex.join(command),
        **_place(queue),
    )


def training_job(queue: QueueFile, script: Path, arguments: Sequence[str]) -> str:
    """A batch script that runs a Python script under torchrun: a node for each job of the queue's
    file, a process for each of its workers."""
    words = [str(script), *arguments]
    return _TRAIN.format(
        what=plain_cell(shlex.join(words)),
        script=shlex.join(words),
        jobs=queue.jobs,
        per_node=queue.workers_per_job,
        restarts=_RESTARTS,
        fresh_store="=".join(FRESH_STORE),
        directives="\n".join(f"#SBATCH {word}" for word in _asked(queue)),
        python=shlex.join(_python(queue)),
        logs=queue.shared,
        **_place(queue),
    )


def _python(queue: QueueFile) -> list[str]:
    return [queue.python or sys.executable]


def _threads(n: int) -> str:
    return "export " + " ".join(f"{name}={n}" for name in THREADS)


def _asked(queue: QueueFile) -> list[str]:
    """sbatch's options: what a job asks for."""
    named = {
        "partition": queue.queue,
        "account": queue.account,
        "gres": f"gpu:{queue.gpus}" if queue.gpus else "",
    }
    return [
        f"--cpus-per-task={queue.cores}",
        f"--mem={queue.mebibytes}M",
        f"--time={queue.walltime}",
        *(f"--{name}={value}" for name, value in named.items() if value),
        *queue.directives,
    ]


def _place(queue: QueueFile) -> dict[str, str]:
    """Where jobs work, and what they run first."""
    if queue.kind != "slurm":
        raise ClusterError(
            f'kind = "{queue.kind}": these jobs are written for Slurm; with another queue, give '
            "its file to interplm-nb run --scheduler"
        )
    if re.search(r"\s", queue.shared):
        raise ClusterError(
            f"shared = {queue.shared!r} must be a path without spaces, which sbatch would split"
        )
    return {
        "threads_of_worker": _threads(queue.threads),
        "here": shlex.quote(str(Path.cwd())),
        "shared": shlex.quote(queue.shared),
        "setup": "".join(f"{line}\n" for line in queue.setup),
        "end": _END,
    }
