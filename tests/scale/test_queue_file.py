"""The file of a queue: what is refused, in which words; the job script of each kind."""

import os
import re
import subprocess
import tomllib
from pathlib import Path

import pytest

from interplm_nb.pipeline.profiles import load
from interplm_nb.scale import queue_cluster
from interplm_nb.scale.address import absolute, check_address, workers_at
from interplm_nb.scale.errors import ClusterError
from interplm_nb.scale.own_device import dask_setup
from interplm_nb.scale.queue_cluster import CLASSES, STATES, job_script
from interplm_nb.scale.queue_file import EXAMPLE, QueueFile
from interplm_nb.scale.slurm_jobs import array_jobs, training_job

GOOD = 'kind = "slurm"\nworkers = 4\ncores = 8\nmemory = "16 GB"\n'


def written(folder: Path, text: str) -> Path:
    path = folder / "queue.toml"
    path.write_text(text)
    return path


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("kind = ", r"queue\.toml is not a TOML file: Invalid value"),
        ("a = " + "[" * 5000, r"queue\.toml is not a TOML file: maximum recursion"),
        (GOOD.replace("cores = 8\n", ""), r"cores is missing\. Cores of a job\."),
        (GOOD + "nodes = 2", r"unknown entry 'nodes'; known are kind, workers, workers_per_job,"),
        (
            GOOD.replace("8", '"8"'),
            r"cores = '8': input should be a valid integer\. Cores of a job",
        ),
        (GOOD.replace("8", "0"), r"cores = 0: input should be greater than or equal to 1\."),
        (GOOD.replace("8", "1000000"), r"cores = 1000000: input should be less than or equal to"),
        (GOOD.replace("slurm", "slrum"), r"kind = 'slrum': input should be 'slurm', 'pbs',"),
        (
            GOOD.replace("16 GB", "16"),
            r"memory = '16': expected other text\. Memory of a job, such",
        ),
        (GOOD + 'queue = "a\\nb"', r"queue = 'a\\nb': expected one line of text\. Queue or"),
        (GOOD + 'setup = ["a\\u0000"]', r"setup = 'a\\x00': expected one line of text\. Lines of"),
        (
            GOOD + "workers_per_job = 3",
            r"workers = 4 in jobs of workers_per_job = 3 with cores = 8:",
        ),
        (GOOD + "gpus = 2", r"gpus = 2 for workers_per_job = 1: a worker has one GPU or none;"),
        (GOOD + "wait_minutes = nan", r"wait_minutes = nan: input should be a valid integer\."),
    ],
)
def test_a_file_that_does_not_fit_is_refused_in_a_sentence(
    tmp_path: Path, text: str, said: str
) -> None:
    path = written(tmp_path, text)
    with pytest.raises(ClusterError, match=said) as error:
        check_address(str(path))
    assert str(path) in str(error.value) and "\n" not in str(error.value)


def test_a_file_that_is_missing_names_the_example(tmp_path: Path) -> None:
    with pytest.raises(ClusterError, match=r"No such file.*`interplm-nb slurm example` prints"):
        check_address(str(tmp_path / "queue.toml"))


def test_the_example_holds_every_entry_with_its_default(tmp_path: Path) -> None:
    text = EXAMPLE.read_text(encoding="utf-8")
    assert QueueFile.read(EXAMPLE).kind == "slurm"
    shown = tomllib.loads(re.sub(r"^# (?=\w+ = )", "", text, flags=re.MULTILINE))
    assert list(shown) != [] and set(shown) == set(QueueFile.model_fields)
    for name, value in shown.items():
        field = QueueFile.model_fields[name]
        if not field.is_required() and name not in ("queue", "account", "walltime"):
            assert value == field.default, name
    QueueFile.read(written(tmp_path, re.sub(r"^# (?=\w+ = )", "", text, flags=re.MULTILINE)))


def test_the_address_of_a_file_is_the_same_from_any_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written(tmp_path, GOOD)
    monkeypatch.chdir(tmp_path)
    assert absolute("queue.toml") == str(tmp_path / "queue.toml")
    stages = load("demo").at("run", "cpu", "queue.toml")
    assert stages["embed"].model_dump()["scheduler"] == str(tmp_path / "queue.toml")
    assert absolute("local:2") == "local:2" and absolute("") == ""
    assert QueueFile.read(Path("queue.toml")).shared == str(tmp_path / "interplm-nb-jobs")


