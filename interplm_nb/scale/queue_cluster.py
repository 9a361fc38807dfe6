"""Workers that a queue starts as jobs, through dask-jobqueue."""

import importlib
import logging
import re
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from interplm_nb.plain_text import plain
from interplm_nb.scale.address import THREADS
from interplm_nb.scale.allocator import KEPT
from interplm_nb.scale.errors import ClusterError
from interplm_nb.scale.queue_file import Kind, QueueFile

if TYPE_CHECKING:
    from distributed import Client, Security

JOB_NAME = "interplm-nb"

CLASSES: dict[Kind, str] = {
    "slurm": "SLURMCluster",
    "pbs": "PBSCluster",
    "lsf": "LSFCluster",
    "sge": "SGECluster",
    "oar": "OARCluster",
    "htcondor": "HTCondorCluster",
}
STATES: dict[Kind, tuple[str, ...]] = {
    "slurm": ("squeue", "--format=%i %T %R", "--jobs={commas}"),
    "pbs": ("qstat", "{ids}"),
    "lsf": ("bjobs", "{ids}"),
    "sge": ("qstat",),
    "oar": ("oarstat",),
    "htcondor": ("condor_q", "{ids}"),
}
"""What shows jobs that wait or run."""

_ENDED = re.compile(
    r"invalid job id|unknown job|not found|does not exist|has finished", re.IGNORECASE
)
"""What queues say, with an exit code, when asked for jobs that have all ended."""

POLL_SECONDS = 5.0
"""Between two looks at the queue while no worker has started."""

DEATH_SECONDS = 120
"""A worker whose scheduler is gone for so long ends, and its job with it."""

MINUTE = 60.0
"""Seconds."""

_LOG_LINES = 10
_log = logging.getLogger(__name__)


@contextmanager
def queued(path: Path) -> "Iterator[Client]":
    """A client of a scheduler in this process, whose workers are jobs. They are cancelled with the
    block's end.

    Raises
    ------
    ClusterError
        For a file that does not fit, a queue that refuses the jobs, and where no worker has started
        in time.
    """
    queue = QueueFile.read(path)
    if any(c.isspace() for c in f"{queue.shared}{queue.scratch}"):
        raise ClusterError(
            f"{path}: shared = {queue.shared!r} and scratch = {queue.scratch!r} must be paths "
            "without spaces, which a job script would split"
        )
    Path(queue.shared).mkdir(parents=True, exist_ok=True)
    cluster_class = getattr(importlib.import_module("dask_jobqueue"), CLASSES[queue.kind])
    command = shlex.split(cluster_class.job_cls.submit_command)[0]
    if shutil.which(command) is None:
        raise ClusterError(
            f"{path}: the command {command} of kind = {queue.kind!r} is not here; work on a "
            "machine that submits jobs, or set kind to another queue"
        )
    from distributed import Client

    refusals: list[str] = []
    job_class = _noting(cluster_class.job_cls, refusals)
    options = _options(queue) | {"protocol": "tls://", "job_cls": job_class}
    with (
        _dashboard_of_this_machine(),
        _certificate(Path(queue.shared)) as security,
        cluster_class(**options, security=security) as cluster,
    ):
        _submit(cluster, queue)
        if refusals:
            raise ClusterError(f"{path}: the queue refused a job: {refusals[0]}")
        with Client(cluster) as client:
            _wait(client, cluster, queue, path)
            _log.info("workers of %s; dashboard: %s", path, client.dashboard_link)
            yield client


def job_script(queue: QueueFile) -> str:
    """The script of one job, as dask-jobqueue writes it, without the scheduler's address."""
    cluster_class = getattr(importlib.import_module("dask_jobqueue"), CLASSES[queue.kind])
    options = _options(queue)
    del options["scheduler_options"]  # of the cluster, not of a job
    return cluster_class.job_cls("tls://SCHEDULER:8786", name="worker", **options).job_script()


def _options(queue: QueueFile) -> dict[str, Any]:
    """Arguments of dask-jobqueue's class."""
    variables = dict.fromkeys(THREADS, str(queue.threads)) | KEPT
    exports = [f"export {name}={value}" for name, value in variables.items()]
    preload = ["--preload", "interplm_nb.scale.own_device"] if queue.workers_per_job > 1 else []
    common = {
        "job_name": JOB_NAME,
        "cores": queue.cores,
        "memory": queue.memory.replace(" ", ""),
        "processes": queue.workers_per_job,
        "python": queue.python or shlex.quote(sys.executable),
        "interface": queue.interface or None,
        "death_timeout": DEATH_SECONDS,
        "local_directory": queue.scratch,
        "log_directory": queue.shared,
        "job_script_prologue": [*queue.setup, *exports],
        # The last one counts: a worker computes one shard at a time, torch on all of its cores.
        "worker_extra_args": ["--nthreads", "1", *(preload if queue.gpus else [])],
        "scheduler_options": {"dashboard_address": "127.0.0.1:0"},
    }
    return common | _of_kind(queue)


@contextmanager
def _dashboard_of_this_machine() -> Iterator[None]:
    """It listens to this machine alone, and its link says so, unless a person's settings of Dask
    give another, as for JupyterHub."""
    import dask.config

    name, usual = "distributed.dashboard.link", "{scheme}://{host}:{port}/status"
    given = dask.config.get(name, usual)
    link = usual.replace("{host}", "127.0.0.1") if given == usual else given
    with dask.config.set({name: link}):
        yield


