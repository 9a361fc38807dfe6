"""`interplm-nb slurm` and `work`: what is printed, and what is refused before anything is."""

import shlex
import subprocess
from pathlib import Path

import pytest

from interplm_nb.cli.main import main
from interplm_nb.scale.queue_file import EXAMPLE

QUEUE = """
kind = "slurm"
workers = 4
workers_per_job = 2
cores = 8
memory = "16 GiB"
gpus = 2
queue = "short"
directives = ["--constraint=a100|h100"]
setup = ["module load 'cuda 12'"]
python = "/opt/my env/bin/python"
"""


@pytest.fixture
def queue(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "jobs"
    folder.mkdir()
    (folder / "slurm.toml").write_text(QUEUE)
    monkeypatch.chdir(folder)
    return folder / "slurm.toml"


def said(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    code = main(words)
    out, error = capsys.readouterr()
    return code, out, error


def test_the_example_is_printed_as_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    assert said(capsys, "slurm", "example")[1] == EXAMPLE.read_text(encoding="utf-8")


def test_the_jobs_of_a_run(queue: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["demo", "--out", "runs/it's", "-p", "train.steps=50", "--queue", str(queue)]
    code, out, _ = said(capsys, "slurm", "run", *words)
    assert code == 0
    (queue.parent / "jobs.sh").write_text(out)
    subprocess.run(["bash", "-n", "jobs.sh"], check=True)
    job = next(line for line in out.splitlines() if line.startswith("job=("))
    asked = shlex.split(job.removeprefix("job=(").removesuffix(")"))
    assert asked[-6:] == [
        "--cpus-per-task=8",
        "--mem=16384M",
        "--time=01:00:00",
        "--partition=short",
        "--gres=gpu:2",
        "--constraint=a100|h100",
    ]
    python = ["/opt/my env/bin/python", "-m", "interplm_nb"]
    run = [*python, "run", "demo", "--out", "runs/it's", "-p", "train.steps=50"]
    lines = out.splitlines()
    assert shlex.join([*run, "--begin", "embed"]) in lines and shlex.join(run) in lines
    assert f"    CUDA_VISIBLE_DEVICES=${{devices[i]:-}} {shlex.join([*python, 'work'])}" in out
    assert out.splitlines()[1] == f"# {shlex.join(['interplm-nb', *run[3:]])}"
    assert out.count("\nmodule load 'cuda 12'\n") == 3
    assert "--array=1-2 " in out and "for i in {0..1}; do" in out
    assert out.count("OMP_NUM_THREADS=8") == 2 and out.count("OMP_NUM_THREADS=4") == 1


def test_the_job_of_a_training(queue: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (queue.parent / "my train.py").write_text("")
    words = ["--queue", str(queue), "my train.py", "--steps", "500"]
    code, out, _ = said(capsys, "slurm", "train", *words)
    assert code == 0
    (queue.parent / "job.sh").write_text(out)
    assert (queue.parent / "interplm-nb-jobs").is_dir()
    subprocess.run(["bash", "-n", "job.sh"], check=True)
    assert "#SBATCH --nodes=2\n" in out and "--nproc-per-node=2 " in out
    assert "#SBATCH --gres=gpu:2\n" in out and "#SBATCH --constraint=a100|h100\n" in out
    assert "'my train.py' --steps 500\nthen" in out


@pytest.mark.parametrize(
    ("words", "error"),
    [
        (["run", "demo", "--out", "r", "-p", "train.stepz=5"], "did you mean train.steps"),
        (["run", "demo", "--out", "r", "--device", "gpu"], "wanted auto, cpu, cuda"),
        (["train"], "absent.py: no such script"),
    ],
)
def test_what_is_wrong_is_said_before_a_script_is_printed(
    words: list[str], error: str, queue: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    script = ["absent.py"] if words == ["train"] else []
    code, out, said_error = said(capsys, "slurm", *words, "--queue", str(queue), *script)
    assert (code, out) == (2, "") and error in said_error


def test_another_queue_is_pointed_to_dask(queue: Path, capsys: pytest.CaptureFixture[str]) -> None:
    queue.write_text(QUEUE.replace("slurm", "pbs"))
    code, _, error = said(capsys, "slurm", "run", "demo", "--out", "r", "--queue", str(queue))
    assert code == 2 and "give its file to interplm-nb run --scheduler" in error


def test_work_needs_a_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, _, error = said(capsys, "work", str(tmp_path / "none"), "embed")
    assert code == 2 and str(tmp_path / "none") in error