def test_without_the_queue_here_its_command_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    path = written(tmp_path, GOOD)
    with (
        pytest.raises(ClusterError, match="the command sbatch of kind = 'slurm' is not here"),
        workers_at(str(path)),
    ):
        pass


def of_kind(kind: str, **entries: object) -> QueueFile:
    values = {"workers": 8, "cores": 8, "memory": "16 GiB", "queue": "long", "account": "lab"}
    return QueueFile(**{"kind": kind, "shared": "/shared/jobs", **values, **entries})


@pytest.mark.parametrize(
    ("kind", "lines"),
    [
        ("slurm", ["-p long", "-A lab", "--cpus-per-task=8", "--mem=16G", "--gres=gpu:4"]),
        ("pbs", ["-q long", "-A lab", "-l select=1:ncpus=8:mem=16384MB:ngpus=4"]),
        ("lsf", ["-q long", '-P "lab"', "-n 8", "-gpu num=4"]),
        ("sge", ["-q long", "-P lab"]),
        ("oar", ["-q long", "--project lab", "/nodes=1/core=8"]),
        ("htcondor", ["MY.DaskWorkerCores = 8", "RequestGPUs = 4", "Request_x = y=z"]),
    ],
)
def test_the_job_script_of_each_kind(kind: str, lines: list[str]) -> None:
    assert set(STATES) == set(CLASSES)
    directives = ["Request_x = y=z"] if kind == "htcondor" else ["--of-this-site"]
    queue = of_kind(
        kind,
        gpus=4,
        workers_per_job=4,
        walltime="02:00:00",
        setup=["module load cuda"],
        directives=directives,
        scratch="/local",
    )
    script = job_script(queue)
    for line in [*lines, "module load cuda", "export OMP_NUM_THREADS=2"]:
        assert line in script, script
    assert ("02:00:00" in script and "--of-this-site" in script) or kind == "htcondor"
    # of each process: the last --nthreads counts
    assert "--nworkers 4" in script and re.findall(r"--nthreads (\d+)", script)[-1] == "1"
    assert "--local-directory /local" in script and "--memory-limit 4.00GiB" in script
    assert "--preload interplm_nb.scale.own_device" in script


def test_a_job_of_one_worker_needs_no_device() -> None:
    script = job_script(of_kind("slurm", gpus=1))
    assert "own_device" not in script and "--nworkers" not in script
    assert "export OMP_NUM_THREADS=8" in script


@pytest.mark.parametrize(("given", "own"), [("4,5,7", "5"), ("", "1"), (None, "1")])
def test_each_worker_of_a_job_takes_its_device(
    given: str | None, own: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Worker:
        name = "SLURMCluster-3-1"

    # Set in any case, so that what a worker writes into this process is undone.
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", given or "")
    if given is None:
        monkeypatch.delenv("CUDA_VISIBLE_DEVICES")
    dask_setup(Worker())
    assert os.environ["CUDA_VISIBLE_DEVICES"] == own


def test_jobs_without_dask_are_written_for_slurm_alone() -> None:
    for write in (
        lambda queue: array_jobs(queue, ["interplm-nb", "run", "demo"], Path("r"), "embed"),
        lambda queue: training_job(queue, Path("train.py"), []),
    ):
        with pytest.raises(ClusterError, match='kind = "pbs": these jobs are written for Slurm;'):
            write(of_kind("pbs"))
        with pytest.raises(ClusterError, match="must be a path without spaces, which sbatch"):
            write(of_kind("slurm", shared="/my jobs"))


@pytest.mark.parametrize(
    ("said", "code", "state"),
    [
        ("12 RUNNING node1", 0, "12 RUNNING node1"),
        ("slurm_load_jobs error: Invalid job id specified", 1, ""),
        ("slurm_load_jobs error: Socket timed out on send/recv operation", 1, None),
    ],
)
def test_a_queue_that_does_not_answer_says_nothing_of_its_jobs(
    said: str, code: int, state: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = subprocess.CompletedProcess([], code, "" if code else said, said if code else "")
    monkeypatch.setattr(queue_cluster.subprocess, "run", lambda *_, **__: done)
    assert queue_cluster._state("slurm", ["12"]) == state


def test_a_job_is_known_by_its_whole_number() -> None:
    assert queue_cluster._names_one("12 RUNNING\n", ["12"])
    assert queue_cluster._names_one("interplm-nb-12.out", ["12"])
    assert not queue_cluster._names_one("4123 RUNNING 10:12.3 112\n", ["41", "2"])