@contextmanager
def _certificate(shared: Path) -> "Iterator[Security]":
    """Encrypts all connections and lets in only who holds the key, which jobs read from a folder of
    this user's; both are for this block alone."""
    from distributed import Security

    made = Security.temporary().get_tls_config_for_role("worker")
    with TemporaryDirectory(prefix="tls-", dir=shared) as folder:
        files = {}
        for name in ("ca_file", "cert", "key"):
            path = Path(folder) / f"{name}.pem"
            path.touch(mode=0o600)
            path.write_text(str(made[name]))
            files[name] = str(path)
        roles = {
            f"tls_{role}_{name}": files[name]
            for role in ("client", "scheduler", "worker")
            for name in ("cert", "key")
        }
        yield Security(require_encryption=True, tls_ca_file=files["ca_file"], **roles)


def _of_kind(queue: QueueFile) -> dict[str, Any]:
    """What each queue calls differently."""
    gpus, directives = queue.gpus, list(queue.directives)
    if queue.kind == "htcondor":
        pairs = (line.partition("=") for line in directives)
        extra = {name.strip(): value.strip() for name, _, value in pairs}
        extra |= {"RequestGPUs": gpus} if gpus else {}
        return {"disk": queue.disk, "job_extra_directives": extra}
    found: dict[str, Any] = {"queue": queue.queue or None, "walltime": queue.walltime}
    found["account" if queue.kind in ("slurm", "pbs") else "project"] = queue.account or None
    if queue.kind == "slurm" and gpus:
        directives.append(f"--gres=gpu:{gpus}")
    if queue.kind == "lsf" and gpus:
        directives.append(f"-gpu num={gpus}")
    if queue.kind == "pbs" and gpus:
        of_job = f"ncpus={queue.cores}:mem={queue.mebibytes}MB:ngpus={gpus}"
        found["resource_spec"] = f"select=1:{of_job}"
    if queue.kind == "oar":
        found["memory_per_core_property_name"] = "not_applicable"  # it differs between sites
    return {**found, "job_extra_directives": directives}


def _noting(job_class: Any, refusals: list[str]) -> Any:
    """The same kind of job, whose refusal by the queue is noted: Dask only logs it, and cannot end
    such a cluster in order."""
    from distributed.deploy.spec import ProcessInterface

    class Job(job_class):
        async def start(self) -> None:
            """Submit the job, or note what the queue says."""
            try:
                await super().start()
            except (RuntimeError, ValueError, OSError) as error:
                said = [line.strip() for line in str(error).splitlines() if line.strip()]
                refusals.append(plain(said[-1] if said else repr(error)))
                await ProcessInterface.start(self)

    return Job


def _submit(cluster: Any, queue: QueueFile) -> None:
    async def submitted() -> None:
        """Once all jobs are."""
        await cluster

    cluster.scale(jobs=queue.jobs)
    cluster.sync(submitted)


def _wait(client: "Client", cluster: Any, queue: QueueFile, path: Path) -> None:
    """Until a worker is there. ClusterError with the queue's state after `wait_minutes`, and with
    the jobs' log once they have ended without one."""
    until, gone, shown = time.monotonic() + MINUTE * queue.wait_minutes, 0, 0.0
    ids = [str(job.job_id) for job in cluster.workers.values()]
    which = (
        f"{len(ids)} job{'s' * (len(ids) != 1)} ({', '.join(ids[:5])}{', ...' * (len(ids) > 5)})"
    )
    while not client.nthreads():
        state = _state(queue.kind, ids)
        gone = 0 if state is None or _names_one(state, ids) else gone + 1
        if gone > 1:  # once, because a job may end between a worker's start and its first word
            raise ClusterError(
                f"{path}: {which} ended and no worker started; the end of their log in "
                f"{queue.shared}:\n{_end_of_log(queue, ids)}"
            )
        if time.monotonic() > until:
            raise ClusterError(
                f"{path}: no worker of {which} has started within {queue.wait_minutes} min, and "
                f"they are cancelled. The queue says:\n{state or 'nothing'}\nAsk for less, or "
                "raise wait_minutes"
            )
        if time.monotonic() - shown > MINUTE:
            _log.info("waiting for %s:\n%s", which, state)
            shown = time.monotonic()
        time.sleep(min(POLL_SECONDS, max(0.0, until - time.monotonic()) + 0.1))


def _state(kind: Kind, ids: list[str]) -> str | None:
    """What the queue shows of jobs; None where it does not answer."""
    words: list[str] = []
    for word in STATES[kind]:
        words += ids if word == "{ids}" else [word.format(commas=",".join(ids))]
    try:
        done = subprocess.run(words, capture_output=True, text=True, timeout=60)
    except (OSError, subprocess.TimeoutExpired):
        return None
    if done.returncode and not _ENDED.search(done.stdout + done.stderr):
        return None
    return plain(done.stdout.strip())


def _names_one(text: str, ids: list[str]) -> bool:
    """Whether one of these jobs is named, as a whole number."""
    return any(re.search(rf"(?<!\d){re.escape(i)}(?!\d)", text) for i in ids)


def _end_of_log(queue: QueueFile, ids: list[str]) -> str:
    """The last lines of the newest log of these jobs."""
    logs = [
        log
        for log in Path(queue.shared).iterdir()
        if _names_one(log.name, ids) and log.is_file() and log.stat().st_size
    ]
    if not logs:
        return "  (no log)"
    newest = max(logs, key=lambda log: log.stat().st_mtime)
    lines = newest.read_text(encoding="utf-8", errors="replace").splitlines()[-_LOG_LINES:]
    return "\n".join(f"  {plain(line)}" for line in lines)
